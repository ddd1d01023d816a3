"""The smaller blocks of a study's YAML: their keys, types, defaults and checks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tuner.storage.location import local
from tuner.study.durations import Duration
from tuner.study.trial import Part

NANO = "nano"
"""The name of the built-in encoder."""


class EncoderConfig(Part):
    """The pre-trained multilingual encoder."""

    name: str = Field(
        "bert-base-multilingual-cased", description="hub id, local folder, or nano (built in)"
    )
    revision: str | None = Field(None, description="commit of the hub's repository; pin it")
    max_length: int = Field(128, ge=8, description="most tokens of a pair, special tokens included")

    @field_validator("name")
    @classmethod
    def _absolute(cls, name: str) -> str:
        """Make a local folder absolute, because a later resume has another working directory.

        Any other name is a repository on the hub.
        """
        if name == NANO:
            return name
        is_path = name[:1] in ("/", "~", ".") or name.count("/") > 1
        is_folder = is_path or (bool(name) and os.path.isdir(name))
        return str(local(name).absolute()) if is_folder else name

    @property
    def is_folder(self) -> bool:
        """True if `name` is a local folder, not a repository on the hub."""
        return Path(self.name).is_absolute()


class BudgetConfig(Part):
    """The study's budget."""

    trials: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="number of trials, the baseline included; with sampler.kind grid a maximum, "
        "by default the whole grid",
    )
    pairs_per_trial: int = Field(ge=1, description="full budget of a trial, in pairs")
    total_pairs: int | None = Field(
        None,
        ge=1,
        description="most pairs over all trials, repeated ones included; default: no limit",
    )
    gpu_hours: float | None = Field(
        None, gt=0, description="most GPU-hours that trials hold; default: no limit"
    )
    wall: Duration | None = Field(
        None, description="longest time that the study works, as in 90m or 1h30m; default: no limit"
    )
    confirm_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of total_pairs, gpu_hours and wall that the search leaves for confirm",
    )


class SchedulerConfig(Part):
    """ASHA (arXiv 1810.05934) over rungs in pairs."""

    kind: Literal["asha", "none"] = Field(
        "asha", description="none: every trial runs to the full budget"
    )
    variant: Literal["stopping", "promotion"] = Field(
        "stopping",
        description="what happens to a trial that is not among the best at a rung: it stops for "
        "good, or it pauses and resumes once it is",
    )
    min_pairs: int | None = Field(
        None,
        ge=1,
        description="the first rung, in pairs; default: about 1/27 of the budget, past the warm-up",
    )
    reduction_factor: int = Field(3, ge=2, description="eta: one trial in eta goes on at a rung")


class ResourcesConfig(Part):
    """The resources of one trial, and the number of trials that run at once."""

    cpus_per_trial: float = Field(1, gt=0, description="CPU cores")
    gpus_per_trial: float = Field(
        0, ge=0, description="GPUs; with a fraction, trials share one GPU"
    )
    workers: int = Field(
        1,
        ge=1,
        le=4096,
        description="data-parallel workers of a trial, which share its CPUs and GPUs evenly",
    )
    max_concurrent_trials: int | None = Field(
        None,
        ge=1,
        description="trials that run at once; default: as many as the cluster can hold at its "
        "declared maximum",
    )
    max_failures: int = Field(2, ge=0, description="restarts of a trial that failed unexpectedly")

    @model_validator(mode="after")
    def _workers_fit(self) -> Self:
        cpus, gpus, workers = self.cpus_per_trial, self.gpus_per_trial, self.workers
        if gpus > workers or (workers > 1 and gpus not in (0, workers)):
            raise ValueError(
                f"a worker trains on one GPU: gpus_per_trial must be 0 or {workers}"
                f"{' or a fraction' if workers == 1 else ''} with workers {workers}, got {gpus:g}"
            )
        if workers > 1 and cpus % workers:
            raise ValueError(
                f"workers share whole cores: cpus_per_trial must be a multiple of workers "
                f"({workers}), got {cpus:g}"
            )
        return self

    @property
    def threads(self) -> int:
        """The threads of one worker: one for each of its cores."""
        return max(1, int(self.cpus_per_trial / self.workers))


class CheckpointConfig(Part):
    """The interval of checkpoints between rungs, and the number of final weights to keep."""

    every_seconds: float = Field(
        300.0, gt=0, description="most seconds of training that an interruption may cost"
    )
    keep_best: int = Field(
        3, ge=0, description="trials whose final weights are kept: the best at the full budget"
    )


NOISE_BATCH = 8
"""Pairs in the smaller batches of the noise probe; fewer if it has few pairs."""


class DiagnosticsConfig(Part):
    """Additional measurements at rungs, which no decision reads."""

    gradient_noise: bool = Field(
        False,
        description="estimate the gradient's noise within and between languages at every rung: a "
        "diagnostic, not a critical batch size",
    )
    noise_pairs: int = Field(
        512,
        ge=2,
        description="training pairs of each kind (monolingual, cross-lingual) for the estimate at "
        "a rung; a pair costs about as much as training on it in batches of 8",
    )

    @property
    def probed_pairs(self) -> int | None:
        """The pairs of each kind that the noise probe uses at a rung; None if it is off."""
        return self.noise_pairs if self.gradient_noise else None

    def check_pairs(self, languages: int) -> None:
        """Refuse a noise probe with fewer than two pairs for a group of languages trained on.

        Raises:
            ValueError: `noise_pairs` is too small.
        """
        least = 2 * max(languages, languages * (languages - 1))
        if self.gradient_noise and self.noise_pairs < least:
            raise ValueError(
                f"diagnostics.noise_pairs must be at least {least}, two for each language and "
                f"each ordered pair of the {languages} trained on, got {self.noise_pairs}"
            )


SQLITE = "sqlite:///"
"""The start of an SQLite database's address; the file's path follows."""


class TrackingConfig(Part):
    """The MLflow store and experiment to which runs are logged."""

    uri: str | None = Field(
        None, description="address of the store; default: SQLite beside the studies"
    )
    experiment: str = Field("tuner", min_length=1, description="MLflow experiment of the runs")

    @field_validator("uri")
    @classmethod
    def _absolute(cls, uri: str | None) -> str | None:
        """Make an SQLite file's path absolute: a later resume has another working directory."""
        if uri is None or not uri.startswith(SQLITE):
            return uri
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
