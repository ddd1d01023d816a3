"""The replay of a trial: train it again from its study's folder alone, and compare its scores.

The journal holds everything that determines a trial: its settings, the checksums of its data and
its encoder, its micro-batches and its precision. On the same machine, with the same versions and
number of threads, the scores agree bit for bit. Where they do not, the known differences between
then and now are listed beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tuner.errors import StudyFailed, UserError
from tuner.invocation import command
from tuner.journal.arrays import text_as_bits
from tuner.journal.facts import Environment
from tuner.journal.journal import read_history
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.progress import Progress
from tuner.run.prepare import prepare
from tuner.run.single import watched
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.file import reopened_study
from tuner.training.accumulation import OutOfMemory
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train
from tuner.training.losses import NonFiniteLoss

COMPARED = ("select/", "oracle/", "train/")
"""Prefixes of the metrics that a replay has to repeat; its costs may differ."""


@dataclass(frozen=True)
class Compared:
    """A number of the trial and of its replay.

    Attributes:
        rung: nominal budget in pairs.
        metric: the metric's name.
        recorded: the value in the journal; None if only the replay has one.
        replayed: the value of the replay; None if only the journal has one.
    """

    rung: int
    metric: str
    recorded: float | None
    replayed: float | None

    @property
    def agrees(self) -> bool:
        """True where both are equal bit for bit."""
        return self.recorded == self.replayed

    @property
    def distance(self) -> float:
        """The absolute difference in the metric's own unit; 0 if one of the two is missing."""
        if self.recorded is None or self.replayed is None:
            return 0.0
        return abs(self.replayed - self.recorded)


@dataclass(frozen=True)
class Replay:
    """A trial beside its replay.

    Attributes:
        study: the study's name.
        trial: the trial's number.
        claim: the claim that its scores support.
        objective: the meaning of `select/objective`, in words.
        pairs: the trial's last rung, the nominal number of pairs it was trained for.
        budget: the trial's full budget in pairs.
        numbers: all numbers that were compared, rung by rung.
        answers: number of pairs that one run classified correctly and the other did not, by dev
            set; empty if the journal has no answers, which it keeps only at the full budget.
        elsewhere: the known differences between then and now: (what, then, now).
    """

    study: str
    trial: int
    claim: str
    objective: str
    pairs: int
    budget: int
    numbers: tuple[Compared, ...]
    answers: Mapping[str, int]
    elsewhere: tuple[tuple[str, str, str], ...]

    @property
    def differing(self) -> tuple[Compared, ...]:
        """The numbers that do not agree bit for bit."""
        return tuple(number for number in self.numbers if not number.agrees)

    @property
    def agrees(self) -> bool:
        """True where all numbers and all answers agree."""
        return not self.differing and not any(self.answers.values())

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for programs."""
        return {"agrees": self.agrees, **asdict(self), "answers": dict(self.answers)}


def replay(folder: Place, number: int, progress: Progress) -> Replay:
    """Train a trial again in this process, up to its last rung, and compare the scores.

    The schedule is that of the trial's full budget, even if it was pruned. This sets torch's
    threads to as many as the trial had, and seeds torch's global generators. It does not probe
    gradient noise, which changes no score, and does not read test.

    Args:
        folder: the study's folder.
        number: the trial's number.
        progress: shows the progress of the replay.

    Raises:
        UserError: there is no such trial, it was never evaluated, several workers trained it, the
            settings now give it another budget, or data or encoder have changed since.
        StudyFailed: the replay diverged or ran out of memory, which the trial did not.
    """
    record = read_history(folder).record()
    trial = _replayable(record, folder, number)
    study = reopened_study(record.settings, folder)
    last = trial.evaluations[-1]
    rungs = study.rungs_of(trial.config)
    if rungs[-1] != trial.budget or last.rung not in rungs:
        raise UserError(
            f"trial {number:03d} had a budget of {trial.budget:,} pairs, but the settings in "
            f"{folder} give {rungs[-1]:,}",
            "Replay it with the version of tuner that trained it: "
            f"{record.facts.environment.commit or 'unknown'}",
        )
    prepared = prepare(study, progress, record.facts)
    device = _device(trial, study, progress)
    torch.set_num_threads(last.threads or study.resources.threads)
    progress.tell(f"training trial {number:03d} of {record.name} again, to {last.rung:,} pairs")
    replayed = list(_trained(trial, rungs, prepared.inputs, device, progress))
    return Replay(
        study=record.name,
        trial=number,
        claim=prepared.facts.claim,
        objective=prepared.facts.objective,
        pairs=last.rung,
        budget=trial.budget,
        numbers=tuple(_compared(trial.evaluations, replayed)),
        answers=_answered_otherwise(last, replayed[-1]),
        elsewhere=tuple(_elsewhere(record, trial, prepared.facts.environment, replayed[-1])),
    )


def _replayable(record: StudyRecord, folder: Place, number: int) -> TrialRecord:
    trial = next((trial for trial in record.trials if trial.number == number), None)
    if trial is None:
        raise UserError(
            f"there is no trial {number:03d} in {folder}",
            f"List its trials: {command('report', folder)}",
        )
    if trial.last is None:
        why = f": {trial.reason}" if trial.reason else ""
        raise UserError(
            f"trial {number:03d} was never evaluated, so there is nothing to compare with "
            f"({trial.state}{why})",
            f"Replay one that has a score: {command('report', folder)}",
        )
    if (workers := max(each.workers for each in trial.evaluations)) > 1:
        raise UserError(
            f"trial {number:03d} was trained by {workers} workers, whose dropout depends on their "
            "number: one process cannot repeat it",
            "To see how far scores vary, train it with different seeds and one worker.",
        )
    return trial


def _device(trial: TrialRecord, study: StudyConfig, progress: Progress) -> torch.device:
    """Return the trial's kind of device, or the CPU if this machine has no such device."""
    held = trial.placed[-1].gpus if trial.placed else study.resources.gpus_per_trial
    if held == 0:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    progress.tell("the trial was trained on a GPU, but there is none here: its dropout will differ")
    return torch.device("cpu")


