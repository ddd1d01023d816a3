"""Access to a confirmation's record: the trials of each arm, and tables of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from tuner.confirm.arm import ArmResult, Difference, areas, cells
from tuner.journal.records import StudyRecord, TrialRecord
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
        done: for each arm, the trials that reached the full budget, by seed.
        languages: the languages that have test.
        groups: means over languages whose languages all have test.
        worst: true if the objective is the least of several parts.
    """

    def __init__(self, study: StudyRecord, design: ConfirmDesign) -> None:
        self.study, self.design = study, design
        self.protocol: EvaluationProtocol = protocol_of(study)
        done = study.complete
        self.done = {a.name: _by_seed(t for t in done if t.arm == a.name) for a in design.arms}
        self.languages = tuple(
            language for language, pairs in study.facts.data.counts.get("test", {}).items() if pairs
        )
        self.groups = {
            group: languages
            for group, languages in self.protocol.groups.items()
            if set(languages) <= set(self.languages)
        }
        self.worst = len(self.protocol.objective.parts) > 1

    def whole(self) -> list[str]:
        """Return the arms that have all their seeds; only these are compared."""
        return [name for name, own in self.done.items() if len(own) == len(self.design.seeds)]

    def arm(
        self, name: str, against: dict[str, Difference], from_best: dict[str, FromBest]
    ) -> ArmResult:
        """Collect the results of an arm; the caller gives its comparisons with others."""
        arm = next(arm for arm in self.design.arms if arm.name == name)
        trials = self.done[name]
        objectives = {seed: t.last.objective for seed, t in trials.items() if t.last}
        tested = {
            seed: {at: score.accuracy for at, score in t.tests[-1].scores.items()}
            for seed, t in trials.items()
            if t.tests
        }
        lowest = self.lowest([name])
        pairs = cells(tested, self.languages)
        named = {language: (language,) for language in self.languages} | self.groups
        return ArmResult(
            name=name,
            settings=self._settings(arm, trials.values()),
            search_score=arm.search_score,
            objectives=objectives,
            failed=tuple(seed for seed in self.design.seeds if seed not in trials),
            collapsed=tuple(seed for seed, trial in trials.items() if self.study.collapsed(trial)),
            tested=tested,
            dev=estimate(self.dev(name, lowest)) if trials else None,
            dev_set=lowest.name,
            test={
                at: estimate(self.test(name, languages))
                for at, languages in named.items()
                if tested
            },
            pairs=pairs,
            areas=areas(pairs, self.languages, self.protocol.train),
            against_control=against,
            from_best=from_best,
        )

    def _settings(self, arm: Arm, trials: Iterable[TrialRecord]) -> dict[str, Any]:
        """Return an arm's values of the settings that vary between arms, else those of `RECIPE`."""
        names = dict.fromkeys(name for each in self.design.arms for name in each.settings)
        for trial in trials:
            flat = trial.config.flat()
            return {name: flat[name] for name in names or RECIPE}
        return arm.settings

    def dev(self, arm: str, part: Part) -> Table:
        """Return an arm's table on dev of a part of the objective."""
        answers = [trial.last.answers for trial in self.done[arm].values() if trial.last]
        return part_table(self.study.facts, answers, part)

    def test(self, arm: str, languages: Sequence[str]) -> Table:
        """Return an arm's table on monolingual test pairs in these languages."""
        answers = [trial.tests[-1].answers for trial in self.done[arm].values() if trial.tests]
        sets = [EvaluationSet(language, language) for language in languages]
        return table_of(self.study.facts.overlap, "test", answers, sets)

    def all_tested(self, arm: str) -> bool:
        """Return whether all completed trials of an arm were evaluated on test."""
        return all(trial.tests for trial in self.done[arm].values())

    def lowest(self, arms: Sequence[str]) -> Part:
        """Return the part of the objective with the lowest mean over arms and seeds."""
        parts, known = self.protocol.objective.parts, [arm for arm in arms if self.done[arm]]
        if len(parts) == 1 or not known:
            return parts[0]
        return min(parts, key=lambda part: fmean(self.dev(arm, part).mean for arm in known))

    def criteria(self, arms: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the mean over seeds of every criterion that all seeds of an arm have, by arm."""
        found = {}
        for arm in arms:
            seeds = [trial.last.criteria for trial in self.done[arm].values() if trial.last]
            shared = [name for name in seeds[0] if all(name in own for own in seeds)]
            found[arm] = {name: fmean(own[name] for own in seeds) for name in shared}
        return found

    def majority(self) -> dict[str, float]:
        """Return the majority accuracy on test, which depends only on the data, not the trial."""
        tests = [test for trial in self.study.complete for test in trial.tests]
        return tests[0].majority if tests else {}


def _by_seed(trials: Iterable[TrialRecord]) -> dict[int, TrialRecord]:
    return {trial.config.seed: trial for trial in sorted(trials, key=lambda t: t.config.seed)}
