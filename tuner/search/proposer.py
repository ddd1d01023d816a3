"""The sources of a driver's trials: the control and a sampler's proposals, or a design."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

from tuner.journal.prior import PriorTrial
from tuner.journal.records import Origin, TrialRecord
from tuner.search.observations import Fate, Observation, Observations
from tuner.search.sampler import sampler_of
from tuner.study import StudyConfig
from tuner.study.given import given_point
from tuner.study.trial import TrialConfig

Trials = Mapping[int, TrialRecord]
Params = dict[str, Any]


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
    """A source of trials: a function of the study and of its trials so far."""

    def propose(self, number: int, trials: Trials) -> Proposal | Literal["wait"] | None:
        """Return trial `number`; "wait" if it depends on running trials; None if no trial is left.

        Args:
            number: the trial's number, one more than that of the last trial.
            trials: all trials so far, in their current state.

        Raises:
            UserError: nothing can be proposed.
        """


class Searched:
    """The trials of a search: the control, the points in its file, then the sampler's proposals.

    No configuration is proposed twice, since a trial is a function of its configuration and its
    seed. Where the seed is sampled, the other settings may come up again with another seed.
    """

    def __init__(self, study: StudyConfig, prior: Sequence[PriorTrial] = ()) -> None:
        self._study = study
        self._known = Observations(
            Observation(-1 - place, each.params, each.values, _fate(each))
            for place, each in enumerate(reversed(prior))
        )
        self._feasible = study.feasible
        self._sampler = sampler_of(self._feasible, study.sampler)
        self._tried: dict[str, int] = {}  # trials by configuration
        self._located: list[Params | None] = []  # where in the space each trial lies
        self._seen: list[TrialRecord | None] = []  # each trial as it is in `_known`

    def propose(self, number: int, trials: Trials) -> Proposal | None:
        """Return the next trial of the search; None if the sampler has no point left."""
        study = self._study
        if number == 0 and study.baseline is not None:
            return Proposal("baseline", study.baseline, study.baseline_config())
        begun = sum(trial.origin == "enqueued" for trial in trials.values()) if study.enqueue else 0
        if begun < len(study.enqueue):
            params = given_point(study, study.enqueue[begun])
            return Proposal("enqueued", params, self._config(params))
        self._look_at(trials)
        point = self._sampler.next_point(number, self._known, self._is_new)
        return None if point is None else Proposal("sampler", point, self._config(point))

    def _look_at(self, trials: Trials) -> None:
        """Take in what is new about the trials, as far as they lie in the space."""
        for trial in islice(trials.values(), len(self._located), None):
            self._tried.setdefault(_identity(trial.config), trial.number)
            self._located.append(self._study.space.locate(trial.config.flat()))
            self._seen.append(None)
        for number, (trial, seen) in enumerate(zip(trials.values(), self._seen, strict=True)):
            if trial is not seen:
                self._seen[number] = trial
                params = self._located[number]
                if params is not None:
                    self._known.put(Observation.of(trial, params))

    def _is_new(self, params: Params) -> bool:
        return _identity(self._config(params)) not in self._tried

    def _config(self, params: Params) -> TrialConfig:
        return self._study.space.trial_config(self._study.trial, params)


def _fate(trial: PriorTrial) -> Fate:
    return "diverged" if trial.diverged else "resting"


def _identity(config: TrialConfig) -> str:
    return json.dumps(config.flat(), sort_keys=True)
