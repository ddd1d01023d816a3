"""A study that is followed: what is shown of it, and which of its jobs speak for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from tuner.errors import UserError
from tuner.interrupts import SIGNALS
from tuner.jobs import api, following, looking
from tuner.jobs.api import Job
from tuner.jobs.connection import Head
from tuner.jobs.following import Detached, follow
from tuner.jobs.studies import find, metadata, studies
from tuner.jobs.there import Command
from tuner.report.status import PAGE

HEAD = Head("http://127.0.0.1:1", "token")


def job(id: str, started: int, status: str, code: int | None, command: str = "again") -> Job:
    said = metadata("mine", "s3://b/s", "digest", command)
    told: dict[str, Any] = {"submission_id": id, "status": status, "driver_exit_code": code}
    return Job.of({**told, "metadata": said, "start_time": started})


def test_it_is_shown_until_it_has_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is resumed is interrupted at first: its driver loads libraries."""
    pages = [["mine: interrupted"], ["mine: running, 1", "mine: running, 2"]]
    begun: list[str] = []

    @asynccontextmanager
    async def running(head: Head, command: Command) -> AsyncIterator[str]:
        begun.append(f"glance-{len(begun)}")
        yield begun[-1]

    async def log(head: Head, id: str) -> AsyncIterator[str]:
        for page in pages[int(id[-1])]:
            yield f"{page}\n{PAGE}\n"
        if id == "glance-1":
            await asyncio.sleep(60)  # it runs on

    async def wait_until_ended(head: Head, id: str) -> Job:
        return job(id, 1, "SUCCEEDED", 0)

    monkeypatch.setattr(following, "running", running)
    monkeypatch.setattr(following, "AGAIN_AFTER", 0.01)
    monkeypatch.setattr(api, "log", log)
    monkeypatch.setattr(api, "wait_until_ended", wait_until_ended)
    console = Console(width=60, force_terminal=True)

    async def main() -> str:
        with Live(console=console, auto_refresh=False) as live, console.capture() as captured:
            shown = asyncio.create_task(following._kept_shown(HEAD, Command(["status"]), live))
            await asyncio.sleep(0.2)
            shown.cancel()
            with suppress(asyncio.CancelledError):
                await shown
            console.print(live.get_renderable())
        return captured.get()

    said = asyncio.run(main())
    assert "running, 2" in said and begun == ["glance-0", "glance-1"]


@pytest.mark.parametrize("number", SIGNALS)
def test_whatever_ends_the_view_leaves_the_study(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C stops the job that shows it, and the user is told how to come back."""

    async def log(head: Head, id: str) -> AsyncIterator[str]:
        yield "trial 000 started"
        os.kill(os.getpid(), number)
        await asyncio.sleep(60)

    monkeypatch.setattr(api, "log", log)
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Detached):
        follow(HEAD, "job", Command(["status"]), Console())
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_refused_job_does_not_speak_for_its_study(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job("2", 2, "FAILED", 2, "other settings"), job("1", 1, "STOPPED", 130, "mine.yaml")]
    monkeypatch.setattr(api, "all_jobs", lambda head: jobs)
    (study,) = studies(HEAD)
    assert (study.job.id, study.state, study.command) == ("1", "stopped", "mine.yaml")
    assert find(HEAD, "mine") == study

    async def log(head: Head, id: str) -> AsyncIterator[str]:
        yield "reading the corpus\nerror: a trial asks for 1 CPU and 1 GPU\n"

    monkeypatch.setattr(looking, "connect", lambda address, insecure: HEAD)
    monkeypatch.setattr(api, "log", log)
    del jobs[1]
    with pytest.raises(UserError, match="never started: its job was refused") as refused:
        looking.look(HEAD.address, ["status", "mine"], None, Console())
    assert "asks for 1 CPU and 1 GPU" in str(refused.value)
