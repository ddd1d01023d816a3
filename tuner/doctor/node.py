"""The probe that collects facts on a node, in a process there, without judging them.

Ray sends this module, and the one that it imports, to the nodes by value, so that it runs where a
different version of this package, or none, is installed. Everything outside the standard library
may be missing or broken there.
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

from tuner.cluster.private import session_folder

GPU_SECONDS = 120
"""Seconds for torch's import and a first kernel; a GPU driver that hangs would never answer."""
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
    """A GPU as torch sees it; `error` is empty if a product of matrices was correct."""

    name: str
    bf16: bool
    error: str


class DiskSpace(TypedDict):
    """The space of a file system in bytes."""

    path: str
    total: int
    free: int


class NodeFacts(TypedDict):
    """The facts about a node.

    Attributes:
        host: its host name.
        versions: versions of python and of packages; "" for a missing package.
        gpus: the GPUs that torch sees; empty where the probe did not look for GPUs.
        gpu_error: the reason why the probe could not look for GPUs.
        scratch: the file system where Ray keeps its files.
        shm: shared memory, for Ray's object store; None if there is none.
        token: mode of the file with the cluster's token; None if there is no such file.
        open_files: number of files that a process may open.
    """

    host: str
    versions: dict[str, str]
    gpus: list[Gpu]
    gpu_error: str
    scratch: DiskSpace
    shm: DiskSpace | None
    token: int | None
    open_files: int


class Probe:
    """Collects facts about the node on which it runs.

    Args:
        storage: the folder of the studies, or its URL; None to skip the storage.
    """

    def __init__(self, storage: str | None) -> None:
        self._storage = storage
        self._made: list[Path] = []  # folders that `write` made

    def facts(self, packages: list[str], gpus: bool) -> NodeFacts:
        """Return all facts except those about the storage.

        Args:
            packages: packages whose versions to read.
            gpus: whether to try GPUs, which takes seconds.
        """
        found, error = _gpus() if gpus else ([], "")
        shm = Path("/dev/shm")
        return NodeFacts(
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
        """Return the node's Unix time in seconds."""
        return time.time()

    def write(self, name: str) -> str:
        """Write a file into the storage, and return the error message, or ""."""
        try:
            folder = self._folder()
            if isinstance(folder, Path):
                self._made = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode())
            return ""
        except Exception as error:  # from any storage library
            return _in_short(error)

    def read(self, names: list[str]) -> dict[str, str]:
        """Read files that probes wrote, and return the errors of missing or wrong ones."""
        wrong = {}
        for name in names:
            try:
                if (self._folder() / name).read_bytes() != name.encode():
                    wrong[name] = "it holds something else"
            except Exception as error:
                wrong[name] = _in_short(error)
        return wrong

    def remove(self, name: str) -> None:
        """Remove a file that a probe wrote, if it exists."""
        try:
            (self._folder() / name).unlink()
        except Exception:  # `write` or `read` reported it
            return

    def leave(self) -> None:
        """Remove the folders that `write` made, once all files are gone."""
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # another process removed it or uses it by now
                continue

    def space(self) -> DiskSpace | None:
        """Return the storage's file system; None for an object store or after an error."""
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
    """Try GPUs in a child process, which sees all of Ray's GPUs, not only this process's."""
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
        return [], lines[-1][:200] if lines else f"python ended with exit code {said.returncode}"
    found: list[Gpu] = json.loads(said.stdout.splitlines()[-1])
    return found, ""


def _as_born() -> dict[str, str]:
    """Return the environment with CUDA_VISIBLE_DEVICES as it was before Ray chose GPUs."""
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
        if package == "tuner":  # a job's copy of it lacks pip's metadata
            return str(import_module(package).__version__)
        return version(package)
    except (PackageNotFoundError, ImportError):
        return ""


def _scratch() -> Path:
    """Return the folder of Ray's session here, or the one that Ray would use."""
    return Path(session_folder() or os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())


def _space(path: Path) -> DiskSpace:
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    usage = shutil.disk_usage(existing)
    return DiskSpace(path=str(path), total=usage.total, free=usage.free)


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