def _trained(
    trial: TrialRecord,
    rungs: tuple[int, ...],
    inputs: TrialInputs,
    device: torch.device,
    progress: Progress,
) -> Iterator[Evaluation]:
    """Train the trial again; yield its evaluations up to the last recorded one."""
    last = trial.evaluations[-1]
    events = train(
        trial.config.model_copy(update={"precision": last.precision}),
        rungs,
        inputs,
        device,
        micro_plan=last.micro_plan,
    )
    try:
        for evaluation in watched(events, last.rung, progress):
            yield evaluation
            if evaluation.rung == last.rung:
                return
    except (NonFiniteLoss, OutOfMemory) as error:
        raise StudyFailed(f"the replay of trial {trial.number:03d}: {error}") from error


def _compared(before: tuple[Evaluation, ...], after: list[Evaluation]) -> Iterator[Compared]:
    for recorded, replayed in zip(before, after, strict=True):
        assert recorded.rung == replayed.rung
        then, now = recorded.metrics(), replayed.metrics()
        for metric in dict.fromkeys([*then, *now]):
            if metric.startswith(COMPARED):
                yield Compared(recorded.rung, metric, then.get(metric), now.get(metric))


def _answered_otherwise(recorded: Evaluation, replayed: Evaluation) -> dict[str, int]:
    otherwise = {}
    for name in recorded.answers.keys() & replayed.answers.keys():
        pairs = (replayed.select | replayed.oracle)[name].pairs
        then, now = (text_as_bits(each.answers[name], pairs) for each in (recorded, replayed))
        otherwise[name] = int((then != now).sum())
    return dict(sorted(otherwise.items()))


def _elsewhere(
    record: StudyRecord, trial: TrialRecord, here: Environment, replayed: Evaluation
) -> Iterator[tuple[str, str, str]]:
    """Yield the known differences. The recorded versions are those that the study began with."""
    then, now = record.facts.environment.versions, here.versions
    for name in dict.fromkeys([*then, *now]):
        if (was := then.get(name, "unknown")) != (is_ := now.get(name, "none")):
            yield name, was, is_
    for name in ("processor", "threads"):
        known = [str(getattr(each, name) or "unknown") for each in trial.evaluations]
        was, is_ = " then ".join(dict.fromkeys(known)), str(getattr(replayed, name))
        if was != is_:
            yield name, was, is_
