"""Each part of Ray that `tuner.cluster.private` uses is where it was and means what it meant."""

from __future__ import annotations

import ast
import inspect
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import ray
import requests
from ray import tune
from ray._common.runtime_env_uri import parse_uri
from ray._private import ray_constants, services, utils
from ray._private.parameter import RayParams
from ray._private.runtime_env import packaging
from ray.autoscaler._private.kuberay import node_provider
from ray.autoscaler.v2.instance_manager import config
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, AuthenticationError, GetTimeoutError
from ray.job_config import JobConfig
from ray.tune.execution import class_cache
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from rich.console import Console

from tuner.cluster import private
from tuner.cluster.credentials import HEADER
from tuner.cluster.local_ray import SETTINGS
from tuner.cluster.ray import _QUIET, GROUP, cluster
from tuner.run.worker_errors import error_of
from tuner.terminal.progress import ConsoleProgress

pytestmark = pytest.mark.integration

RAY = Path(ray.__file__).parent
CLUSTER = Path(__file__).parents[2] / "cluster"
BINARIES = (RAY / "_raylet.so", RAY / "core" / "src" / "ray" / "raylet" / "raylet")
SECONDS = 120.0


def test_the_version_that_was_tested_is_installed() -> None:
    assert ray.__version__.startswith("2.60."), "raise the pin once this file passes"


def in_binaries(text: str) -> bool:
    """Return whether Ray's compiled code has a text."""
    for path in BINARIES:
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if whole.find(text.encode()) >= 0:
                return True
    return False


def in_python(text: str, *places: str) -> bool:
    """Return whether Ray's Python files in these places have a text."""
    paths = (path for place in places for path in sorted((RAY / place).rglob("*.py")))
    return any(text in path.read_text(encoding="utf-8") for path in paths)


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


# ---- a cluster that this process has joined ----


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


# ---- Ray Tune, without a cluster ----


def test_tune_asks_a_scheduler_whether_results_may_be_buffered() -> None:
    assert isinstance(inspect.getattr_static(TrialScheduler, "supports_buffered_results"), property)
    asks = (RAY / "tune" / "tune.py").read_text(encoding="utf-8")
    assert "if not scheduler.supports_buffered_results:" in asks


def test_variables_that_are_taken_out_reach_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def remote(**options: Any) -> Callable[[Any], Any]:
        given.append(options["runtime_env"]["env_vars"])
        return lambda trainable: trainable

    monkeypatch.setattr(class_cache.ray, "remote", remote)
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", set(ENV_VARS_TO_PROPAGATE))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    class_cache._ActorClassCache().get(Trainable)
    private.keep_from_trials("AWS_")
    class_cache._ActorClassCache().get(Trainable)
    assert [each.get("AWS_SECRET_ACCESS_KEY") for each in given] == ["secret", None]


# ---- starting and joining ----


def test_an_address_is_understood_as_by_ray() -> None:
    assert private.head_address("10.1.2.3:6379") == "10.1.2.3:6379"
    assert private.head_address("local") is None


def test_a_job_keeps_the_drivers_path_to_itself() -> None:
    """Ray's worker puts the driver's folders into the list; they are not sent."""
    assert "job_config._py_driver_sys_path.extend(" in inspect.getsource(ray._private.worker)
    plain, own = JobConfig(), private.job_with_own_path()
    for job in (plain, own):
        job._py_driver_sys_path.append("/a/strange/folder")
    assert b"strange" in plain._serialize() and b"strange" not in own._serialize()


def test_a_head_takes_the_parameters_that_it_is_given() -> None:
    """Those that the call in `local_head` names."""
    source = Path(private.__file__).with_name("local_head.py").read_text(encoding="utf-8")
    (call,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "start_head"
    )
    given = {word.arg for word in call.keywords}
    assert "include_log_monitor" in given
    assert given <= inspect.signature(RayParams).parameters.keys()


