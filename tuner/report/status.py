"""How studies stand: from their journals, and from whether a driver is at work on them now."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tuner.errors import UserError
from tuner.invocation import READER, command, program
from tuner.journal.history import History
from tuner.journal.journal import being_written, is_begun, read_history, studies_in, version
from tuner.journal.records import StudyRecord
from tuner.storage.folders import Place
from tuner.study.file import reopened_study
from tuner.terminal.progress import WIDE, clock, say
from tuner.terminal.streams import unread
from tuner.terminal.summary import COLOURS, Summary

State = Literal["running", "interrupted", "driver died", "failed", "completed"]
"""What is true of a study, where its journal alone would say `running` of one that was killed."""

LOOK_EVERY, PAGE_EVERY = 1.0, 5.0
"""Seconds between two looks at a study that is watched: here, and from another machine."""
PATIENCE = 600.0
"""Seconds that a study has to begin, where it is watched from another machine."""
PAGE = "\f"
"""Ends a page."""
HINT = Text("Ctrl-C ends this view, not the study", style="dim")


@dataclass(frozen=True)
class Standing:
    """A study as it stands.

    Attributes:
        folder: its own.
        state: with the truth about its driver.
        trials: how many it runs in all.
        study: what its journal says, a running one's time up to now.
    """

    folder: Place
    state: State
    trials: int
    study: StudyRecord

    @property
    def summary(self) -> Summary:
        """The study at a glance."""
        return Summary(
            study=self.study,
            state=self.state,
            working=self.state == "running",
            trials=self.trials,
            seconds=self.study.seconds,
            now=time.time(),
            heartbeats={},
        )

    @property
    def next_command(self) -> str:
        """What to do with it now."""
        if self.state == "running":
            return command("status", self.folder) + " --watch"
        goes_on = self.state in ("interrupted", "driver died")
        return command("resume" if goes_on else "report", self.folder)

    def in_words(self) -> str:
        """State and next command, in a line."""
        what = {
            "running": "running; to watch it",
            "interrupted": "interrupted; go on with",
            "driver died": "its driver died; go on with",
            "failed": f"failed, {self.study.reason}; see",
            "completed": "completed; every trial",
        }
        return f"{what[self.state]}: {self.next_command}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        best, summary = self.study.best, self.summary
        return {
            "name": self.study.name,
            "folder": str(self.folder.absolute()),
            "state": self.state,
            "created": self.study.created,
            "seconds": self.study.seconds,
            "seconds_left": summary.seconds_left,
            "trials": {"of": self.trials, "ended": summary.ended, **summary.counts()},
            "ledger": {**asdict(summary.ledger), "pairs": summary.ledger.pairs},
            "objective": self.study.facts["objective"],
            "best": best
            and best.last
            and {
                "trial": best.number,
                "objective": best.last.objective,
                "config": best.config.flat(),
                "confirmed": False,
            },
            "claim": self.study.facts["claim"],
            "next": self.next_command,
        }


def look_at(folder: Place) -> Standing:
    """How the study in a folder stands now.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    at_work = being_written(folder)  # first: a driver that ends in between has written so
    record = _history(folder, version(folder)).record(time.time() if at_work else None)
    state: State
    if record.state == "completed":
        state = "completed"
    elif at_work:
        state = "running"
    else:
        state = "driver died" if record.state == "running" else record.state
    return Standing(folder, state, _trials(record, folder), record)


def show(standing: Standing, console: Console) -> None:
    """Print a study at a glance, and what to do next."""
    console.print(standing.summary)
    console.print()
    _say_whole(console, standing.in_words())


