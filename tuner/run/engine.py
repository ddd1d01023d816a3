"""The engine: thin adapters through which Ray Tune places and runs a driver's trials.

The driver decides which trial runs next, which continues and what is written. Ray's own state is
thrown away after a run.
"""

from __future__ import annotations

import tempfile
import time
from math import inf
from typing import Any, assert_never

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from rich.text import Text

from tuner.cluster import private
from tuner.cluster.head import RayMonitor
from tuner.cluster.ray import concurrency
from tuner.errors import StorageFull, UserError
from tuner.interrupts import OrderlyStop
from tuner.run import messages
from tuner.run.nodes import Nodes
from tuner.run.parting import Parting
from tuner.run.requests import Requests
from tuner.run.trainable import TrialActor
from tuner.run.worker_errors import error_of, kind_of, reason_of
from tuner.run.workers import Leader, bundles
from tuner.search.driver import Driver
from tuner.search.failures import micro_size
from tuner.shown import without_secrets
from tuner.storage.access import write
from tuner.storage.folders import FULL, Place
from tuner.study import StudyConfig
from tuner.training.inputs import TrialInputs

BELIEVED_AFTER = 1.0
"""Seconds to wait before a lost worker counts as a failure of its own. When a whole job receives a
signal, or a machine shuts down, workers may be gone before the driver receives the signal."""


class _NotPickled:
    """An adapter that pickles as an empty object: Ray snapshots it but never reads it."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class _Searcher(_NotPickled, Searcher):
    """Hands the driver's next trial to Ray."""

    def __init__(self, driver: Driver, workers: int, parting: Parting) -> None:
        super().__init__()
        self._driver = driver
        self._workers = workers
        self._parting = parting

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial as a dict, FINISHED if no other will come, or None for now.

        It is also None while the run is ending, or while a running trial may have to be tried
        again.
        """
        if self._parting.begun:
            return None
        trial = self._driver.next_trial()
        if trial is None:
            return Searcher.FINISHED if self._driver.done else None
        fits = micro_size(trial, self._workers)
        start = messages.TrialStart(trial.number, trial.config, fits)
        return {messages.START: start}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: the driver has already decided and journalled the result."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the only state."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a study is resumed from its journal, never from Ray's state")


class _Scheduler(_NotPickled, FIFOScheduler):
    """Passes each result to the driver, and the driver's decision to Ray."""

    supports_buffered_results = False

    def __init__(self, driver: Driver, nodes: Nodes, parting: Parting) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._driver = driver
        self._nodes = nodes
        self._parting = parting

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the oldest waiting trial; trials for which a process is being started come last.

        The chosen trial takes over a worker that has become free, and Ray ends the process that it
        was starting for that trial. If trials end faster than a process starts, a node that has
        just joined would then never get a process ready.
        """
        controller = private.controller_of(tune_controller)
        if self._parting.begun:
            return None

        waiting = [t for t in controller.get_live_trials() if t.status == Trial.PENDING]
        waiting.sort(key=lambda t: (private.has_process(controller, t), _number(t)))
        return waiting[0] if waiting else None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if not self._goes_on(_number(trial), result):
            self._parting.rests(_number(trial))
            return TrialScheduler.STOP
        if self._parting.begun:
            self._parting.ask(private.controller_of(tune_controller), trial)
            return TrialScheduler.NOOP
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Pass on a trial's last result, which Ray sends here and not to `on_trial_result`."""
        self._goes_on(_number(trial), result)
        self._parting.rests(_number(trial))

    def _goes_on(self, number: int, result: dict[str, Any]) -> bool:
        """Pass a result to the driver; return whether the trial continues.

        A trial that ends before its first report has a result without one.
        """
        report: messages.Report | None = result.get(messages.REPORT)
        match report:
            case messages.Started():
                self._parting.trains(number)
                self._nodes.placed(number, report.nodes)
                self._driver.restored(number, report.pairs_seen)
                return True
            case messages.Heartbeat():
                return self._driver.progressed(number, report.pairs_seen, report.phase)
            case messages.AtRung():
                return self._driver.evaluated(number, report.evaluation)
            case messages.Failed():
                self._driver.progressed(number, report.pairs_seen, "training")
                self._driver.attempt_failed(number, report.kind, report.reason)
                return False
            case messages.Finished() | None:
                return True
            case _:
                assert_never(report)


