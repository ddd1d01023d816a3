"""The trials of a design, in order; finished tuning trials choose the learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tuner.journal.records import END_STATES, TrialRecord
from tuner.search.proposer import Proposal, Trials
from tuner.search.rates import choices
from tuner.search.recommend import choice_is_due, recommended_arm
from tuner.study import StudyConfig
from tuner.study.design import SIZE, TUNED, ConfirmDesign, ScalingDesign
from tuner.study.planned import Params, configured, confirm_points, scored_points, tuning_points


class Designed:
    """A proposer of planned trials; only the learning rates depend on results.

    A confirmation runs every arm with its first seed, then every arm with the second, and so on:
    so its arms can be compared pair by pair wherever it stops. Once these have chosen an arm, its
    runs that estimate follow, and those of the tuned controls. A scaling study first runs the
    trials used to choose the learning rates, then all points with its first seed, and so on.
    """

    def __init__(self, study: StudyConfig) -> None:
        assert study.design is not None
        self._study = study
        self._design = study.design
        self._points: list[tuple[str, Params]] = []  # (arm, params without a learning rate)
        self._tuning: list[Params] = []
        self._chosen = ""  # the recommended arm, once its runs are among the points
        self._rated: list[Params] | None = None  # the points, once their rates are chosen
        match study.design:
            case ConfirmDesign() as design:
                self._points = confirm_points(design)
            case ScalingDesign() as design:
                self._tuning = tuning_points(study, design)
                self._points = [("", point) for point in scored_points(study, design)]

    def propose(self, number: int, trials: Trials) -> Proposal | Literal["wait"] | None:
        """Return the next trial of the plan; "wait" while a choice is being made.

        The result is None at the end of the plan. Points of a batch size for which no learning rate
        could be chosen are left out.
        """
        if number < len(self._tuning):
            params = self._tuning[number]
            return Proposal("tuning", params, configured(self._study, params))
        if isinstance(self._design, ConfirmDesign):
            return self._confirming(number, self._design, trials)
        if self._rated is None:
            tuned = [trial for trial in trials.values() if trial.origin == "tuning"]
            if any(trial.state not in END_STATES for trial in tuned):
                return "wait"
            self._rated = self._with_rates(tuned)  # ended trials stay as they are
        place = number - len(self._tuning)
        if place >= len(self._rated):
            return None
        params = self._rated[place]
        return Proposal("design", params, configured(self._study, params))

    def _confirming(
        self, number: int, design: ConfirmDesign, trials: Trials
    ) -> Proposal | Literal["wait"] | None:
        if number >= len(self._points) and not self._chosen and design.estimating:
            if not choice_is_due(design, trials.values()):
                return "wait"
            chosen = recommended_arm(design, trials.values())
            if chosen is None:
                return None
            self._chosen = chosen
            self._points += confirm_points(design, chosen)
        if number >= len(self._points):
            return None
        arm, params = self._points[number]
        return Proposal("design", params, configured(self._study, params), arm)

    def _with_rates(self, tuned: Sequence[TrialRecord]) -> list[Params]:
        """Return the points with their learning rates, leaving out those that have none."""
        design = self._design
        assert isinstance(design, ScalingDesign)
        chosen = choices(design.tuning, tuned)
        return [
            {**point, TUNED: chosen[point[SIZE]].lr}
            for _, point in self._points
            if point[SIZE] in chosen
        ]
