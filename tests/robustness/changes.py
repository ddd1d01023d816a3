"""Changes that break a folder with a study."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path


def file(name: str, content: str | bytes | None) -> Callable[[Path], None]:
    """Replaces a file; None removes it."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        if content is not None:
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def configured(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = folder / ENCODER / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | values))

    return change


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def moved(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)

    return change


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


ENCODER = "models/nano"
