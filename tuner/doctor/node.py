"""What is looked at on each node, by a process there: facts, no judgement.

Sent to the nodes by value, so that it runs where another version of this package is installed, or
none: of what is not in the standard library everything may be missing or broken there.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

GPU_SECONDS = 120
"""For torch's import and a first kernel; a driver that hangs would never answer."""
GPU_CODE = """
import json, torch
found = []
for index in range(torch.cuda.device_count()):
    gpu = {"name": torch.cuda.get_device_name(index), "bf16": False, "error": ""}
    try:
        gpu["bf16"] = torch.cuda.get_device_capability(index) >= (8, 0)
        kind = torch.bfloat16 if gpu["bf16"] else torch.float32
        ones = torch.ones(256, 256, dtype=kind, device=f"cuda:{index}")
        total = (ones @ ones).float().sum().item()
        gpu["error"] = "" if total == 256.0**3 else f"256 x 256 ones multiplied add up to {total}"
    except Exception as error:
        gpu["error"] = str(error).strip().splitlines()[0][:200]
    found.append(gpu)
print(json.dumps(found))
"""


class Gpu(TypedDict):
    """A GPU as torch sees it; `error` is empty where a product of matrices came out right."""

    name: str
    bf16: bool
    error: str


class Space(TypedDict):
    """A file system; bytes."""

    path: str
    total: int
    free: int


class Facts(TypedDict):
    """What a node is.

    Attributes:
        host: its name.
        versions: of python and of packages; "" of one that is not there.
        gpus: those that torch sees; empty where none was looked for.
        gpu_error: why none could be looked for.
        scratch: where Ray keeps its files.
        shm: shared memory, for Ray's object store; None: there is none.
        token: mode of the file with the cluster's token; None: there is no such file.
        open_files: that a process may have.
    """

    host: str
    versions: dict[str, str]
    gpus: list[Gpu]
    gpu_error: str
    scratch: Space
    shm: Space | None
    token: int | None
    open_files: int


class Probe:
    """Looks at the node where it lives.

    Args:
        storage: the folder of the studies, or its URL; None: it is not looked at.
    """

    def __init__(self, storage: str | None) -> None:
        self._storage = storage
        self._made: list[Path] = []  # folders that were not there

    def facts(self, packages: list[str], gpus: bool) -> Facts:
        """Everything but the storage.

        Args:
            packages: whose versions are wanted.
            gpus: whether GPUs are tried, which takes seconds.
        """
        found, error = _gpus() if gpus else ([], "")
        shm = Path("/dev/shm")
        return Facts(
            host=socket.gethostname(),
            versions={"python": platform.python_version()} | {p: _version(p) for p in packages},
            gpus=found,
            gpu_error=error,
            scratch=_space(_scratch()),
            shm=_space(shm) if shm.is_dir() else None,
            token=_token_mode(),
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )

    def now(self) -> float:
        """What the node's clock says. Unix time, seconds."""
        return time.time()

    def write(self, name: str) -> str:
        """Write a file into the storage: what went wrong, or nothing."""
        try:
            folder = self._folder()
            if isinstance(folder, Path):
                self._made = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode())
            return ""
        except Exception as error:  # of any library that reaches a storage
            return _in_short(error)

    def read(self, names: list[str]) -> dict[str, str]:
        """Read such files: what went wrong with each that is not there and right."""
        wrong = {}
        for name in names:
            try:
                if (self._folder() / name).read_bytes() != name.encode():
                    wrong[name] = "it holds something else"
            except Exception as error:
                wrong[name] = _in_short(error)
        return wrong

    def remove(self, name: str) -> None:
        """Remove such a file, where it is."""
        try:
            (self._folder() / name).unlink()
        except Exception:  # it was told by `write` or `read`
            return

    def leave(self) -> None:
        """Remove the folders that were made for it, once all files are gone."""
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # others made it too and removed it, or are at work there by now
                continue

    def space(self) -> Space | None:
        """Of the storage; None of an object store, and of what cannot be looked at."""
        assert self._storage is not None
        if "://" in self._storage:
            return None
        try:
            return _space(Path(self._storage))
        except OSError:
            return None

    def _folder(self) -> Any:
        assert self._storage is not None
        if "://" not in self._storage:
            return Path(self._storage)
        from upath import UPath

        return UPath(self._storage, use_listings_cache=False)


def _gpus() -> tuple[list[Gpu], str]:
    """In a process of its own: it must see the GPUs that Ray hands out, not those that we got."""
    code = [sys.executable, "-P", "-c", GPU_CODE]
    try:
        said = subprocess.run(
            code,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=GPU_SECONDS,
            env=_as_born(),
        )
    except subprocess.TimeoutExpired:
        return [], f"torch did not answer within {GPU_SECONDS} s"
    except OSError as error:
        return [], _in_short(error)
    if said.returncode:
        lines = said.stderr.strip().splitlines()
        return [], lines[-1][:200] if lines else f"python ended with {said.returncode}"
    found: list[Gpu] = json.loads(said.stdout.splitlines()[-1])
    return found, ""


def _as_born() -> dict[str, str]:
    """The environment that Ray started this process with, before it chose GPUs for it."""
    environment = dict(os.environ)
    try:
        born = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return environment
    kept = [line for line in born if line.startswith(b"CUDA_VISIBLE_DEVICES=")]
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if kept:
        environment["CUDA_VISIBLE_DEVICES"] = os.fsdecode(kept[0].partition(b"=")[2])
    return environment


def _version(package: str) -> str:
    try:
        if package == "tuner":  # it may come with a job, without what pip writes beside it
            return str(import_module(package).__version__)
        return version(package)
    except (PackageNotFoundError, ImportError):
        return ""


def _scratch() -> Path:
    """The folder of Ray's session here; where Ray is not at work, where it would be."""
    worker: Any = sys.modules.get("ray._private.worker")
    node = worker._global_node if worker else None
    folder = node.get_session_dir_path() if node else os.environ.get("RAY_TMPDIR")
    return Path(folder or tempfile.gettempdir())


def _space(path: Path) -> Space:
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    usage = shutil.disk_usage(existing)
    return Space(path=str(path), total=usage.total, free=usage.free)


def _token_mode() -> int | None:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    try:
        path = Path(named or Path.home() / ".ray" / "auth_token").expanduser()
        return path.stat().st_mode & 0o777
    except (OSError, RuntimeError):
        return None


def _in_short(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())[:200]
