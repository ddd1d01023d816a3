"""Private parts of Ray's autoscaler, its messages and its job API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from ray._common.runtime_env_uri import parse_uri
from ray._private import services
from ray._private.runtime_env import packaging
from ray.autoscaler._private.kuberay import node_provider
from ray.autoscaler.v2.instance_manager import config
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError

from tests.cluster.parts_of_ray import RAY, in_binaries
from tuner.cluster import private
from tuner.cluster.credentials import HEADER

pytestmark = pytest.mark.integration
CLUSTER = Path(__file__).parents[2] / "cluster"


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
