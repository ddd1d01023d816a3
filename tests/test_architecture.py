"""Claims about the project as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.waiting import Within

ROOT = Path(__file__).parent.parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tuner/**/*.py"))

LONGER: dict[str, str] = {}
"""Modules of 300 to 450 lines, and why."""


def test_help_is_quick_and_imports_no_framework(within: Within) -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['tuner', '--help']\n"
        "try: runpy.run_module('tuner', run_name='__main__')\n"
        "finally: print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    with within(1):  # half of it on an idle machine
        help_ = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "search" in help_.stdout
    frameworks = {"datasets", "mlflow", "optuna", "ray", "torch", "transformers"}
    assert frameworks.isdisjoint(help_.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module: str) -> None:
    lines = len((ROOT / module).read_text(encoding="utf-8").splitlines())
    assert lines <= (450 if module in LONGER else 300)
    assert lines > 300 or module not in LONGER, "it is short again: take it off the list"


def test_no_module_is_a_drawer() -> None:
    drawers = re.compile(r"/(utils?|helpers?|common|misc)(\.py|/)")
    assert [module for module in MODULES if drawers.search(module)] == []


def test_the_readme_maps_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    mapped = set(re.findall(r"\btuner/[\w/]+\.py\b", readme))
    assert {module for module in MODULES if _has_code(module)} - mapped == set(), "not in the map"
    assert mapped - set(MODULES) == set(), "in the map, but gone"


def test_the_lock_pins_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        need = Requirement(text)
        assert need.specifier.contains(pins.get(canonicalize_name(need.name), "0")), (
            f"constraints.txt has no pin for {need}: make lock"
        )


def _has_code(module: str) -> bool:
    """Whether there is more in a module than its docstring."""
    body = ast.parse((ROOT / module).read_text(encoding="utf-8")).body
    return any(not isinstance(node, ast.Expr) for node in body)
