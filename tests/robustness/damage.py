"""Damage to a study's folder: by chance, and by someone who means harm."""

from __future__ import annotations

import copy
import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tuner.journal.journal import FILE

HOSTILE = [
    None,
    True,
    -1,
    10**30,
    1e308,
    -1e308,
    "",
    "../../x",
    "/etc/passwd",
    "\x1b[31mred\x1b[2J",
    "\x9b31m",
    "[bold]x[/x]",
    "=HYPERLINK(1)",
    "x" * 5000,
    "\u202eevil",
    [],
    {},
    [[]],
    {"trials": 3},
    "s3://bucket/x",
    "sqlite:////nowhere/x.db",
    "running",
    "completed",
    "failed",
    ["en", "../.."],
]
"""In place of any value of a record."""


def files(folder: Path) -> list[Path]:
    """Plain ones, but what is sparse."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in found if path.stat().st_size < 2**30)


def flip(data: st.DataObject, path: Path) -> None:
    """A byte is another one, or many."""
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)


def cut(data: st.DataObject, path: Path) -> None:
    """The end is missing."""
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])


def swap(data: st.DataObject, path: Path) -> None:
    """Two files have changed places."""
    other = data.draw(st.sampled_from(files(path.parents[0])))
    one, another = path.read_bytes(), other.read_bytes()
    path.write_bytes(another)
    other.write_bytes(one)


def sparse(data: st.DataObject, path: Path) -> None:
    """It goes on for a terabyte of nothing."""
    os.truncate(path, 2**40)


def gone(data: st.DataObject, path: Path) -> None:
    path.unlink()


def instead(data: st.DataObject, path: Path) -> None:
    """Something else in place of a file, or of a folder on the way to it."""
    depth = data.draw(st.integers(0, 2))
    if depth and "trials" in path.parts:
        path = path.parents[depth - 1]
    put(path, data.draw(st.sampled_from(sorted(KINDS))))


def put(path: Path, kind: str) -> None:
    """Put something other than a plain file, one of `KINDS`, in place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    KINDS[kind](path)


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "file outside": lambda path: path.symlink_to(Path("elsewhere/precious.txt").absolute()),
    "folder outside": lambda path: path.symlink_to(Path("elsewhere").absolute()),
    "itself": lambda path: path.symlink_to(path),
    "nothing": lambda path: path.symlink_to(Path("elsewhere/new").absolute()),
    "device": lambda path: path.symlink_to("/dev/zero"),
}
"""A pipe may never end, a link leads elsewhere."""
PLACES = [
    "best",
    "best/0000",
    "best/0003/trial.json",
    "drivers",
    "errors",
    "figures",
    "journal",
    "leaderboard.csv",
    ".partial-leaderboard.csv",
    "trials",
    "trials/0000",
    "trials/0007",
    "trials/0007/step-000000003",
    "trials/0007/.partial",
    "trials/0007/step-000000009",
    "trials/0008",
]
"""The files that a study's folder has, or may have."""

DAMAGE = [flip, cut, swap, sparse, gone, instead]


def sealed(body: dict[str, Any], number: int) -> bytes:
    """A record with a right number and a right checksum, whatever it says."""
    values = {name: value for name, value in body.items() if name not in ("n", "crc")}
    body = {"n": number, **values}
    text = json.dumps(body, ensure_ascii=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def forge(data: st.DataObject, folder: Path) -> None:
    """Records are changed, doubled, moved, left out; all checksums and numbers are right again."""
    path = folder / FILE
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        event = data.draw(st.sampled_from(sorted({str(body.get("event")) for body in records})))
        these = [n for n, body in enumerate(records) if str(body.get("event")) == event]
        at = data.draw(st.sampled_from(these))
        match data.draw(st.sampled_from(["change", "change", "change", "double", "move", "drop"])):
            case "change":
                change(data, records[at])
            case "double":
                records.insert(data.draw(st.integers(0, len(records))), records[at])
            case "move":
                records.insert(data.draw(st.integers(0, len(records) - 1)), records.pop(at))
            case "drop" if len(records) > 1:
                records.pop(at)
    path.write_bytes(b"".join(sealed(body, number) for number, body in enumerate(records)))


def change(data: st.DataObject, body: dict[str, Any]) -> None:
    """Any value at any depth, or a key more or less."""
    block: Any = body
    while True:
        keys = list(block) if isinstance(block, dict) else list(range(len(block)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(block[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
            break
        block = block[key]
    if isinstance(block, dict) and data.draw(st.integers(0, 5)) == 0:
        del block[key]
    else:
        block[key] = copy.deepcopy(data.draw(st.sampled_from(HOSTILE)))
