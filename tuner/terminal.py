"""What a person sees while a study runs: a live view in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.records import ENDED, Evaluation, StudyRecord, TrialRecord


class StudyView:
    """Watches a study; use as a context manager around its run.

    In a terminal: a few lines that stay at the bottom, and a line above them for each trial that
    ended. Elsewhere: a line for each fact.

    Args:
        console: where to print.
        trials: how many the study may run.
    """

    def __init__(self, console: Console, trials: int) -> None:
        self._console = console
        self._budget = trials
        self._began = time.monotonic()
        self._study: StudyRecord | None = None
        self._trials: dict[int, TrialRecord] = {}
        self._live = (
            Live(
                console=console,
                get_renderable=self._render,
                refresh_per_second=2,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if console.is_terminal
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
        """Begin with what a resumed study has already."""
        self._study = study
        self._trials = {trial.number: trial for trial in study.trials}
        self._say(f"study {study.name}: up to {self._budget} trials, rungs at {_rungs(study)}")

    def trial_started(self, trial: TrialRecord) -> None:
        """A trial began, or began again."""
        self._trials[trial.number] = trial
        if not self._live:
            again = f" again after {trial.last.rung:,} pairs" if trial.last else ""
            self._say(f"trial {trial.number:03d} started{again}: {self._settings(trial)}")

    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None:
        """A trial reached a rung."""
        self._trials[trial.number] = trial
        if not self._live:
            self._say(
                f"trial {trial.number:03d} at {evaluation.rung:,} pairs: "
                f"{evaluation.objective:.2%} ({evaluation.pairs_per_second:,.0f} pairs/s)"
            )

    def trial_ended(self, trial: TrialRecord) -> None:
        """A trial is over."""
        self._trials[trial.number] = trial
        score = f" {trial.last.objective:.2%}" if trial.last else ""
        count = "" if self._live else f" [{self._ended()}/{self._budget}]"
        self._say(f"trial {trial.number:03d} {trial.state}{score}: {trial.reason}{count}")

    def study_ended(self, study: StudyRecord) -> None:
        """The driver is done."""
        self._study = study
        self._say(f"study {study.name} {study.state}: {study.reason}")

    def _settings(self, trial: TrialRecord) -> str:
        """What distinguishes it from the others."""
        assert self._study is not None
        values = trial.config.flat()
        shown = {name: values[name] for name in self._study.settings["space"]}
        settings = ", ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in shown.items()
            if value is not None
        )
        return f"the baseline, {settings}" if trial.origin == "baseline" else settings

    def _say(self, line: str) -> None:
        stamp = _clock(time.monotonic() - self._began)
        say(self._console, Text.assemble((stamp, "dim"), " ", line))

    def _ended(self) -> int:
        return sum(trial.state in ENDED for trial in self._trials.values())

    def _render(self) -> Group:
        """Trials by state, the best so far, rungs and budget."""
        states = Counter(trial.state for trial in self._trials.values())
        counts = "  ".join(f"{state} {number}" for state, number in sorted(states.items()))
        bar = Table.grid(padding=(0, 1))
        elapsed = _clock(time.monotonic() - self._began)
        bar.add_row(
            ProgressBar(total=self._budget, completed=self._ended(), width=24),
            f"{self._ended()}/{self._budget} trials",
            elapsed,
        )
        lines: list[Text | Table] = [bar, Text(counts, style="dim")]
        complete = [t for t in self._trials.values() if t.state == "completed" and t.last]
        if complete:
            best = max(complete, key=lambda t: t.last.objective if t.last else 0.0)
            assert best.last is not None
            lines.append(
                Text(f"best {best.last.objective:.2%} trial {best.number:03d} (unconfirmed)")
            )
        if self._study is not None:
            reached = "  ".join(
                f"{rung:,}: {sum(_reached(trial, rung) for trial in self._trials.values())}"
                for rung in self._study.rungs
            )
            lines.append(Text(f"trials at {reached} pairs", style="dim"))
        return Group(*lines)


def say(console: Console, line: str | Text, style: str | None = None) -> None:
    """One line, wrapped at words in a terminal and left whole in a log."""
    whole = not console.is_terminal
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=whole)


def _reached(trial: TrialRecord, rung: int) -> bool:
    return any(evaluation.rung == rung for evaluation in trial.evaluations)


def _rungs(study: StudyRecord) -> str:
    return ", ".join(f"{rung:,}" for rung in study.rungs) + " pairs"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
