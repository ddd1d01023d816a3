"""Helpers that several tests of this room share."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console

from tuner.journal.records import Evaluation
from tuner.study.scores import Scores

CREATED = 1_700_000_000.0
Make = Callable[..., Path]


def evaluation(score: float) -> Evaluation:
    return Evaluation(
        time=0,
        rung=800,
        pairs_seen=800,
        step=25,
        objective=score,
        select={"en": Scores(accuracy=score, f1=score, pairs=5)},
        train_loss=0.1,
        pairs_per_second=1,
        train_seconds=1,
        evaluation_seconds=1,
        peak_memory_mb=1,
        micro_plan=((0, 32),),
        precision="fp32",
    )


def shown(what: Callable[[Console], Any], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    what(console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(cell_len, text.splitlines())) <= width or "--storage" in text
    return text
