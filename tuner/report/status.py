"""`tuner status`: the state of studies, from their journals and their drivers."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tuner.blocks import Grid
from tuner.blocks.console import show_blocks
from tuner.errors import UserError
from tuner.invocation import READER, command, program
from tuner.journal.digest import Digest
from tuner.journal.journal import being_written, is_begun, read_history, studies_in
from tuner.journal.records import StudyRecord
from tuner.journal.snapshot import brief_history
from tuner.storage.folders import Place
from tuner.study.design import ConfirmDesign
from tuner.study.file import reopened_study
from tuner.terminal.progress import say
from tuner.terminal.streams import unread
from tuner.terminal.summary import Summary
from tuner.wording import clock

State = Literal["running", "interrupted", "driver died", "failed", "completed"]
"""The true state of a study; the journal alone still says `running` after a driver was killed."""

LOOK_EVERY, PAGE_EVERY = 1.0, 5.0
"""Seconds between two reads of a watched study: on this machine, and from another one."""
PATIENCE = 600.0
"""Seconds to wait for a study to begin when it is watched from another machine."""
PAGE = "\f"
"""The character that ends a page."""
HINT = Text("Ctrl-C ends this view, not the study", style="dim")


@dataclass(frozen=True)
class StudyStatus:
    """The current state of a study.

    Attributes:
        folder: the study's folder.
        state: its state, which accounts for whether its driver is alive.
        trials: number of trials that the study runs in all.
        study: its digest; a running study's time counts up to now.
    """

    folder: Place
    state: State
    trials: int
    study: Digest

    @classmethod
    def after_end(cls, study: StudyRecord, folder: Place) -> StudyStatus:
        """Return the status of a study whose driver has just ended."""
        digest = Digest.of(study)
        return cls(folder, study.state, _trials(digest, folder), digest)

    @property
    def summary(self) -> Summary:
        """The summary that the terminal shows."""
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
        """The command that a user would run next."""
        if self.state == "running":
            return command("status", self.folder) + " --watch"
        goes_on = self.state in ("interrupted", "driver died")
        return command("resume" if goes_on else "report", self.folder)

    def in_words(self) -> str:
        """Return the state and the next command on one line."""
        what = {
            "running": "running; to watch it",
            "interrupted": "interrupted; continue with",
            "driver died": "its driver died; continue with",
            "failed": f"failed, {self.study.reason}; see",
            "completed": "completed; every trial",
        }
        return f"{what[self.state]}: {self.next_command}"

    def as_json(self) -> dict[str, Any]:
        """Return the study's state as plain values that JSON can hold."""
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
            "objective": self.study.facts.objective,
            "best": best
            and best.last
            and {
                "trial": best.number,
                "objective": best.last.objective,
                "config": best.config.flat(),
                "confirmed": False,
            },
            "claim": self.study.claim,
            "next": self.next_command,
        }


def look_at(folder: Place) -> StudyStatus:
    """Return the current state of the study in a folder.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    at_work = being_written(folder)  # first: a driver that ends later journals it
    study = Digest.at(brief_history(folder), time.time() if at_work else None)
    return StudyStatus(folder, _state(study, at_work), _trials(study, folder), study)


def look_at_all_of(folder: Place) -> tuple[StudyStatus, StudyRecord]:
    """Return the current state of the study in a folder, and its whole record.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    at_work = being_written(folder)
    now = time.time() if at_work else None
    history = read_history(folder)
    study = Digest.at(history, now)
    status = StudyStatus(folder, _state(study, at_work), _trials(study, folder), study)
    return status, history.record(now)


def _state(study: Digest, at_work: bool) -> State:
    """Return a study's true state, given whether a driver works on it."""
    if study.state == "completed":
        return "completed"
    if at_work:
        return "running"
    return "driver died" if study.state == "running" else study.state


def show_status(status: StudyStatus, console: Console) -> None:
    """Print the summary of a study and its next command."""
    console.print(status.summary)
    console.print()
    _say_whole(console, status.in_words())


