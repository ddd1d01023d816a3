"""Monitoring of Ray's own processes by the driver, so a study ends cleanly when they end.

Ray itself waits a minute for a lost GCS, then ends the driver with exit code 1.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from threading import Thread
from typing import Self, TypeVar

from tuner.cluster.private import raylet_socket

LOOK_SECONDS = 0.5
ANSWER_SECONDS = 2.0
"""Seconds that the GCS may take to accept a connection."""
PATIENCE = 50.0
"""Seconds without an answer after which the GCS counts as gone. Ray recovers from short network
failures. The limit is below Ray's own minute."""
LEAVE_SECONDS = 10.0
"""Seconds that the running call may take to end cleanly once Ray has ended."""

T = TypeVar("T")


class RayGone(RuntimeError):
    """The GCS or this node's raylet has ended, so nothing can run any more."""


class RayMonitor:
    """A monitor of the cluster's GCS and of this node's raylet.

    Args:
        gcs: host and port of the GCS.
        raylet: path of the raylet's socket.
        here: True if the GCS is on this machine: a refused connection then means it has ended.
    """

    def __init__(self, gcs: tuple[str, int], raylet: str, here: bool) -> None:
        self._gcs = gcs
        self._here = here
        self._failure = ""
        self._answered = time.monotonic()
        self._raylet = socket.socket(socket.AF_UNIX)  # the connection closes when the raylet ends
        with suppress(OSError):  # no raylet: `_has_closed` finds the socket unreadable
            self._raylet.settimeout(PATIENCE)
            self._raylet.connect(raylet)
        self._raylet.setblocking(False)

    @classmethod
    def joined(cls) -> Self:
        """Create a monitor of the cluster that this process has joined or started."""
        import ray

        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        here = not os.environ.get("RAY_ADDRESS")
        return cls((host.strip("[]"), int(port)), raylet_socket(), here)

    def close(self) -> None:
        """Close the connection to the raylet."""
        self._raylet.close()

    def failure(self) -> str:
        """Return which process has ended, in words; empty if both run. The result is remembered."""
        self._failure = self._failure or self._ended()
        return self._failure

    def outlives(self, call: Callable[[], T], leave: Callable[[str], None] = lambda why: None) -> T:
        """Run a call to Ray, which may hang, on a thread of its own, and return its result.

        Args:
            call: the call to make.
            leave: called with the reason when Ray has ended, so `call` can finish.

        Raises:
            RayGone: Ray has ended; `call` may still be running.
        """
        if why := self.failure():  # some calls to a dead raylet end this process
            leave(why)
            raise RayGone(why)
        called: Future[T] = Future()
        Thread(target=_call, args=(call, called), daemon=True).start()
        while not wait([called], LOOK_SECONDS).done:
            if why := self.failure():
                leave(why)
                wait([called], LEAVE_SECONDS)
                raise RayGone(why)
        if why := self.failure():  # the call may have ended because Ray did
            leave(why)
            raise RayGone(why) from called.exception()
        return called.result()

    def _ended(self) -> str:
        if self._has_closed():
            return "its raylet has ended"
        error = _refused(self._gcs)
        if error is None:
            self._answered = time.monotonic()
        elif self._here and isinstance(error, ConnectionRefusedError):
            return "its GCS has ended"
        elif time.monotonic() - self._answered >= PATIENCE:
            return "its GCS does not answer"
        return ""

    def _has_closed(self) -> bool:
        try:
            return self._raylet.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:  # the connection was never made
            return True


def gcs_has_ended(address: str) -> bool:
    """Return whether the GCS of this machine has stopped listening at `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    return isinstance(_refused((host, int(port))), ConnectionRefusedError)


def _refused(gcs: tuple[str, int]) -> OSError | None:
    """Return why a GCS accepts no connection; this process may have too many open files."""
    try:
        socket.create_connection(gcs, ANSWER_SECONDS).close()
    except OSError as error:
        return error
    return None


@contextmanager
def watched() -> Iterator[RayMonitor]:
    """Yield a monitor; if RayGone leaves the block, end the process as SIGTERM would.

    An exception would lead to the usual shutdown of Ray, which would take a minute then.
    """
    try:
        with closing(RayMonitor.joined()) as head:
            yield head
    except RayGone as gone:
        print(f"Ray has ended: {gone}", file=sys.stderr, flush=True)
        signal.raise_signal(signal.SIGTERM)
        raise


def _call(call: Callable[[], T], called: Future[T]) -> None:
    try:
        called.set_result(call())
    except BaseException as error:
        called.set_exception(error)
