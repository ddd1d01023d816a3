"""The view of a running study: live in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from dataclasses import replace
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from tuner.journal.digest import Digest
from tuner.journal.records import STOPPED, Evaluation, StudyRecord, TrialRecord
from tuner.progress import Phase
from tuner.study.design import ConfirmDesign
from tuner.terminal.progress import REFRESHES, say
from tuner.terminal.summary import Summary, TrialActivity, settings_in_short
from tuner.timing import now
from tuner.wording import clock

QUIET = 60.0
"""Seconds without output after which a log names the running trials."""
MAX_NAMED = 4
"""Most running trials that such a line names."""


class StudyView:
    """Shows a running study; use it as a context manager around the run.

    A terminal shows a summary that stays at the bottom, and a line above it for each ended trial.
    A log gets a line for each event.

    Args:
        console: the console to print on.
        trials: number of trials that the study runs.
    """

    def __init__(self, console: Console, trials: int) -> None:
        self._console = console
        self._budget = trials
        self._began = self._said = time.monotonic()
        self._study: Digest | None = None
        self._before = 0.0  # seconds that earlier drivers took
        self._trials: dict[int, TrialRecord] = {}  # as the digest counts them
        self._heartbeats: dict[int, TrialActivity] = {}
        self._most_running = 1
        self._live = (
            Live(
                console=console,
                get_renderable=self._render,
                refresh_per_second=REFRESHES,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if console.is_interactive
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def study_started(self, study: StudyRecord) -> None:
        """Begin with the trials that a resumed study has already."""
        self._study, self._before = Digest.of(study), study.seconds
        self._trials = {trial.number: trial for trial in study.trials}
        if isinstance(study.settings.design, ConfirmDesign) and study.recommendation is not None:
            self._budget = study.settings.design.trials(study.recommendation.arm)
        rungs = ", ".join(f"{rung:,}" for rung in study.rungs)
        ended = f"{self._summary().ended} of " if study.trials else ""
        done = " ended" if study.trials else ""
        self._say(f"study {study.name}: {ended}{self._budget} trials{done}, rungs at {rungs} pairs")
        if not self._live:
            self._say("starting workers: each takes some seconds to load its libraries")

    def trial_started(self, trial: TrialRecord) -> None:
        """Show that a trial began, or began again."""
        before = self._trials.get(trial.number)
        self._changed(trial)
        self._heartbeats[trial.number] = TrialActivity(
            trial.last.rung if trial.last else 0, "starting"
        )
        self._most_running = max(self._most_running, len(self._summary().running))
        if trial.attempts > 1:
            after = f" after {trial.last.rung:,} pairs" if trial.last else ""
            why = f": {trial.failures[-1].reason}" if trial.failures else ""
            if trial.to_the_end:
                why = ": it is a candidate for `tuner confirm`"
            state = before.state if before is not None else ""
            if state == "paused" and not trial.to_the_end:
                why = ": it is among the best there"
            how = "goes on" if state in STOPPED else "starts again"
            self._say(f"trial {trial.number:03d} {how}{after}{why}")
        elif not self._live:
            assert self._study is not None
            settings = settings_in_short(trial, self._study.settings)
            self._say(f"trial {trial.number:03d} started: {settings}")

    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None:
        """Show the progress of a trial."""
        self._heartbeats[trial.number] = TrialActivity(pairs_seen, phase)
        if not self._live and time.monotonic() - self._said > QUIET:
            self._say(self._running_in_words())

    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None:
        """Show that a trial reached a rung."""
        self._changed(trial)
        if not self._live:
            self._say(
                f"trial {trial.number:03d} at {evaluation.rung:,} pairs: "
                f"{evaluation.objective:.2%} ({evaluation.pairs_per_second:,.0f} pairs/s)"
            )

    def trial_ended(self, trial: TrialRecord) -> None:
        """Show that a trial ended."""
        self._changed(trial)
        self._heartbeats.pop(trial.number, None)
        score = f" {trial.last.objective:.2%}" if trial.last else ""
        count = "" if self._live else f" [{self._summary().ended}/{self._budget}]"
        self._say(f"trial {trial.number:03d} {trial.state}{score}: {trial.reason}{count}")

    def recommended(self, study: StudyRecord) -> None:
        """Show a confirmation's choice, and how many trials follow from it."""
        design, chosen = study.settings.design, study.recommendation
        assert isinstance(design, ConfirmDesign) and chosen is not None
        self._budget = design.trials(chosen.arm)
        self._say(f"recommended on {study.facts.objective}: {chosen.arm}")
        if design.estimating:
            arms, seeds = design.estimated(chosen.arm), len(design.estimating)
            self._say(f"{seeds} other seeds of these estimate it: {', '.join(arms)}")

    def study_ended(self, study: StudyRecord) -> None:
        """Show that the study's driver has ended."""
        self._study = Digest.of(study)
        self._say(f"study {study.name} {study.state}: {study.reason}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        stamp = clock(self._said - self._began)
        say(self._console, Text.assemble((stamp, "dim"), " ", line))

    def _running_in_words(self) -> str:
        summary = self._summary()
        beats = [(t.number, self._heartbeats[t.number]) for t in summary.running]
        named = [
            f"{n:03d} {beat.phase} at {beat.pairs_seen:,} pairs" for n, beat in beats[:MAX_NAMED]
        ]
        if len(beats) > MAX_NAMED:
            named.append(f"and {len(beats) - MAX_NAMED} more")
        left = summary.seconds_left
        about = f", about {clock(left)} left" if left is not None else ""
        return f"running: {', '.join(named)} [{summary.ended}/{self._budget}{about}]"

    def _changed(self, trial: TrialRecord) -> None:
        """Bring the digest up to date with a trial."""
        assert self._study is not None
        self._study.tally.change(self._trials.get(trial.number), trial)
        self._trials[trial.number] = trial
        running = {each.number: each for each in self._study.running} | {trial.number: trial}
        self._study = replace(
            self._study, running=tuple(t for t in running.values() if t.state == "running")
        )

    def _summary(self) -> Summary:
        assert self._study is not None
        return Summary(
            study=self._study,
            state="running",
            working=True,
            trials=self._budget,
            seconds=self._before + time.monotonic() - self._began,
            now=now(),
            heartbeats=self._heartbeats,
            running_rows=self._most_running,
        )

    def _render(self) -> RenderableType:
        return Text() if self._study is None else self._summary()
