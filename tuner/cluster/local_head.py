"""The process that starts and ends a local Ray; run by its path.

It is run by its path, so that it can report an error even where `tuner` is not installed.

It leads a session of its own, and it and its children block the signals that end processes. So a
signal to the driver's process group, or to each process of its cgroup, acts on the driver alone,
which ends Ray after it has ended cleanly. Ray ends when this process's standard input is closed:
by the driver, or by the kernel if the driver was killed. If the driver wrote anything to it before,
Ray's folder is kept, because the driver has pointed the user to the logs.

The process writes one JSON object to its standard output: `{"address": …, "logs": …}`, or
`{"failed": …, "logs": …}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

LOOPBACK = "127.0.0.1"
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
LOOK_SECONDS = 0.5
"""Seconds between two looks at Ray's processes while Ray starts."""
KILL_SECONDS = 0.5
"""Seconds to wait for killed processes to end before looking for others."""
PREFIX = "ray-"
"""Prefix of the folder's name. It is short: paths of the sockets below may have 107 bytes."""
BELOW, SESSION = "r", "session"
"""Names of Ray's folders. Ray creates them with mode 0777, so they are inside a private folder."""
NOT_INSTALLED = "tuner is not installed for this Python"
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?: .*\n)+")
"""A traceback without its last line; Ray's messages contain whole ones."""
SET_CHILD_SUBREAPER = 36
"""Linux's PR_SET_CHILD_SUBREAPER: orphaned descendants of this process become its children."""


def main() -> None:
    """Start Ray with the JSON in the first argument (`folder`, `cpus`, `memory`); end it later."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    asked = json.loads(sys.argv[1])
    driver, pipe = _ends()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=asked["folder"]))  # mode 0700
    kept = False
    try:
        if find_spec("tuner") is None:
            raise ModuleNotFoundError(NOT_INSTALLED)
        with _watched(pipe, folder):
            node = _started(folder, asked["cpus"], asked["memory"])
        _tell(pipe, address=node.gcs_address, logs=node.get_logs_dir_path())
        while os.read(driver, 1):  # until the driver closes the pipe; any byte keeps the logs
            kept = True
    except Exception as error:
        kept = bool(_logs(folder))
        _tell(pipe, failed=in_a_line(error), logs=_logs(folder))
    finally:
        _end_all(os.getpid())
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(pipe: TextIO, folder: Path) -> Iterator[None]:
    """End this process if Ray's GCS or raylet ends in the block; Ray would wait a minute for them.

    A process of its own watches them, because Ray's code may block all threads of this one.
    """
    head, watcher = os.getpid(), os.fork()
    if watcher == 0:
        _watch(head, pipe, folder)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(watcher, signal.SIGKILL)
        os.waitpid(watcher, 0)


def _watch(head: int, pipe: TextIO, folder: Path) -> None:
    """Watch the processes that a head starts, and end the head with all of them if one ends."""
    import psutil  # type: ignore[import-untyped]

    from tuner.cluster.private import NEEDED

    needed: dict[psutil.Process, str] = {}
    with suppress(psutil.NoSuchProcess):  # the head has ended
        ours = psutil.Process(head)
        while os.getppid() == head:
            time.sleep(LOOK_SECONDS)
            needed |= {each: name for each in ours.children() if (name := each.name()) in NEEDED}
            for process, name in needed.items():
                if _has_ended(process):
                    ours.suspend()  # so it starts nothing new
                    failed = f"{name} has ended while Ray was starting"
                    _tell(pipe, failed=failed, logs=_logs(folder))
                    _end_all(head)
                    ours.kill()
                    return


def _logs(folder: Path) -> str:
    """Return the folder of Ray's logs; empty if Ray has not created it yet."""
    return str(next(folder.glob(f"{BELOW}/{SESSION}/logs"), ""))


def _ends() -> tuple[int, TextIO]:
    """Move the two pipes to the driver to descriptors that Ray's processes do not inherit."""
    driver, pipe = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return driver, os.fdopen(pipe, "w", encoding="utf-8")


def _started(folder: Path, cpus: int, memory: int | None) -> Any:
    """Start Ray's node as `ray.init` does, without the parts that a local study does not need.

    If `memory` is None, Ray detects the memory itself.
    """
    from tuner.cluster.private import start_head

    share = None if memory is None else shares(memory)
    return start_head(
        node_ip_address=LOOPBACK,
        num_cpus=cpus,
        memory=share and share[0],
        object_store_memory=share and share[1],
        temp_dir=str(folder / BELOW),
        session_name=SESSION,
        dashboard_agent_listen_port=0,  # any free port: another Ray may use 52365
        include_dashboard=False,
        include_log_monitor=False,
        no_monitor=True,
    )


def shares(limit: int) -> tuple[int, int]:
    """Divide `limit` bytes into memory for trials and for Ray's object store.

    The store has Ray's default size: Ray refuses a store of more than 10 GB that /dev/shm cannot
    hold, and one below its minimum.
    """
    from tuner.cluster.private import object_store_share, system_memory

    memory = min(limit, system_memory())
    store = object_store_share(memory)
    return max(0, memory - store), store


def in_a_line(error: BaseException) -> str:
    """Return an error's type and message on one line; of a traceback in it, only the last line."""
    return " ".join(TRACEBACK.sub("", f"{type(error).__name__}: {error}").split())


def _tell(pipe: TextIO, **said: Any) -> None:
    try:
        print(json.dumps(said), file=pipe, flush=True)
    except BrokenPipeError:  # the driver has ended; the next read from its pipe returns nothing
        return


def _end_all(head: int) -> None:
    """Kill every descendant of the head except this process; Ray's state is no longer needed."""
    import psutil

    def alive() -> list[Any]:
        below = psutil.Process(head).children(recursive=True)
        return [each for each in below if each.pid != os.getpid() and not _has_ended(each)]

    while below := alive():
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(below, timeout=KILL_SECONDS)


def _has_ended(process: Any) -> bool:
    """Return whether a process has ended, even if its parent has not waited for it yet."""
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    main()
