"""The rules of `resume`: which settings of a study it may change, and which must stay.

Settings on which the comparison of trials depends must stay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tuner.errors import UserError
from tuner.invocation import more_command
from tuner.journal.journal import StudyExists, check_free, read_history
from tuner.journal.ledger import Ledger, Limits
from tuner.journal.records import AT_REST, SEARCHED, StudyRecord
from tuner.search.candidates import to_complete
from tuner.search.designed import Designed
from tuner.search.recommend import NONE_WHOLE, all_ended, concluded, has_test
from tuner.search.schedule import Schedule
from tuner.search.supply import NO_ROOM, RULES
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.study.durations import duration_of, seconds_of
from tuner.study.file import changed_study, override, reopened_study
from tuner.study.given import check_enqueued_fit
from tuner.study.trial import flatten

MAY_CHANGE = ("budget", "resources", "checkpoint", "tracking")
"""Blocks of settings that say how much runs, where and how safely, but not what is compared."""
STAYS = ("budget.pairs_per_trial",)
MAX_NAME_LENGTH = 50
"""Most characters of a search's name: a name has at most 64, and `-reference-999` takes 14."""


@dataclass(frozen=True)
class Extension:
    """The changes that a `resume` asks for.

    Attributes:
        trials, gpu_hours, until: the options as typed: `+32`, `+4`, `+2h`.
        overrides: the `key=value` arguments of `--set`.
        settings: the study's settings as its YAML file has them now, if the study is submitted
            again.
    """

    trials: str | None = None
    gpu_hours: str | None = None
    until: str | None = None
    overrides: Sequence[str] = ()
    settings: Mapping[str, Any] | None = None


def extended(record: StudyRecord, folder: Place, extension: Extension) -> StudyConfig:
    """Return the settings with which a study resumes.

    Raises:
        UserError: the settings are invalid, or would make its trials incomparable.
    """
    settings = copy.deepcopy(dict(extension.settings or record.settings.model_dump(mode="json")))
    for text in extension.overrides:
        if (key := text.partition("=")[0].strip()) in ("name", "storage"):
            raise UserError(
                f"--set {key}: a resume cannot change a study's name or storage",
                "Give its current name, and its current storage in --storage FOLDER.",
            )
        override(settings, text)
    was, ledger = reopened_study(record.settings, folder), Ledger.of(record)
    asked = changed_study(settings, folder)
    budget = asked.budget
    if extension.trials is not None:
        if asked.design is not None:
            raise UserError(
                f"--trials: {record.name} is a design, and all its trials are planned",
                "Begin another study with more seeds, under another name.",
            )
        if budget.trials is None:
            raise UserError(
                "--trials: this study runs its whole grid", "The grid has no more points."
            )
        more = _added("--trials", "+32", extension.trials, int)
        settings["budget"]["trials"] = budget.trials + int(more)
    if extension.gpu_hours is not None:
        more = _added("--gpu-hours", "+4", extension.gpu_hours, float)
        if asked.resources.gpus_per_trial == 0:
            raise UserError("--gpu-hours: trials of this study use no GPU", "Try --until +2h.")
        settings["budget"]["gpu_hours"] = (budget.gpu_hours or ledger.gpu_hours) + more
    if extension.until is not None:
        more = _added("--until", "+2h", extension.until, seconds_of)
        spent = seconds_of(budget.wall) if budget.wall else ledger.seconds
        settings["budget"]["wall"] = duration_of(spent + more)
    study = changed_study(settings, folder)
    stays = [
        line
        for key, line in _differences(was, study).items()
        if key.partition(".")[0] not in MAY_CHANGE or key in STAYS
    ]
    if stays:
        raise UserError(
            "a resume cannot change settings on which the comparison of trials depends:\n"
            + "\n".join(stays),
            f"These may change: {', '.join(MAY_CHANGE)}, except {STAYS[0]}. For anything else, "
            "begin a new study under another name.",
        )
    for trial in record.trials:
        if trial.origin in SEARCHED and not study.space.holds(trial.params):
            raise UserError(
                f"trial {trial.number:03d} in the journal of {folder} is outside the search space",
                "Restore the journal from a backup.",
            )
    if study.trials < min(len(record.trials), was.trials):
        raise UserError(
            f"budget.trials is {study.trials}, but there are already {len(record.trials)} trials",
            "Add more with: --trials +8",
        )
    return study


