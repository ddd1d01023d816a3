"""The JSON Schema of a study's YAML, with which editors complete and document its keys.

It is made from StudyConfig, and from `tuner.study.trial` for blocks whose keys are dotted names of
trial settings. A file that it accepts may still be refused: only the loader checks rules between
keys.
"""

from __future__ import annotations

from typing import Any

from tuner.study import StudyConfig
from tuner.study.trial import FIELDS, value_schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

RANGES = {"number": ("Float", "Int", "PowerOfTwo"), "integer": ("Int", "PowerOfTwo"), "string": ()}
"""The range distributions allowed for a setting, by the setting's type."""


def study_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a file of `search_spaces/`."""
    schema = StudyConfig.model_json_schema()
    blocks, parts = schema["properties"], schema["$defs"]
    values = {name: value_schema(name) for name in FIELDS}
    parts |= {name: _drawn(value) for name, value in values.items()}
    blocks["trial"] = _by_setting(blocks["trial"], values)
    blocks["baseline"] = _by_setting(blocks["baseline"], values) | {"type": ["object", "null"]}
    blocks["space"] = _by_setting(blocks["space"], {name: _varied(name, parts) for name in FIELDS})
    tuning = parts["TuningDesign"]["properties"]
    tuning["at"] = _by_setting(tuning["at"], values)
    blocks["design"]["anyOf"][0] = _ref("ScalingDesign")  # a file may not have the other kind
    for part in ("Space", "ConfirmDesign", "Arm"):
        del parts[part]
    parts["Condition"] = _by_setting(
        parts["Int"]["properties"]["when"],
        {name: {"type": "array", "items": _ref(name)} for name in FIELDS},
    )
    for distribution in ("Float", "Int", "PowerOfTwo", "Choice", "Fixed"):
        parts[distribution]["properties"]["when"] = _ref("Condition")
    return {"$schema": DRAFT, "title": "A study", **_plain(schema)}


def _by_setting(block: Schema, settings: dict[str, Schema]) -> Schema:
    """Return an object schema with dotted names of settings as keys and `block`'s description."""
    return {
        "description": block["description"],
        "type": "object",
        "properties": settings,
        "additionalProperties": False,
    }


def _drawn(value: Schema) -> Schema:
    """Return the schema of a setting's values that a distribution may give, which excludes null."""
    value = next((one for one in value.get("anyOf", ()) if one["type"] != "null"), value)
    return {key: rule for key, rule in value.items() if key not in ("default", "description")}


def _varied(name: str, parts: Schema) -> Schema:
    """Return the schema of a setting in `space:`: a value, a list, or a mapping with a type."""
    value = _ref(name)
    ends = {"properties": {"low": value, "high": value}}
    return {
        "description": FIELDS[name].description,
        "anyOf": [
            value,
            {"type": "array", "items": value, "minItems": 1, "uniqueItems": True},
            *(_ref(distribution) | ends for distribution in RANGES[parts[name]["type"]]),
            _ref("Choice") | {"properties": {"values": {"items": value}}},
            _ref("Fixed") | {"properties": {"value": value}},
        ],
    }


def _ref(part: str) -> Schema:
    return {"$ref": f"#/$defs/{part}"}


def _plain(schema: Any) -> Any:
    """Remove titles, which repeat the keys, and OpenAPI's non-standard `discriminator`.

    A YAML key called `title` stays: its value is a schema, not a string.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and key != "discriminator"
    }
