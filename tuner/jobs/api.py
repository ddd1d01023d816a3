"""A client of Ray's job API: submit, inspect and stop jobs, and stream their logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tuner.cluster.private import CONTENT_QUOTED, ENTRY, FOLLOW, PACKAGES
from tuner.errors import UserError
from tuner.jobs.connection import Head, refused, unreachable

JOB_END_STATES = ("STOPPED", "SUCCEEDED", "FAILED")
REFUSED = 2
"""Exit code of a command that refused its input."""
PATIENCE, AGAIN_AFTER = 60.0, 1.0
"""Seconds that a log may be unreachable, for example while a tunnel reopens; and between tries."""
LOOK_EVERY = 0.5
"""Seconds between two requests while waiting for a job."""


@dataclass(frozen=True)
class Job:
    """A job as the head describes it.

    Attributes:
        id: its submission id.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: Ray's message about its status.
        metadata: the metadata given at its submission.
        runtime_env: its Ray runtime environment.
        started: its start as Unix time in seconds.
        code: its exit code, if it ended by itself.
    """

    id: str
    status: str
    message: str
    metadata: Mapping[str, str]
    runtime_env: Mapping[str, Any]
    started: float
    code: int | None

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Self:
        """Read a job from an answer of the API."""
        return cls(
            id=reply["submission_id"],
            status=reply["status"],
            message=reply.get("message") or "",
            metadata=reply.get("metadata") or {},
            runtime_env=reply.get("runtime_env") or {},
            started=(reply.get("start_time") or 0) / 1000,
            code=reply.get("driver_exit_code"),
        )

    @property
    def ended(self) -> bool:
        """True once the job has ended."""
        return self.status in JOB_END_STATES

    @property
    def refused(self) -> bool:
        """True if the command refused its input and so did nothing."""
        return self.code == REFUSED


def all_jobs(head: Head) -> list[Job]:
    """Return all submitted jobs, the newest first."""
    reply = head.ask_json("GET", "/api/jobs/")
    jobs = [Job.of(job) for job in reply if job.get("submission_id")]
    return sorted(jobs, key=lambda job: -job.started)


def job(head: Head, id: str) -> Job:
    """Return the current description of a job."""
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
        head: the head of the cluster.
        id: a submission id that no earlier job had.
        entrypoint: the shell command to run on the head.
        runtime_env: Ray's runtime environment.
        metadata: metadata kept with the job; everybody with access to the cluster can read it.
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
    """Ask a job to end, without waiting for it."""
    head.ask_json("POST", f"/api/jobs/{id}/stop")


async def wait_until_ended(head: Head, id: str) -> Job:
    """Wait until a job has ended, and return it."""
    while not (found := await asyncio.to_thread(job, head, id)).ended:
        await asyncio.sleep(LOOK_EVERY)
    return found


async def forget(head: Head, id: str) -> None:
    """Stop a job if it still runs, and delete it from the head's list."""
    await asyncio.to_thread(stop, head, id)
    await wait_until_ended(head, id)
    await asyncio.to_thread(head.ask, "DELETE", f"/api/jobs/{id}")


async def log(head: Head, id: str) -> AsyncIterator[str]:
    """Yield a job's output in pieces as they come, from its beginning to its end.

    Raises:
        UserError: the head does not answer any more.
    """
    read, away = 0, 0.0  # characters; seconds
    entered = False
    waiting = ""  # output that may still be Ray's
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
    """Return whether the job's own log has begun, and its text so far."""
    _, found, rest = text.partition(ENTRY)
    _, newline, own = rest.partition("\n")
    return bool(found and newline), own


async def _pieces(head: Head, id: str) -> AsyncIterator[str]:
    """Yield the log from its beginning until the head closes the connection."""
    import aiohttp

    url = head.address + FOLLOW.format(id=id)
    try:
        async with (
            aiohttp.ClientSession(headers=head.headers) as session,
            session.ws_connect(url, heartbeat=PATIENCE, max_msg_size=0) as socket,
        ):
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    yield message.data
            if socket.close_code != aiohttp.WSCloseCode.OK:
                raise ConnectionError("the connection was cut off")
    except aiohttp.WSServerHandshakeError as error:
        raise refused(head.address, error.status, error.message.encode()) from None
    except aiohttp.ClientError as error:
        raise ConnectionError(str(error)) from None


def upload(head: Head, name: str, content: bytes) -> str:
    """Upload a file to the head's store unless it is there; return its URI for `runtime_env`.

    Ray removes the file when no job has needed it for ten minutes.
    """
    path = PACKAGES.format(name=name)
    if head.ask("GET", path)[0] != 200:
        status, answer = head.ask("PUT", path, content)
        if status != 200:
            raise refused(head.address, status, _without_content(answer))
        head.ask("GET", path)  # this starts the ten minutes
    return f"gcs://{name}"


def _without_content(answer: bytes) -> bytes:
    """Remove the first bytes of the content, which Ray repeats, from its error message."""
    return b"\n".join(line for line in answer.splitlines() if CONTENT_QUOTED.encode() not in line)
