"""Joining a Ray whose head answers: within a time, or with a reason why not."""

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
from ray.job_config import JobConfig

from tuner.errors import UserError
from tuner.interrupts import kept
from tuner.search.address import SUBMIT
from tuner.search.head import LOOK_SECONDS, gcs_has_ended
from tuner.search.local_head import in_a_line
from tuner.shown import printable

JOIN_SECONDS = 180.0
"""For this process to be let in by a head that answers. Ray's own limits mostly end it before."""
LONGEST = 500
"""Characters of what Ray says that are shown."""
TOKEN = (
    "The cluster wants a token: RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or "
    "~/.ray/auth_token; `ray get-auth-token` on the head prints it."
)


class _OwnPath(JobConfig):
    """A job whose workers import from where Python does by itself.

    Ray would let them import from the driver's current folder first, and a `tuner.py` or `torch.py`
    of the user's that lies there would end each of them.
    """

    def _serialize(self) -> str:
        self._py_driver_sys_path = []
        return super()._serialize()


class Known(NamedTuple):
    """A head that answered, before it is joined.

    Attributes:
        address: of its GCS.
        here: whether it was started here, for this process.
        logs: where its logs are.
        keep_logs: called where it is not joined, and the logs are to be read.
    """

    address: str
    here: bool
    logs: str
    keep_logs: Callable[[], None]


@contextmanager
def joined(head: Known, runtime_env: dict[str, Any]) -> Iterator[None]:
    """Be a driver of the cluster of a head, for a block."""
    try:
        # On the main thread: Ray puts in a handler of its own for SIGTERM, which exits.
        with kept(), _bounded(head):
            ray.init(
                address=head.address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                job_config=_OwnPath(),
                runtime_env=runtime_env,
            )
    except Exception as error:  # Ray has no base class for what may go wrong here
        head.keep_logs()
        raise _refusal(head.address, error, head.logs) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _bounded(head: Known) -> Iterator[None]:
    """End this process where the block, which may be stuck in Ray's own code, cannot succeed.

    That is where it takes too long, or where a GCS that was started here has ended: Ray would try
    to reach it for a minute.
    """
    left = Event()

    def look() -> None:
        deadline = time.monotonic() + JOIN_SECONDS
        while not left.wait(LOOK_SECONDS):
            if head.here and gcs_has_ended(head.address):
                _end_unjoined(head, "has ended: its GCS was killed or failed", "Run it again.")
            if time.monotonic() > deadline:
                told = f"did not let this process in within {JOIN_SECONDS:.0f} s"
                _end_unjoined(head, told, "Run it again when less is going on there.")

    Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _end_unjoined(head: Known, why: str, remedy: str) -> NoReturn:
    head.keep_logs()
    told = f"error: Ray at {head.address} {why}\n{remedy} Ray's own logs say more: {head.logs}"
    print(printable(told), file=sys.stderr, flush=True)
    os._exit(2)


def _refusal(address: str, error: Exception, logs: str) -> UserError:
    """What is said where Ray does not let this process in."""
    said = in_a_line(error)
    cause = in_a_line(error.__cause__) if error.__cause__ else ""
    known, said, cause = f"{said} {cause}", said[:LONGEST], cause[:LONGEST]
    if "oken" in known or "UNAUTHENTICATED" in known or "nauthenticated" in known:
        return UserError(f"the Ray cluster at {address} does not take this process's token", TOKEN)
    if "ersion mismatch" in known:
        return UserError(
            f"the Ray cluster at {address} runs other versions: {said}",
            "Use the cluster's versions of Ray and Python here, or its image.",
        )
    if "No node info found" in known:
        return UserError(f"no node of the Ray cluster at {address} runs on this machine", SUBMIT)
    if any(words in known for words in ("imed out", "imeout", "Deadline Exceeded")):
        return UserError(
            f"the Ray cluster at {address} did not answer in time: {said}",
            f"Run it again when less is going on there. Ray's own logs say more: {logs}",
        )
    return UserError(
        f"Ray at {address} does not let this process in: {said}{f' ({cause})' if cause else ''}",
        f"Ray's own logs say more: {logs}",
    )
