"""Helpers that several tests of this room share."""

from __future__ import annotations

from pathlib import Path

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
NANO = next(path for path in SPACES if path.name == "nano.yaml")
