"""The versions of here are those of a job, or it is said why not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tuner.errors import UserError
from tuner.jobs.environment import compared, versions_here

HERE = {"python": "3.11.9", "ray": "2.60.0", "torch": "2.13.0+cpu", "rich": "15.0.0"}


def test_what_we_need_directly_is_compared() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = {Requirement(text).name for text in project["dependencies"]}
    assert set(versions_here()) - {"python"} == needed
    assert set(versions_here("s3://bucket")) - {"python"} == needed | {"s3fs"}


def test_the_same() -> None:
    there = {**HERE, "python": "3.11.15", "torch": "2.13.0+cu130"}
    same = compared(HERE, there)
    assert same.runtime_env == {} and "has the same versions (3 packages)" in same.summary


def test_others() -> None:
    other = compared(HERE, {**HERE, "torch": "2.12.1", "rich": None})
    assert other.runtime_env == {"pip": ["torch==2.13.0", "rich==15.0.0"]}
    assert "torch 2.13.0 (there: 2.12.1), rich 15.0.0 (there: none)" in other.summary


@pytest.mark.parametrize(
    ("name", "version"), [("python", "3.12.1"), ("ray", "2.59.0"), ("ray", None)]
)
def test_what_cannot_be_installed_for_a_job(name: str, version: str | None) -> None:
    with pytest.raises(UserError, match=f"has {name.title()} {version or 'none'}, but"):
        compared(HERE, {**HERE, name: version})
