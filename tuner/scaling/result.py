"""The result of a scaling study, computed from its journal alone.

The response is dev accuracy: on the sources, whose dev is permitted for choices, and on the
targets, whose dev is recorded and chooses nothing. Test is not read. Every fit leaves out batch
sizes whose best learning rate lies at the edge of its grid, and seeds that are not complete in all
fitted cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tuner.errors import UserError
from tuner.journal.records import END_STATES, StudyRecord, TrialRecord
from tuner.scaling.design import Cell
from tuner.scaling.model import Fit, fit
from tuner.search.rates import TunedRate, choices
from tuner.statistics.tables import protocol_of, table_of
from tuner.study import StudyConfig
from tuner.study.criteria import EvaluationSet
from tuner.study.design import SIZE, ScalingDesign
from tuner.study.file import reopened_study
from tuner.study.planned import configured, scored_points, sizes
from tuner.study.protocol import EvaluationProtocol
from tuner.study.trial import TrialConfig


@dataclass(frozen=True)
class Seed:
    """One compared trial that reached its full budget.

    Attributes:
        trial: number of the trial.
        seed: its seed.
        accuracy: its accuracy for each response, 0 to 1.
        collapsed: true if its objective is no better than always giving the most frequent label.
    """

    trial: int
    seed: int
    accuracy: Mapping[str, float]
    collapsed: bool


@dataclass(frozen=True)
class Scaled:
    """The result of a scaling study.

    Attributes:
        study: settings of the study.
        design: its design.
        claim: the claim that is permitted for the targets.
        objective: the objective that chose the learning rates, in words.
        majority: accuracy of always giving the most frequent label.
        languages: the languages of each response that was recorded.
        chose: targets whose dev helped to choose the learning rates, as in `protocol.kind oracle`.
        choices: the learning rate of each B, where there is one; empty until all tuning trials have
            ended.
        tuned: true if all trials used to choose learning rates have ended.
        planned: the cells, in the order of the plan.
        seeds_of: the complete trials of each cell.
        failed: numbers of compared trials that failed.
        left: number of compared trials of the plan that have not ended.
        fitted: the fitted cells: those whose learning rate does not lie at an edge, except `empty`.
        empty: cells that are left out because all their seeds failed.
        paired: the seeds that all fitted cells have, two or more, on which the fits are based.
        fits: the fit of each response.
        unfitted: the reason if there is no fit; empty otherwise.
    """

    study: StudyConfig
    design: ScalingDesign
    claim: str
    objective: str
    majority: float
    languages: Mapping[str, tuple[str, ...]]
    chose: tuple[str, ...]
    choices: Mapping[int, TunedRate]
    tuned: bool
    planned: tuple[Cell, ...]
    seeds_of: Mapping[Cell, tuple[Seed, ...]]
    failed: tuple[int, ...]
    left: int
    fitted: tuple[Cell, ...]
    empty: tuple[Cell, ...]
    paired: tuple[int, ...]
    fits: Mapping[str, Fit]
    unfitted: str

    @classmethod
    def of(cls, record: StudyRecord) -> Self:
        """Compute the result from a study's record.

        Raises:
            UserError: the study is not a scaling study, or its record lacks data for the fits.
        """
        study = reopened_study(record.settings, Path(record.name))
        design = study.design
        if not isinstance(design, ScalingDesign):
            raise UserError(
                f"{record.name} is not a scaling study: it has no planned, unpruned points",
                "ASHA chose which trials of a search are complete: the others are not missing at "
                "random, and a scaling model would mislead. Plan a study with a design block of "
                "kind scaling, as in search_spaces/nano_scaling.yaml.",
            )
        assert not any(trial.tests for trial in record.trials), "test is for confirm alone"
        protocol = protocol_of(record)
        compared = [trial for trial in record.trials if trial.origin == "design"]
        complete = [trial for trial in compared if trial.state == "completed" and trial.last]
        majority = record.facts.majority_accuracy
        languages = _responses(protocol)
        points = scored_points(study, design)
        planned = tuple(dict.fromkeys(cell_of(configured(study, point)) for point in points))
        tuning = [trial for trial in record.trials if trial.origin == "tuning"]
        of_tuning = len(sizes(study)) * len(design.tuning.lr) * len(design.tuning.seeds)
        tuned = len(tuning) == of_tuning and all(trial.state in END_STATES for trial in tuning)
        chosen = choices(design.tuning, tuning) if tuned else {}
        trials = _by_seed(planned, complete)
        concluded = [
            cell
            for cell in planned
            if cell.effective_size in chosen and not chosen[cell.effective_size].at_edge
        ]
        over = Counter(cell_of(trial.config) for trial in compared if trial.state in END_STATES)
        empty = [c for c in concluded if not trials[c] and over[c] == len(design.seeds)]
        fitted = [cell for cell in concluded if cell not in empty]
        paired = _shared(trials[cell] for cell in fitted)
        unfitted = _why_not(chosen, fitted, paired)
        if not unfitted:
            of_cell = {cell: [trials[cell][seed] for seed in paired] for cell in fitted}
            fits, unfitted = _fits(record, languages, of_cell)
        else:
            fits = {}
        chose = {
            lang for each in protocol.objective.sets for lang in (each.language1, each.language2)
        }
        there = sum(point[SIZE] in chosen for point in points)
        return cls(
            study=study,
            design=design,
            claim=record.claim,
            objective=record.facts.objective,
            majority=majority,
            languages=languages,
            chose=tuple(lang for lang in protocol.targets if lang in chose),
            choices=chosen,
            tuned=tuned,
            planned=planned,
            seeds_of={
                cell: tuple(
                    Seed(
                        trial.number,
                        seed,
                        _accuracies(trial, languages),
                        record.collapsed(trial),
                    )
                    for seed, trial in trials[cell].items()
                )
                for cell in planned
            },
            failed=tuple(trial.number for trial in compared if trial.state == "failed"),
            left=there - sum(trial.state in END_STATES for trial in compared),
            fitted=tuple(fitted) if fits else (),
            empty=tuple(empty),
            paired=paired if fits else (),
            fits=fits,
            unfitted=unfitted,
        )

    @property
    def primary(self) -> str:
        """The primary response: that of the targets, if it was recorded."""
        return next(iter(self.languages))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Every B, ascending."""
        return tuple(sorted({cell.effective_size for cell in self.planned}))

    @property
    def at_edge(self) -> tuple[int, ...]:
        """Each B whose learning rate lies at an edge; it gets no conclusion."""
        return tuple(size for size, choice in self.choices.items() if choice.at_edge)

    @property
    def without_rate(self) -> tuple[int, ...]:
        """Each B for which every learning rate failed with some seed."""
        return tuple(size for size in self.sizes if size not in self.choices) if self.tuned else ()

    @property
    def collapsed(self) -> tuple[int, ...]:
        """The numbers of compared trials that are no better than the most frequent label."""
        seeds = (seed for seeds in self.seeds_of.values() for seed in seeds)
        return tuple(sorted(seed.trial for seed in seeds if seed.collapsed))


