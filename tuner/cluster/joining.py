"""Joining a Ray whose head answers, within a time limit, and the reason if that fails."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, NamedTuple, NoReturn

import ray

from tuner.cluster.address import SUBMIT
from tuner.cluster.head import LOOK_SECONDS, gcs_has_ended
from tuner.cluster.local_head import in_a_line
from tuner.cluster.private import (
    NOT_A_NODE,
    TIMED_OUT,
    TOKEN_REFUSED,
    VERSIONS_DIFFER,
    job_with_own_path,
)
from tuner.errors import UserError
from tuner.interrupts import restoring_handlers
from tuner.shown import printable

JOIN_SECONDS = 180.0
"""Time limit for joining a head that answers. Ray's own limits are usually shorter."""
MAX_ERROR_LENGTH = 500
"""Largest number of characters of an error of Ray's that a message shows."""
TOKEN = (
    "The cluster requires a token: set RAY_AUTH_MODE=token, and put the token in RAY_AUTH_TOKEN or "
    "~/.ray/auth_token; `ray get-auth-token` on the head prints it."
)


class Known(NamedTuple):
    """A head that answers and is to be joined.

    Attributes:
        address: host and port of its GCS.
        here: True if it was started on this machine for this process.
        logs: where its logs are.
        keep_logs: called if joining fails, because the error points the user to the logs.
    """

    address: str
    here: bool
    logs: str
    keep_logs: Callable[[], None]


@contextmanager
def joined(head: Known, runtime_env: dict[str, Any]) -> Iterator[None]:
    """Connect to a head's cluster as a driver for a block.

    Raises:
        UserError: Ray refuses this process or does not answer in time.
    """
    try:
        # Runs on the main thread: Ray installs a SIGTERM handler of its own, which exits.
        with restoring_handlers(), _bounded(head):
            ray.init(
                address=head.address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                job_config=job_with_own_path(),
                runtime_env=runtime_env,
            )
    except Exception as error:  # Ray's errors here have no common base class
        head.keep_logs()
        raise _refusal(head.address, error, head.logs) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _bounded(head: Known) -> Iterator[None]:
    """End this process if the block cannot succeed; it may be stuck in Ray's own code.

    It cannot succeed once it takes over JOIN_SECONDS, or once the GCS of a Ray that was started
    here has ended: Ray would try to reach it for a minute.
    """
    left = Event()

    def look() -> None:
        deadline = time.monotonic() + JOIN_SECONDS
        while not left.wait(LOOK_SECONDS):
            if head.here and gcs_has_ended(head.address):
                _end_unjoined(head, "has ended: its GCS failed or was killed", "Run it again.")
            if time.monotonic() > deadline:
                why = f"did not accept this process within {JOIN_SECONDS:.0f} s"
                _end_unjoined(head, why, "Run it again when Ray is less busy.")

    Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _end_unjoined(head: Known, why: str, remedy: str) -> NoReturn:
    head.keep_logs()
    message = f"error: Ray at {head.address} {why}\n{remedy} Ray's own logs say more: {head.logs}"
    print(printable(message), file=sys.stderr, flush=True)
    os._exit(2)


def _refusal(address: str, error: Exception, logs: str) -> UserError:
    """Return the error for a Ray that refuses this process."""
    said = in_a_line(error)
    cause = in_a_line(error.__cause__) if error.__cause__ else ""
    known, said, cause = f"{said} {cause}", said[:MAX_ERROR_LENGTH], cause[:MAX_ERROR_LENGTH]
    if any(part in known for part in TOKEN_REFUSED):
        return UserError(
            f"the Ray cluster at {address} does not accept this process's token", TOKEN
        )
    if VERSIONS_DIFFER in known:
        return UserError(
            f"the Ray cluster at {address} runs different versions: {said}",
            "Use the cluster's versions of Ray and Python here, or its image.",
        )
    if NOT_A_NODE in known:
        return UserError(f"no node of the Ray cluster at {address} runs on this machine", SUBMIT)
    if any(part in known for part in TIMED_OUT):
        return UserError(
            f"the Ray cluster at {address} did not answer in time: {said}",
            f"Run it again when the cluster is less busy. Ray's own logs say more: {logs}",
        )
    return UserError(
        f"Ray at {address} does not accept this process: {said}{f' ({cause})' if cause else ''}",
        f"Ray's own logs say more: {logs}",
    )
