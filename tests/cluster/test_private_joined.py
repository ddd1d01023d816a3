"""Private parts of Ray in a cluster that this process has joined, and in Ray Tune."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import ray
from ray import tune
from ray.exceptions import AuthenticationError
from ray.tune.execution import class_cache
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from rich.console import Console

from tests.cluster.parts_of_ray import in_binaries, run
from tuner.cluster import private
from tuner.cluster.ray import GROUP, cluster
from tuner.run.worker_errors import error_of
from tuner.terminal.progress import ConsoleProgress

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def joined() -> Iterator[None]:
    """A Ray that was started and joined as a study does it; its workers know no tests."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        handler = signal.getsignal(signal.SIGTERM)
        with cluster(ConsoleProgress(Console(quiet=True)), None, meanwhile=lambda: None):
            yield
        signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("joined")
def test_the_node_of_this_process() -> None:
    assert (private.logs_folder() / "raylet.out").exists()
    assert Path(private.raylet_socket()).is_socket()
    folder = private.session_folder()
    assert folder is not None and private.logs_folder().is_relative_to(folder)
    assert ray.get_runtime_context().get_node_id() in private.node_ids_here()
    assert private.dashboard() == "", "a local Ray has none"


def test_a_process_without_ray_has_no_session() -> None:
    code = "import sys; from tuner.cluster.private import session_folder\n"
    asked = run(code + "print(session_folder(), 'ray' in sys.modules)")
    assert asked.stdout.split() == ["None", "False"], asked.stderr


@pytest.mark.usefixtures("joined")
def test_a_head_needs_processes_of_these_names() -> None:
    """They are children of the process that starts them."""
    heads = psutil.Process().children()
    assert any({each.name() for each in head.children()} >= {*private.NEEDED} for head in heads)


@pytest.mark.usefixtures("joined")
def test_nodes_are_described_with_what_is_read() -> None:
    (node,) = ray.nodes()  # type: ignore[no-untyped-call]
    assert node["Alive"] and node["NodeManagerAddress"] == "127.0.0.1"
    assert node["NodeID"] == ray.get_runtime_context().get_node_id()
    assert node["Resources"][private.HEAD_RESOURCE] and node["Resources"]["CPU"]
    assert node["Resources"]["object_store_memory"] > 2**20
    assert isinstance(node["Labels"], dict)
    assert in_binaries(GROUP), "the label that names a node's type"


@pytest.mark.usefixtures("joined")
def test_the_store_keeps_values_for_members_and_for_clients() -> None:
    address = ray.get_runtime_context().gcs_address
    client = private.store(address)
    private.put("tuner-test", "value")
    assert private.get("tuner-test") == b"value"
    assert client.internal_kv_get(b"tuner-test", None) == b"value"
    client.internal_kv_del(b"tuner-test", False, None)
    assert private.get("tuner-test") is None
    private.put("tuner-test", "again")
    private.delete("tuner-test")
    assert client.internal_kv_get(b"tuner-test", None) is None


@pytest.mark.usefixtures("joined")
def test_the_store_refuses_who_has_no_token() -> None:
    address = ray.get_runtime_context().gcs_address
    code = private.ASK_STORE.replace("sys.argv[1]", repr(address))
    assert run(code).returncode == 0
    refused = run(code, RAY_AUTH_MODE="disabled")
    assert refused.returncode != 0 and "nauthenticated" in refused.stderr


@pytest.mark.usefixtures("joined")
def test_a_wrong_token_is_refused_in_known_words() -> None:
    address = ray.get_runtime_context().gcs_address
    code = f"import ray; ray.init({address!r})"
    refused = run(code, RAY_AUTH_TOKEN="another")
    assert refused.returncode != 0
    assert any(part in refused.stderr for part in private.TOKEN_REFUSED), refused.stderr
    assert private.TOKEN_REFUSED[0] in str(AuthenticationError("no"))


class Leaving:
    """An actor that writes to its standard error and exits by itself."""

    def process(self) -> int:
        print("last words", file=sys.stderr, flush=True)
        return os.getpid()

    def leave(self) -> None:
        sys.exit(3)


