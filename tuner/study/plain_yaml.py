"""A strict YAML reader: only mappings, lists, strings and numbers, of limited size and depth.

It is stricter than YAML: there are no tags and no dates, `no` is a string, and a duplicate key is
an error. `1e-5` is a number.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from tuner.errors import UserError

LARGEST_FILE = 2**18
"""The largest file in bytes."""
MAX_VALUES = 10_000
"""The most values in a file, with all aliases expanded."""
DEEPEST = 40
"""The deepest nesting of mappings and lists."""
MAX_ERROR_LENGTH = 300
"""The most characters shown of an error message."""
LARGEST_INTEGER = 2**63 - 1


class _Loader(yaml.SafeLoader):
    def fetch_tag(self) -> NoReturn:
        _refuse("tags (!) are not allowed: quote text that begins with !", self.get_mark())

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse("a key must be text", key.start_mark)
            if key.value in seen:
                _refuse(f"the key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = int(super().construct_yaml_int(node)) if len(node.value) < 100 else None
        if number is None or abs(number) > LARGEST_INTEGER:
            _refuse("a number is too large", node.start_mark)
        return number


_KINDS = "tag:yaml.org,2002:"
_Loader.add_constructor(f"{_KINDS}int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    f"{_KINDS}float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"),
    list("-+.0123456789"),
)
# Dates are strings, and only true and false are booleans: `no` is a language.
_Loader.yaml_implicit_resolvers = {
    first: [kind for kind in kinds if kind[0] not in (f"{_KINDS}bool", f"{_KINDS}timestamp")]
    for first, kinds in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    f"{_KINDS}bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")
)


def read(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        UserError: the file cannot be read, is too large, or is not YAML.
    """
    try:
        if path.is_fifo():  # it may never have a writer
            raise OSError(errno.EINVAL, "it is a pipe, not a file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)  # a device never ends
        text = content.decode() if len(content) <= LARGEST_FILE else ""
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}",
            "Give the path of a YAML file, for instance search_spaces/nano.yaml.",
        ) from error
    if len(content) > LARGEST_FILE:
        raise UserError(
            f"{path} is larger than {LARGEST_FILE // 1024} KiB: it is not a study",
            "Give the path of a YAML file, for instance search_spaces/nano.yaml.",
        )
    return parse(text, str(path))


def parse(text: str, where: str) -> Any:
    """Parse a YAML text.

    Args:
        text: one document.
        where: the text's name in messages.

    Raises:
        UserError: the text is not allowed YAML; the message gives the reason, and the line if
            known.
    """
    try:
        loader: Any = _Loader(text)
        node = loader.get_single_node()
        _check_extent(node)
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(
            f"{where} is not YAML: {line}{str(error.problem)[:MAX_ERROR_LENGTH]}",
            "Correct the line named above.",
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        problem = str(error).partition("\n")[0]
        raise UserError(f"{where} is not YAML: {problem}", "Correct it.") from error
    except RecursionError as error:
        raise UserError(
            f"{where} is nested too deeply", "No setting is nested that deep."
        ) from error


def _check_extent(node: yaml.Node | None) -> None:
    """Refuse aliases that expand to too many values or contain themselves, before building any."""
    known: dict[int, int] = {}

    def extent(node: yaml.Node, depth: int) -> int:
        if depth > DEEPEST:
            _refuse(f"nested more than {DEEPEST} levels deep, or in itself", node.start_mark)
        if id(node) not in known:
            parts: list[yaml.Node] = []
            if isinstance(node, yaml.SequenceNode):
                parts = node.value
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            known[id(node)] = 1 + sum(extent(part, depth + 1) for part in parts)
            if known[id(node)] > MAX_VALUES:
                _refuse(f"more than {MAX_VALUES:,} values, aliases included", node.start_mark)
        return known[id(node)]

    if node is not None:
        extent(node, 0)


def _refuse(problem: str, mark: yaml.Mark) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
