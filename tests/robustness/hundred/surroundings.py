"""Sound inputs in odd surroundings: environment, streams, folders, limits, permissions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.robustness.hundred.case import REPORT, Case, Make, Streams

LOOKING: tuple[tuple[str, ...], ...] = (
    ("status", "small"),
    ("list",),
    ("plan", "study.yaml"),
    ("status", "small", "--json"),
)
"""Commands that only look, in turn: in no surroundings do they leave anything."""
ENVIRONMENTS: Mapping[str, Mapping[str, str | None]] = {
    "no HOME": {"HOME": None},
    "a HOME that is not there": {"HOME": "/nonexistent/home"},
    "a HOME that is a file": {"HOME": "{place}/study.yaml"},
    "no TMPDIR there": {"TMPDIR": "{place}/none"},
    "a TMPDIR that is a file": {"TMPDIR": "{place}/study.yaml"},
    "a locale of nowhere": {"LANG": "xx_XX.KOI8-Z", "LC_ALL": "xx_XX.KOI8-Z"},
    "the C locale": {"LANG": "C", "LC_ALL": "C"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ASCII, strictly": {"PYTHONIOENCODING": "ascii:strict"},
    "no columns": {"COLUMNS": "0", "LINES": "0"},
    "one column": {"COLUMNS": "1", "LINES": "1"},
    "columns in words": {"COLUMNS": "wide", "LINES": "-4"},
    "a dumb terminal": {"TERM": "dumb", "FORCE_COLOR": "1", "NO_COLOR": "1"},
    "no terminal type": {"TERM": None, "TTY_INTERACTIVE": "1", "COLUMNS": "40"},
    "a time zone of nowhere": {"TZ": "Mars/Phobos"},
    "an unknown MPLBACKEND": {"MPLBACKEND": "crayons"},
    "threads in words": {"OMP_NUM_THREADS": "some", "MKL_NUM_THREADS": "0"},
    "GPUs in words": {"CUDA_VISIBLE_DEVICES": "the big ones"},
    "MLflow of nowhere": {"MLFLOW_TRACKING_URI": "gopher://host", "MLFLOW_RUN_ID": "0"},
    "an experiment of another": {"MLFLOW_EXPERIMENT_NAME": "other", "MLFLOW_EXPERIMENT_ID": "77"},
    "Ray's variables in words": {"RAY_AUTH_MODE": "perhaps", "RAY_TMPDIR": "/none", "RAY_LOG": "x"},
    "a token of Ray's that is a folder": {"RAY_AUTH_TOKEN_PATH": "{place}/home"},
    "a proxy of nowhere": {"http_proxy": "http://127.0.0.1:9", "https_proxy": "::::"},
    "an empty PATH": {"PATH": ""},
    "no variables": {name: None for name in ("HOME", "TMPDIR", "LANG", "OMP_NUM_THREADS", "PATH")},
}
ALONE: Mapping[str, Mapping[str, str | None]] = {
    "no assertions, no docstrings": {"PYTHONOPTIMIZE": "2"},
    "an ASCII file system": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "unbuffered": {"PYTHONUNBUFFERED": "1", "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "ignore"},
    "a cache of the hub that is a file": {"HF_HOME": "{place}/study.yaml"},
    "no cache for fonts": {"MPLCONFIGDIR": "/nonexistent/fonts"},
}
"""Surroundings that act while Python starts or libraries are imported."""
STREAMS: Mapping[str, tuple[Streams, tuple[str, ...], int]] = {
    "no stdin": ("no stdin", ("status", "small"), 0),
    "no stdout": ("no stdout", ("report", "small"), 0),
    "no streams": ("none", ("report", "small"), 0),
    "no streams for what is wrong": ("none", ("plan", "none.yaml"), 2),
    "a full disk behind stdout": ("full", ("status", "small", "--json"), 2),
    "nobody reads": ("unread", ("report", "small"), 0),
    "nobody reads what is wrong": ("unread", ("report", "smal"), 2),
    "nobody watches": ("unread", ("status", "small", "--watch"), 0),
    "a stdin that never ends": ("endless stdin", ("plan", "study.yaml"), 0),
}
NAMES = ("a b", "new\nline", "quote's", "$(touch x)", "é中", "100%", "-n", "a" * 200, "[bold]")
"""Names of the folder in which all is done."""


def _moved(name: str) -> Make:
    """All is in a folder of an odd name."""

    def make(place: Path) -> None:
        (place / name).mkdir()
        for what in ("studies", "study.yaml"):
            shutil.move(place / what, place / name / what)

    return make


def _cases() -> list[Case]:
    found = [
        Case(f"environment: {name}: {command[0]}", command, 0, environment=variables)
        for turn, (name, variables) in enumerate(ENVIRONMENTS.items())
        for command in [LOOKING[turn % len(LOOKING)]]
    ]
    found += [
        Case(f"alone: {name}: {command[0]}", command, 0, environment=variables, alone=True)
        for turn, (name, variables) in enumerate(ALONE.items())
        for command in [LOOKING[turn % 3]]
    ]
    for name, (streams, command, code) in STREAMS.items():
        keeps = REPORT if command[0] == "report" else ()
        found.append(Case(f"streams: {name}", command, code, streams=streams, keeps=keeps))
    report = ("report", "small")
    for name in NAMES:
        keeps = tuple(f"{'?' * len(name)}/{kept}" for kept in REPORT)
        case = Case(
            f"folder: {name!r}: report", report, 0, "", _moved(name), keeps=keeps, inside=name
        )
        found.append(case)
    return found


CASES = _cases()
