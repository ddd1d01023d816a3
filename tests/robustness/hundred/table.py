"""All cases, each with a name of its own."""

from __future__ import annotations

from tests.robustness.hundred import (
    command_lines,
    folders,
    permissions,
    surroundings,
    yaml_files,
)

CASES = [
    case
    for module in (yaml_files, folders, command_lines, surroundings, permissions)
    for case in module.CASES
]
assert len({case.name for case in CASES}) == len(CASES), "two cases have one name"