def watch(folder: Place, console: Console) -> Standing:
    """Show a study until no driver is at work on it, or until Ctrl-C; how it stands then.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    if READER in os.environ and console.is_terminal:
        return _pages(folder, console)
    standing = look_at(folder)
    try:
        with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
            while True:
                live.update(Group(standing.summary, Text(), HINT), refresh=True)
                if standing.state != "running" or unread():
                    live.update(standing.summary)
                    break
                time.sleep(LOOK_EVERY)
                standing = look_at(folder)
    except KeyboardInterrupt:
        pass
    console.print()
    _say_whole(console, standing.in_words())
    return standing


def _pages(folder: Place, console: Console) -> Standing:
    """The same for a reader on another machine, whose terminal shows the last page alone.

    A study that was just submitted may take minutes to begin.
    """
    deadline = time.monotonic() + PATIENCE
    while not is_begun(folder) and time.monotonic() < deadline and not unread():
        print(f"{folder.name}: not begun yet\n{PAGE}", flush=True)
        time.sleep(PAGE_EVERY)
    standing = look_at(folder)
    while True:
        console.print(standing.summary)
        print(PAGE, flush=True)
        if standing.state != "running" or unread():
            break
        time.sleep(PAGE_EVERY)
        standing = look_at(folder)
    _say_whole(console, standing.in_words())
    return standing


@dataclass(frozen=True)
class Unreadable:
    """A study whose journal cannot be read, and why."""

    folder: Place
    error: UserError

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        folder = str(self.folder.absolute())
        return {
            "name": self.folder.name,
            "folder": folder,
            "state": "damaged",
            "problem": str(self.error),
        }


def all_studies(storage: Place) -> list[Standing | Unreadable]:
    """The studies in a folder, the newest first; those that cannot be read at the end.

    Raises:
        UserError: it is not a folder, or cannot be read.
    """
    if isinstance(storage, Path) and storage.exists() and not storage.is_dir():
        raise UserError(f"{storage} is not a folder", "Name the folder that holds the studies.")
    read: list[Standing] = []
    damaged: list[Unreadable] = []
    for folder in studies_in(storage):
        try:
            read.append(look_at(folder))
        except UserError as error:
            damaged.append(Unreadable(folder, error))
    read.sort(key=lambda standing: -standing.study.created)
    return [*read, *damaged]


def show_all(storage: Place, console: Console) -> None:
    """Print a table of the studies in a folder, and what to do next."""
    studies = all_studies(storage)
    if not studies:
        say(console, f"there is no study in {storage}")
        _say_whole(console, f"begin one: {program()} search search_spaces/nano.yaml")
        return
    console.print(_table(studies, with_dates=console.width >= WIDE))
    say(console, "best: dev objective at full budget, unconfirmed", style="dim")
    console.print()
    for study in studies:
        if isinstance(study, Unreadable):
            say(console, f"{study.folder.name}: {study.error.problem}", style="red")
            say(console, study.error.remedy)
    if isinstance(studies[0], Standing):
        _say_whole(console, f"{studies[0].study.name}: {studies[0].in_words()}")


def _say_whole(console: Console, line: str) -> None:
    """Not wrapped by us, so that the command in it can be copied."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(studies: list[Standing | Unreadable], with_dates: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("study", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in ("trials", "best", *(["created"] * with_dates), "took"):
        table.add_column(heading, no_wrap=True, justify="right")
    for study in studies:
        if isinstance(study, Unreadable):
            table.add_row(study.folder.name, Text("damaged", COLOURS["failed"]))
            continue
        best = study.study.best
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(study.study.created))
        table.add_row(
            study.study.name,
            Text(study.state, COLOURS.get(study.state, "")),
            f"{study.summary.ended}/{study.trials}",
            f"{best.last.objective:.2%}" if best and best.last else "–",
            *([created] * with_dates),
            clock(study.study.seconds),
        )
    return table


@lru_cache(maxsize=1)
def _history(folder: Place, version: Hashable) -> History:
    """Read again only where something was written: a study that is watched is looked at often."""
    return read_history(folder)


def _trials(record: StudyRecord, folder: Place) -> int:
    """How many trials the study runs in all."""
    trials = record.settings["budget"]["trials"]
    is_grid = record.settings["sampler"]["kind"] == "grid"
    if isinstance(trials, int) and not record.designed and not is_grid:
        return trials
    return reopened_study(record.settings, folder).trials
