"""Access to a confirmation's record: the trials of each arm, and tables of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tuner.confirm.arm import ArmResult, areas
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.search.complete import complete_block
from tuner.search.recommend import estimating
from tuner.statistics.comparisons import FromBest
from tuner.statistics.items import Table
from tuner.statistics.tables import part_table, protocol_of, table_of
from tuner.statistics.variance import estimate
from tuner.study.criteria import EvaluationSet, Part
from tuner.study.design import Arm, ConfirmDesign
from tuner.study.protocol import EvaluationProtocol

RECIPE = ("mix.cross_lingual", "batch.effective_size", "optim.lr", "fusion.kind")
"""The settings shown for the external reference, which has no other arm to differ from."""


class ConfirmationView:
    """A view of a confirmation's record by arm.

    Attributes:
        study: the record.
        design: its arms and seeds.
        protocol: the roles of languages.
        choosing: for each arm, the trials that chose and reached the full budget, by seed.
        estimating: the same of those that are evaluated on test.
        compared: the arms that are compared on dev, and the seeds over which they are.
        languages: the languages that have test.
        groups: means over languages whose languages all have test.
        in_parts: true if the objective is the least of several parts.
    """

    def __init__(self, study: StudyRecord, design: ConfirmDesign) -> None:
        self.study, self.design = study, design
        self.protocol: EvaluationProtocol = protocol_of(study)
        self.choosing = _by_arm(
            design, (t for t in study.complete if t.config.seed in design.seeds)
        )
        self.estimating = _by_arm(design, estimating(study))
        self.compared = complete_block(self.choosing)
        self.languages = tuple(
            language for language, pairs in study.facts.data.counts.get("test", {}).items() if pairs
        )
        self.groups = {
            group: languages
            for group, languages in self.protocol.groups.items()
            if set(languages) <= set(self.languages)
        }
        self.in_parts = len(self.protocol.objective.parts) > 1

    def arm(self, name: str, from_best: Mapping[str, FromBest]) -> ArmResult:
        """Collect the results of an arm; the caller gives its comparisons with the best."""
        arm = next(arm for arm in self.design.arms if arm.name == name)
        choosing, estimating = self.choosing[name], self.estimating[name]
        trials = {**choosing, **estimating}
        tested = {
            seed: {at: score.accuracy for at, score in t.tests[-1].scores.items()}
            for seed, t in estimating.items()
            if t.tests
        }
        lowest = self.lowest([name])
        evaluated = set.intersection(*map(set, tested.values())) if tested else set()
        every = areas(self.languages, self.protocol.train, evaluated)
        crossed = {each.name: [each] for area in every.values() for each in area}
        single = {at: (at,) for at in self.languages if tested}
        planned = [*self.design.seeds] + [
            seed for seed in self.design.estimating if name in self._estimated()
        ]
        return ArmResult(
            name=name,
            settings=self._settings(arm, trials.values()),
            search_score=arm.search_score,
            choosing=_objectives(choosing),
            estimating=_objectives(estimating),
            failed=tuple(seed for seed in planned if seed not in trials),
            collapsed=tuple(seed for seed, trial in trials.items() if self.study.collapsed(trial)),
            tested=tested,
            dev=estimate(self.dev(name, lowest)) if choosing else None,
            dev_set=lowest.name,
            test={
                at: estimate(self.test(name, languages)[1])
                for at, languages in {**single, **(self.groups if tested else {})}.items()
            },
            pairs={at: estimate(self._test(name, sets)) for at, sets in crossed.items()},
            areas={at: estimate(self._test(name, sets)) for at, sets in every.items()},
            from_best=from_best,
        )

    def _estimated(self) -> list[str]:
        assert self.study.recommendation is not None
        return self.design.estimated(self.study.recommendation.arm)

    def _settings(self, arm: Arm, trials: Iterable[TrialRecord]) -> dict[str, Any]:
        """Return an arm's values of the settings that vary between arms, else those of `RECIPE`."""
        names = dict.fromkeys(name for each in self.design.arms for name in each.settings)
        for trial in trials:
            flat = trial.config.flat()
            return {name: flat[name] for name in names or RECIPE}
        return arm.settings

    def dev(self, arm: str, part: Part, seeds: Sequence[int] | None = None) -> Table:
        """Return an arm's table on dev of a part of the objective, over seeds that chose."""
        trials = self.choosing[arm]
        chosen = [trials[seed].last for seed in (trials if seeds is None else seeds)]
        return part_table(self.study.facts, [last.answers for last in chosen if last], part)

    def test(self, arm: str, languages: Sequence[str]) -> tuple[tuple[int, ...], Table]:
        """Return an arm's seeds with test, and its table on monolingual pairs in languages."""
        seeds = tuple(seed for seed, trial in self.estimating[arm].items() if trial.tests)
        return seeds, self._test(arm, [EvaluationSet(at, at) for at in languages])

    def _test(self, arm: str, sets: Sequence[EvaluationSet]) -> Table:
        answers = [t.tests[-1].answers for t in self.estimating[arm].values() if t.tests]
        return table_of(self.study.facts.overlap, "test", answers, sets)

    def tested(self) -> list[str]:
        """Return the arms whose complete trials were all evaluated on test, and some were."""
        return [
            name
            for name, own in self.estimating.items()
            if own and all(t.tests for t in own.values())
        ]

    def lowest(self, arms: Sequence[str]) -> Part:
        """Return the part of the objective with the lowest mean over arms and their seeds."""
        parts, known = self.protocol.objective.parts, [arm for arm in arms if self.choosing[arm]]
        if len(parts) == 1 or not known:
            return parts[0]
        return min(parts, key=lambda part: fmean(self.dev(arm, part).mean for arm in known))

    def criteria(self) -> dict[str, dict[str, float]]:
        """Return the mean over seeds of every criterion that all seeds of an arm have, by arm."""
        found = {}
        arms, seeds = self.compared
        for arm in arms:
            own = [last.criteria for seed in seeds if (last := self.choosing[arm][seed].last)]
            shared = [name for name in own[0] if all(name in each for each in own)]
            found[arm] = {name: fmean(each[name] for each in own) for name in shared}
        return found

    def majority(self) -> dict[str, float]:
        """Return the majority accuracy on test, which depends only on the data, not the trial."""
        tests = [test for trial in self.study.complete for test in trial.tests]
        return tests[0].majority if tests else {}


def _by_arm(
    design: ConfirmDesign, trials: Iterable[TrialRecord]
) -> dict[str, dict[int, TrialRecord]]:
    found: dict[str, dict[int, TrialRecord]] = {arm.name: {} for arm in design.arms}
    for trial in sorted(trials, key=lambda trial: trial.config.seed):
        found[trial.arm][trial.config.seed] = trial
    return found


def _objectives(trials: Mapping[int, TrialRecord]) -> dict[int, float]:
    return {seed: trial.last.objective for seed, trial in trials.items() if trial.last}
