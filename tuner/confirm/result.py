"""The result of a confirmation, computed from its journal alone.

All scores are accuracies, shares from 0 to 1. Estimates treat seeds and components of shared
sentences as samples (`tuner.statistics`); differences are paired by both. On dev, arms are compared
over the seeds that chose; a run that failed costs its arm or its seed. On test, a difference is
over the seeds that both arms have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.confirm.arm import ArmResult, Contrast, contrasts, detectable, from_best
from tuner.confirm.reading import ConfirmationView
from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.records import StudyRecord
from tuner.search.choices import Choice, choices
from tuner.search.recommend import NONE_WHOLE, concluded, untested
from tuner.study.design import CONTROL, ConfirmDesign, TunedControl

DEV = "dev"
"""The name of the comparison on the permitted dev sets of the objective."""
COMPARED = ("targets", "sources")
"""Test means on which arms are compared with controls; each is a family of comparisons."""


@dataclass(frozen=True)
class Confirmed:
    """The result of a confirmation, or of the external reference, which has one arm.

    Attributes:
        name: name of the study.
        search: unique id of the search.
        claim: the claim that its numbers support.
        objective: the objective used to choose, in words.
        in_parts: true if the objective is the least of several parts.
        compared_on: the part of the objective on which arms are compared: `mean` if it is the only
            one, else that with the lowest mean over all compared arms and seeds.
        compared: the arms that are compared on dev.
        majority: objective of always giving the most frequent label.
        test_majority: its accuracy on test, by language.
        seeds: seeds that chose.
        estimating: seeds of the runs that were evaluated on test.
        apart: true if these are others than those that chose.
        completed: completed trials of the search from which the arms were chosen; 0 if unknown.
        controls: the tuned controls; none in confirmations of older versions.
        arms: the arms as planned; the search's baseline is the first, if there is one.
        recommended: name of the recommended arm.
        choices: what each permitted criterion would have recommended; empty in older records.
        groups: the languages of each mean, if all of them have test.
        trained: the training languages.
        zero_shot: targets that may be called zero-shot.
        languages: the languages that have test, in order.
        contrasts: differences from controls on test, for each mean in `COMPARED` that has test.
        detectable: the difference from a control on `targets` (else `sources`) that such a design
            detects with a power of 80 %: the median over contrasts; None if nothing is compared.
        groups_tested: effective number of test's groups of pairs that share sentences; None if it
            was not recorded.
        untested: number of trials that reached the full budget but were not evaluated on test.
        earlier: earlier confirmations of the same search, which may have read the same test.
        read_before: studies that had read this test before, whatever their name, and when.
    """

    name: str
    search: str
    claim: str
    objective: str
    in_parts: bool
    compared_on: str
    compared: tuple[str, ...]
    majority: float
    test_majority: Mapping[str, float]
    seeds: tuple[int, ...]
    estimating: tuple[int, ...]
    apart: bool
    completed: int
    controls: tuple[TunedControl, ...]
    arms: tuple[ArmResult, ...]
    recommended: str
    choices: tuple[Choice, ...]
    groups: Mapping[str, tuple[str, ...]]
    trained: tuple[str, ...]
    zero_shot: tuple[str, ...]
    languages: tuple[str, ...]
    contrasts: Mapping[str, Sequence[Contrast]]
    detectable: float | None
    groups_tested: float | None
    untested: int
    earlier: tuple[str, ...]
    read_before: tuple[str, ...]

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
        recommended, overlap = study.recommendation.arm, study.facts.overlap.counts
        reading = ConfirmationView(study, design)
        arms, seeds = reading.compared
        lowest = reading.lowest(arms)
        best = {DEV: from_best({name: reading.dev(name, lowest, seeds) for name in arms})}
        tested, pairs = reading.tested(), _pairs(design, recommended)
        tables = {
            group: {name: reading.test(name, reading.groups[group]) for name in tested}
            for group in COMPARED
            if group in reading.groups
        }
        whole = {
            group: {
                n: table for n, (own, table) in found.items() if len(own) == len(design.estimates)
            }
            for group, found in tables.items()
        }
        if not design.estimating and {*arms} <= {*tested}:
            on_targets = whole.get("targets", {})
            best["targets"] = from_best({n: on_targets[n] for n in arms if n in on_targets})
        first = next((group for group in COMPARED if whole.get(group)), None)
        return cls(
            name=study.name,
            search=design.study,
            claim=study.claim,
            objective=study.facts.objective,
            in_parts=reading.in_parts,
            compared_on=lowest.name,
            compared=tuple(arms),
            majority=study.facts.majority_accuracy,
            test_majority=reading.majority(),
            seeds=design.seeds,
            estimating=design.estimates,
            apart=bool(design.estimating),
            completed=design.completed,
            controls=design.controls,
            arms=tuple(
                reading.arm(
                    arm.name,
                    {what: found[arm.name] for what, found in best.items() if arm.name in found},
                )
                for arm in design.arms
            ),
            recommended=recommended,
            choices=choices(reading.criteria(), study.settings.protocol.objective),
            groups=reading.groups,
            trained=reading.protocol.train,
            zero_shot=reading.protocol.zero_shot,
            languages=reading.languages,
            contrasts={
                group: contrasts(found, [pair for pair in pairs if {*pair} <= found.keys()])
                for group, found in tables.items()
            },
            detectable=None if first is None else detectable(whole[first], pairs),
            groups_tested=counts.effective_ids if (counts := overlap.get("test")) else None,
            untested=len(untested(study)),
            earlier=design.earlier,
            read_before=study.read_before or (),
        )

    def arm(self, name: str) -> ArmResult:
        """Return the arm with a name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def best(self) -> ArmResult:
        """The recommended arm."""
        return self.arm(self.recommended)

    @property
    def estimated(self) -> tuple[ArmResult, ...]:
        """The arms that have test, the recommended one first, then the controls."""
        known = (self.recommended, *(control.arm for control in self.controls), CONTROL)
        order = {name: place for place, name in reversed([*enumerate(known)])}
        tested = [arm for arm in self.arms if arm.tested]
        return tuple(sorted(tested, key=lambda arm: order.get(arm.name, len(order))))

    def kinds(self, name: str) -> tuple[TunedControl, ...]:
        """Return the kinds of tuned control that an arm is."""
        return tuple(control for control in self.controls if control.arm == name)

    def contrast(self, group: str, arm: str, control: str) -> Contrast | None:
        """Return the difference between two arms on a mean over languages, if it is known."""
        found = (c for c in self.contrasts.get(group, ()) if (c.arm, c.control) == (arm, control))
        return next(found, None)

    def tied(self, compared: str) -> tuple[str, ...]:
        """Return the arms that may be the best on `dev` or `targets`; empty if none is compared."""
        arms = [arm for arm in self.arms if compared in arm.from_best]
        return tuple(arm.name for arm in arms if arm.from_best[compared].tied)


def _pairs(design: ConfirmDesign, recommended: str) -> list[tuple[str, str]]:
    """Return the contrasts that are stated: the arm and the control of each.

    They are of the recommended arm with the tuned controls. Where all runs choose and estimate,
    as in older versions, every arm is compared with the search's baseline.
    """
    if design.estimating:
        controls = dict.fromkeys(control.arm for control in design.controls)
        return [(recommended, name) for name in controls if name != recommended]
    names = [arm.name for arm in design.arms]
    return [(name, CONTROL) for name in names if name != CONTROL and CONTROL in names]
