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

from tests.architecture import DOCUMENT, LOOSE, rooms, with_lists
from tests.waiting import Within
from tuner import DISTRIBUTION

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


@pytest.mark.parametrize("module", MODULES)
def test_text_has_an_encoding_that_no_locale_decides(module: str) -> None:
    """Files are UTF-8 everywhere, and what other programs say is read alike everywhere."""
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        named = {word.arg: ast.unparse(word.value) for word in node.keywords}
        assert "text" not in named and "universal_newlines" not in named, ast.unparse(node)
        texts = {"read_text": 0, "write_text": 1}
        kind = called.rpartition(".")[2]
        if kind in texts:
            assert "encoding" in named or len(node.args) > texts[kind], ast.unparse(node)
        elif called in ("open", "os.fdopen", "io.open") or re.fullmatch(
            r"\w*path\w*\.open", called
        ):
            binary = any("b'" in ast.unparse(mode) for mode in node.args[:2])
            assert "encoding" in named or binary, ast.unparse(node)


PRIVATE = re.compile(
    r"^ray\.(autoscaler|core|dashboard|experimental|tune\.execution)\b"
    r"|^(?!tuner\.|_)\w+(\.\w+)*\._(?!_)\w"
)
"""Parts of libraries that are not public; Ray's own list is not all underscored."""
LISTED = "tuner/cluster/private.py"


def private_parts(source: str) -> list[str]:
    """Return the private parts of libraries that a module imports or names in a string."""
    used, said = [], []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            used += [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.append(node.value)  # a docstring
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used += re.findall(r"\bray(?:\.\w+)+", node.value) * (node not in said)
    return [name for name in used if PRIVATE.search(name)]


@pytest.mark.parametrize("module", MODULES)
def test_private_parts_of_libraries_are_used_in_one_module(module: str) -> None:
    """Import contracts know libraries as a whole, so this is checked here."""
    found = private_parts((ROOT / module).read_text(encoding="utf-8"))
    assert found == [] or module == LISTED
    assert found != [] or module != LISTED


def test_a_private_part_is_found() -> None:
    for line in (
        "from ray import _private",
        "def f():\n    from ray.autoscaler.v2 import sdk",
        "import mlflow.utils._spark",
        "from optuna.samplers._tpe.sampler import x",
        "CODE = 'import ray._raylet'",
    ):
        assert len(private_parts(line)) == 1, line
    for line in (
        "from ray.tune.experiment import Trial",
        "from tuner.run.engine import _trainable",
        "_ = __file__",
    ):
        assert private_parts(line) == [], line


def test_the_architecture_lists_every_module() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_lists(text), "run python -m tests.architecture"


def test_few_modules_are_loose() -> None:
    assert len(rooms()[LOOSE]) <= 10, "eight beside __init__ and __main__"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


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


def test_what_is_installed_by_name_is_ours() -> None:
    """On PyPI, `tuner` is another project: no remedy, document or image installs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert "tuner" in _installed_by_name("`pip install -c a.txt 'tuner[s3]'`")
    assert "tuner" in _installed_by_name('"python -m pip install -c "\n    "a.txt tuner; or"')
    assert "tuner" not in _installed_by_name('pip install "/home/ray/tuner[s3]"\n\ntuner search')
    for path in _written_by_us():
        text = path.read_text(encoding="utf-8")
        assert "tuner" not in _installed_by_name(text), path
        assert not re.search(r"\b(version|requires|distribution|metadata)\(.tuner.\)", text), path


def _installed_by_name(text: str) -> list[str]:
    """The distributions that commands in a text install, paths left out."""
    joined = re.sub(r"['\"]\s*\n\s*f?['\"]", "", text)  # texts in Python go on in the next line
    words = [
        word.strip("'\"")
        for command in re.findall(r"\bpip install\b((?:(?!\n\n)[^`;&|,(){}])*)", joined)
        for word in command.split()
    ]
    return [found[0] for word in words if (found := re.match(r"\w[\w.-]*", word))]


def _written_by_us() -> list[Path]:
    """Sources and documents: everything that may tell somebody what to install."""
    folders = ("tuner", "docs", "cluster", "benchmarks", "search_spaces", ".ci")
    paths = [*ROOT.iterdir(), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    kinds = ("", ".cfg", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ".html")
    found = [path for path in paths if path.is_file() and path.suffix in kinds]
    return [path for path in found if path.name not in ("CHANGELOG.md", ".gitignore")]
