"""The process that starts a local Ray and ends it; run by its path, without `tuner`.

It is the leader of a session of its own and blocks the signals that end processes, as all that it
starts does: whoever signals the driver's process group, or each process of its cgroup, reaches the
driver alone, which ends Ray when it has ended in order. Ray ends when this process's standard input
is closed: by the driver, or by the kernel where the driver was killed. Its folder is kept where
anything was written to it before: the driver has named the logs to somebody.

It writes one JSON object to its standard output: `{"address": …, "logs": …}`, or
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
NEEDED = ("gcs_server", "raylet")
"""Names of the processes without which Ray does not start."""
LOOK_SECONDS = 0.5
KILL_SECONDS = 0.5
"""For processes that were killed to be gone, before others are looked for."""
PREFIX = "ray-"
"""Of the folder's name. Short: paths of sockets below it may have 107 bytes."""
BELOW, SESSION = "r", "session"
"""Ray opens its own folders for all (mode 0777): they lie in one that nobody else can enter."""
NOT_INSTALLED = "tuner is not installed for this Python"
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?: .*\n)+")
"""Ray puts tracebacks into its messages."""
SET_CHILD_SUBREAPER = 36
"""Linux's PR_SET_CHILD_SUBREAPER: orphans below this process become its children."""


def main() -> None:
    """Start Ray with what the first argument says, as JSON: `folder`, `cpus`, `memory`."""
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
        with _watched(told, folder):
            node = _started(folder, asked["cpus"], asked["memory"])
        _tell(told, address=node.gcs_address, logs=node.get_logs_dir_path())
        while os.read(driver, 1):  # its end is waited for; where anything is sent, logs are kept
            kept = True
    except Exception as error:
        kept = bool(_logs(folder))
        _tell(told, failed=in_a_line(error), logs=_logs(folder))
    finally:
        _end_all(os.getpid())
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(told: TextIO, folder: Path) -> Iterator[None]:
    """End this process where Ray's GCS or raylet ends in the block: Ray waits a minute for them.

    Another process looks, for Ray's own code may keep this one from running any thread.
    """
    head, watcher = os.getpid(), os.fork()
    if watcher == 0:
        _watch(head, told, folder)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(watcher, signal.SIGKILL)
        os.waitpid(watcher, 0)


def _watch(head: int, told: TextIO, folder: Path) -> None:
    import psutil  # type: ignore[import-untyped]  # Ray has it

    needed: dict[psutil.Process, str] = {}
    with suppress(psutil.NoSuchProcess):  # the head has ended
        ours = psutil.Process(head)
        while os.getppid() == head:
            time.sleep(LOOK_SECONDS)
            needed |= {each: name for each in ours.children() if (name := each.name()) in NEEDED}
            for process, name in needed.items():
                if _has_ended(process):
                    ours.suspend()  # so that nothing new is started
                    failed = f"{name} has ended while Ray was starting"
                    _tell(told, failed=failed, logs=_logs(folder))
                    _end_all(head)
                    ours.kill()
                    return


def _logs(folder: Path) -> str:
    """Return the folder of Ray's logs; empty where Ray has not come so far as to make it."""
    return str(next(folder.glob(f"{BELOW}/{SESSION}/logs"), ""))


def _ends() -> tuple[int, TextIO]:
    """The two pipes to the driver, under numbers that no process of Ray's inherits."""
    driver, told = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return driver, os.fdopen(told, "w", encoding="utf-8")


def _started(folder: Path, cpus: int, memory: int | None) -> Any:
    """Ray's node, as `ray.init` starts it, less what a local study has no use for.

    Where `memory` is None, Ray looks by itself.
    """
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    share = None if memory is None else shares(memory)
    params = RayParams(
        node_ip_address=LOOPBACK,
        num_cpus=cpus,
        memory=share and share[0],
        object_store_memory=share and share[1],
        temp_dir=str(folder / BELOW),
        session_name=SESSION,
        dashboard_agent_listen_port=0,  # any: 52365 may be another Ray's
        include_dashboard=False,
        include_log_monitor=False,  # type: ignore[arg-type]  # annotated as text
        no_monitor=True,
    )
    # Not at exit: all of its processes are ended here.
    return Node(params, head=True, shutdown_at_exit=False, spawn_reaper=True, ray_init_cluster=True)


def shares(limit: int) -> tuple[int, int]:
    """Bytes for trials, and for objects that processes share, where so many are allowed in all.

    The store is as Ray sizes it by itself: it refuses one of more than 10 GB that /dev/shm does not
    hold, and one of less than its minimum.
    """
    from ray._common.utils import get_system_memory
    from ray._private.ray_constants import OBJECT_STORE_MINIMUM_MEMORY_BYTES
    from ray._private.utils import resolve_object_store_memory

    memory = min(limit, get_system_memory())
    store = max(OBJECT_STORE_MINIMUM_MEMORY_BYTES, resolve_object_store_memory(memory))
    return max(0, memory - store), store


def in_a_line(error: BaseException) -> str:
    """Its kind and its message, and of a traceback in that what it ends with."""
    return " ".join(TRACEBACK.sub("", f"{type(error).__name__}: {error}").split())


def _tell(told: TextIO, **said: Any) -> None:
    try:
        print(json.dumps(said), file=told, flush=True)
    except BrokenPipeError:  # the driver has gone: the next read of its end says so too
        return


def _end_all(head: int) -> None:
    """Kill every process below the head but this one: Ray's state is not needed any more."""
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
    """Return whether a process has ended, though its parent may not have asked how."""
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    main()