class _Watcher(_NotPickled, tune.Callback):
    """Tells the driver about started trials and failed workers; keeps errors in `errors`."""

    def __init__(
        self, driver: Driver, errors: Place, parting: Parting, stop: OrderlyStop, head: RayMonitor
    ) -> None:
        self._driver = driver
        self._errors = errors
        self._parting = parting
        self._stop = stop
        self._head = head
        self._waited = -inf

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._driver.trial_started(_number(trial))

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        number = _number(trial)
        error = error_of(trial)
        kind = kind_of(error)
        self._parting.rests(number)
        if kind == "lost" and self._study_is_ending():
            return
        said = without_secrets(Text.from_ansi(str(error)).plain.strip())
        reason = reason_of(error, kind, said, private.logs_folder())
        if kind == "error":
            reason += f" ({self._keep(number, said)})"
        self._driver.attempt_failed(number, kind, reason)

    def _study_is_ending(self) -> bool:
        """Return whether a worker was lost because the whole study or Ray's head is ending.

        Such a loss is not a trial's failure. If several workers are lost at the same time, only the
        first one waits for the signal.
        """
        if time.monotonic() - self._waited > BELIEVED_AFTER:
            self._stop.wait(BELIEVED_AFTER)
            self._waited = time.monotonic()
        return self._stop.received or bool(self._head.failure())

    def _keep(self, number: int, said: str) -> str:
        """Write the whole error message to a file.

        Returns:
            A reference to the file, or the reason why it could not be written.
        """
        path = self._errors / f"{number:04d}.txt"
        try:
            write(path, f"{said}\n".encode())
        except UserError as error:
            return f"its message was not kept: {error.problem}"
        return f"see {path}"


class _Stopper(_NotPickled, tune.Stopper):
    """Ends the run when the driver or a user wants it to stop.

    Ray calls it in each round of its loop, so it also journals the cluster's nodes, and looks for
    users' requests.
    """

    def __init__(self, parting: Parting, nodes: Nodes, requests: Requests) -> None:
        self._parting = parting
        self._nodes = nodes
        self._requests = requests

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False  # so that every result of a trial reaches the driver

    def stop_all(self) -> bool:
        self._nodes.look()
        self._requests.look()
        return self._parting.over()


def _number(trial: Trial) -> int:
    """Return our number for one of Ray's trials."""
    return messages.start_in(trial.config).number


def _trainable(study: StudyConfig, inputs: TrialInputs) -> Any:
    """Return the trainable that runs a trial, with the resources it asks for.

    Arrays move to a node once, however many trials it runs.
    """
    resources = study.resources
    if resources.workers > 1:
        several = tune.with_parameters(Leader, study=study, inputs=(ray.put(inputs),))
        return tune.with_resources(several, bundles(resources))
    one = tune.with_parameters(TrialActor, study=study, inputs=inputs)
    asked = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    return tune.with_resources(one, asked)


def run(
    study: StudyConfig,
    driver: Driver,
    inputs: TrialInputs,
    stop: OrderlyStop,
    head: RayMonitor,
) -> list[str]:
    """Run the driver's trials until none is left, the driver ends the study, or `stop` is set.

    Returns:
        A complaint, in words, for each trial that could not save its progress before a stop, and
        for each request of a user that was refused.

    Raises:
        StorageFull: the disk of Ray's scratch folder is full.
    """
    private.give_trials_no_variables()  # some are secrets; with any, no idle process fits a trial
    nodes = Nodes(driver.note, head)
    parting = Parting(driver, stop)
    requests = Requests(study.folder, driver)
    with tempfile.TemporaryDirectory(prefix="tuner-ray-") as scratch:
        tuner = tune.Tuner(
            _trainable(study, inputs),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(driver, study.resources.workers, parting),
                scheduler=_Scheduler(driver, nodes, parting),
                num_samples=-1,
                max_concurrent_trials=concurrency(study.resources),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=study.name,
                storage_path=scratch,
                callbacks=[_Watcher(driver, study.folder / "errors", parting, stop, head)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # we write ours
                failure_config=tune.FailureConfig(max_failures=0),  # the driver retries trials
                stop=_Stopper(parting, nodes, requests),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise StorageFull(scratch) from error
            if driver.outcome is None:
                raise
    return parting.complaints + requests.complaints
