"""Loading of a study's YAML: read safely, overridden by `--set`, validated, mistakes explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tuner.errors import UserError, nearest
from tuner.shown import SECRET, has_secret, is_printable
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.data import SOURCES, check_translated
from tuner.study.design import ConfirmDesign
from tuner.study.plain_yaml import parse, read
from tuner.study.settings import StudySettings
from tuner.study.trial import FIELDS

MAX_COMPLAINT_LENGTH, MAX_COMPLAINTS = 300, 20
"""The most characters shown of one complaint, and the most complaints shown about one study."""


def load_study(path: Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read and validate a study's YAML.

    Args:
        path: the file.
        overrides: values of `--set`, as `key=value`; the key is a dotted path, the value YAML.

    Raises:
        UserError: the file is missing or not YAML, or a setting is not allowed.
    """
    return written_study(settings_of(path, overrides), path)


def written_study(settings: dict[str, Any], path: Path) -> StudyConfig:
    """Validate the settings that a file gives a new study.

    Studies begun by older versions may break `check_translated` and can still be resumed, so
    StudyConfig does not call it and this function does.

    Raises:
        UserError: a setting is not allowed.
    """
    study = validate_study(settings, str(path))
    try:
        check_translated(study.data, study.all_languages)
    except ValueError as error:
        raise _invalid(str(path), [str(error)]) from error
    if isinstance(study.design, ConfirmDesign):
        raise UserError(
            f"{path}: a design of kind confirm reads test, and only tuner confirm may create one",
            "Search first, then confirm the result: tuner confirm STUDY",
        )
    return study