def test_memory_is_shared_as_by_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < private.system_memory() <= psutil.virtual_memory().total
    monkeypatch.setattr(utils, "get_shared_memory_bytes", lambda: 10**12)
    share = ray_constants.DEFAULT_OBJECT_STORE_MEMORY_PROPORTION
    assert private.object_store_share(10**10) == pytest.approx(share * 10**10)
    assert private.object_store_share(1) == ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES


def test_the_environment_is_read_again() -> None:
    code = """
import os
from ray._raylet import AuthenticationTokenLoader, Config
from tuner.cluster.private import read_environment_again

def read():
    token = AuthenticationTokenLoader.instance().get_raw_token(ignore_auth_mode=True)
    print(token, Config.max_grpc_message_size())

read()
os.environ |= {"RAY_AUTH_TOKEN": "b" * 32, "RAY_max_grpc_message_size": "222222"}
read()
read_environment_again()
read()
"""
    variables = {"RAY_AUTH_TOKEN": "a" * 32, "RAY_max_grpc_message_size": "111111"}
    asked = run(code, **variables)
    before, same, after = asked.stdout.splitlines() or [asked.stderr] * 3
    assert before == same == f"{'a' * 32} 111111"
    assert after == f"{'b' * 32} 222222"


def test_this_machine_is_the_loopback() -> None:
    code = """
from ray._private.services import get_node_ip_address
from tuner.cluster.private import on_loopback
with on_loopback():
    print(get_node_ip_address())
import ray._private.ray_constants as constants
print(constants.ENABLE_RAY_CLUSTER)
"""
    asked = run(code, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="1")
    assert asked.stdout.split() == ["127.0.0.1", "True"], asked.stderr


def test_refusals_have_the_known_words() -> None:
    with pytest.raises(RuntimeError, match=private.VERSIONS_DIFFER):
        utils.check_version_info({"ray_version": "0", "python_version": "3"}, "here")
    with pytest.raises(RuntimeError, match=private.NOT_A_NODE):
        services.get_node_to_connect_for_driver(None, timeout_seconds=0)
    assert in_binaries(f"T{private.TIMED_OUT[0]} while waiting for %s to become available")
    assert private.TIMED_OUT[1] in GetTimeoutError.__name__


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "tune/utils"),
        ("TUNE_DISABLE_SIGINT_HANDLER", "tune"),
        ("RAY_AIR_NEW_OUTPUT", "tune/experimental"),
        ("RAY_USAGE_STATS_ENABLED", "_common/usage"),
        ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "_private"),
    ],
)
def test_variables_that_are_set_are_read(name: str, place: str) -> None:
    assert name in _QUIET | SETTINGS
    assert in_python(f'"{name}"', place)


def test_every_variable_that_is_set_is_looked_for() -> None:
    assert len(_QUIET | SETTINGS) == 5


# ---- the autoscaler ----


