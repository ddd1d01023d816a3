"""Docstrings begin as a sentence does, and the names in them and in the docs exist."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("tuner", "tests") for path in ROOT.glob(f"{room}/**/*.py"))
MODULES = {
    folder.relative_to(ROOT).as_posix(): [path for path in SOURCES if path.parent == folder]
    for folder in sorted({path.parent for path in SOURCES})
}
"""The modules of each folder."""
DOCUMENTS = [
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cluster/*.md"))
    if path.name != "CHANGELOG.md"
]
HEADLESS = frozenset(["Of", "What", "Whether", "Where", "How", "That", "As", "Or", "Which", "None"])
"""First words of a clause without a subject."""
DOTTED = re.compile(r"\b(?:tuner|tests)(?:\.[A-Za-z_]\w*)+")
PATH = re.compile(r"(?<![\w./:<{-])(?:[\w-]+/)+[\w.-]*\w")
FOLDERS = ("tuner", "tests", "docs", "search_spaces", "benchmarks", "cluster")
ROOMS = {path.name for path in (ROOT / "tuner").iterdir() if path.is_dir()}


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of modules, classes, functions and attributes, each with its line."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            if (
                isinstance(each, ast.Expr)
                and isinstance(each.value, ast.Constant)
                and isinstance(each.value.value, str)
            ):
                yield each.lineno, each.value.value


def headless(source: str) -> list[str]:
    """Return the docstrings that begin with a headless clause: their lines and first words."""
    found = ((line, text.split()) for line, text in docstrings(ast.parse(source)))
    return [
        f"{line}: {' '.join(words[:6])} …"
        for line, words in found
        if words and words[0].rstrip(",:") in HEADLESS
    ]


@pytest.mark.parametrize("folder", MODULES)
def test_docstrings_begin_with_a_subject_or_a_verb(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{each}"
        for path in MODULES[folder]
        for each in headless(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_a_headless_docstring_is_found() -> None:
    assert headless('def f():\n    """Whether it is so."""\n\n\nX = 1\n"""Of the best."""')
    assert headless('"""The best of them, whether it is so."""') == []


def said(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings and comments of a module, each with its line."""
    source = path.read_text(encoding="utf-8")
    yield from docstrings(ast.parse(source))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def is_there(name: str) -> bool:
    """Return whether a dotted name is a module, or something that a module defines."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if path.is_dir() or module.is_file():
            if length == len(parts):
                return True
            defined = re.compile(rf"^\s*(?:def |class )?{parts[length]}\b", re.MULTILINE)
            return module.is_file() and bool(defined.search(module.read_text(encoding="utf-8")))
    return False


def keys() -> set[str]:
    """Return the strings in the code that look like names: keys of tags and of metadata."""
    return {
        node.value
        for path in SOURCES
        if path.is_relative_to(ROOT / "tuner")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if DOTTED.fullmatch(node.value)
    }


KEYS = keys()


def missing(text: str, beside: Path) -> list[str]:
    """Return the names of modules and the paths of sources in a text that do not exist.

    Args:
        text: a docstring, a comment or a document.
        beside: the folder of its file; paths may be relative to it.
    """
    names = [name for name in DOTTED.findall(text) if not name.endswith(".py")]
    wrong = [name for name in names if name not in KEYS and not is_there(name)]
    for path in PATH.findall(text):
        first, last = path.split("/")[0], path.split("/")[-1]
        of_ours = last.endswith(".py") or first in FOLDERS or (first in ROOMS and "." not in last)
        places = (ROOT, ROOT / "tuner", beside)
        forms = (path, f"{path}.py")
        if of_ours and not any((place / form).exists() for place in places for form in forms):
            wrong.append(path)
    return wrong


@pytest.mark.parametrize("folder", MODULES)
def test_names_in_docstrings_and_comments_exist(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in MODULES[folder]
        for line, text in said(path)
        for name in missing(text, path.parent)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_in_documents_exist(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_missing_name_is_found() -> None:
    text = "see `tuner.study.nowhere`, `tuner.study.trial.NOTHING`, study/nowhere.py, search/lost"
    assert len(missing(text, ROOT)) == 4
    there = (
        "see `tuner.study.trial.TrialConfig`, `tests/test_prose.py`, study/trial.py, data/sources"
    )
    assert missing(there, ROOT) == []
