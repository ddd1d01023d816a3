"""The verdict of `tuner.model.probe` on an encoder, and the cache that remembers it.

The user's cache keeps a verdict by the encoder's content, so that resuming does not try it again,
and by its files, so that a plan knows it without loading them. A verdict holds for the versions of
the libraries that it was found with. If the cache cannot be read or written, the encoder is tried
again.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

from tuner import __version__
from tuner.errors import UserError
from tuner.model.architectures import ENCODERS
from tuner.study import StudyConfig

REVISION = 2
"""The version of the probe; increase it when `tuner.model.probe` tries something else."""


@dataclass(frozen=True)
class Verdict:
    """The result of trying an encoder.

    Attributes:
        refused: the reason why the encoder cannot be trained; "" if it can.
        unfused: the reason why its lower layers cannot be fused with the last; "" if they can.
        packed: True if pairs of many lengths share a pass without padding.
    """

    refused: str = ""
    unfused: str = ""
    packed: bool = False

    def check(self, study: StudyConfig) -> None:
        """Refuse a study for which the encoder cannot be trained.

        Raises:
            UserError: the encoder cannot be trained at all, or a trial fuses layers that cannot be.
        """
        name = study.encoder.name
        if self.refused:
            raise UserError(
                f"the encoder {name!r} cannot be trained here: {self.refused}", ENCODERS
            )
        fusions = [config.fusion for config in study.corner_configs()]
        if self.unfused and any(fusion.layer is not None for fusion in fusions):
            raise UserError(
                f"the layers of {name!r} cannot be fused: {self.unfused}",
                "Set trial.fusion.kind to last and remove `fusion` from `space:` and `baseline:`, "
                f"or use another encoder. {ENCODERS}",
            )


def known(folder: Path, max_length: int) -> Verdict | None:
    """Return the verdict on the encoder in a folder; None if unknown, or its files have changed."""
    key = key_of_files(folder, max_length)
    return None if key is None else recall(key)


def key_of(*facts: object) -> str:
    """Return the key of a verdict: a hash of these facts and of the libraries' versions."""
    versions = [__version__, version("torch"), version("transformers")]
    return hashlib.sha256(json.dumps([REVISION, versions, *facts]).encode()).hexdigest()


def key_of_files(folder: Path, max_length: int) -> str | None:
    """Return the key of a verdict by the names, sizes and times of the encoder's files.

    Args:
        folder: the folder that holds the files.
        max_length: most tokens of a pair.

    Returns:
        The key; None if the folder cannot be read.
    """
    try:
        stats = {path.name: path.stat() for path in folder.iterdir() if path.is_file()}
    except OSError:
        return None
    files = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items())
    return key_of("files", max_length, files)


def recall(key: str) -> Verdict | None:
    """Return the verdict with this key; None if it is missing or unreadable."""
    path = _path(key)
    kinds = {field.name: type(getattr(Verdict(), field.name)) for field in fields(Verdict)}
    try:
        values = json.loads(path.read_bytes()) if path else None
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict):
        return None
    whole = {name: type(value) for name, value in values.items()} == kinds
    return Verdict(**values) if whole else None


def remember(key: str, verdict: Verdict) -> None:
    """Keep a verdict under a key, if the cache can be written."""
    path = _path(key)
    if path is None:
        return
    with suppress(OSError):  # the encoder is then tried again
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(verdict)), encoding="utf-8")
        partial.replace(path)


def _path(key: str) -> Path | None:
    """Return the file in the user's cache; None if the user has no home folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return folder / "tuner" / "encoders" / f"{key}.json"
