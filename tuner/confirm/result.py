"""The result of a confirmation, computed from its journal alone.

All scores are accuracies, shares from 0 to 1. Estimates treat seeds and components of shared
sentences as samples (`tuner.statistics`); differences are paired by both. An arm with a failed seed
is shown with its other seeds, but not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.confirm.arm import ArmResult, against_control, detectable, from_best
from tuner.confirm.reading import ConfirmationView
from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.records import StudyRecord
from tuner.search.choices import Choice, choices
from tuner.search.recommend import NONE_WHOLE, concluded, untested
from tuner.study.design import CONTROL, ConfirmDesign

DEV = "dev"
"""The name of the comparison on the permitted dev sets of the objective."""
COMPARED = ("targets", "sources")
"""Test means on which arms are compared with the control; each is a family of comparisons."""


@dataclass(frozen=True)
class Confirmed:
    """The result of a confirmation, or of the external reference, which has one arm.

    Attributes:
        name: name of the study.
        search: unique id of the search.
        claim: the claim that its numbers support.
        objective: the objective used to choose, in words.
        worst: true if the objective is the least of several parts.
        compared_on: the part of the objective on which arms are compared: `mean` if it is the only
            one, else that with the lowest mean over all compared arms and seeds.
        majority: objective of always giving the most frequent label.
        test_majority: its accuracy on test, by language.
        seeds: seeds of every arm.
        arms: the arms as planned; the control is the first, if there is one.
        recommended: name of the recommended arm.
        choices: what each permitted criterion would have recommended; empty in older records.
        groups: the languages of each mean, if all of them have test.
        trained: the training languages.
        zero_shot: targets that may be called zero-shot.
        languages: the languages that have test, in order.
        detectable: the difference from the control on `targets` (else `sources`) that such a design
            detects with a power of 80 %: the median over arms; None if nothing is compared.
        untested: number of trials that reached the full budget but were not evaluated on test.
        earlier: earlier confirmations of the same search, which may have read the same test.
    """

    name: str
    search: str
    claim: str
    objective: str
    worst: bool
    compared_on: str
    majority: float
    test_majority: Mapping[str, float]
    seeds: tuple[int, ...]
    arms: tuple[ArmResult, ...]
    recommended: str
    choices: tuple[Choice, ...]
    groups: Mapping[str, tuple[str, ...]]
    trained: tuple[str, ...]
    zero_shot: tuple[str, ...]
    languages: tuple[str, ...]
    detectable: float | None
    untested: int
    earlier: tuple[str, ...]

    @classmethod
    def of(cls, study: StudyRecord) -> Confirmed:
        """Compute the result from a study's record.

        Raises:
            UserError: the study is not a confirmation, has no recommendation yet, or its record is
                damaged.
        """
        design = study.settings.design
        if not isinstance(design, ConfirmDesign):
            raise UserError(f"{study.name} is not a confirmation", "Confirm a search first.")
        if study.recommendation is None and concluded(design, study):
            raise UserError(f"{study.name}: {NONE_WHOLE}", "Confirm the search with --again.")
        if study.recommendation is None:
            folder = study.settings.storage / study.name
            raise UserError(
                f"{study.name} has not made a recommendation",
                f"Continue it: {command('resume', folder)}",
            )
        if study.recommendation.arm not in [arm.name for arm in design.arms]:
            raise UserError(
                f"{study.name} recommends {study.recommendation.arm!r}, which is not an arm of it",
                "Restore the journal from a backup.",
            )
        reading = ConfirmationView(study, design)
        whole = reading.whole()
        lowest = reading.lowest(whole)
        dev = {name: reading.dev(name, lowest) for name in whole}
        on_test = {
            group: {name: reading.test(name, reading.groups[group]) for name in whole}
            for group in COMPARED
            if group in reading.groups and all(reading.all_tested(name) for name in whole)
        }
        against = {group: against_control(tables) for group, tables in on_test.items()}
        best = {DEV: from_best(dev), "targets": from_best(on_test.get("targets", {}))}
        first = next((group for group in COMPARED if group in on_test), None)
        return cls(
            name=study.name,
            search=design.study,
            claim=study.claim,
            objective=study.facts.objective,
            worst=reading.worst,
            compared_on=lowest.name,
            majority=study.facts.majority_accuracy,
            test_majority=reading.majority(),
            seeds=design.seeds,
            arms=tuple(
                reading.arm(
                    arm.name,
                    {g: found[arm.name] for g, found in against.items() if arm.name in found},
                    {what: found[arm.name] for what, found in best.items() if arm.name in found},
                )
                for arm in design.arms
            ),
            recommended=study.recommendation.arm,
            choices=choices(reading.criteria(whole), study.settings.protocol.objective),
            groups=reading.groups,
            trained=reading.protocol.train,
            zero_shot=reading.protocol.zero_shot,
            languages=reading.languages,
            detectable=None if first is None else detectable(on_test[first]),
            untested=len(untested(study)),
            earlier=design.earlier,
        )

    def arm(self, name: str) -> ArmResult:
        """Return the arm with a name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def best(self) -> ArmResult:
        """The recommended arm."""
        return self.arm(self.recommended)

    @property
    def control(self) -> ArmResult | None:
        """The search's baseline with fresh seeds; None for the external reference."""
        return next((arm for arm in self.arms if arm.name == CONTROL), None)

    def tied(self, compared: str) -> tuple[str, ...]:
        """Return the arms that may be the best on `dev` or `targets`; empty if none is compared."""
        arms = [arm for arm in self.arms if compared in arm.from_best]
        return tuple(arm.name for arm in arms if arm.from_best[compared].tied)
