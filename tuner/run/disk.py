"""The disk space that a study needs at most, and the check that it is free."""

from __future__ import annotations

import shutil

from pydantic import Field

from tuner.errors import UserError
from tuner.model.shape import EncoderShape, added_parameters
from tuner.storage.folders import Place, is_remote
from tuner.study import StudyConfig
from tuner.study.design import CANDIDATES, CONTROLS, ConfirmDesign, ScalingDesign
from tuner.study.scores import Record

FLOAT32 = 4
"""Bytes of a weight; each of its two Adam moments takes as many."""
KEPT = 2
"""Checkpoints kept per trial: the last two. While one is being written there is one more."""
RECORDS, RECORDS_OF_A_TRIAL = 4_000_000, 100_000
"""Bytes of the journal and of MLflow's store beside it: a fixed part, and a part per trial."""


class DiskNeed(Record):
    """The space that a study takes on the disk of its storage, in bytes."""

    parameters: int = Field(description="parameters of the largest model in the space")
    checkpoint_bytes: int = Field(
        description="checkpoint of a trial of that model: weights and Adam's moments"
    )
    weights_bytes: int = Field(description="its final weights, kept if it is among the best")
    at_once: int = Field(description="trials that run side by side")
    checkpoints_at_once: int = Field(
        description="checkpoints of one trial, the one being written included"
    )
    keep_best: int = Field(description="trials whose weights are kept")
    resting: int = Field(
        description="most trials that keep a checkpoint while they rest, since they may continue"
    )
    peak_bytes: int = Field(description="most bytes at any moment, journal included")
    free_bytes: int | None = Field(
        description="free bytes on that disk now; None in an object store"
    )


def disk_need(study: StudyConfig, encoder: EncoderShape, at_once: int) -> DiskNeed:
    """Return the space that a study needs if `at_once` of its trials run side by side."""
    trials = study.trials
    at_once = min(at_once, trials)
    match study.design:
        case None:
            keep_best = min(study.checkpoint.keep_best, trials)
        case ConfirmDesign() as design:  # until they have been evaluated on test
            keep_best = trials
            if design.estimating:
                keep_best -= len(design.arms) * len(design.seeds)
        case ScalingDesign():
            keep_best = 0  # a scaling study compares configurations and has no best trial
    parameters = encoder.parameters + max(
        added_parameters(config.fusion, encoder.hidden_size) for config in study.corner_configs()
    )
    resting = 0
    if study.scheduler.kind == "asha":
        pauses = study.scheduler.variant == "promotion"
        resting = trials - at_once if pauses else CANDIDATES + len(CONTROLS)
        resting = min(resting, trials - at_once)
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
        resting=resting,
        peak_bytes=(at_once * (KEPT + 1) + resting) * checkpoint + keep_best * weights + records,
        free_bytes=free_bytes(study.storage),
    )


def check_space(study: StudyConfig, encoder: EncoderShape, at_once: int) -> None:
    """Refuse a study that would fill the disk of its storage.

    The files that the study already has there count towards its need.

    Args:
        study: the study's settings.
        encoder: the shape of the encoder that its trials start from.
        at_once: number of trials that the cluster runs side by side.

    Raises:
        UserError: the free space is less than the study may need.
    """
    if is_remote(study.folder):
        return
    need = disk_need(study, encoder, at_once)
    if lacking := shortage(need, study.storage, used_bytes(study.folder)):
        raise lacking


def shortage(need: DiskNeed, storage: Place, used: int = 0) -> UserError | None:
    """Return an error if a study needs more than is free, beyond the `used` bytes it already has.

    None if the space suffices, or the storage is an object store.
    """
    more = need.peak_bytes - used
    if need.free_bytes is None or more <= need.free_bytes:
        return None
    return UserError(
        f"the study may need {in_words(more)}{' more' if used else ''} at once in {storage}, but "
        f"{in_words(need.free_bytes)} are free there",
        "Free some space, choose another folder (--set storage=FOLDER), run fewer trials at once "
        "(resources.max_concurrent_trials), or keep weights of fewer trials (checkpoint.keep_best)",
    )


def free_bytes(place: Place) -> int | None:
    """Return the free bytes on the disk where a folder is or would be; None in an object store."""
    if is_remote(place):
        return None
    existing = next(path for path in (place, *place.parents) if path.exists())
    return shutil.disk_usage(existing).free


def used_bytes(folder: Place) -> int:
    """Return the bytes that a local folder's files take on disk, as `du` counts; 0 if missing."""
    assert not is_remote(folder)
    taken: dict[int, int] = {}  # by inode: a file with two names takes its space once
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:  # another process has just removed it
            continue
        taken[found.st_ino] = found.st_blocks * 512
    return sum(taken.values())


def in_words(size: float) -> str:
    """Format bytes as `512.0 MB` or `2.1 GB`."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
