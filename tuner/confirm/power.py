"""The power of a confirmation: the smallest difference it can detect, computed before it runs."""

from __future__ import annotations

from statistics import median

from tuner.confirm.design import seedless
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.statistics.items import Table
from tuner.statistics.power import DifferenceVariance, smallest_detectable
from tuner.statistics.tables import part_table, protocol_of
from tuner.statistics.variance import parts_of
from tuner.study import StudyConfig
from tuner.study.design import CONTROL, ConfirmDesign

SEED_DEVIATION = 0.01
"""The standard deviation of a score over seeds, assumed if the search cannot show it."""


def detectable(search: StudyRecord, confirmed: StudyConfig) -> tuple[float, bool] | None:
    """Return a difference from a control that a confirmation detects with 80 % power or more.

    The variance over items comes from the search's own trials on permitted dev. The variance over
    seeds comes from trials that differ only in their seed, or is assumed (`SEED_DEVIATION`). Each
    trial has one seed, so the variance over items includes the interaction with the seed, which
    would fall with more seeds. The result therefore tends to be too large rather than too small.

    Returns:
        The difference on these dev sets, a share of 1, and true if the variance over seeds was
        observed. None if the search did not record the answers to each pair, or its scores do not
        vary.
    """
    design = confirmed.design
    assert isinstance(design, ConfirmDesign)
    if not search.facts.overlap.rows:
        return None
    tables = {trial.number: _dev_table(search, trial) for trial in search.complete}
    numbers = {f"trial {number:03d}": number for number in tables}
    numbers[CONTROL] = next((t.number for t in search.complete if t.origin == "baseline"), -1)
    arms = {arm.name: tables.get(numbers.get(arm.name, -1)) for arm in design.arms}
    controls = dict.fromkeys(control.arm for control in design.controls)
    parts = [
        parts_of(own.minus(ours))
        for control in controls
        for name, own in arms.items()
        if own is not None and name not in controls and (ours := arms[control]) is not None
    ]
    if not parts:
        return None
    seen = seed_variance(search)
    noise = DifferenceVariance(
        seeds=2 * (SEED_DEVIATION**2 if seen is None else seen),
        items=median(part.items for part in parts),
        freedom=parts[0].item_freedom,
    )
    if noise.seeds == noise.items == 0:
        return None
    least = smallest_detectable(noise, len(design.estimating), len(controls))
    return least, seen is not None


def seed_variance(search: StudyRecord) -> float | None:
    """Return the pooled variance of the objective over seeds; None if no trials are replicates."""
    alike: dict[str, list[float]] = {}
    for trial in search.complete:
        assert trial.last is not None
        key = repr(sorted(seedless(trial.config.flat()).items()))
        alike.setdefault(key, []).append(trial.last.objective)
    groups = [scores for scores in alike.values() if len(scores) > 1]
    if not groups:
        return None
    squares = sum(sum((s - sum(own) / len(own)) ** 2 for s in own) for own in groups)
    return squares / sum(len(own) - 1 for own in groups)


def _dev_table(search: StudyRecord, trial: TrialRecord) -> Table | None:
    """Return a trial's table on the lowest part of its objective; None if answers are unknown."""
    objective = protocol_of(search).objective
    if trial.last is None or not all(e.name in trial.last.answers for e in objective.sets):
        return None
    answers = [trial.last.answers]
    parts = [part_table(search.facts, answers, part) for part in objective.parts]
    return min(parts, key=lambda table: table.mean)