@pytest.mark.parametrize("second", [False, True])
def test_the_autoscalers_process_is_called_with_its_logs_and_its_file(
    second: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def start(command: list[str], *rest: Any, **options: Any) -> None:
        called.append(command)

    monkeypatch.setattr(services, "start_ray_process", start)
    services.start_monitor("h:1", str(tmp_path), autoscaling_config="/a.yaml", autoscaler_v2=second)
    (command,) = called
    assert private.MONITOR_LOGS + str(tmp_path) in command
    assert private.MONITOR_CONFIG + "/a.yaml" in command
    assert any(word.endswith(private.MONITORS) for word in command)


def test_the_autoscalers_logger_is_that_of_its_modules() -> None:
    assert config.logger.name.startswith(f"{private.AUTOSCALER_LOG}.")


def test_limits_are_read_from_a_file_and_from_kubernetes() -> None:
    listed = private.limits_in_file(str(CLUSTER / "aws.yaml"))
    assert listed.get_max_num_worker_nodes() == 8 and listed.get_idle_timeout_s() == 300
    assert listed.get_head_node_type() in listed.get_node_type_configs()
    pod = {"spec": {"containers": [{"resources": {"limits": {"cpu": "4", "memory": "8Gi"}}}]}}
    group = {"groupName": "gpu", "minReplicas": 0, "maxReplicas": 6, "template": pod}
    spec = {
        "headGroupSpec": {"rayStartParams": {}, "template": pod},
        "workerGroupSpecs": [{**group, "rayStartParams": {}}],
    }
    resource = {"metadata": {"name": "study", "namespace": "team"}, "spec": spec}
    worker = private.limits_in_kuberay(resource).get_node_type_configs()["gpu"]
    assert (worker.max_worker_nodes, worker.resources["CPU"], worker.priority) == (6, 4, 0)


def test_kubernetes_answers_or_raises_an_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(url: str, **options: Any) -> requests.Response:
        asked.append(url)
        answer = requests.Response()
        answer.status_code, answer._content = (200, b'{"a": 1}') if len(asked) < 2 else (403, b"")
        return answer

    monkeypatch.setattr(node_provider, "load_k8s_secrets", lambda: ({}, "", None))
    monkeypatch.setattr(node_provider.requests, "get", get)
    assert private.kubernetes("team", "rayclusters/study") == {"a": 1}
    assert asked[0].endswith("/namespaces/team/rayclusters/study")
    with pytest.raises(OSError, match="403"):
        private.kubernetes("team", "rayclusters/study")


# ---- messages and the job API ----


def test_errors_of_memory_have_the_known_words() -> None:
    assert in_binaries(private.LOW_ON_MEMORY)
    assert in_binaries("%sGB used / %sGB limit")
    found = private.MEMORY_USED.search("was 15.2GB used / 16.00GB limit (0.95)")
    assert found is not None and found.groups() == ("15.2", "16.00")


def test_an_actors_error_names_its_process() -> None:
    context = ActorDiedErrorContext(pid=4711, actor_id=b"\0" * 16, error_message="gone")
    assert private.PROCESS_ID.findall(str(ActorDiedError(context))) == ["4711"]


def test_the_job_api_has_its_paths_words_and_variables() -> None:
    jobs = RAY / "dashboard" / "modules" / "job"  # its import warns
    routes = (jobs / "job_head.py").read_text(encoding="utf-8")
    store = private.PACKAGES.replace("/gcs/", "/{protocol}/").replace("{name}", "{package_name}")
    for method in ("get", "put"):
        assert f'@routes.{method}("{store}")' in routes
    assert f'"{private.FOLLOW.replace("{id}", "{job_or_submission_id}")}"' in routes
    assert private.NO_AGENT in routes
    supervisor = (jobs / "job_supervisor.py").read_text(encoding="utf-8")
    assert f'f"{private.ENTRY}{{' in supervisor
    assert f'"{private.STOP_SIGNAL}"' in supervisor and f'"{private.STOP_WAIT}"' in supervisor


def test_packages_are_named_and_limited_as_by_ray() -> None:
    assert private.PACKAGE_PREFIX == packaging.RAY_PKG_PREFIX
    assert private.PACKAGE_LIMIT == packaging.GCS_STORAGE_MAX_SIZE
    _, name = parse_uri(f"gcs://{private.PACKAGE_PREFIX}0123.zip")
    assert name == f"{private.PACKAGE_PREFIX}0123.zip"


def test_an_upload_that_fails_quotes_no_more_than_the_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(packaging.RAY_RUNTIME_ENV_FAIL_UPLOAD_FOR_TESTING_ENV_VAR, "1")
    with pytest.raises(RuntimeError) as failed:
        packaging._store_package_in_gcs("gcs://a.bin", HEADER + b"secret")
    (line,) = (each for each in str(failed.value).splitlines() if private.CONTENT_QUOTED in each)
    quoted = HEADER[: private.QUOTED_BYTES]
    assert repr(quoted) in line and b"secret" not in quoted
    assert len(HEADER) >= private.QUOTED_BYTES