def is_scaling(record: StudyRecord) -> bool:
    """Return whether a study is a scaling study, planned and unpruned, that `Scaled.of` accepts."""
    return isinstance(record.settings.design, ScalingDesign)


def cell_of(config: TrialConfig) -> Cell:
    """Return the cell of the design that a configuration belongs to."""
    return Cell(
        effective_size=config.batch.effective_size,
        cross_lingual=config.mix.cross_lingual,
        layer=config.fusion.layer,
        granularity=config.mix.granularity,
    )


def _by_seed(
    planned: Sequence[Cell], complete: Sequence[TrialRecord]
) -> dict[Cell, dict[int, TrialRecord]]:
    """Group the complete trials of every cell by seed."""
    found: dict[Cell, dict[int, TrialRecord]] = {cell: {} for cell in planned}
    for trial in sorted(complete, key=lambda trial: trial.config.seed):
        found[cell_of(trial.config)][trial.config.seed] = trial
    return found


def _shared(trials: Iterable[Mapping[int, TrialRecord]]) -> tuple[int, ...]:
    """Return the seeds that all cells have."""
    seeds = [set(by_seed) for by_seed in trials]
    return tuple(sorted(set.intersection(*seeds))) if seeds else ()


def _responses(protocol: EvaluationProtocol) -> dict[str, tuple[str, ...]]:
    """Return the languages of each response that were all evaluated, the targets' mean first."""
    evaluated = {each.name for each in protocol.sets}
    order = sorted(protocol.groups, key=lambda name: name != "targets")
    groups = {name: protocol.groups[name] for name in order}
    return {name: own for name, own in groups.items() if evaluated.issuperset(own)}


def _accuracies(trial: TrialRecord, responses: Iterable[str]) -> dict[str, float]:
    """Return a complete trial's mean accuracy for each response, 0 to 1."""
    assert trial.last is not None
    scores = {**trial.last.oracle, **trial.last.select}
    return {response: scores[response].accuracy for response in responses}


def _fits(
    record: StudyRecord,
    responses: Mapping[str, Sequence[str]],
    trials: Mapping[Cell, Sequence[TrialRecord]],
) -> tuple[dict[str, Fit], str]:
    """Fit every response; if one cannot be fitted, return no fit, and the reason."""
    answers = {
        cell: [trial.last.answers for trial in own if trial.last] for cell, own in trials.items()
    }
    fits = {}
    for response, languages in responses.items():
        sets = [EvaluationSet(language, language) for language in languages]
        tables = {
            cell: table_of(record.facts.overlap, "dev", own, sets) for cell, own in answers.items()
        }
        try:
            fits[response] = fit(tables)
        except UserError as error:  # the report gives this reason; its other parts remain valid
            return {}, f"{error.problem}: {error.remedy.removesuffix('.')}"
    return fits, ""


def _why_not(chosen: Mapping[int, TunedRate], fitted: Sequence[Cell], paired: Sequence[int]) -> str:
    """Return the reason why no fit is possible; empty if one is."""
    if not chosen:
        return "no learning rate has been chosen for any B yet, or every rate failed"
    if all(choice.at_edge for choice in chosen.values()):
        return "for every B that has a best learning rate, a better rate may exist"
    if not fitted:
        return "all trials failed at every B whose learning rate is not at an edge of the grid"
    if len(fitted) == 1:
        return f"all configurations but one are excluded ({fitted[0]} is left)"
    if not paired:
        return "no seed is complete in all configurations"
    if len(paired) == 1:
        return (
            f"only seed {paired[0]} is complete in all configurations that are not excluded, and "
            f"one seed says nothing about other seeds"
        )
    return ""
