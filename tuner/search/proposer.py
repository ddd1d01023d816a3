"""What a driver tries next: the control and a sampler's proposals, or the trials of a design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tuner.journal.records import Origin, TrialRecord, TrialState
from tuner.search.sampler import Sampler
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig

Trials = Mapping[int, TrialRecord]


@dataclass(frozen=True)
class Proposal:
    """A trial to be made.

    Attributes:
        origin: whence it comes.
        params: what makes it another one than its siblings, by dotted name.
        config: all of its settings.
        arm: of a confirmation: which of its arms.
    """

    origin: Origin
    params: dict[str, Any]
    config: TrialConfig
    arm: str = ""


class Proposer(Protocol):
    """A source of trials: a function of the study and of what it was told."""

    def propose(self, number: int, trials: Trials) -> Proposal | Literal["wait"] | None:
        """The trial `number`; "wait" where it depends on those that run; None: there is no other.

        Args:
            number: the trial's, one more than the last one's.
            trials: those that there are, as they stand.

        Raises:
            UserError: nothing can be proposed.
        """

    def replay(self, trial: TrialRecord) -> None:
        """Take in a trial that was proposed before, with all that is known of it."""

    def evaluated(self, number: int, rung: int, objective: float) -> None:
        """Hear of an evaluation (`rung` in pairs)."""

    def ended(self, number: int, state: TrialState, objective: float | None) -> None:
        """Hear how a trial ended."""


class Searched:
    """A search: the control first, where there is one, then what the sampler proposes."""

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self._sampler = Sampler(study.feasible, study.sampler)
        self.evaluated = self._sampler.evaluated
        self.ended = self._sampler.ended

    def propose(self, number: int, trials: Trials) -> Proposal | None:
        """The control as trial 0, then the sampler's; None where its grid is exhausted."""
        study = self._study
        if number == 0 and study.baseline is not None:
            return Proposal("baseline", study.baseline, study.baseline_config())
        params = self._sampler.propose(number)
        if params is None:
            return None
        return Proposal("sampler", params, study.space.trial_config(study.trial, params))

    def replay(self, trial: TrialRecord) -> None:
        """Take in a trial that was proposed before; of the control the sampler knows nothing."""
        if trial.origin == "sampler":
            self._sampler.replay(trial)
