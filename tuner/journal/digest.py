"""The digest of a study: all that a summary of it shows, without a record of each trial."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.journal.claim import chosen_before, claim_of
from tuner.journal.facts import StudyFacts
from tuner.journal.history import History
from tuner.journal.ledger import Ledger
from tuner.journal.records import StudyRecord, StudyState, TrialRecord
from tuner.journal.tally import Tally
from tuner.study.settings import StudySettings


@dataclass(frozen=True)
class Digest:
    """A study in brief.

    Attributes:
        name, created, settings, facts, rungs, state, reason, seconds: as in the study's record.
        tally: the sums over its trials, which include the running ones.
        running: the trials whose state is `running`.
        recommended: the arm that a confirmation recommends; "" before it does.
        read_before: as in the study's record; empty if unknown.
    """

    name: str
    created: float
    settings: StudySettings
    facts: StudyFacts
    rungs: tuple[int, ...]
    state: StudyState
    reason: str
    seconds: float
    tally: Tally
    running: tuple[TrialRecord, ...]
    recommended: str = ""
    read_before: tuple[str, ...] = ()

    @classmethod
    def of(cls, study: StudyRecord) -> Digest:
        """Return the digest of a whole record."""
        return cls(
            name=study.name,
            created=study.created,
            settings=study.settings,
            facts=study.facts,
            rungs=study.rungs,
            state=study.state,
            reason=study.reason,
            seconds=study.seconds,
            tally=Tally.of(study.trials),
            running=tuple(trial for trial in study.trials if trial.state == "running"),
            recommended=study.recommendation.arm if study.recommendation else "",
            read_before=study.read_before or (),
        )

    @classmethod
    def at(cls, history: History, now: float | None = None) -> Digest:
        """Return the digest of a study as it is now; the time it takes does not grow with it.

        Args:
            history: the study's history.
            now: Unix time in seconds until which the driver has worked; default: the last event's.
        """
        created, settings = history.created, history.settings
        assert created is not None and settings is not None, "the study was never created"
        until, tally, trials = history.until(now), history.tally.copy(), history.trials
        running = [trials[number] for number in sorted(history.attempts.running)]
        worked = [history.attempts.worked(trial, until) for trial in running]
        for before, after in zip(running, worked, strict=True):
            tally.change(before, after)
        return cls(
            name=created.name,
            created=created.time,
            settings=settings,
            facts=created.facts,
            rungs=created.rungs,
            state=history.state,
            reason=history.reason,
            seconds=history.seconds_until(until),
            tally=tally,
            running=tuple(worked),
            recommended=history.recommendation.arm if history.recommendation else "",
            read_before=history.read_before or (),
        )

    @property
    def designed(self) -> bool:
        """True if the study has a design: its trials are planned, not searched for."""
        return self.settings.design is not None

    @property
    def best(self) -> TrialRecord | None:
        """The best complete trial of a search; unconfirmed, and biased upwards by its selection."""
        return None if self.designed else self.tally.best

    @property
    def claim(self) -> str:
        """The claim that its scores support."""
        by_hand = self.tally.by_hand + chosen_before(self.settings)
        return claim_of(self.facts, by_hand, self.read_before)

    @property
    def ledger(self) -> Ledger:
        """Its spending so far."""
        return Ledger.from_tally(self.tally, self.seconds)