def watch(folder: Place, console: Console) -> StudyStatus:
    """Show a study until its driver has ended or until Ctrl-C, and return its state then.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    if READER in os.environ and console.is_terminal:
        return _pages(folder, console)
    status = look_at(folder)
    try:
        with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
            while True:
                live.update(Group(status.summary, Text(), HINT), refresh=True)
                if status.state != "running" or unread():
                    live.update(status.summary)
                    break
                time.sleep(LOOK_EVERY)
                status = look_at(folder)
    except KeyboardInterrupt:
        pass
    console.print()
    _say_whole(console, status.in_words())
    return status


def _pages(folder: Place, console: Console) -> StudyStatus:
    """Print page after page for a terminal on another machine, which shows only the last one.

    A study that was just submitted may take minutes to begin.
    """
    deadline = time.monotonic() + PATIENCE
    while not is_begun(folder) and time.monotonic() < deadline and not unread():
        print(f"{folder.name}: not started yet\n{PAGE}", flush=True)
        time.sleep(PAGE_EVERY)
    status = look_at(folder)
    while True:
        console.print(status.summary)
        print(PAGE, flush=True)
        if status.state != "running" or unread():
            break
        time.sleep(PAGE_EVERY)
        status = look_at(folder)
    _say_whole(console, status.in_words())
    return status


@dataclass(frozen=True)
class Unreadable:
    """A study whose journal cannot be read, and the reason."""

    folder: Place
    error: UserError

    def as_json(self) -> dict[str, Any]:
        """Return the problem as plain values that JSON can hold."""
        folder = str(self.folder.absolute())
        return {
            "name": self.folder.name,
            "folder": folder,
            "state": "damaged",
            "problem": str(self.error),
        }


def all_studies(storage: Place) -> list[StudyStatus | Unreadable]:
    """Return the studies in a folder, newest first; unreadable ones come last.

    Raises:
        UserError: the storage is not a folder, or cannot be read.
    """
    if isinstance(storage, Path) and storage.exists() and not storage.is_dir():
        raise UserError(f"{storage} is not a folder", "Name the folder that holds the studies.")
    read: list[StudyStatus] = []
    damaged: list[Unreadable] = []
    for folder in studies_in(storage):
        try:
            read.append(look_at(folder))
        except UserError as error:
            damaged.append(Unreadable(folder, error))
    read.sort(key=lambda status: -status.study.created)
    return [*read, *damaged]


def show_all(storage: Place, console: Console) -> None:
    """Print a table of the studies in a folder, and the next command."""
    studies = all_studies(storage)
    if not studies:
        say(console, f"there is no study in {storage}")
        _say_whole(console, f"begin one: {program()} search search_spaces/nano.yaml")
        return
    show_blocks([_table(studies)], console)
    console.print()
    for study in studies:
        if isinstance(study, Unreadable):
            say(console, f"{study.folder.name}: {study.error.problem}", style="red")
            say(console, study.error.remedy)
    if isinstance(studies[0], StudyStatus):
        _say_whole(console, f"{studies[0].study.name}: {studies[0].in_words()}")


def _say_whole(console: Console, line: str) -> None:
    """Print a line without wrapping it, so that the command in it can be copied."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(studies: list[StudyStatus | Unreadable]) -> Grid:
    rows = []
    for study in studies:
        if isinstance(study, Unreadable):
            rows.append((study.folder.name, "damaged", *[""] * 4))
            continue
        best = study.study.best
        rows.append(
            (
                study.study.name,
                study.state,
                f"{study.summary.ended}/{study.trials}",
                f"{best.last.objective:.2%}" if best and best.last else "–",
                clock(study.study.seconds),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(study.study.created)),
            )
        )
    return Grid(
        "Best: the dev objective at full budget, unconfirmed.",
        "",  # each study has its own
        ("study", "state", "trials", "best", "took", "created"),
        tuple(rows),
        left=2,
    )


def _trials(study: Digest, folder: Place) -> int:
    """Return how many trials the study runs in all."""
    design, known = study.settings.design, study.tally.trials
    if isinstance(design, ConfirmDesign) and study.recommended:
        return max(design.trials(study.recommended), known)
    return max(reopened_study(study.settings, folder).trials, known)
