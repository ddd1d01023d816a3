"""The process that starts and ends a local Ray; run by its path.

By its path, so that it can say so where `tuner` is not installed.

It leads a session of its own, and it and its children block the signals that end processes. So a
signal to the driver's process group, or to each process of its cgroup, acts on the driver alone,
which ends Ray after it has ended in order. Ray ends when this process's standard input is closed:
by the driver, or by the kernel if the driver was killed. If the driver wrote anything to it before,
Ray's folder is kept, because the driver has pointed the user to the logs.

The process writes one JSON object to its standard output: `{"address": …, "logs": …}`, or
`{"failed": …, "logs": …}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

LOOPBACK = "127.0.0.1"
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
KILL_SECONDS = 0.5
"""Seconds to wait for killed processes to end before looking for others."""
PREFIX = "ray-"
"""Prefix of the folder's name. It is short: paths of the sockets below may have 107 bytes."""
BELOW, SESSION = "r", "session"
"""Names of Ray's folders. Ray creates them with mode 0777, so they are inside a private folder."""
NOT_INSTALLED = "tuner is not installed for this Python"
SET_CHILD_SUBREAPER = 36
"""Linux's PR_SET_CHILD_SUBREAPER: orphaned descendants of this process become its children."""


def main() -> None:
    """Start Ray with the JSON in the first argument (`folder`, `cpus`, `memory`); end it later."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    asked = json.loads(sys.argv[1])
    driver, told = _ends()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=asked["folder"]))  # mode 0700
    kept = False
    try:
        if find_spec("tuner") is None:
            raise ModuleNotFoundError(NOT_INSTALLED)
        node = _started(folder, asked["cpus"], asked["memory"])
        _tell(told, address=node.gcs_address, logs=node.get_logs_dir_path())
        while os.read(driver, 1):  # until the driver closes the pipe; any byte keeps the logs
            kept = True
    except Exception as error:
        logs = next(folder.glob(f"{BELOW}/{SESSION}/logs"), None)
        kept = logs is not None
        said = " ".join(f"{type(error).__name__}: {error}".split())
        _tell(told, failed=said, logs=str(logs or ""))
    finally:
        _end_all()
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _ends() -> tuple[int, TextIO]:
    """Move the two pipes to the driver to descriptors that Ray's processes do not inherit."""
    driver, told = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return driver, os.fdopen(told, "w", encoding="utf-8")


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


def _tell(told: TextIO, **said: Any) -> None:
    try:
        print(json.dumps(said), file=told, flush=True)
    except BrokenPipeError:  # the driver has ended; the next read from its pipe returns nothing
        return


def _end_all() -> None:
    """Kill every descendant of this process; Ray's state is no longer needed."""
    import psutil  # type: ignore[import-untyped]  # Ray depends on it

    me = psutil.Process()
    while below := me.children(recursive=True):
        for process in below:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(me.children(), timeout=KILL_SECONDS)


if __name__ == "__main__":
    main()
