"""Private parts of Ray that start a Ray and join one."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import ray
from ray._private import ray_constants, services, utils
from ray._private.parameter import RayParams
from ray.exceptions import GetTimeoutError
from ray.job_config import JobConfig
from ray.tune.schedulers import TrialScheduler

from tests.cluster.parts_of_ray import RAY, in_binaries, in_python, run
from tuner.cluster import private
from tuner.cluster.local_ray import SETTINGS
from tuner.cluster.ray import _QUIET

pytestmark = pytest.mark.integration


def test_the_version_that_was_tested_is_installed() -> None:
    assert ray.__version__.startswith("2.60."), "raise the pin once test_private_*.py pass"


# ---- Ray Tune, without a cluster ----


def test_tune_asks_a_scheduler_whether_results_may_be_buffered() -> None:
    assert isinstance(inspect.getattr_static(TrialScheduler, "supports_buffered_results"), property)
    asks = (RAY / "tune" / "tune.py").read_text(encoding="utf-8")
    assert "if not scheduler.supports_buffered_results:" in asks


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
    assert in_binaries(private.TIMED_OUT[2])


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
