"""Ray Tune as the engine of a driver: it places trials, restarts lost ones, and reports.

The adapters are thin: what runs next, who goes on and what is written is the driver's to say.
Ray's own state is thrown away after a run.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tuner.data.tokens import TokenisedCorpus
from tuner.errors import UserError
from tuner.model.encoder import PretrainedEncoder
from tuner.progress import Progress
from tuner.protocol import Protocol
from tuner.records import Evaluation
from tuner.search.driver import Driver
from tuner.search.trainable import (
    CONFIG,
    EVALUATION,
    FAILURE,
    NUMBER,
    PAIRS_SEEN,
    PHASE,
    TrialActor,
)
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the journal and our view replace Ray's
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we have our own
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class _NotPickled:
    """Ray writes its adapters to a snapshot that we never read: they go there empty."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class _Searcher(_NotPickled, Searcher):
    """Hands Ray the driver's next trial."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self._driver = driver

    def suggest(self, trial_id: str) -> Any:
        trial = self._driver.next_trial()
        if trial is None:
            return Searcher.FINISHED
        return {NUMBER: trial.number, CONFIG: trial.config.model_dump(mode="json")}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to do: the driver has decided and journalled it already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept here: the journal is the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a study is resumed from its journal, never from Ray's state")


class _Scheduler(_NotPickled, FIFOScheduler):
    """Gives the driver every result, and Ray its decision."""

    _supports_buffered_results = False

    def __init__(self, driver: Driver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._driver = driver

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        number = trial.config[NUMBER]
        if FAILURE in result:
            self._driver.trial_failed(number, result[FAILURE])
            return TrialScheduler.STOP
        if PHASE in result:
            self._driver.progressed(number, result[PAIRS_SEEN], result[PHASE])
        if EVALUATION not in result:
            return TrialScheduler.CONTINUE
        evaluation = Evaluation.model_validate_json(result[EVALUATION])
        goes_on = self._driver.evaluated(number, evaluation)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A result that says it is the last comes here, and not to `on_trial_result`."""
        self.on_trial_result(tune_controller, trial, result)


class _Watcher(_NotPickled, tune.Callback):
    """Tells the driver of starts and failures; keeps what a failed worker said in `errors`."""

    def __init__(self, driver: Driver, errors: Path) -> None:
        self._driver = driver
        self._errors = errors

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._driver.trial_started(trial.config[NUMBER])

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        number = trial.config[NUMBER]
        said = str(trial.get_error() or "the worker was lost").strip()
        self._errors.mkdir(exist_ok=True)
        path = self._errors / f"{number:04d}.txt"
        path.write_text(said + "\n", encoding="utf-8")
        self._driver.trial_failed(number, f"{said.splitlines()[-1].strip()} (see {path})")


class _Interrupt(_NotPickled, tune.Stopper):
    """Ends the run in an orderly way on the first SIGINT or SIGTERM; the second one kills."""

    def __init__(self, progress: Progress) -> None:
        self.received = False
        self._progress = progress

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False  # results of trials always reach the driver

    def stop_all(self) -> bool:
        return self.received

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Catch the signals in the block."""

        def receive(number: int, frame: FrameType | None) -> None:
            self.received = True
            self._progress.tell(
                "stopping: unfinished trials will go on from their last checkpoint (a rung, or "
                "what checkpoint.every_seconds says); Ctrl-C again stops at once"
            )
            signal.signal(number, signal.default_int_handler)

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def cluster(progress: Progress) -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS names (as in a Ray job), or start one on this machine.

    Raises:
        UserError: the cluster does not answer, or wants a token that it was not given.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    address = os.environ.get("RAY_ADDRESS") or "local"
    at = "on this machine" if address == "local" else f"at {address}"
    try:
        with progress.task(f"{'starting' if address == 'local' else 'joining'} Ray {at}"):
            ray.init(
                address=address,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={
                    "env_vars": {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
                },
            )
        held = ray.cluster_resources()  # type: ignore[no-untyped-call]
        progress.tell(f"Ray {at}: {held.get('CPU', 0):g} CPUs, {held.get('GPU', 0):g} GPUs")
    except ConnectionError as error:
        raise UserError(
            f"no Ray cluster at {address} takes us in",
            "Start it, or unset RAY_ADDRESS to run on this machine. Where it wants a token: "
            "RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token.",
        ) from error
    try:
        yield
    finally:
        with progress.task("stopping Ray" if address == "local" else "leaving Ray"):
            ray.shutdown()


def concurrency(resources: ResourcesConfig) -> int:
    """How many trials run at once: as declared, or as many as the cluster can grow to hold.

    Raises:
        UserError: not even one fits.
    """
    declared = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    present = ray.cluster_resources()  # type: ignore[no-untyped-call]
    held = {kind: max(declared.get(kind, 0), present.get(kind, 0)) for kind in ("CPU", "GPU")}
    asked = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    fits = min(int(held[kind] // amount) for kind, amount in asked.items() if amount > 0)
    if fits == 0:
        short = next(kind for kind, amount in asked.items() if amount > held[kind])
        raise UserError(
            f"a trial asks for {asked[short]:g} {short} and there are {held[short]:g}",
            f"Lower it: --set resources.{short.lower()}s_per_trial={held[short]:g}",
        )
    return min(fits, resources.max_concurrent_trials or fits)


def run(
    study: StudyConfig,
    driver: Driver,
    protocol: Protocol,
    corpus: TokenisedCorpus,
    encoder: PretrainedEncoder,
    progress: Progress,
) -> bool:
    """Run the driver's trials on the cluster until none is left.

    Returns:
        True where it was interrupted.
    """
    resources = study.resources
    trainable = tune.with_parameters(
        TrialActor, study=study, protocol=protocol, corpus=corpus, encoder=encoder
    )
    interrupt = _Interrupt(progress)
    with tempfile.TemporaryDirectory(prefix="tuner-ray-") as scratch, interrupt.installed():
        tune.Tuner(
            tune.with_resources(
                trainable, {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
            ),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(driver),
                scheduler=_Scheduler(driver),
                num_samples=-1,
                max_concurrent_trials=concurrency(resources),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=study.name,
                storage_path=scratch,
                callbacks=[_Watcher(driver, study.folder / "errors")],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # ours are enough
                failure_config=tune.FailureConfig(max_failures=resources.max_failures),
                stop=interrupt,
                verbose=0,
            ),
        ).fit()
    return interrupt.received
