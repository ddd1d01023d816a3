"""Ray's job API: jobs submitted, looked at, stopped, and their log as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tuner.errors import UserError
from tuner.jobs.connection import Head, refused, unreachable

ENTRY = "Running entrypoint for job "
"""How Ray's line begins after which a job's log is its own."""
ENDED = ("STOPPED", "SUCCEEDED", "FAILED")
REFUSED = 2
"""Exit code of a command that was given what it cannot take."""
PATIENCE, AGAIN_AFTER = 60.0, 1.0
"""Seconds that a log may be away for, as where a tunnel is opened again; and between two tries."""
LOOK_EVERY = 0.5
"""Seconds between two looks at a job that is waited for."""


@dataclass(frozen=True)
class Job:
    """A job as the head has it.

    Attributes:
        id: its submission id.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: Ray's, about its status.
        metadata: what was said of it when it was submitted.
        runtime_env: where it runs in.
        started: Unix time, seconds.
        code: its exit code, where it ended by itself.
    """

    id: str
    status: str
    message: str
    metadata: Mapping[str, str]
    runtime_env: Mapping[str, Any]
    started: float
    code: int | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the API tells it."""
        return cls(
            id=told["submission_id"],
            status=told["status"],
            message=told.get("message") or "",
            metadata=told.get("metadata") or {},
            runtime_env=told.get("runtime_env") or {},
            started=(told.get("start_time") or 0) / 1000,
            code=told.get("driver_exit_code"),
        )

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status in ENDED

    @property
    def refused(self) -> bool:
        """Whether the command was refused by what it was given, and so did nothing."""
        return self.code == REFUSED


def all_jobs(head: Head) -> list[Job]:
    """All jobs that were submitted, the newest first."""
    told = head.ask_json("GET", "/api/jobs/")
    jobs = [Job.of(job) for job in told if job.get("submission_id")]
    return sorted(jobs, key=lambda job: -job.started)


def job(head: Head, id: str) -> Job:
    """A job as it stands."""
    return Job.of(head.ask_json("GET", f"/api/jobs/{id}"))


def submit(
    head: Head,
    id: str,
    entrypoint: str,
    runtime_env: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Start a job.

    Args:
        head: where.
        id: its submission id, which no job before it had.
        entrypoint: a shell command, run on the head.
        runtime_env: as Ray has it.
        metadata: kept with it; everybody whom the cluster lets in can read it.
    """
    head.ask_json(
        "POST",
        "/api/jobs/",
        {
            "submission_id": id,
            "entrypoint": entrypoint,
            "runtime_env": dict(runtime_env),
            "metadata": dict(metadata or {}),
        },
    )


def stop(head: Head, id: str) -> None:
    """Ask a job to end; it may take its time."""
    head.ask_json("POST", f"/api/jobs/{id}/stop")


async def ended(head: Head, id: str) -> Job:
    """A job when it is over."""
    while not (found := await asyncio.to_thread(job, head, id)).ended:
        await asyncio.sleep(LOOK_EVERY)
    return found


async def forget(head: Head, id: str) -> None:
    """Stop a job where it is still at work, and take it off the head's list."""
    await asyncio.to_thread(stop, head, id)
    await ended(head, id)
    await asyncio.to_thread(head.ask, "DELETE", f"/api/jobs/{id}")


async def log(head: Head, id: str) -> AsyncIterator[str]:
    """What a job prints, in pieces as they come, from its beginning to its end.

    Raises:
        UserError: the head does not answer any more.
    """
    read, away = 0, 0.0  # characters; seconds
    entered = False
    waiting = ""  # what may be Ray's
    while True:
        seen = 0
        try:
            async for piece in _pieces(head, id):
                away = 0.0
                new = piece[max(0, read - seen) :]
                seen += len(piece)
                read = max(read, seen)
                if not entered:
                    waiting += new
                    entered, new = _after_entry(waiting)
                if new:
                    yield new
            if (await asyncio.to_thread(job, head, id)).ended:
                return
        except (OSError, UserError) as error:
            away += AGAIN_AFTER
            if away > PATIENCE:
                raise (
                    error if isinstance(error, UserError) else unreachable(head.address, error)
                ) from None
        await asyncio.sleep(AGAIN_AFTER)


def _after_entry(text: str) -> tuple[bool, str]:
    """Whether the job's own log has begun, and what there is of it."""
    _, found, rest = text.partition(ENTRY)
    _, newline, own = rest.partition("\n")
    return bool(found and newline), own


async def _pieces(head: Head, id: str) -> AsyncIterator[str]:
    """The log from its beginning, until the head closes the connection."""
    import aiohttp

    url = f"{head.address}/api/jobs/{id}/logs/tail"
    try:
        async with (
            aiohttp.ClientSession(headers=head.headers) as session,
            session.ws_connect(url, heartbeat=PATIENCE, max_msg_size=0) as socket,
        ):
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    yield message.data
            if socket.close_code != aiohttp.WSCloseCode.OK:
                raise ConnectionError("the connection broke off")
    except aiohttp.WSServerHandshakeError as error:
        raise refused(head.address, error.status, error.message.encode()) from None
    except aiohttp.ClientError as error:
        raise ConnectionError(str(error)) from None


def upload(head: Head, name: str, content: bytes) -> str:
    """Put a file into the head's store, unless it is there; its address for a runtime environment.

    Ray removes it when no job has needed it for ten minutes.
    """
    path = f"/api/packages/gcs/{name}"
    if head.ask("GET", path)[0] != 200:
        status, answer = head.ask("PUT", path, content)
        if status != 200:
            raise refused(head.address, status, _without_content(answer))
        head.ask("GET", path)  # from now on the ten minutes count
    return f"gcs://{name}"


def _without_content(answer: bytes) -> bytes:
    """Ray's complaint without the first bytes of the content, which it repeats."""
    return b"\n".join(line for line in answer.splitlines() if b"Package data" not in line)
