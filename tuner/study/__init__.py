"""StudyConfig: the validated settings of one study, as written in a YAML of `search_spaces/`."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any, Self

from pydantic import model_validator

from tuner.errors import UserError
from tuner.storage.folders import Place
from tuner.study.given import given_point
from tuner.study.languages import Language
from tuner.study.planned import (
    budgets,
    check_design,
    full_budget,
    planned_configs,
    planned_trials,
)
from tuner.study.roles import check_roles, trained_on, with_default_objective
from tuner.study.rungs import default_first, rungs_from
from tuner.study.samplers import SAMPLERS
from tuner.study.settings import StudySettings
from tuner.study.space import compose
from tuner.study.space.feasible import AT_ONCE, DEFAULTS, LARGEST_GRID, Feasible, Tally
from tuner.study.trial import TrialConfig


class StudyConfig(StudySettings):
    """The settings of one study: the content of a file of `search_spaces/`."""

    @model_validator(mode="before")
    @classmethod
    def _objective(cls, given: Any) -> Any:
        return with_default_objective(given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_roles(self.languages, self.protocol)
        self._check_requirements()
        if self.design is not None:
            check_design(self)
        for config in self.corner_configs():
            self.check_mix(config)
        first, full = self.scheduler.min_pairs, self.budget.pairs_per_trial
        if self.scheduler.kind == "asha" and first is not None and first > full:
            raise ValueError(
                f"scheduler.min_pairs ({first}) must not exceed budget.pairs_per_trial ({full})"
            )
        self._check_budget()
        self.diagnostics.check_pairs(len(trained_on(self.languages, self.protocol)))
        if self.design is not None:
            return self
        self._check_enqueued()
        if self.warm_start and not SAMPLERS[self.sampler.kind].learns:
            learning = ", ".join(name for name, kind in SAMPLERS.items() if kind.learns)
            raise ValueError(
                f"sampler.kind {self.sampler.kind} learns from no trial, so warm_start would do "
                f"nothing: leave it out, or set sampler.kind to one of {learning}"
            )
        if self.sampler.enumerates:
            self.feasible.grid()
        elif self.budget.trials is None:
            ending = ", ".join(name for name, kind in SAMPLERS.items() if kind.enumerates)
            raise ValueError(
                f"budget.trials must be given: only sampler.kind {ending} ends by itself"
            )
        return self

    @property
    def all_languages(self) -> tuple[Language, ...]:
        """The languages of all roles: sources, targets, then pivots that are neither."""
        roles = (*self.languages.source, *self.languages.target, *self.protocol.pivot)
        return tuple(dict.fromkeys(roles))

    @property
    def folder(self) -> Place:
        """The study's own folder."""
        return self.storage / self.name

    def trial_folder(self, number: int) -> Place:
        """Return the folder of a trial's checkpoint, on storage that every worker reaches."""
        return self.folder / "trials" / f"{number:04d}"

    @property
    def feasible(self) -> Feasible:
        """The points that trials are sampled from."""
        return Feasible(self.space, self.trial, self.require)

    @property
    def trials(self) -> int:
        """The number of trials that the study runs in all, the baseline included.

        A search ends when it has tried every configuration of its space. Each access enumerates a
        small space, so store the value if you need it often.
        """
        if self.design is not None:
            return planned_trials(self)
        asked = self.budget.trials
        whole = self._configurations(LARGEST_GRID if self.sampler.enumerates else AT_ONCE)
        if whole is None or asked is None:
            found = asked if whole is None else whole
            assert found is not None, "checked when the study was read"
            return found
        return min(asked, whole)

    def _configurations(self, at_most: int) -> int | None:
        """Return how many configurations a search can try; None if over `at_most` points."""
        tally = self.feasible.tally(at_most, draws=0)
        if not tally.complete:
            return None
        if self.baseline is None:
            return tally.feasible
        control = self.space.locate(self.baseline_config().flat())
        return tally.feasible + (control is None or not self.feasible.keeps(control))

    def distinct(self) -> int | None:
        """Return how many points can be sampled; None if more than 100,000 or infinitely many."""
        tally = self.feasible.tally(LARGEST_GRID, draws=0)
        return tally.feasible if tally.complete else None

    def infeasible(self) -> dict[str, int]:
        """Return how many points each requirement excludes, perhaps together with others.

        The counts are over all points of the space, or over 1,000 random points if it is infinite
        or has more than 100,000.
        """
        return self.feasible.tally(LARGEST_GRID, draws=1_000).excluded

    @property
    def rungs(self) -> tuple[int, ...]:
        """Nominal budgets at which trials are evaluated, in pairs; the last is the full budget.

        For a design that holds steps equal, these are the full budgets of its batch sizes.
        """
        full = self.budget.pairs_per_trial
        if self.scheduler.kind == "none":
            return budgets(self)
        eta, first = self.scheduler.reduction_factor, self.scheduler.min_pairs
        if first is None:
            warmup = max(self._values_of("optim.warmup_ratio"))
            first = default_first(full, eta, warmup, max(self._values_of("batch.effective_size")))
        return rungs_from(first, eta, full)

    def rungs_of(self, config: TrialConfig) -> tuple[int, ...]:
        """Return the rungs of one trial; the last is its full budget."""
        return self.rungs_at(config.batch.effective_size)

    def rungs_at(self, size: int) -> tuple[int, ...]:
        """Return the rungs of trials with batches of `size` pairs."""
        if self.design is None:
            return self.rungs
        return (full_budget(self.design, self.budget.pairs_per_trial, size),)

    def baseline_config(self) -> TrialConfig:
        """Return the control's configuration: the baseline's settings on top of the fixed ones."""
        return compose(self.trial, self.baseline or {}, "the baseline is not a valid trial")

    def corner_configs(self) -> Iterator[TrialConfig]:
        """Yield the configurations on which all checks of trials run before a study starts.

        These are the baseline, every end of the space, and a sample of its inside, all feasible;
        for a design, its planned configurations.
        """
        if self.design is not None:
            yield from planned_configs(self)
            return
        if self.baseline is not None:
            yield self.baseline_config()
        feasible = self.feasible
        inside = (self.space.draw(seed) for seed in range(32))
        for point in (*feasible.extremes(), *filter(feasible.keeps, inside)):
            yield self.space.trial_config(self.trial, point)

    def _values_of(self, name: str) -> list[Any]:
        """Return the values of a setting that trials may have: its ends, if it is sampled."""
        fixed = [DEFAULTS[name] if name not in self.trial else self.trial[name]]
        sampled = self.space.root.get(name)
        values = fixed if sampled is None else list(sampled.ends())
        return values + [value for other, value in (self.baseline or {}).items() if other == name]

    def _check_budget(self) -> None:
        budget = self.budget
        if budget.gpu_hours is not None and self.resources.gpus_per_trial == 0:
            raise ValueError(
                "budget.gpu_hours limits GPU time, but resources.gpus_per_trial is 0: "
                "set budget.wall or budget.total_pairs instead"
            )
        searched = (budget.total_pairs or inf) * (1 - budget.confirm_share)
        if searched < budget.pairs_per_trial:
            raise ValueError(
                f"budget.total_pairs leaves the search {searched:,.0f} pairs, less than one "
                f"trial's budget.pairs_per_trial ({budget.pairs_per_trial:,})"
            )

    def _check_enqueued(self) -> None:
        """Refuse enqueued points that lie outside the space or are given twice."""
        known = [] if self.baseline is None else [self.baseline_config()]
        for number, settings in enumerate(self.enqueue, 1):
            try:
                point = given_point(self, settings)
            except UserError as error:
                raise ValueError(f"enqueue, point {number}: {error.problem}") from error
            config = self.space.trial_config(self.trial, point)
            if config in known:
                raise ValueError(f"enqueue, point {number}: the baseline or an earlier point")
            known.append(config)

    def _check_requirements(self) -> None:
        """Refuse a baseline that violates a requirement, and a space without a feasible point."""
        if not self.require:
            return
        if self.baseline is not None and (complaint := self.feasible.complaint(self.baseline)):
            raise ValueError(f"the baseline violates a requirement: {complaint}")
        tally = self.feasible.tally(AT_ONCE, draws=2_000)
        if tally.feasible == 0:
            raise ValueError(_none_feasible(tally))

    def check_mix(self, trial: TrialConfig) -> None:
        """Refuse cross-lingual batches without two languages to train on."""
        trained = trained_on(self.languages, self.protocol)
        if trial.mix.cross_lingual > 0 and len(trained) < 2:
            raise ValueError(
                f"mix.cross_lingual is {trial.mix.cross_lingual:g}, but cross-lingual batches need "
                f"two source languages and there is one ({', '.join(trained)}): "
                f"add a source language or fix mix.cross_lingual at 0"
            )


def _none_feasible(tally: Tally) -> str:
    most = max(tally.excluded, key=lambda text: tally.excluded[text])
    looked_at = f"{'the ' if tally.complete else ''}{tally.points:,}"
    looked_at += "" if tally.complete else " random"
    return (
        f"none of {looked_at} points of the space satisfies the requirements; {most!r} excludes "
        f"the most points ({tally.excluded[most]:,})"
    )
