"""The JSON Schema of a study's YAML: it accepts what is shipped, and refuses common mistakes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tuner.cli import main
from tuner.errors import UserError
from tuner.study.file import load_study
from tuner.study.fusions import FUSIONS
from tuner.study.plain_yaml import parse as parse_yaml
from tuner.study.schema import study_schema
from tuner.study.trial import FIELDS, TrialConfig

ROOT = Path(__file__).parents[2]
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))
VALIDATOR = Draft202012Validator(study_schema())


def settings(**changes: Any) -> dict[str, Any]:
    """nano.yaml, with some blocks replaced."""
    text = (ROOT / "search_spaces" / "nano.yaml").read_text(encoding="utf-8")
    return {**parse_yaml(text, "nano.yaml"), **changes}


def test_it_is_json_schema() -> None:
    Draft202012Validator.check_schema(study_schema())


def test_the_committed_schema_is_up_to_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tuner", "schema"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    committed = (ROOT / "search_spaces" / "schema.json").read_text(encoding="utf-8")
    assert committed == capsys.readouterr().out, "run: tuner schema > search_spaces/schema.json"


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_what_is_shipped_is_accepted_and_names_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    VALIDATOR.validate(parse_yaml(text, path.name))


def test_the_example_of_the_readme_is_accepted() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    VALIDATOR.validate(parse_yaml(readme.partition("```yaml")[2].partition("```")[0], "README.md"))


ACCEPTED: list[dict[str, Any]] = [
    {"trial": {"optim.lr": parse_yaml("1e-5", "a number without a dot")}},
    {"trial": {"fusion.kind": "sum", "fusion.layer": 2}, "space": {}, "baseline": None},
    {"trial": {"fusion.layer": None}, "space": {"optim.lr": 1e-3}},
    {"space": {"optim.lr": [1e-4, 1e-3], "seed": {"type": "choice", "values": [0, 1]}}},
    {"space": {"head.dropout": {"type": "fixed", "value": 0.1}}},
    {"space": {"batch.effective_size": {"type": "int", "low": 8, "high": 64, "step": 8}}},
    {"require": ["optim.lr * batch.effective_size <= 1", "seed in [0]"]},
    {"sampler": {"kind": "random"}, "scheduler": {"kind": "none"}, "tracking": {"uri": None}},
]
REFUSED: dict[str, dict[str, Any]] = {
    "unknown key": {"budgt": {}},
    "unknown key in a block": {"budget": {"pairs_per_trial": 100, "trails": 3}},
    "missing key": {"budget": {"trials": 3}},
    "unknown knob": {"trial": {"optim.lrr": 1e-3}},
    "unknown knob of the space": {"space": {"optim.learning_rate": 1e-3}},
    "unknown knob of the baseline": {"baseline": {"fusion": "last"}},
    "a block of knobs": {"trial": {"optim": {"lr": 1e-3}}},
    "wrong type": {"trial": {"optim.lr": "fast"}},
    "a number as a string": {"trial": {"optim.lr": "1e-3"}},
    "wrong choice": {"trial": {"fusion.kind": "dlaf"}},
    "wrong choice in the space": {"space": {"fusion.kind": ["last", "dlaf"]}},
    "out of range": {"trial": {"optim.lr": -1}},
    "a range that is out of range": {
        "space": {"mix.cross_lingual": {"type": "float", "low": 0, "high": 1.5}}
    },
    "no such distribution": {"space": {"optim.lr": {"type": "normal", "low": 0, "high": 1}}},
    "a range of words": {"space": {"fusion.kind": {"type": "int", "low": 0, "high": 1}}},
    "a real range of whole numbers": {"space": {"seed": {"type": "float", "low": 0, "high": 1}}},
    "null cannot be drawn": {"space": {"fusion.layer": None}},
    "twice the same": {"space": {"seed": [1, 1]}},
    "condition on no knob": {
        "space": {"seed": {"type": "int", "low": 0, "high": 1, "when": {"kind": ["last"]}}}
    },
    "condition on no value": {
        "space": {
            "fusion.kind": ["last"],
            "seed": {"type": "int", "low": 0, "high": 1, "when": {"fusion.kind": ["lst"]}},
        }
    },
    "no list": {"require": "seed > 0"},
    "no text": {"require": [True]},
    "a name that is no folder": {"name": "../elsewhere"},
    "no such sampler": {"sampler": {"kind": "bayes"}},
}


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_both_accept(changes: dict[str, Any], tmp_path: Path) -> None:
    VALIDATOR.validate(settings(**changes))
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(settings(**changes)), encoding="utf-8")
    load_study(path)


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_both_refuse(changes: dict[str, Any], tmp_path: Path) -> None:
    """An editor marks what the loader would refuse."""
    assert not VALIDATOR.is_valid(settings(**changes))
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(settings(**changes)), encoding="utf-8")
    with pytest.raises(UserError):
        load_study(path)


def test_every_key_is_documented() -> None:
    """In itself, or by what it refers to."""
    schema = study_schema()

    def keys(part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, value in part.get("properties", {}).items():
            yield name, value
            yield from keys(value)

    parts = [schema, *(part for name, part in schema["$defs"].items() if name not in FIELDS)]
    for name, value in (pair for part in parts for pair in keys(part)):
        if name in FIELDS and "description" not in value:
            assert value["type"] == "array"  # of a condition: documented where the knob is
            continue
        reference = value.get("$ref", "").rpartition("/")[2]
        described = value.get("description") or schema["$defs"][reference].get("description")
        assert described, f"{name} has no description"


def test_knobs_have_their_defaults() -> None:
    knobs = study_schema()["properties"]["trial"]["properties"]
    assert {name: knob["default"] for name, knob in knobs.items()} == TrialConfig().flat()
    assert knobs["fusion.kind"]["enum"] == list(FUSIONS)
