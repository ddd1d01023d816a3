"""Helpers that several tests of this room share."""

from __future__ import annotations

SECONDS = 120.0
