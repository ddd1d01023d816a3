"""A study's YAML: read safely, overridden by `--set`, validated, its mistakes explained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tuner.config import FIELDS
from tuner.errors import UserError, nearest
from tuner.study import StudyConfig
from tuner.study.data import SOURCES


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `1e-5` is a number and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"),
    list("-+.0123456789"),
)
# Only true and false are booleans: `no` is a language.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")
)


def load_study(path: Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read and validate a study's YAML.

    Args:
        path: the file.
        overrides: `key=value` as of `--set`; the key is a dotted path, the value YAML.

    Raises:
        UserError: the file is missing, is no YAML, or says something that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}",
            "Give the path of a YAML file, for instance search_spaces/nano.yaml.",
        ) from error
    settings = _parse(text, str(path))
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no mapping of settings", "See search_spaces/nano.yaml.")
    for override in overrides:
        _override(settings, override)
    return validate_study(settings, str(path))


def validate_study(settings: dict[str, Any], where: str) -> StudyConfig:
    """A StudyConfig of plain settings.

    Raises:
        UserError: with every complaint, each naming its key.
    """
    try:
        return StudyConfig.model_validate(settings)
    except ValidationError as error:
        complaints = "\n".join(f"  {_complaint(item)}" for item in error.errors())
        raise UserError(
            f"{where} is not a valid study:\n{complaints}",
            "Correct these keys in the file or in --set.",
        ) from error


def reopened_study(settings: Mapping[str, Any], folder: Path) -> StudyConfig:
    """The settings that a study began with, in the folder where it stands now.

    Raises:
        UserError: this version no longer accepts them.
    """
    return validate_study({**settings, "storage": folder.absolute().parent}, str(folder))


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{where} is not YAML: {error}", "Correct the line named above.") from error


def _override(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    path = _path(key.strip())
    if not equals or not value.strip() or not all(path):
        raise UserError(
            f"--set takes key=value, got {override!r}", "For instance: --set budget.trials=8"
        )
    if key.strip() in FIELDS:
        raise UserError(
            f"--set {key.strip()}: this is a setting of trials, not of the study",
            f"Fix it in every trial with --set trial.{override}, or vary it in the space.",
        )
    block = settings
    for part in path[:-1]:
        block = block.setdefault(part, {})
        if not isinstance(block, dict):
            raise UserError(f"--set {key}: {part} is a value, not a block", "Name a key inside it.")
    block[path[-1]] = _parse(value, f"--set {key}")
    varied = settings.get("space")
    if path[0] == "trial" and isinstance(varied, dict) and path[-1] in varied:
        when = varied[path[-1]].get("when") if isinstance(varied[path[-1]], dict) else None
        value = block[path[-1]]  # fixed in every trial, so it varies no longer
        varied[path[-1]] = {"type": "fixed", "value": value, "when": when} if when else value


def _path(key: str) -> list[str]:
    """`space.optim.lr.high` → space, optim.lr, high: keys of these blocks are dotted themselves."""
    block, *parts = key.split(".")
    if block not in ("trial", "space", "baseline"):
        return [block, *parts]
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in FIELDS:
            return [block, ".".join(parts[:end]), *parts[end:]]
    return [block, ".".join(parts)] if parts else [block]


def _complaint(item: Any) -> str:
    """One line of a pydantic error: where, what was got, what is allowed."""
    # Not in the file, but pydantic's: which model of a union it took.
    tags = ("float", "int", "power_of_two", "choice", "fixed", *SOURCES)
    place = ".".join(str(part) for part in item["loc"] if part not in tags)
    if item["type"] == "extra_forbidden":
        source = item["loc"][1] if item["loc"][0] == "data" and len(item["loc"]) > 2 else None
        where = f" where data.source is {source}" if source else ""
        hint = nearest(str(item["loc"][-1]), list(_fields_beside(item["loc"])))
        return f"{place}: unknown key{where}; {hint}"
    message = item["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    message = message.replace("valid tuple", "list, as [en, de]").replace("dictionary", "mapping")
    if item["type"].startswith("union_tag") and place == "data":
        got = item["input"].get("source")
        return f"data.source: must be one of {', '.join(map(str, SOURCES))}, got {got!r}"
    if item["type"] == "missing":
        field = _fields_beside(item["loc"]).get(item["loc"][-1])
        message = "is needed" + (f": {field.description}" if field and field.description else "")
    if item["type"].startswith("union_tag"):
        message = "must be a value, a list of values, or a mapping with type: float, int, "
        message += "power_of_two or choice"
    got = item.get("input")
    shown = "" if isinstance(got, dict) or item["type"] == "value_error" else f", got {got!r}"
    return f"{place}: {message}{shown}" if place else f"{message}{shown}"


def _fields_beside(location: tuple[int | str, ...]) -> dict[Any, FieldInfo]:
    """The keys that are allowed where one was unknown or missing."""
    model: Any = StudyConfig
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = SOURCES.get(part) or (field.annotation if field else None)
    return dict(getattr(model, "model_fields", {}))
