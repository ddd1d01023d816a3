"""Warm start: what a study's sampler learns from the trials of earlier studies.

The trials are copied into the new study's journal, so that it stays whole whatever happens to the
earlier ones. They count for the sampler alone: ASHA, the leaderboard and `confirm` never see them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import UserError
from tuner.journal.facts import StudyFacts
from tuner.journal.journal import read_history
from tuner.journal.prior import PriorTrial
from tuner.journal.records import SEARCHED, StudyRecord
from tuner.search.observations import Observation
from tuner.study import StudyConfig

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
        UserError: an earlier study had other data or another encoder.
    """
    found = []
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
        for trial in record.trials:
            point = study.space.locate(trial.config.flat())
            if point is None or trial.origin not in (*SEARCHED, "baseline"):
                continue
            known = Observation.of(trial, point)
            own = study.space.trial_config(study.trial, point).flat()
            differs = {n for n, value in trial.config.flat().items() if own[n] != value}
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
    return tuple(found)


def _differences(study: StudyConfig, record: StudyRecord) -> list[str]:
    """Return in words how an earlier study differs in what its scores depend on."""
    was = record.settings
    if was.design is not None:
        return ["it is a planned design, not a search"]
    wrong = []
    if was.protocol.kind != study.protocol.kind or was.protocol.pivot != study.protocol.pivot:
        wrong.append(
            f"its trials were chosen by protocol {was.protocol.kind}, this study's is "
            f"{study.protocol.kind}: what may be read to choose is not the same"
        )
    for name, theirs, ours in (
        ("protocol", was.protocol, study.protocol),
        ("languages", was.languages, study.languages),
        ("encoder", was.encoder, study.encoder),
        ("budget.pairs_per_trial", was.budget.pairs_per_trial, study.budget.pairs_per_trial),
        ("rungs", record.rungs, study.rungs),
    ):
        if theirs != ours and not (name == "protocol" and wrong):
            wrong.append(f"its {name} are {theirs}, here {ours}")
    return wrong
