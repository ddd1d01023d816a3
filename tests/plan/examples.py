"""Helpers that several tests of this room share."""

from __future__ import annotations

from rich.console import Console

from tuner.blocks.console import show_blocks
from tuner.model.shape import EncoderShape
from tuner.plan.content import content
from tuner.plan.pace import Pace
from tuner.plan.plan import make_plan
from tuner.study import StudyConfig

SHAPE = EncoderShape(num_layers=4, hidden_size=64, parameters=1_000_000)


def printed(study: StudyConfig, pace: Pace | None, width: int = 80) -> str:
    console = Console(width=width, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        show_blocks(content(make_plan(study, pace, SHAPE), study), console)
    return console.export_text()


PACE = Pace(
    per_pair=0.01,
    per_step=0.0,
    kinds={"last": 1.0},
    per_set=0.5,
    startup=7.0,
    between=1.0,
    source="",
)
