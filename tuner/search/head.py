"""Ray's own processes, looked at from the driver: a study ends in order where they have ended.

Ray itself waits a minute for a GCS that has gone, and then ends the driver with exit code 1.
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
from typing import Any, Self, TypeVar

LOOK_SECONDS = 0.5
ANSWER_SECONDS = 2.0
"""How long the GCS may take to accept a connection."""
PATIENCE = 50.0
"""Seconds without a GCS after which it counts as gone: a network may fail for a moment, and Ray
comes back from that. Less than the minute of Ray's own."""
LEAVE_SECONDS = 10.0
"""What is under way may take to end in order, once Ray has gone."""

T = TypeVar("T")


class RayGone(RuntimeError):
    """The GCS or this node's raylet has ended: nothing can be run any more."""


class Head:
    """The GCS of the cluster, and the raylet of this node.

    Args:
        gcs: its host and port.
        raylet: its socket.
        here: whether the GCS is on this machine: where nobody listens there, it has ended.
    """

    def __init__(self, gcs: tuple[str, int], raylet: str, here: bool) -> None:
        self._gcs = gcs
        self._here = here
        self._gone = ""
        self._answered = time.monotonic()
        self._raylet = socket.socket(socket.AF_UNIX)  # its end closes the connection
        with suppress(OSError):  # it is not there: nothing can be read, either
            self._raylet.settimeout(PATIENCE)
            self._raylet.connect(raylet)
        self._raylet.setblocking(False)

    @classmethod
    def joined(cls) -> Self:
        """Of the cluster that this process has joined, or started here."""
        import ray
        from ray._private.worker import global_worker

        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        node: Any = global_worker.node
        here = not os.environ.get("RAY_ADDRESS")
        return cls((host.strip("[]"), int(port)), node.raylet_socket_name, here)

    def close(self) -> None:
        """Look no more."""
        self._raylet.close()

    def gone(self) -> str:
        """Which of them has ended; empty where both are there. Once gone, it stays so."""
        self._gone = self._gone or self._ended()
        return self._gone

    def outlives(self, call: Callable[[], T], leave: Callable[[str], None] = lambda why: None) -> T:
        """What a call to Ray returns; it is made on a thread of its own, which may hang.

        Args:
            call: what to do.
            leave: called with the reason where Ray has gone: `call` should come to its end.

        Raises:
            RayGone: Ray has ended, and `call` with it or not.
        """
        if why := self.gone():  # some calls to a raylet that has gone end this process
            leave(why)
            raise RayGone(why)
        called: Future[T] = Future()
        Thread(target=_call, args=(call, called), daemon=True).start()
        while not wait([called], LOOK_SECONDS).done:
            if why := self.gone():
                leave(why)
                wait([called], LEAVE_SECONDS)
                raise RayGone(why)
        if why := self.gone():  # it may have come to its end by that
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
        except OSError:  # it was not there to begin with
            return True


def gcs_has_ended(address: str) -> bool:
    """Return whether nobody listens any more where a GCS of this machine did, as `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    return isinstance(_refused((host, int(port))), ConnectionRefusedError)


def _refused(gcs: tuple[str, int]) -> OSError | None:
    """Return why a GCS takes no connection; this process may have too many open files."""
    try:
        socket.create_connection(gcs, ANSWER_SECONDS).close()
    except OSError as error:
        return error
    return None


@contextmanager
def watched() -> Iterator[Head]:
    """The head, for a block that ends the process as a signal would where Ray ends.

    Not by an exception: to leave Ray, as is done at the end of all, would take a minute then.
    """
    try:
        with closing(Head.joined()) as head:
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
