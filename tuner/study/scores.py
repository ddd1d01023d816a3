"""Scores of evaluation sets: what the protocol reads and what records hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, lt=10**15)]
"""Of pairs, steps and the like."""
Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A frozen fact that can be written as JSON and read back equal."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scores(Record):
    """How well one evaluation set (or a mean of several) was classified."""

    accuracy: Share = Field(description="share of pairs classified right, 0 to 1")
    f1: Share = Field(
        description="F1 of class 1 (in PAWS-X: paraphrases) where there are two classes, of more "
        "the macro-average, 0 to 1"
    )
    pairs: Count = Field(description="pairs evaluated; of a mean, their sum")
