"""Following a remote study from here: its log line by line, and its summary below."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tuner.errors import UserError
from tuner.interrupts import as_ctrl_c
from tuner.jobs import api
from tuner.jobs.api import Job
from tuner.jobs.connection import Head
from tuner.jobs.there import Command, running
from tuner.report.status import PAGE
from tuner.terminal.streams import unread

AGAIN_AFTER = 1.0
"""Seconds between two runs of the command that shows the study."""
HINT = Text("Ctrl-C ends this view, not the study", style="dim")


class Detached(Exception):
    """The reader has left, by Ctrl-C or by closing a pipe; the study continues."""


def follow(head: Head, id: str, glance: Command, console: Console) -> Job:
    """Print a job's log until the job has ended; a terminal shows the study below the log.

    Args:
        head: the head of the cluster.
        id: the job's submission id.
        glance: the command that shows the study page after page.
        console: the console to print on.

    Raises:
        Detached: on Ctrl-C or another such signal, or when nobody reads any more.
        UserError: the head does not answer any more.
    """
    try:
        with as_ctrl_c():
            return asyncio.run(_follow(head, id, glance, console))
    except KeyboardInterrupt:
        raise Detached from None


def watch(head: Head, glance: Command, console: Console) -> int:
    """Show a study until its driver has ended or until Ctrl-C; return the command's exit code."""
    with suppress(KeyboardInterrupt), as_ctrl_c():
        with Live(console=console, auto_refresh=False) as live:
            rest, job = asyncio.run(_shown(head, glance, live))
        console.print(Text.from_ansi(rest), soft_wrap=True)
        return job.code if job.code is not None else 1
    return 0


async def _follow(head: Head, id: str, glance: Command, console: Console) -> Job:
    if not console.is_interactive:
        async for piece in api.log(head, id):
            sys.stdout.write(piece)
            sys.stdout.flush()
            if unread():
                raise Detached
        return await api.wait_until_ended(head, id)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        below = asyncio.create_task(_kept_shown(head, glance, live))
        try:
            rest = ""
            async for piece in api.log(head, id):
                *lines, rest = (rest + piece).split("\n")
                for line in lines:
                    console.print(Text.from_ansi(line), soft_wrap=True)
            return await api.wait_until_ended(head, id)
        finally:
            below.cancel()
            with suppress(asyncio.CancelledError, UserError):
                await below


async def _kept_shown(head: Head, glance: Command, live: Live) -> None:
    """Show the study again and again: the command ends while no driver runs the study."""
    while True:
        await _shown(head, glance, live)
        await asyncio.sleep(AGAIN_AFTER)


async def _shown(head: Head, glance: Command, live: Live) -> tuple[str, Job]:
    """Show page after page; return the text after the last one, and the command's ended job."""
    rest = ""
    if not live.get_renderable():
        live.update(Text("asking the cluster …", style="dim"), refresh=True)
    async with running(head, glance) as id:
        async for piece in api.log(head, id):
            *pages, rest = (rest + piece).split(PAGE)
            if pages:
                page = Text.from_ansi(pages[-1].strip("\n"))
                live.update(Group(page, Text(), HINT), refresh=True)
        return rest.strip("\n"), await api.wait_until_ended(head, id)