def settings_of(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the plain settings of a study's YAML with its overrides, not yet validated.

    Raises:
        UserError: the file is missing or not a YAML of settings, or an override is invalid.
    """
    settings = read(path)
    if not isinstance(settings, dict):
        raise UserError(f"{path} is not a mapping of settings", "See search_spaces/nano.yaml.")
    for text in overrides:
        override(settings, text)
    return settings


def validate_study(settings: dict[str, Any], where: str) -> StudyConfig:
    """Validate plain settings into a StudyConfig.

    Raises:
        UserError: the settings are invalid; the message lists the complaints, each with its key.
    """
    complaints = _unfit(settings)
    try:
        if not complaints:
            return StudyConfig.model_validate(settings)
    except ValidationError as error:
        complaints = [_complaint(item) for item in error.errors()]
    raise _invalid(where, complaints)


def reopened_study(settings: StudySettings, folder: Place) -> StudyConfig:
    """Validate the recorded settings of a study, with its current folder as their storage.

    Raises:
        UserError: the settings are another study's, or this version no longer accepts them.
    """
    return changed_study(settings.model_dump(mode="json"), folder)


def changed_study(settings: Mapping[str, Any], folder: Place) -> StudyConfig:
    """Validate plain settings for the existing study in a folder.

    Raises:
        UserError: the settings are another study's, or invalid.
    """
    if settings.get("name") != folder.name:  # else a resume would write to another study's folder
        raise UserError(
            f"the settings in {folder} belong to a study named {settings.get('name')!r}",
            "Give the folder the study's name again: the two must be equal.",
        )
    return validate_study({**settings, "storage": folder.absolute().parent}, str(folder))


def _invalid(where: str, complaints: Sequence[str]) -> UserError:
    """Return the error that lists the complaints about a study."""
    lines = [" ".join(complaint.split()) for complaint in complaints[:MAX_COMPLAINTS]]
    sentences = [
        f"  {line[:MAX_COMPLAINT_LENGTH]}{'…' * (len(line) > MAX_COMPLAINT_LENGTH)}"
        for line in lines
    ]
    if len(complaints) > MAX_COMPLAINTS:
        sentences.append(f"  … and {len(complaints) - MAX_COMPLAINTS:,} more")
    return UserError(
        f"{where} is not a valid study:\n" + "\n".join(sentences),
        "Correct these keys in the file or in --set.",
    )


def override(settings: dict[str, Any], text: str) -> None:
    """Set one key of plain settings, in place.

    Args:
        settings: the settings of the file; changed in place.
        text: `key=value`; the key is a dotted path, the value YAML.

    Raises:
        UserError: the text is not `key=value`, or the key is not a setting of a study.
    """
    key, equals, value = text.partition("=")
    path = _path(key.strip())
    if not equals or not value.strip() or not all(path):
        got = f"{key}{equals}{'…' if value.strip() else ''}"  # a value may be a secret
        raise UserError(
            f"--set takes key=value, got {got!r}", "For instance: --set budget.trials=8"
        )
    if key.strip() in FIELDS:
        raise UserError(
            f"--set {key.strip()}: this is a setting of trials, not of the study",
            f"Fix it in every trial with --set trial.{text}, or vary it in the space.",
        )
    block = settings
    for part in path[:-1]:
        block = block.setdefault(part, {})
        if not isinstance(block, dict):
            raise UserError(f"--set {key}: {part} is a value, not a block", "Name a key inside it.")
    block[path[-1]] = parse(value, f"--set {key}")
    varied = settings.get("space")
    if path[0] == "trial" and isinstance(varied, dict) and path[-1] in varied:
        when = varied[path[-1]].get("when") if isinstance(varied[path[-1]], dict) else None
        value = block[path[-1]]  # now fixed in every trial, so it no longer varies
        varied[path[-1]] = {"type": "fixed", "value": value, "when": when} if when else value


def _unfit(settings: Mapping[str, Any]) -> list[str]:
    """Return complaints about settings that contain secrets or control characters.

    Settings are written to terminals, the journal and MLflow.
    """
    complaints = []
    waiting: list[tuple[str, Any]] = [("", settings)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{place}.{key}" if place else str(key), value[key]) for key in value]
        elif isinstance(value, list | tuple):
            waiting += [(place, part) for part in value]
        elif isinstance(value, str) and has_secret(value):
            complaints.append(
                f"{place}: holds an address with a password or token, which would be kept with the "
                "study: give it in the environment, as MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or HF_TOKEN"
            )
        elif isinstance(value, str) and not is_printable(value):
            complaints.append(f"{place}: holds control characters")
    return complaints


def _path(key: str) -> list[str]:
    """Split a dotted key into its parts, such as `space.optim.lr.high` → space, optim.lr, high.

    In the blocks `trial`, `space` and `baseline`, the keys themselves contain dots.
    """
    block, *parts = key.split(".")
    if block not in ("trial", "space", "baseline"):
        return [block, *parts]
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in FIELDS:
            return [block, ".".join(parts[:end]), *parts[end:]]
    return [block, ".".join(parts)] if parts else [block]


def _complaint(item: Any) -> str:
    """Format a pydantic error as one line: the key, what is allowed, the value given."""
    # Parts of a location that pydantic adds for the member of a union; they are not in the file.
    tags = ("float", "int", "power_of_two", "choice", "fixed", "confirm", "scaling", *SOURCES)
    place = ".".join(str(part) for part in item["loc"] if part not in tags)
    if item["type"] == "extra_forbidden":
        source = item["loc"][1] if item["loc"][0] == "data" and len(item["loc"]) > 2 else None
        where = f" where data.source is {source}" if source else ""
        hint = nearest(str(item["loc"][-1]), list(_fields_beside(item["loc"])))
        return f"{place}: unknown key{where}; {hint}"
    message = item["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    message = message.replace("valid tuple", "list, as [en, de]").replace("dictionary", "mapping")
    message = message.replace("tuple should", "list should")
    if item["type"].startswith("union_tag") and place == "data":
        got = _got(place, item["input"].get("source"))
        return f"data.source: must be one of {', '.join(map(str, SOURCES))}{got}"
    if item["type"] == "missing":
        field = _fields_beside(item["loc"]).get(item["loc"][-1])
        message = "is needed" + (f": {field.description}" if field and field.description else "")
    if item["type"].startswith("union_tag"):
        message = "must be a value, a list of values, or a mapping with type: float, int, "
        message += "power_of_two or choice"
    shown = "" if item["type"] == "value_error" else _got(place, item.get("input"))
    return f"{place}: {message}{shown}" if place else f"{message}{shown}"


def _got(place: str, value: Any) -> str:
    """Return `, got VALUE` for a key; empty for secrets and for blocks of several keys."""
    parts = value if isinstance(value, list) else [value]
    if SECRET.search(place) or any(isinstance(part, dict | list) for part in parts):
        return ""
    if len(parts) > MAX_COMPLAINTS:
        return f", got {len(parts):,} values"
    return f", got {value!r}"


def _fields_beside(location: tuple[int | str, ...]) -> dict[Any, FieldInfo]:
    """Return the keys allowed in the block of an unknown or missing key."""
    model: Any = StudyConfig
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        model = SOURCES.get(part) or next((k for k in kinds if hasattr(k, "model_fields")), None)
    return dict(getattr(model, "model_fields", {}))
