"""Scores of evaluation sets, which the protocol reads and records hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, lt=10**15)]
"""A count of pairs, steps and the like."""
Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A frozen fact that can be written as JSON and read back equal."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scores(Record):
    """The classification scores of one evaluation set, or a mean over several."""

    accuracy: Share = Field(description="share of pairs classified correctly, 0 to 1")
    f1: Share = Field(
        description="F1 of class 1 (in PAWS-X: paraphrases) for two classes, the macro-average for "
        "more, 0 to 1"
    )
    pairs: Count = Field(description="pairs evaluated; for a mean, their sum")
