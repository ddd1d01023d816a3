"""The summary of a study, as the live view and `tuner status` show it.

Every line keeps its place, so that nothing moves while a study runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from tuner.journal.digest import Digest
from tuner.journal.ledger import Ledger
from tuner.journal.records import END_STATES, TrialRecord, TrialState
from tuner.journal.tally import AtRung
from tuner.study.design import ScalingDesign
from tuner.study.settings import StudySettings
from tuner.terminal.console import COLOURS
from tuner.terminal.progress import MARGIN, bar
from tuner.wording import clock

WIDEST = 100
"""Greatest width of a line in columns; longer ones are harder to read."""
MAX_RUNNING = 8
"""Most running trials that get a line each."""


@dataclass(frozen=True)
class TrialActivity:
    """The progress of a running trial and its current phase."""

    pairs_seen: int
    phase: str


@dataclass(frozen=True)
class Summary:
    """The summary of a study.

    Attributes:
        study: its digest.
        state: the state to show, in a word or two.
        working: whether a driver runs the study now.
        trials: number of trials that the study runs in all.
        seconds: seconds of work so far.
        now: Unix time in seconds.
        heartbeats: heartbeats by trial number; a running trial without one has trained at least as
            far as the journal says.
        running_rows: lines kept free for running trials.
    """

    study: Digest
    state: str
    working: bool
    trials: int
    seconds: float
    now: float
    heartbeats: Mapping[int, TrialActivity]
    running_rows: int = 0

    @property
    def ended(self) -> int:
        """The number of trials that have ended; a paused one may go on."""
        return sum(self.study.tally.states[state] for state in END_STATES)

    @property
    def paused(self) -> int:
        """The number of paused trials."""
        return self.study.tally.states["paused"]

    @property
    def running(self) -> tuple[TrialRecord, ...]:
        """The trials that are being trained, in order of number."""
        return self.study.running if self.working else ()

    @property
    def seconds_left(self) -> float | None:
        """The seconds left, by the mean duration of ended trials; None without one or a driver."""
        tally = self.study.tally
        if not tally.undisturbed or not self.working:
            return None
        each = tally.undisturbed_seconds / tally.undisturbed
        left = [max(each - self._age(trial), 0.0) for trial in self.running]
        waiting = self.trials - self.ended - self.paused - len(left)
        if waiting <= 0:  # which paused trials will go on is not known
            return None if self.paused else max(left, default=0.0)
        return (sum(left) + waiting * each) / tally.at_once

    def _age(self, trial: TrialRecord) -> float:
        """Return the seconds since a trial started; 0 if this machine's clock is behind."""
        assert trial.started is not None
        return max(0.0, self.now - trial.started)

    def counts(self) -> dict[str, int]:
        """Count trials by state, with the same states in the same order every time."""
        states = self.study.tally.states
        under_way = states["running"] + (0 if self.working else states["interrupted"])
        return {
            "running" if self.working else "interrupted": under_way,
            "waiting": self.trials - self.ended - self.paused - under_way,
            **{state: states[state] for state in self._ends},
        }

    @property
    def _ends(self) -> tuple[TrialState, ...]:
        """The states in which trials of the study come to rest."""
        pauses = self.study.settings.scheduler.variant == "promotion"
        return ("completed", "paused", "pruned", "failed") if pauses else END_STATES

    @property
    def ledger(self) -> Ledger:
        """The ledger so far, including the work of running trials since their last rung."""
        newer = (
            max(0, beat.pairs_seen - trial.pairs_seen)
            for trial in self.study.running
            if (beat := self.heartbeats.get(trial.number))
        )
        ledger = self.study.ledger
        return replace(ledger, under_way=ledger.under_way + sum(newer))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        options = options.update(width=min(options.max_width - MARGIN, WIDEST))
        claim = Text(self.study.claim, style="dim")
        above: list[RenderableType] = [*self._head(), self._states(), Text(), *self._best(), claim]
        above += [Text(), self._rungs(), Text(), self._work()]
        lines = sum(len(console.render_lines(part, options)) for part in above)
        room = options.max_height - lines - 4 if console.is_interactive else MAX_RUNNING
        yield Constrain(Group(*above, *self._rows(room)), options.max_width)

    def _head(self) -> tuple[Table, Table]:
        """Return a line with name, state and times, and a line with a bar of trials."""
        left = self.seconds_left
        times = clock(self.seconds) + (f", about {clock(left)} left" if left is not None else "")
        ended = f"{self.ended:>{len(str(self.trials))}} of {self.trials} trials ended"
        name = Text.assemble((self.study.name, "bold"), ": ", (self.state, _colour(self.state)))
        return _line(name, times), _line(bar(self.ended, self.trials), ended)

    def _states(self) -> Columns:
        digits = len(str(self.trials))
        return Columns(
            [
                Text(f"{state} {count:>{digits}}", _colour(state) if count else "dim")
                for state, count in self.counts().items()
            ],
            padding=(0, 2),
        )

    def _best(self) -> list[Text]:
        """Return two lines: the best trial at full budget and its settings, or a design's state."""
        if self.study.designed:
            return self._planned()
        best = self.study.best
        if best is None or best.last is None:
            none = f"no trial has reached the full budget of {self.study.rungs[-1]:,} pairs"
            return [Text(none + (" yet" if self.working else "")), Text()]
        so_far = " so far" if self.working else ""
        score = Text.assemble(
            f"best{so_far} (unconfirmed): trial {best.number:03d}, ",
            (f"{best.last.objective:.2%}", "bold"),
            f" {self.study.facts.objective}",
        )
        lines = [score, Text("  " + settings_in_short(best, self.study.settings))]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return lines

    def _planned(self) -> list[Text]:
        """Return two lines on the ended trials of a design, which has no best trial."""
        ended = self.study.tally.ended
        compared = f"{ended['design']} compared trials have ended"
        if isinstance(self.study.settings.design, ScalingDesign):
            compared = f"{ended['tuning']} learning-rate trials and {compared}"
        what = "a planned design: no trial is stopped early, and none is ranked"
        return [Text(what), Text(f"  {compared}")]

    def _rungs(self) -> Table:
        """Return a table of the trials at each rung."""
        table = Table.grid(padding=(0, 3))
        left = "stopped" if self._ends == END_STATES else "paused"
        headings = ("pairs", "reached", left, "  best")[: 2 if self.study.designed else 4]
        for _ in headings:
            table.add_column(justify="right", no_wrap=True)
        table.add_row(*headings, style="dim")
        for rung in self.study.rungs:
            at = self.study.tally.rungs.get(rung, AtRung())
            row = (
                f"{rung:,}",
                str(at.reached),
                "–" if rung == self.study.rungs[-1] else str(at.stopped),
                f"{at.best:.2%}" if at.reached else "–",
            )
            table.add_row(*row[: len(headings)])
        return table

    def _work(self) -> Text:
        """Return the ledger on one line."""
        ledger, budget = self.ledger, self.study.settings.budget
        limit = budget.total_pairs
        parts = [f"work: {ledger.pairs:,}{f' of {limit:,}' if limit else ''} pairs"]
        if ledger.gpu_hours:
            hours = budget.gpu_hours
            parts.append(f"{ledger.gpu_hours:.2f}{f' of {hours:g}' if hours else ''} GPU-hours")
        for what in ("useful", "under_way", "pruned", "paused", "failed", "repeated"):
            if what not in ("under_way", "paused") or getattr(ledger, what):
                share = getattr(ledger, what) / max(ledger.pairs, 1)
                parts.append(f"{share:.0%} {what.replace('_', ' ')}")
        return Text(", ".join(parts), "dim", no_wrap=True, overflow="ellipsis")

    def _rows(self, room: int) -> list[RenderableType]:
        """Return a line for each running trial that fits, and the empty lines kept free."""
        running = self.running
        lines = max(len(running), self.running_rows)
        if lines == 0:
            return []
        shown = max(1, min(lines, MAX_RUNNING, room - 1))
        rows: list[RenderableType] = [self._row(trial) for trial in running[:shown]]
        if not rows:
            rows.append(Text("waiting for a worker", style="dim"))
        if len(running) > shown:
            rows.append(Text(f"… and {len(running) - shown} more", style="dim"))
        rows += [Text()] * (shown + (lines > shown) - len(rows))
        return [Text(), *rows]

    def _row(self, trial: TrialRecord) -> Table:
        beat, full = self.heartbeats.get(trial.number), trial.budget
        if beat is not None:
            what, seen, past = beat.phase, beat.pairs_seen, ""
        else:  # the journal is updated every few seconds
            seen = trial.pairs_seen
            what, past = f"for {clock(self._age(trial))}", "past " if seen else ""
        count = f"{past}{seen:,}".rjust(len(f"{'' if beat else 'past '}{full:,}"))
        return _line(
            f"{trial.number:03d} {what:<11}", bar(seen, full), f"{count} of {full:,} pairs"
        )


def settings_in_short(trial: TrialRecord, settings: StudySettings) -> str:
    """Return the settings that distinguish a trial: `lr=0.0003, kind=dlfa, layer=2`."""
    if trial.arm:
        arm = trial.arm.replace("trial ", "the search's trial ")  # a number of the search
        return f"{arm}, seed {trial.config.seed}"
    names = list(settings.space.root)
    values = trial.config.flat()
    short = {name: name.rpartition(".")[2] for name in names}
    unique = [name for name in names if list(short.values()).count(short[name]) == 1]
    said = [
        f"{short[name] if name in unique else name}={_shown(values[name])}"
        for name in names
        if values[name] is not None
    ]
    return ", ".join(["the baseline"] * (trial.origin == "baseline") + said)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _colour(state: str) -> str:
    return COLOURS.get(state, "")


def _line(*parts: RenderableType) -> Table:
    """Return a line as wide as the console; the second-to-last part takes the remaining width."""
    line = Table.grid(padding=(0, 1), expand=True)
    for place in range(len(parts)):
        wide = place == len(parts) - 2
        line.add_column(ratio=1 if wide else None, no_wrap=True, overflow="ellipsis")
    line.add_row(*parts)
    return line
