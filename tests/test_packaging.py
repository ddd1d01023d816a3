"""The package as others get it: its wheel, its metadata and how to cite it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tuner import DISTRIBUTION, __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"


@pytest.mark.integration
def test_the_wheel_has_all_files_and_says_that_it_is_typed(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tuner", tmp_path / "tuner", ignore=ignored)
    subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    ours = {
        path.relative_to(tmp_path).as_posix()
        for path in (tmp_path / "tuner").rglob("*")
        if path.is_file()
    }
    with ZipFile(built) as wheel:
        packed = {name for name in wheel.namelist() if not name.partition("/")[0].endswith("-info")}
        (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        fields = Parser().parsestr(wheel.read(metadata).decode())
    assert packed == ours and "tuner/py.typed" in packed
    assert (fields["Name"], fields["Version"]) == (DISTRIBUTION, __version__)
    assert fields["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in fields.get_all("Classifier", [])


def test_the_citation_has_what_its_format_asks_for() -> None:
    """The required keys of the Citation File Format 1.2.0, and facts that are ours."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "software"
    assert str(cited["version"]) == __version__ and cited["license"] == PROJECT["license"]
    assert cited["authors"] == PROJECT["authors"]
    assert set(cited["keywords"]) <= set(PROJECT["keywords"])


def required(names: Iterable[str]) -> set[str]:
    """Return the distributions that an installation of these brings, themselves included."""
    found: set[tuple[str, str]] = set()  # name and extra
    left = [Requirement(name) for name in names]
    while left:
        each = left.pop()
        name = canonicalize_name(each.name)
        for extra in ("", *each.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                with suppress(PackageNotFoundError):  # for another platform
                    below = map(Requirement, requires(name) or ())
                    left += [
                        r for r in below if not r.marker or r.marker.evaluate({"extra": extra})
                    ]
    return {name for name, _ in found}


@pytest.mark.takes_long("reads all modules, and the metadata of what is installed")
def test_what_the_package_imports_is_installed_with_it() -> None:
    """Not by chance, with what the tests or the benchmarks need besides."""
    brought = required(PROJECT["dependencies"])
    known = packages_distributions()
    missing = {
        module
        for path in (ROOT / "tuner").rglob("*.py")
        for module in imported(path.read_text(encoding="utf-8"))
        if module not in sys.stdlib_module_names and module != "tuner"
        if not brought & {canonicalize_name(name) for name in known.get(module, ())}
    }
    assert missing == set()


def imported(code: str) -> Iterator[str]:
    """Yield the top-level names of the modules that some code imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
