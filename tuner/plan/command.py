"""The `tuner plan` command: look up, read or measure what a study's plan needs, and make it."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import replace

from tuner.cluster.address import configured_address
from tuner.cluster.capacity import Capacity
from tuner.errors import UserError
from tuner.journal.journal import read_history, studies_in
from tuner.journal.records import StudyRecord
from tuner.plan.evaluation_sets import EvaluationSets
from tuner.plan.pace import BETWEEN_SECONDS, STARTUP_SECONDS, Pace, recorded_pace
from tuner.plan.plan import (
    StudyPlan,
    calibrated,
    fit_here,
    make_plan,
    trials_at_once,
)
from tuner.plan.prices import Prices
from tuner.plan.rung_spread import rung_spreads
from tuner.progress import Progress
from tuner.run.checked import check_study
from tuner.run.machine import this_machine
from tuner.run.prior import earlier_studies
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.given import check_enqueued_fit

DRIVER_LOAD = 1.1
"""The factor by which CPU trials take longer in a study that fills the cores, because the driver,
Ray and the tracker also run on them. Measured on nano, 2 cores: 1.09 to 1.16."""


def plan_study(
    study: StudyConfig, measure: bool, progress: Progress, prices: Prices | None = None
) -> StudyPlan:
    """Plan a study, for the cluster that RAY_ADDRESS names or else for this machine.

    This function starts no study and writes nothing.

    Args:
        study: settings of the study.
        measure: time a few steps here instead of using the pace of earlier studies.
        progress: receives messages about failed look-ups.
        prices: prices of the cluster's nodes.

    Raises:
        UserError: the settings do not fit the encoder, cannot be measured here, or need more than
            the cluster can ever provide; or there are prices but no cluster.
    """
    check_enqueued_fit(study)
    earlier_studies(study)
    shape = check_study(study, progress.tell)
    capacity = _capacity(progress)
    if capacity is None and prices is not None:
        raise UserError(
            "--prices apply to a cluster's nodes, but this plan is for this machine",
            "Name the cluster with --address https://head, or with RAY_ADDRESS on its head.",
        )
    earlier = list(_records(study.storage, progress))
    recorded = recorded_pace(study, platform.platform(), earlier)
    pace = _measured(study, recorded, capacity, progress) if measure else recorded
    plan = make_plan(study, pace, shape, capacity, prices)
    return plan.model_copy(update={"spreads": rung_spreads(study, earlier)})


def _capacity(progress: Progress) -> Capacity | None:
    """Return the capacity of the named cluster; None without a cluster. This does not start Ray."""
    if configured_address() is None:
        return None
    from tuner.cluster.ray import capacity, cluster

    with cluster(progress, None, meanwhile=lambda: None):
        return capacity()


def _measured(
    study: StudyConfig, recorded: Pace | None, capacity: Capacity | None, progress: Progress
) -> Pace:
    if study.resources.workers > 1:
        raise UserError(
            f"--calibrate measures trials of one worker, but resources.workers is "
            f"{study.resources.workers}",
            "Measure with --set resources.workers=1 and one worker's CPUs and GPUs, or plan with "
            "the pace of an earlier study.",
        )
    at_once, _ = trials_at_once(study, capacity)
    processes = min(at_once, fit_here(study))
    if processes == 0:
        try:
            this_machine(study).trials_at_once(study.resources)
        except UserError as error:
            message = f"--calibrate measures on this machine: {error.problem}"
            raise UserError(message, error.remedy) from error
    from tuner.plan.calibration import calibrate  # imports torch and transformers, which are slow
    from tuner.run.prepare import prepare

    inputs = prepare(study, progress).inputs
    configs = calibrated(study)
    with progress.task(f"timing {len(configs)} configurations, {processes} in parallel"):
        observations, evaluation = calibrate(study, inputs, configs, processes)
    full = study.resources.gpus_per_trial == 0 and processes == fit_here(study)
    load = DRIVER_LOAD if full else 1.0
    return Pace.fitted(
        [replace(seen, seconds_per_pair=load * seen.seconds_per_pair) for seen in observations],
        load * evaluation / EvaluationSets.of(study).at_full,
        f"measured now, {processes} in parallel",
        recorded.startup if recorded else STARTUP_SECONDS,
        recorded.between if recorded else BETWEEN_SECONDS,
        recorded.ramp if recorded else 0.0,
        recorded.boot if recorded else 0.0,
    )


def _records(storage: Place, progress: Progress) -> Iterator[StudyRecord]:
    """Yield the records of all readable studies in the storage."""
    for folder in studies_in(storage):
        try:
            yield read_history(folder).record()
        except UserError as error:
            progress.tell(f"no speeds can be read from {folder.name}: {error.problem}")
