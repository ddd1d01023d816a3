"""The errors that Ray raises if it refuses a driver, and the message that the user sees."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from ray._private import services, utils
from ray._private.authentication import authentication_constants as authentication
from ray.exceptions import AuthenticationError, RpcError

from tuner.cluster import joining
from tuner.cluster.address import SUBMIT
from tuner.errors import UserError

pytestmark = pytest.mark.integration

AT = "10.0.0.1:6379"
LATER = "Run it again when the cluster is less busy. Ray's own logs say more: /logs"
LOGS = "Ray's own logs say more: /logs"


def fails(error: Exception) -> Callable[[], None]:
    def raise_() -> None:
        raise error

    return raise_


def no_connection(last: str) -> Callable[[], None]:
    """Raise it as `ray.init` does: with a traceback, where a function's name has "timeout"."""

    def raise_() -> None:
        frames = "".join(
            f'  File "python/ray/includes/common.pxi", line {number}, in ray._raylet.'
            "check_status_timeout_as_rpc_error\n    client = GcsClient(\n             ^^^^^^^^^^\n"
            for number in range(10)
        )
        told = f"Traceback (most recent call last):\n{frames}ray.exceptions.{last}\n"
        cause = RuntimeError(f"Failed to connect to GCS. Last connection error: {told}")
        raise ConnectionError(f"Failed to connect to Ray cluster at {AT}") from cause

    return raise_


def no_node_here() -> None:
    services.get_node_to_connect_for_driver(None, AT, timeout_seconds=0)  # type: ignore[no-untyped-call]


def other_versions() -> None:
    utils.check_version_info({"ray_version": "1.0", "python_version": "3.6.1"}, "here", True)  # type: ignore[no-untyped-call]


def no_node_in_time() -> None:
    services.wait_for_node(AT, "socket", timeout=0)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("raises", "said", "remedy"),
    [
        (
            fails(AuthenticationError(authentication.TOKEN_INVALID_ERROR_MESSAGE)),
            "does not accept this process's token",
            joining.TOKEN,
        ),
        (
            fails(
                AuthenticationError(
                    authentication.TOKEN_AUTH_ENABLED_BUT_NO_TOKEN_FOUND_ERROR_MESSAGE
                )
            ),
            "does not accept this process's token",
            joining.TOKEN,
        ),
        (other_versions, "runs different versions: RuntimeError: .*Ray: 1.0", "Use the cluster's"),
        (no_node_here, f"no node of the Ray cluster at {AT} runs on this machine", SUBMIT),
        (no_node_in_time, "did not answer in time: TimeoutError: Timed out after 0 s", LATER),
        (fails(RpcError("RPC error: Deadline Exceeded", rpc_code=4)), "not answer in time", LATER),
        (
            no_connection("RpcError: RPC error: Deadline Exceeded"),
            r"not answer in time: ConnectionError: Failed to connect to Ray cluster at 10\.0\.0",
            LATER,
        ),
        (
            no_connection("AuthenticationError: RPC error: InvalidAuthToken: it is incorrect"),
            "does not accept this process's token",
            joining.TOKEN,
        ),
        (
            no_connection("RpcError: RPC error: failed to connect to all addresses"),
            r"\(RuntimeError: Failed to connect to GCS\. Last connection error: "
            r"ray\.exceptions\.RpcError: RPC error: failed to connect to all addresses\)$",
            LOGS,
        ),
        (fails(ValueError("of\nanother\nkind")), "process: ValueError: of another kind$", LOGS),
    ],
)
def test_each_reason_has_a_remedy_of_its_own(
    raises: Callable[[], None], said: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining.ray, "init", lambda **options: raises())
    kept: list[str] = []
    with (
        pytest.raises(UserError) as refused,
        joining.joined(joining.Known(AT, False, "/logs", lambda: kept.append("logs")), {}),
    ):
        raise AssertionError("it is in")
    assert kept == ["logs"], "they are to be read"
    assert re.search(said, refused.value.problem)
    assert refused.value.remedy.startswith(remedy) and "\n" not in refused.value.problem
    assert AT in refused.value.problem
