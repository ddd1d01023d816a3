"""Helpers that several tests of this room share."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.search.examples import create, run
from tuner.journal.records import Evaluation
from tuner.search.driver import Driver
from tuner.study import StudyConfig

Make = Callable[[int, float], Evaluation]


def begun(study: StudyConfig, make: Make) -> Path:
    """The folder of a study with a few trials and evaluations."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, make, stop_after=4)
    assert isinstance(study.folder, Path)
    return study.folder


def record_files(folder: Path) -> list[Path]:
    return sorted((folder / "journal").glob("*.json"))


def sealed(body: dict[str, Any]) -> bytes:
    """A record with a right checksum, whatever it says."""
    text = json.dumps(body, ensure_ascii=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


DEEP = b'{"n": 1, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
