"""Command lines that ask for what there is not, of each command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.robustness.hundred.case import Case, Make, nothing
from tests.robustness.hundred.folders import encoder, holds

Line = tuple[str, Sequence[str], str, Make]


def _full(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "precious").write_text("mine")


SHARED = ("--set", "storage=/srv/studies")
LINES: Sequence[Line] = (
    ("no command of ours", ("find",), "find", nothing),
    ("two commands", ("plan", "search", "study.yaml"), "(?i)unexpected|search", nothing),
    ("a file that is not there", ("search", "stduy.yaml"), "stduy.yaml", nothing),
    ("a key without a value", ("plan", "study.yaml", "--set", "budget"), "budget", nothing),
    ("a key of nothing", ("plan", "study.yaml", "--set", "=4"), "", nothing),
    ("a key too deep", ("train", "study.yaml", "--set", "name.a.b=4"), "name", nothing),
    ("a value that never ends", ("plan", "study.yaml", "--set", "require=[" * 500), "", nothing),
    ("prices of nothing", ("plan", "study.yaml", "--prices", "none.yaml"), "none.yaml", nothing),
    (
        "prices in words",
        ("plan", "study.yaml", "--prices", "p.yaml"),
        "p.yaml",
        holds("p.yaml", "a"),
    ),
    ("a study that is not there", ("status", "smal"), "smal", nothing),
    ("a study above", ("report", "../../etc"), "etc", nothing),
    ("a study of another host", ("status", "http://host/small"), "http", nothing),
    ("a bucket without a name", ("status", "s3://"), "s3", nothing),
    ("a storage that is a file", ("list", "--storage", "study.yaml"), "study.yaml", nothing),
    ("a setting nobody has", ("report", "small", "--against", "optim.rate"), "optim.rate", nothing),
    (
        "a metric nobody has",
        ("report", "small", "--against", "optim.lr", "--metric", "x"),
        "x",
        nothing,
    ),
    ("a trial beyond the last", ("compare", "small:99", "small:0"), "99", nothing),
    ("a trial in words", ("compare", "small:best", "small:0"), "best", nothing),
    ("a trial below 0", ("replay", "small", "-1"), "-1", nothing),
    ("a trial that never was", ("replay", "small", "99"), "99", nothing),
    (
        "weights that were not kept",
        ("export", "small", "--to", "out", "--trial", "2"),
        "weights",
        nothing,
    ),
    ("a folder that is taken", ("export", "small", "--to", "out"), "out", _full),
    ("a folder below a file", ("export", "small", "--to", "study.yaml/x"), "", nothing),
    ("one seed", ("confirm", "small", "--seeds", "1"), "seeds", nothing),
    ("no configurations", ("confirm", "small", "--top", "0"), "top", nothing),
    (
        "what a confirmation may not change",
        ("confirm", "small", "--set", "name=x"),
        "small",
        nothing,
    ),
    ("trials in words", ("resume", "small", "--trials", "many"), "many", nothing),
    ("fewer trials", ("resume", "small", "--trials", "-3"), "-3", nothing),
    ("until yesterday", ("resume", "small", "--until", "-1d"), "-1d", nothing),
    ("hours that are no number", ("resume", "small", "--gpu-hours", "+nan"), "nan", nothing),
    ("another name", ("resume", "small", "--set", "name=other"), "name", nothing),
    ("other data", ("resume", "small", "--set", "data.source=hub"), "data", nothing),
    ("a study that MLflow has not", ("sync", "smal"), "smal", nothing),
    ("a port that is none", ("ui", "--port", "99999"), "port", nothing),
    ("a store of another world", ("ui", "--uri", "gopher://host"), "gopher", nothing),
    ("studies that are not there", ("ui", "--storage", "none"), "none", nothing),
    ("no cluster", ("submit", "study.yaml"), "address", nothing),
    (
        "a cluster of no host",
        ("submit", "study.yaml", *SHARED, "--address", "http://"),
        "http",
        nothing,
    ),
    (
        "a cluster's other port",
        ("submit", "study.yaml", *SHARED, "--address", "ray://127.0.0.1:9"),
        "ray",
        nothing,
    ),
    (
        "a cluster that is away",
        ("submit", "study.yaml", *SHARED, "--address", "http://127.0.0.1:9"),
        "",
        nothing,
    ),
    ("a cluster in words", ("stop", "small", "--address", "the big one"), "big", nothing),
    ("a cluster on paper", ("doctor", "--address", "http://127.0.0.1:9"), "127.0.0.1", nothing),
    ("schema of something", ("schema", "study.yaml"), "study.yaml|argument", nothing),
    ("a watch of nothing", ("status", "none", "--watch"), "none", nothing),
    (
        "an encoder that is a pickle",
        ("train", "study.yaml"),
        "safetensors",
        encoder(
            lambda place: (place / "encoder/model.safetensors").rename(
                place / "encoder/pytorch_model.bin"
            )
        ),
    ),
)

CASES = [
    Case(f"line: {name}: {arguments[0]}", tuple(arguments), 2, told, make)
    for name, arguments, told, make in LINES
]
