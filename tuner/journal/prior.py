"""Trials of earlier studies that a study's journal holds for its sampler."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tuner.study.scores import Record


class PriorTrial(Record):
    """A trial of an earlier study, from which the sampler learns."""

    study: str = Field(description="name of the earlier study")
    number: int
    params: dict[str, Any] = Field(description="where it lies in this study's space")
    values: dict[int, float] = Field(description="the objective at each rung, in pairs")
    diverged: bool = Field(False, description="True if it could not be trained")
