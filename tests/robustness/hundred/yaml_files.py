"""A study's YAML that is not one, or says what cannot be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.robustness.hundred.case import Case, Make

COMMANDS = ("search", "plan", "train", "doctor")
"""Each is given files that cannot be read, in turn."""
SMOKE = Path(__file__).parents[3] / "search_spaces" / "smoke.yaml"
TEXT = SMOKE.read_text(encoding="utf-8").replace("name: smoke", "name: mine")


def content(data: bytes | str) -> Make:
    """`study.yaml` holds this."""
    return lambda place: (place / "study.yaml").write_bytes(
        data.encode() if isinstance(data, str) else data
    )  # type: ignore[return-value]


def instead(kind: Make) -> Make:
    """In place of `study.yaml` is something else."""

    def make(place: Path) -> None:
        (place / "study.yaml").unlink()
        kind(place / "study.yaml")

    return make


def keys(**changes: Any) -> Make:
    """These keys of `study.yaml` have other values; `__` stands for a dot."""

    def make(place: Path) -> None:
        study = yaml.safe_load(TEXT)
        for name, value in changes.items():
            block, _, key = name.partition("__")
            if key:
                study[block] = {**study.get(block, {}), key.replace("__", "."): value}
            else:
                study[block] = value
        (place / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    return make


def _more(text: str) -> Make:
    return content(f"{TEXT}\n{text}\n")


BOMB = "\n".join(
    ["require: &r0 [seed]", *(f"x{n}: &r{n} [*r{n - 1}, *r{n - 1}]" for n in range(1, 40))]
)
FILES: Mapping[str, tuple[Make, str]] = {
    "is in UTF-16": (content(TEXT.encode("utf-16")), "study.yaml"),
    "is in Latin-1": (content(f"# é\n{TEXT}".encode("latin-1")), "study.yaml"),
    "is indented by tabs": (content(TEXT.replace("  source", "\tsource")), "line [0-9]+"),
    "has a null byte": (content(TEXT.replace("mine", "mi\0ne")), "x0000|null"),
    "has 10 MB": (content(TEXT + "# " + "x" * 10_000_000), "larger than 256 KiB"),
    "is a folder": (instead(Path.mkdir), "(?i)is a directory"),
    "is a device": (instead(lambda path: path.symlink_to("/dev/zero")), "larger than"),
    "is a loop of links": (instead(lambda path: path.symlink_to(path)), "(?i)symbolic links"),
    "is a link to nothing": (instead(lambda path: path.symlink_to("gone")), "(?i)no such file"),
    "is a pipe": (instead(os.mkfifo), "study.yaml"),
    "is empty": (content(""), "study.yaml"),
    "has comments alone": (content("# name: mine\n"), "study.yaml"),
    "is a list": (content("- name: mine\n"), "study.yaml"),
    "is one word": (content("mine\n"), "study.yaml"),
    "is two documents": (content(f"{TEXT}\n---\nname: other\n"), "another document"),
    "is a program": (content(b"\x7fELF\x02\x01\x01\0\0\0"), "study.yaml"),
    "is JSON cut short": (content('{"name": "mine", "data": {"source": '), "not YAML"),
    "has twice the same block": (_more("budget: {trials: 3}"), "'budget' is given twice"),
    "has twice the same key inside": (
        content(TEXT.replace("trials: 4,", "trials: 4, trials: 5,")),
        "'trials' is given twice",
    ),
    "has aliases that double": (_more(BOMB), "more than 10,000 values"),
    "has an alias of nothing": (_more("require: *nobody"), "undefined alias"),
    "merges a block with itself": (_more("x: &x {<<: *x}"), "study.yaml"),
    "is nested ten thousand deep": (_more("x: " + "{a: " * 10_000), "nested too deep|nested more"),
    "has a tag of Python's": (_more("x: !!python/name:os.system ''"), "tags .* not allowed"),
    "has a directive": (content(f"%YAML 9.9\n---\n{TEXT}"), "study.yaml"),
}
KEYS: Mapping[str, tuple[Make, str]] = {
    "name is null": (keys(name=None), "name"),
    "name is a number": (keys(name=20_261_129), "name"),
    "name leads elsewhere": (keys(name="../../elsewhere"), "name"),
    "name is long": (keys(name="n" * 300), "name"),
    "name is in other letters": (keys(name="\uff4e\uff41"), "name"),
    "trials is not a number": (keys(budget__trials=float("nan")), "budget.trials"),
    "trials is a fraction": (keys(budget__trials=3.5), "budget.trials"),
    "trials is true": (keys(budget__trials=True), "budget: trials should be a number, got true"),
    "trials is huge": (keys(budget__trials=10**18), "budget.trials"),
    "pairs are none": (keys(budget__pairs_per_trial=0), "budget.pairs_per_trial"),
    "pairs are infinite": (keys(budget__pairs_per_trial=float("inf")), "budget.pairs_per_trial"),
    "the first rung is beyond the last": (keys(scheduler__min_pairs=5000), "min_pairs"),
    "rungs do not grow": (keys(scheduler__reduction_factor=1), "reduction_factor"),
    "a language is a list": (keys(languages={"source": [["en"]], "target": []}), "languages"),
    "a language is given twice": (keys(languages__source=["en", "en"]), "languages"),
    "a language is nobody's": (keys(languages__target=["qx"]), "languages.*qx|qx"),
    "there is no source language": (keys(languages__source=[]), "languages.source"),
    "the protocol is made up": (keys(protocol={"kind": "best"}), "protocol"),
    "the range is upside down": (
        keys(space={"optim.lr": {"type": "float", "low": 1, "high": 0}}),
        "optim.lr",
    ),
    "the logarithm of 0": (
        keys(space={"optim.lr": {"type": "float", "low": 0, "high": 1, "log": True}}),
        "optim.lr",
    ),
    "a choice of nothing": (keys(space={"fusion.kind": []}), "fusion.kind"),
    "a condition on itself": (
        keys(
            space={
                "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.layer": [1]}}
            }
        ),
        "fusion.layer",
    ),
    "a layer that is not there": (
        keys(space={"fusion.layer": {"type": "int", "low": 0, "high": 40}}, baseline=None),
        "fusion.layer|layers",
    ),
    "a knob that is not there": (keys(space={"optim.rate": [1e-4]}), "optim.lr|optim.rate"),
    "a rate of the wrong kind": (keys(trial={"optim.lr": "fast"}), "optim.lr"),
    "a rate below 0": (keys(trial={"optim.lr": -1e-4}), "optim.lr"),
    "dropout above 1": (keys(trial={"head.dropout": 2}), "dropout"),
    "texts of no length": (keys(encoder={"name": "nano", "max_length": 0}), "max_length"),
    "texts beyond the encoder": (keys(encoder={"name": "nano", "max_length": 10**6}), "max_length"),
    "CPUs below 0": (keys(resources={"cpus_per_trial": -1}), "cpus_per_trial"),
    "a requirement that is a program": (keys(require=["__import__('os')"]), "require"),
    "a requirement that nothing keeps": (keys(require=["seed > 0 and seed < 0"]), "require"),
    "the baseline has a knob too many": (keys(baseline={"fusion.size": 3}), "fusion.size|baseline"),
    "a storage of another world": (keys(storage="ftp://host/studies"), "storage"),
    "data of a made-up source": (keys(data={"source": "memory"}), "data"),
}


STARTED: Mapping[str, tuple[Make, str]] = {
    "a storage below a file": (keys(storage="study.yaml/studies"), "study.yaml"),
    "MLflow's database is a folder": (keys(tracking={"uri": "sqlite:///home"}), "home"),
    "MLflow's database is a text": (keys(tracking={"uri": "sqlite:///study.yaml"}), "study.yaml"),
    "MLflow by an unknown protocol": (
        keys(tracking={"uri": "gopher://host"}),
        "tracking.uri|gopher",
    ),
    "MLflow is away": (keys(tracking={"uri": "http://127.0.0.1:9"}), "127.0.0.1:9"),
}
"""Mistakes that matter only to a study that is started."""


def _cases() -> list[Case]:
    said = [*FILES.items(), *KEYS.items()]
    turns = [
        Case(
            f"yaml: {name}: {COMMANDS[turn % 4]}", (COMMANDS[turn % 4], "study.yaml"), 2, told, make
        )
        for turn, (name, (make, told)) in enumerate(said)
    ]
    started = [
        Case(f"yaml: {name}: search", ("search", "study.yaml"), 2, told, make)
        for name, (make, told) in STARTED.items()
    ]
    return turns + started


CASES = _cases()