@pytest.mark.usefixtures("joined")
def test_a_worker_leaves_its_exit_code_its_process_and_its_standard_error() -> None:
    actor: Any = ray.remote(Leaving).remote()
    process = ray.get(actor.process.remote())
    with pytest.raises(ray.exceptions.RayActorError) as gone:
        ray.get(actor.leave.remote())
    told = str(gone.value)
    assert not gone.value.actor_init_failed and not gone.value.preempted
    (code,), (named,) = private.EXIT_CODE.findall(told), private.PROCESS_ID.findall(told)
    assert code.startswith("3") and int(named) == process
    (file,) = private.logs_folder().glob(private.STANDARD_ERROR.format(process=process))
    assert "last words" in file.read_text(encoding="utf-8")


class Trainable(tune.Trainable):
    """Reports forever, and answers a call."""

    def step(self) -> dict[str, Any]:
        return {"seen": self.iteration}

    def keep(self) -> str:
        return "kept"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True


class Failing(Trainable):
    """Reports once, then its process exits."""

    def step(self) -> dict[str, Any]:
        if self.iteration:
            sys.exit(3)
        return super().step()


class Scheduler(FIFOScheduler):
    """Calls a method of each trial after its first report, then stops it."""

    supports_buffered_results = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.said: list[Any] = []
        self.processes: list[bool] = []

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        controller = private.controller_of(tune_controller)
        self.processes.append(private.has_process(controller, trial))
        if self.said:
            return TrialScheduler.STOP
        private.call(controller, trial, "keep", lambda trial, said: self.said.append(said))
        return TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        for trial in (controller := private.controller_of(tune_controller)).get_live_trials():
            if trial.status == Trial.PENDING:
                self.processes.append(private.has_process(controller, trial))
                return trial
        return None

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class Stopper(tune.Stopper):
    """Counts the rounds of Tune's loop."""

    rounds = 0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self.rounds += 1
        return False

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class Watcher(tune.Callback):
    """Reads the error of each trial, as Ray keeps it."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.errors.append(error_of(trial))

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


@pytest.fixture
def tuned(tmp_path: Path) -> Callable[..., tuple[Scheduler, Stopper, Watcher]]:
    """Runs one trial of a trainable with Ray Tune."""

    def fit(trainable: type[Trainable]) -> tuple[Scheduler, Stopper, Watcher]:
        scheduler, stopper, watcher = Scheduler(), Stopper(), Watcher()
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path), callbacks=[watcher], stop=stopper, verbose=0
            ),
        ).fit()
        return scheduler, stopper, watcher

    return fit


@pytest.mark.usefixtures("joined")
def test_a_scheduler_knows_the_processes_of_trials_and_calls_them(
    tuned: Callable[..., tuple[Scheduler, Stopper, Watcher]],
) -> None:
    scheduler, stopper, _ = tuned(Trainable)
    assert scheduler.said == ["kept"]
    assert scheduler.processes[0] is False and scheduler.processes[-1] is True
    assert stopper.rounds > 2, "it is asked in each round, whether a trial reports or not"


@pytest.mark.usefixtures("joined")
def test_the_error_of_a_trial_is_kept_in_a_file(
    tuned: Callable[..., tuple[Scheduler, Stopper, Watcher]],
) -> None:
    _, _, watcher = tuned(Failing)
    (error,) = watcher.errors
    assert isinstance(error, ray.exceptions.RayActorError)
    assert private.PROCESS_ID.search(str(error)), str(error)


def test_other_errors_are_kept_as_text(tmp_path: Path) -> None:
    trial = Trial("Trainable", stub=True)
    trial.init_local_path = lambda: None  # type: ignore[method-assign]
    type_ = type("Here", (Trial,), {"local_path": str(tmp_path)})
    trial.__class__ = type_
    trial.handle_error(tune.TuneError("no memory"))
    assert str(error_of(trial)).strip() == "no memory"


def test_trials_get_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def remote(**options: Any) -> Callable[[Any], Any]:
        given.append(options["runtime_env"]["env_vars"])
        return lambda trainable: trainable

    monkeypatch.setattr(class_cache.ray, "remote", remote)
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", set(ENV_VARS_TO_PROPAGATE))
    monkeypatch.setattr(class_cache, "DEFAULT_ENV_VARS", dict(class_cache.DEFAULT_ENV_VARS))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    class_cache._ActorClassCache().get(Trainable)
    private.give_trials_no_variables()
    class_cache._ActorClassCache().get(Trainable)
    assert given[0]["AWS_SECRET_ACCESS_KEY"] == "secret" and given[1] == {}
