"""The sources of a driver's trials: the control and a sampler's proposals, or a design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tuner.journal.records import Origin, TrialRecord, TrialState
from tuner.search.sampler import sampler_of
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig

Trials = Mapping[int, TrialRecord]


@dataclass(frozen=True)
class Proposal:
    """A trial to be created.

    Attributes:
        origin: the trial's origin.
        params: the settings in which it differs from its siblings, by dotted name.
        config: all of its settings.
        arm: the trial's arm in a confirmation; empty in other studies.
    """

    origin: Origin
    params: dict[str, Any]
    config: TrialConfig
    arm: str = ""


class Proposer(Protocol):
    """A source of trials: a function of the study and the facts that it has been given."""

    def propose(self, number: int, trials: Trials) -> Proposal | Literal["wait"] | None:
        """Return trial `number`; "wait" if it depends on running trials; None if no trial is left.

        Args:
            number: the trial's number, one more than that of the last trial.
            trials: all trials so far, in their current state.

        Raises:
            UserError: nothing can be proposed.
        """

    def replay(self, trial: TrialRecord) -> None:
        """Record a trial that was proposed before, with everything known about it."""

    def evaluated(self, number: int, rung: int, objective: float) -> None:
        """Record an evaluation (`rung` in pairs)."""

    def trial_ended(self, number: int, state: TrialState, objective: float | None) -> None:
        """Record how a trial ended."""


class Searched:
    """The trials of a search: the control first, if there is one, then the sampler's proposals."""

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self._sampler = sampler_of(study.feasible, study.sampler)
        self.evaluated = self._sampler.evaluated
        self.trial_ended = self._sampler.trial_ended

    def propose(self, number: int, trials: Trials) -> Proposal | None:
        """Return the control as trial 0, then the sampler's; None if it has no point left."""
        study = self._study
        if number == 0 and study.baseline is not None:
            return Proposal("baseline", study.baseline, study.baseline_config())
        params = self._sampler.propose(number)
        if params is None:
            return None
        return Proposal("sampler", params, study.space.trial_config(study.trial, params))

    def replay(self, trial: TrialRecord) -> None:
        """Record a trial that was proposed before; the sampler does not learn about the control."""
        if trial.origin == "sampler":
            self._sampler.replay(trial)
