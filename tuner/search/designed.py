"""The trials of a design, in order. Which learning rate a batch size has is asked of those done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tuner.journal.records import ENDED, TrialRecord, TrialState
from tuner.search.proposer import Proposal, Trials
from tuner.search.rates import choices
from tuner.study import StudyConfig
from tuner.study.design import SIZE, TUNED, ConfirmDesign, ScalingDesign
from tuner.study.planned import Params, configured, scored_points, tuning_points


class Designed:
    """A design: nothing is proposed that was not planned, nothing is learnt but learning rates.

    A confirmation runs every arm with its first seed, then with the second: whatever it is stopped
    at, its arms can be compared pair by pair. A scaling study runs what chooses the learning rates,
    then all points with its first seed, and so on.
    """

    def __init__(self, study: StudyConfig) -> None:
        assert study.design is not None
        self._study = study
        self._design = study.design
        self._points: list[tuple[str, Params]] = []  # (arm, params without a learning rate)
        self._tuning: list[Params] = []
        self._rated: list[Params] | None = None  # the points, once their rates are chosen
        match study.design:
            case ConfirmDesign(arms=arms, seeds=seeds):
                self._points = [
                    (arm.name, {**arm.settings, "seed": seed}) for seed in seeds for arm in arms
                ]
            case ScalingDesign() as design:
                self._tuning = tuning_points(study, design)
                self._points = [("", point) for point in scored_points(study, design)]

    def propose(self, number: int, trials: Trials) -> Proposal | Literal["wait"] | None:
        """The next trial of the plan; "wait" where a learning rate is still being chosen.

        Points of a batch size for which no rate could be chosen are left out.
        """
        if number < len(self._tuning):
            params = self._tuning[number]
            return Proposal("tuning", params, configured(self._study, params))
        if not self._tuning:
            if number >= len(self._points):
                return None
            arm, params = self._points[number]
            return Proposal("design", params, configured(self._study, params), arm)
        if self._rated is None:
            tuned = [trial for trial in trials.values() if trial.origin == "tuning"]
            if any(trial.state not in ENDED for trial in tuned):
                return "wait"
            self._rated = self._with_rates(tuned)  # ended trials stay as they are
        place = number - len(self._tuning)
        if place >= len(self._rated):
            return None
        params = self._rated[place]
        return Proposal("design", params, configured(self._study, params))

    def _with_rates(self, tuned: Sequence[TrialRecord]) -> list[Params]:
        """What is compared, with its learning rate; without what has none."""
        design = self._design
        assert isinstance(design, ScalingDesign)
        chosen = choices(design.tuning, tuned)
        return [
            {**point, TUNED: chosen[point[SIZE]].lr}
            for _, point in self._points
            if point[SIZE] in chosen
        ]

    def replay(self, trial: TrialRecord) -> None:
        """Nothing to take in: the plan stands, and trials are looked at when it is asked."""

    def evaluated(self, number: int, rung: int, objective: float) -> None:
        """Likewise."""

    def ended(self, number: int, state: TrialState, objective: float | None) -> None:
        """Likewise."""
