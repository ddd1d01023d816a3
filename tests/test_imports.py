"""Our names that code imports exist, also where neither mypy nor another test sees the code."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = sorted(ROOT.glob("benchmarks/*.py"))
DOCUMENTS = [
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"))
    if path.name != "CHANGELOG.md" and "```python" in path.read_text(encoding="utf-8")
]
FOLDERS = sorted({path.parent for path in ROOT.glob("tests/**/*.py")})
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def parsed(code: str) -> ast.AST:
    """Return the syntax tree of some code, an empty one if it is not Python."""
    try:
        return ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def blocks(text: str) -> Iterator[ast.AST]:
    """Yield the blocks of Python code in a document."""
    for code in BLOCK.findall(text):
        yield parsed(code)


def strings(code: str) -> Iterator[ast.AST]:
    """Yield the strings of a module that are code which imports our modules."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if "tuner" in node.value and "import " in node.value:
            yield parsed(node.value)


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each module of ours that a tree imports, and a name from it or an empty one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        yield from (each for each in found if each[0].split(".")[0] == "tuner")


def exists(module: str, name: str) -> bool:
    """Return whether a module exists and has a name: its own, or a module in it.

    It reads the module, since importing the libraries behind it would take seconds.
    """
    path = source(module)
    if path is None:
        return False
    return not name or name in names(path) or source(f"{module}.{name}") is not None


def source(module: str) -> Path | None:
    """Return the file of a module of ours, None if there is none."""
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def names(path: Path) -> set[str]:
    """Return the names that the code of a module binds, outside its functions and classes."""
    found = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.split(".")[0])
        waiting.extend(ast.iter_child_nodes(node))
    return found


def missing(*trees: ast.AST) -> list[str]:
    """Return the imports in some trees that cannot work."""
    imports = {each for tree in trees for each in imported(tree)}
    return [f"{module}: {name}" for module, name in sorted(imports) if not exists(module, name)]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_benchmarks_import_what_exists(path: Path) -> None:
    assert missing(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_code_in_documents_imports_what_exists(path: Path) -> None:
    assert missing(*blocks(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_code_in_strings_of_tests_imports_what_exists(folder: Path) -> None:
    wrong = {
        path.name: found
        for path in folder.glob("*.py")
        if path != Path(__file__) and (found := missing(*strings(path.read_text(encoding="utf-8"))))
    }
    assert wrong == {}


def test_missing_names_and_modules_are_found() -> None:
    (document,) = blocks("Text.\n\n```python\nfrom tuner.study import gone\n```\n")
    (code,) = strings(
        "CODE = '''\n    import tuner.gone\n    from tuner.search import parting\n'''"
    )
    assert missing(document) == ["tuner.study: gone"]
    assert missing(code) == ["tuner.gone: ", "tuner.search: parting"]
    assert missing(parsed("from tuner.study import StudyConfig, trial\nimport ray")) == []
    assert list(strings("LINE = 'import the tuner'")) != []
    assert missing(parsed("import the tuner")) == []
