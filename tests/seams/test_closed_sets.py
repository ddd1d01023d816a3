"""A mapping of a `Literal` has all of its members; a `match` too, which mypy checks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "tuner"
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def members(tree: ast.AST) -> list[frozenset[str]]:
    """The strings of each `Literal[...]` of two or more."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            strings = [c.value for c in ast.walk(node.slice) if isinstance(c, ast.Constant)]
            if len(strings) > 1 and all(isinstance(each, str) for each in strings):
                found.append(frozenset(map(str, strings)))
    return found


SETS = {closed for tree in TREES.values() for closed in members(tree)}


def incomplete(tree: ast.AST, sets: set[frozenset[str]]) -> list[str]:
    """Mappings that have some members of a closed set, and not all."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and len(node.keys) > 1:
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            if len(keys) == len(node.keys) and all(isinstance(key, str) for key in keys):
                named = frozenset(map(str, keys))
                if any(named < closed for closed in sets) and named not in sets:
                    wrong.append(f"line {node.lineno}: {sorted(named)}")
    return wrong


@pytest.mark.parametrize("module", TREES)
def test_mappings_are_complete(module: str) -> None:
    assert incomplete(TREES[module], SETS) == []


def test_an_incomplete_one_is_found() -> None:
    tree = ast.parse("Kind = Literal['a', 'b', 'c']\nx = {'a': 1, 'b': 2}[kind]")
    assert incomplete(tree, set(members(tree)))
