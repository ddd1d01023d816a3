"""The disk space that a study needs at most, and whether it is there."""

from __future__ import annotations

import shutil

from pydantic import Field

from tuner.errors import UserError
from tuner.model.shape import EncoderShape, added_parameters
from tuner.storage.folders import Place, is_remote
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign, ScalingDesign
from tuner.study.scores import Record

FLOAT32 = 4
"""Bytes of a weight; Adam's two moments of it take as many each."""
KEPT = 2
"""Checkpoints of a trial: the last and the one before; while one is written, one more."""
RECORDS, RECORDS_OF_A_TRIAL = 4_000_000, 100_000
"""Bytes of the journal and of MLflow's store beside it: at first, and for each trial."""


class DiskNeed(Record):
    """What a study takes on the disk of its storage, in bytes."""

    parameters: int = Field(description="of the largest model that the space holds")
    checkpoint_bytes: int = Field(description="of such a trial: weights and Adam's moments")
    weights_bytes: int = Field(description="of such a trial, which stay if it is among the best")
    at_once: int = Field(description="trials that run side by side")
    checkpoints_at_once: int = Field(description="of one trial, one being written among them")
    keep_best: int = Field(description="trials whose weights stay")
    peak_bytes: int = Field(description="at most at any moment, journal included")
    free_bytes: int | None = Field(description="on that disk now; None: in an object store")


def disk_need(study: StudyConfig, encoder: EncoderShape, at_once: int) -> DiskNeed:
    """What a study needs if so many of its trials run side by side."""
    trials = study.trials
    at_once = min(at_once, trials)
    match study.design:
        case None:
            keep_best = min(study.checkpoint.keep_best, trials)
        case ConfirmDesign():
            keep_best = trials  # until they have been evaluated on test
        case ScalingDesign():
            keep_best = 0  # it compares configurations, and has no best trial
    parameters = encoder.parameters + max(
        added_parameters(config.fusion, encoder.hidden_size) for config in study.corner_configs()
    )
    weights = FLOAT32 * parameters
    checkpoint = 3 * weights
    records = RECORDS + RECORDS_OF_A_TRIAL * trials
    return DiskNeed(
        parameters=parameters,
        checkpoint_bytes=checkpoint,
        weights_bytes=weights,
        at_once=at_once,
        checkpoints_at_once=KEPT + 1,
        keep_best=keep_best,
        peak_bytes=at_once * (KEPT + 1) * checkpoint + keep_best * weights + records,
        free_bytes=free_bytes(study.storage),
    )


def check_space(study: StudyConfig, encoder: EncoderShape, at_once: int) -> None:
    """Refuse a study that would fill the disk of its storage; what it has there already counts.

    Args:
        study: its settings.
        encoder: what its trials start from.
        at_once: trials that the cluster runs side by side.

    Raises:
        UserError: less is free than the study may need.
    """
    if is_remote(study.folder):
        return
    need = disk_need(study, encoder, at_once)
    if lacking := shortage(need, study.storage, used_bytes(study.folder)):
        raise lacking


def shortage(need: DiskNeed, storage: Place, used: int = 0) -> UserError | None:
    """What is wrong where less is free than a study needs beyond what it uses already."""
    more = need.peak_bytes - used
    if need.free_bytes is None or more <= need.free_bytes:
        return None
    return UserError(
        f"the study may need {in_words(more)}{' more' if used else ''} at once in {storage}, and "
        f"{in_words(need.free_bytes)} are free there",
        "Free some, give it another folder (--set storage=FOLDER), or let it need less: fewer "
        "trials at once (resources.max_concurrent_trials), weights of fewer (checkpoint.keep_best)",
    )


def free_bytes(place: Place) -> int | None:
    """What is free on the disk where a folder is, or would be; None in an object store."""
    if is_remote(place):
        return None
    existing = next(path for path in (place, *place.parents) if path.exists())
    return shutil.disk_usage(existing).free


def used_bytes(folder: Place) -> int:
    """What the files in a local folder take on its disk, as `du` counts; 0 where there is none."""
    assert not is_remote(folder)
    taken: dict[int, int] = {}  # by inode: a file of two names takes its space once
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:  # removed just now
            continue
        taken[found.st_ino] = found.st_blocks * 512
    return sum(taken.values())


def in_words(size: float) -> str:
    """Bytes as `512.0 MB` or `2.1 GB`."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
