"""Warm start: what a study's sampler learns from the trials of earlier studies.

The trials are copied into the new study's journal, so that it stays whole whatever happens to the
earlier ones. They count for the sampler alone: ASHA, the leaderboard and `confirm` never see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic.main import IncEx

from tuner.errors import UserError
from tuner.journal.facts import StudyFacts
from tuner.journal.journal import read_history
from tuner.journal.prior import PriorTrial
from tuner.journal.records import SEARCHED, StudyRecord
from tuner.search.observations import Observation
from tuner.study import StudyConfig
from tuner.study.trial import flatten

MACHINE = ("batch.micro_size", "precision", "seed")
"""Settings of a trial that may differ: those of the machine, and the seed."""


def earlier_studies(study: StudyConfig) -> list[StudyRecord]:
    """Return the studies that a study learns from.

    Raises:
        UserError: one of them is missing, or was not run in the same way.
    """
    records = []
    for name in study.warm_start:
        record = read_history(study.storage / name).record()
        if wrong := _differences(study, record):
            raise UserError(
                f"warm_start: {name} cannot be learnt from: {'; '.join(wrong)}",
                "Leave it out, or give this study the same settings.",
            )
        records.append(record)
    return records


def prior_trials(
    study: StudyConfig, earlier: Sequence[StudyRecord], facts: StudyFacts
) -> tuple[PriorTrial, ...]:
    """Return the trials that the sampler learns from: those that lie in the study's space.

    Their settings outside the space must be the study's own, up to the machine's.

    Raises:
        UserError: an earlier study had other data or another encoder, or none of its trials can be
            learnt from.
    """
    found: list[PriorTrial] = []
    for record in earlier:
        for what, was, now in (
            ("data", record.facts.data.checksum, facts.data.checksum),
            ("encoder", record.facts.encoder.checksum, facts.encoder.checksum),
            ("objective", record.facts.objective, facts.objective),
        ):
            if was != now:
                raise UserError(
                    f"warm_start: the {what} of {record.name} was another: {was[:60]}, here "
                    f"{now[:60]}",
                    f"Leave {record.name} out of warm_start.",
                )
        others, before = set[str](), len(found)
        for trial in record.trials:
            point = study.space.locate(trial.config.flat())
            if point is None or trial.origin not in (*SEARCHED, "baseline"):
                continue
            known = Observation.of(trial, point)
            own = study.space.trial_config(study.trial, point).flat()
            differs = {n for n, value in trial.config.flat().items() if own[n] != value}
            others |= differs - {*MACHINE}
            if known.fate in ("resting", "diverged") and differs <= {*MACHINE}:
                found.append(
                    PriorTrial(
                        study=record.name,
                        number=trial.number,
                        params=point,
                        values=dict(known.values),
                        diverged=known.fate == "diverged",
                    )
                )
        if len(found) == before:
            why = f": they differ in {', '.join(sorted(others))}" if others else ""
            raise UserError(
                f"warm_start: none of the {len(record.trials)} trials of {record.name} lies in "
                f"this space with the settings of `trial:`{why}",
                f"Leave {record.name} out of warm_start, or give this study the same settings.",
            )
    return tuple(found)


def _differences(study: StudyConfig, record: StudyRecord) -> list[str]:
    """Return in words how an earlier study differs in what its scores depend on."""
    was = record.settings
    if was.design is not None:
        return ["it is a planned design, not a search"]
    means: IncEx = {"languages": {"groups"}}  # only reported
    theirs, ours = (each.model_dump(mode="json", exclude=means) for each in (was, study))
    wrong = []
    for block in ("protocol", "languages", "encoder"):
        before, now = flatten(theirs[block]), flatten(ours[block])
        for name in dict.fromkeys([*before, *now]):
            if before.get(name) != now.get(name):
                wrong.append(_differs(f"{block}.{name}", before.get(name), now.get(name)))
    budget = "budget.pairs_per_trial"
    if was.budget.pairs_per_trial != study.budget.pairs_per_trial:
        wrong.append(_differs(budget, was.budget.pairs_per_trial, study.budget.pairs_per_trial))
    elif record.rungs != study.rungs:
        wrong.append(_differs("rungs", list(record.rungs), list(study.rungs)))
    return wrong


def _differs(name: str, before: Any, now: Any) -> str:
    shown = (
        ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for value in (before, now)
    )
    return f"{name} was {' and is here '.join(text or 'nothing' for text in shown)}"