def changed_blocks(record: StudyRecord, study: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return the whole blocks of settings that differ from the recorded ones."""
    now, was = (each.model_dump(mode="json") for each in (study, record.settings))
    return {name: now[name] for name in MAY_CHANGE if now[name] != was[name]}


def nothing_left(record: StudyRecord, study: StudyConfig) -> str:
    """Return why nothing is left to do and how to add work; empty if work is left."""
    limits, more = Limits.of(study), partial(more_command, study.folder)
    if isinstance(study.design, ConfirmDesign) and all_ended(study.design, record):
        if not concluded(study.design, record):
            return ""
        if record.recommendation is None:
            return f"study {record.name} has ended: {NONE_WHOLE}, and test was not read"
        read = (
            "the trials that estimate were evaluated on test"
            if has_test(record)
            else "there is no test"
        )
        return f"study {record.name} is complete: {read}"
    pairs = more("--set budget.total_pairs=…", "budget.total_pairs")
    ledger = Ledger.of(record)
    under_way = [trial for trial in record.trials if trial.state not in AT_REST]
    if spent := limits.spent(ledger):
        spend = more("--gpu-hours +4", "budget.gpu_hours")
        spend = more("--until +2h", "budget.wall") if "wall" in spent else spend
        return f"{spent}; to spend more: {pairs if 'total_pairs' in spent else spend}"
    schedule = Schedule(study, record.trials)
    if schedule.waiting or schedule.promotable() is not None:
        return ""
    if study.design is not None:
        known = {trial.number: trial for trial in record.trials}
        if Designed(study).propose(len(known), known) is None:
            return f"study {record.name} is complete: its design has no more trials"
    elif len(record.trials) >= study.trials:
        completes = study.scheduler.kind == "asha" and record.rules == RULES
        if completes and limits.room(ledger, under_way) and to_complete(record.trials):
            return ""
        whole = study.budget.trials is None or study.trials < study.budget.trials
        trials = "" if whole else f"; for more trials: {more('--trials +8', 'budget.trials')}"
        return f"study {record.name} is complete: nothing is left to do{trials}"
    if not limits.room(ledger, under_way):
        return f"{NO_ROOM}; to spend more: {pairs}"
    return ""


def check_rules(record: StudyRecord, study: StudyConfig) -> None:
    """Refuse to go on with a search whose trials were chosen by the rules of another version.

    Raises:
        UserError: its next trials or stops would follow other rules than those before.
    """
    by_rules = study.scheduler.kind == "asha" or study.sampler.kind not in ("random", "grid")
    if study.design is not None or record.rules == RULES or not by_rules:
        return
    writer = record.facts.environment.tuner or "unknown"
    raise UserError(
        f"{record.name} was begun by version {writer} of this tool, whose sampler and ASHA follow "
        "other rules: its trials would no longer be comparable",
        "Finish it with that version. Or begin a new study, which may learn from this one: "
        f"--set name=NEW --set 'warm_start=[{record.name}]'. Its trials can be reported and "
        "confirmed as they are.",
    )


def check_new(study: StudyConfig) -> None:
    """Refuse to begin a study whose name is taken, and list the settings that differ.

    Raises:
        UserError: the folder already holds a study, the name is too long for its confirmation to
            be named after it, or the budget ends before the enqueued points.
    """
    if study.baseline is not None and len(study.name) > MAX_NAME_LENGTH:
        raise UserError(
            f"the name {study.name} has {len(study.name)} characters, which leaves no room for the "
            f"names of its confirmations, such as {study.name}-confirm",
            f"Give a search a name of at most {MAX_NAME_LENGTH}.",
        )
    check_enqueued_fit(study)
    try:
        check_free(study.folder)
    except StudyExists as error:
        recorded = reopened_study(read_history(study.folder).record().settings, study.folder)
        differences = _differences(recorded, study)
        if not differences:
            raise
        words = "\n".join(differences.values())
        raise UserError(
            f"{error.problem}, with different settings:\n{words}", error.remedy
        ) from error


def _differences(was: StudyConfig, now: StudyConfig) -> dict[str, str]:
    """Return a line with both values for each setting that differs, by dotted key."""
    before, after = (flatten(study.model_dump(mode="json")) for study in (was, now))
    keys = dict.fromkeys([*before, *after])
    return {
        key: f"  {key}: was {_shown(before.get(key))}, now {_shown(after.get(key))}"
        for key in keys
        if before.get(key) != after.get(key) and key != "storage"
    }


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


def _added(option: str, example: str, text: str, number: Any) -> float:
    """Parse the amount of an option that adds to a budget.

    Raises:
        UserError: the text is not `+` and a positive, finite amount.
    """
    try:
        amount = float(number(text.removeprefix("+")))
    except ValueError:
        amount = 0.0
    is_added = text[:1] == "+" and text[1:2] in "0123456789."
    if not (is_added and 0 < amount < float("inf")):
        raise UserError(
            f"{option} takes the amount to add, got {text!r}", f"For instance: {option} {example}"
        )
    return amount
