"""The lists of modules in docs/architecture.md: `python -m tests.architecture` writes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
LOOSE = "Loose modules"
_LIST = re.compile(r"\n\n(- `[^\n]*\n?)+")


def rooms() -> dict[str, list[Path]]:
    """Modules by the room they are in; those in none are loose. Empty ones are left out."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "tuner").rglob("*.py")):
        within = path.relative_to(ROOT / "tuner").parts
        if has_code(path):
            found.setdefault(within[0] if len(within) > 1 else LOOSE, []).append(path)
    return found


def has_code(path: Path) -> bool:
    """Return whether a module has more than its docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not isinstance(node, ast.Expr) for node in body)


def line(path: Path) -> str:
    """A module and the first line of its docstring."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return f"- `{path.relative_to(ROOT).as_posix()}`: {said.splitlines()[0]}"


def with_lists(text: str) -> str:
    """The document with the lists that the code has now.

    Raises:
        AssertionError: a room has no paragraph, or a paragraph no room.
    """
    modules = rooms()
    before, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    written = []
    for section in sections:
        name, _, said = section.partition("\n")
        assert name in modules, f"docs/architecture.md describes {name}, which is not in tuner/"
        listed = "\n".join(line(path) for path in modules.pop(name))
        written.append(f"## {name}\n{_LIST.sub('', said).strip()}\n\n{listed}\n")
    assert not modules, f"docs/architecture.md does not describe {', '.join(modules)}"
    return before + "\n".join(written)


if __name__ == "__main__":
    DOCUMENT.write_text(with_lists(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
