"""The two sides of `tuner compare`: a study's best or recommended configuration, or one trial."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.journal import read_history
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.search.recommend import estimating
from tuner.statistics.items import Table
from tuner.statistics.tables import protocol_of, table_of
from tuner.storage.folders import Place
from tuner.storage.location import study_folder
from tuner.study.criteria import EvaluationSet
from tuner.study.design import ScalingDesign
from tuner.study.protocol import EvaluationProtocol

_TRIAL = re.compile(r"(?P<study>.+):(?P<trial>\d{1,9})", re.DOTALL)


@dataclass(frozen=True)
class Side:
    """One of the two sides of a comparison.

    Attributes:
        name: the name that the user gave: `nano`, or `nano:12`.
        what: a description of the side in words.
        chosen: how this side was chosen by the compared scores, in words; "" where the user
            named a trial.
        record: the record of its study.
        protocol: the protocol of its study.
        trials: complete trials that differ in the seed alone, one for each seed, ascending by seed.
    """

    name: str
    what: str
    chosen: str
    record: StudyRecord
    protocol: EvaluationProtocol
    trials: tuple[TrialRecord, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the trials, in their order."""
        return tuple(trial.config.seed for trial in self.trials)

    def table(self, sets: Sequence[EvaluationSet], seeds: Sequence[int]) -> Table:
        """Return the mean accuracy on dev sets, with a row for each of `seeds`, in their order."""
        by_seed = dict(zip(self.seeds, self.trials, strict=True))
        answers = [last.answers for seed in seeds if (last := by_seed[seed].last)]
        return table_of(self.record.facts.overlap, "dev", answers, sets)


def side_of(text: str, storage: str) -> Side:
    """Read the side that a user names: `STUDY` (its best or recommended) or `STUDY:TRIAL`.

    Args:
        text: a study's name or folder, optionally with the number of a trial after a colon.
        storage: the storage in which to look for a name.

    Raises:
        UserError: the study or trial does not exist, or cannot be compared.
    """
    named = _TRIAL.fullmatch(text)
    if not named and ":" in text and "/" not in text:
        raise UserError(
            f"{text!r} is not a trial", "Name a trial by its study and number, such as nano:12."
        )
    folder = study_folder(named["study"] if named else text, storage)
    record = read_history(folder).record()
    if named:
        return _trial(text, record, folder, int(named["trial"]))
    return _study(text, record, folder)


def _trial(text: str, record: StudyRecord, folder: Place, number: int) -> Side:
    trial = next((trial for trial in record.trials if trial.number == number), None)
    see = f"Its trials: {command('report', folder)}"
    if trial is None:
        raise UserError(f"there is no trial {number:03d} in {folder}", see)
    if trial.state != "completed" or trial.last is None:
        raise UserError(
            f"trial {number:03d} of {record.name} is {trial.state}: scores are compared at the "
            "full budget only",
            f"Name a complete trial. {see}",
        )
    return Side(
        text, f"trial {number:03d} of {record.name}", "", record, protocol_of(record), (trial,)
    )


def _study(text: str, record: StudyRecord, folder: Place) -> Side:
    design = record.settings.design
    if design is None:
        if record.best is None:
            raise UserError(
                f"no trial of {record.name} has reached its full budget",
                f"Let it continue: {command('resume', folder)}",
            )
        trials = _with_other_seeds(record, record.best)
        what = f"the best of {record.name}, trial {record.best.number:03d}"
        if len(trials) > 1:
            what += f" and those that differ from it only in the seed: {len(trials)} in total"
        chosen = f"unconfirmed: the best of {len(record.trials)} noisy scores is biased upwards"
        return Side(text, what, chosen, record, protocol_of(record), trials)
    if isinstance(design, ScalingDesign):
        raise UserError(
            f"{record.name} is a planned study of many configurations, and recommends none",
            f"Name one of its trials, such as {text}:0; its findings: {command('report', folder)}",
        )
    if record.recommendation is None:
        raise UserError(
            f"{record.name} has not made a recommendation yet",
            f"Let it finish: {command('resume', folder)}; or name a trial, such as {text}:0",
        )
    arm = record.recommendation.arm
    trials = tuple(
        sorted((t for t in estimating(record) if t.arm == arm), key=lambda trial: trial.config.seed)
    )
    what = f"what {record.name} recommends, {arm}, with {len(trials)} seeds"
    chosen = f"recommended from {len(design.arms)} configurations, by its dev scores"
    return Side(text, what, chosen, record, protocol_of(record), trials)


def _with_other_seeds(record: StudyRecord, best: TrialRecord) -> tuple[TrialRecord, ...]:
    """Return complete trials with the settings of `best`, one for each seed, including `best`."""
    found = {best.config.seed: best}
    for trial in record.complete:
        if trial.config == best.config.model_copy(update={"seed": trial.config.seed}):
            found.setdefault(trial.config.seed, trial)
    return tuple(found[seed] for seed in sorted(found))
