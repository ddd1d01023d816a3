"""Checkpoints as they lie on the disk, and a witness of all that ever lay there."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.chaos.study import PAIRS_A_STEP, Study

LOOKS = 0.05
"""Seconds between two looks of the witness."""


@dataclass(frozen=True)
class Saved:
    """A sound checkpoint: how far, in pairs, and when it was complete (Unix time, seconds)."""

    pairs: int
    time: float


def folders(study: Study) -> dict[int, list[Path]]:
    """Checkpoints by trial, the oldest first."""
    found: dict[int, list[Path]] = {}
    for folder in sorted(study.folder.glob("trials/*/step-*")):
        found.setdefault(int(folder.parent.name), []).append(folder)
    return found


def newest_sound(study: Study) -> dict[int, Saved]:
    """The newest of each trial whose files have the sums that its manifest lists."""
    newest = {}
    for trial, saved in folders(study).items():
        for folder in saved:
            try:
                if _is_sound(folder):
                    pairs = int(folder.name.partition("-")[2]) * PAIRS_A_STEP
                    newest[trial] = Saved(pairs, folder.stat().st_ctime)  # renamed when complete
            except OSError:  # replaced by a newer one just now
                continue
    return newest


def _is_sound(folder: Path) -> bool:
    try:
        sums: dict[str, str] = json.loads((folder / "manifest.json").read_bytes())
    except ValueError:
        return False
    return all(
        hashlib.sha256((folder / name).read_bytes()).hexdigest() == sum_
        for name, sum_ in sums.items()
    )


class Witness:
    """Looks at the checkpoints of a study from beginning to end, on a thread of its own.

    Attributes:
        evaluated: when each (trial, rung) was evaluated, by the clocks of the workers that did.
            More than one time is a rung that was trained more than once.
    """

    def __init__(self, study: Study) -> None:
        self.evaluated: dict[tuple[int, int], set[float]] = {}
        self._study = study
        self._known: set[tuple[Path, float]] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(LOOKS):
            for trial, saved in folders(self._study).items():
                for folder in saved:
                    self._read(trial, folder / "progress.json")

    def _read(self, trial: int, file: Path) -> None:
        try:
            version = (file, file.stat().st_mtime)
            if version in self._known:
                return
            progress = json.loads(file.read_bytes())
        except (OSError, ValueError):  # removed, or torn
            return
        self._known.add(version)
        for evaluation in progress["evaluations"]:
            times = self.evaluated.setdefault((trial, evaluation["rung"]), set())
            times.add(evaluation["time"])
