"""Commands in terminals and logs that are not UTF-8 stay readable; files are UTF-8 all the same."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.robustness.conftest import copied
from tuner.cli import main

COMMANDS = (
    ("status", "small"),
    ("status", "small", "--json"),
    ("list",),
    ("report", "small", "--json"),
    ("compare", "small:0", "small:1"),
    ("confirm", "small"),
    ("resume", "small", "--trials", "−3"),
    ("plan", "fehlt…×.yaml"),
    ("--help",),
)


def printed(arguments: tuple[str, ...], encoding: str) -> tuple[int, str, str]:
    """A command whose streams are strict, as Python makes them."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")
        for _ in range(2)
    ]
    before, sys.argv = sys.argv, ["tuner", *arguments]
    try:
        with (
            redirect_stdout(streams[0]),
            redirect_stderr(streams[1]),
            pytest.raises(SystemExit) as left,
        ):
            main()
    finally:
        sys.argv = before
    texts = []
    for stream in streams:
        stream.flush()
        assert isinstance(stream.buffer, io.BytesIO)
        texts.append(stream.buffer.getvalue().decode(encoding))
    assert isinstance(left.value.code, int)
    return left.value.code, texts[0], texts[1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_what_is_printed(arguments: tuple[str, ...], encoding: str, sound: Path) -> None:
    with copied(sound):
        check(arguments, encoding)


@pytest.mark.takes_long("draws figures, and a page twice")
def test_what_a_report_prints_and_writes(sound: Path) -> None:
    with copied(sound) as folder:
        check(("report", "small", "--against", "optim.lr"), "ascii")
        check(("report", "small"), "ascii")
        assert "–" in (folder / "report.md").read_text(encoding="utf-8")


def check(arguments: tuple[str, ...], encoding: str) -> None:
    """The same words as in UTF-8, and neither a question mark nor an escape in place of ours."""
    expected = printed(arguments, "utf-8")
    code, out, err = printed(arguments, encoding)
    assert code == expected[0] and out + err
    for text, whole in zip((out, err), expected[1:], strict=True):
        assert text.count("?") == whole.count("?") and text.count("\\") == whole.count("\\")
        assert len(text.splitlines()) == len(whole.splitlines())
        assert text.isascii() or encoding != "ascii"
    if "--json" in arguments:
        assert json.loads(out)
