"""Where a study's pairs come from: the `data:` block."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tuner.config import Part


class DataConfig(Part):
    """Where the pairs come from."""

    source: Literal["nano", "directory"] = Field(
        description="nano: the built-in artificial languages; directory: the official PAWS-X layout"
    )
    path: Path | None = Field(None, description="the folder, where source is directory")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @model_validator(mode="after")
    def _path_where_needed(self) -> Self:
        if (self.source == "directory") != (self.path is not None):
            raise ValueError("data.path belongs to data.source: directory, and is needed there")
        return self
