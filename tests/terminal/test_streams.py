"""Output is readable in any encoding, and is dropped where nobody takes it."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tuner
from tuner.terminal import streams
from tuner.terminal.streams import READABLE, Outlet

PACKAGE = Path(tuner.__file__).parent
ENCODINGS = ("ascii", "latin-1", "cp1252", "cp437", "shift_jis", "utf-8")
RICH = "━╸╺│"
"""Bars and the ends of tables, as Rich draws them."""

streams.prepare()


def test_every_character_of_ours_has_a_readable_form() -> None:
    texts = [
        node.value
        for path in PACKAGE.rglob("*.py")
        if "nano" not in path.parts  # the words of its languages are data
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    ours = {character for text in texts for character in text if not character.isascii()}
    assert {"…", "×", "β"} <= ours
    for encoding in ENCODINGS:
        for character in {*ours, *RICH}:
            shown = character.encode(encoding, READABLE).decode(encoding)
            assert shown == character or (shown.isascii() and not set(shown) & set("?\\")), shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3 × 2 … −1", "3 x 2 ... -1"),
        ("café naïve", "cafe naive"),
        ("¼ 中 😀 \udcff", r"\xbc \u4e2d \U0001f600 \udcff"),
        ("━━╸", "==="),
    ],
)
def test_what_is_shown_in_ascii(text: str, shown: str) -> None:
    assert text.encode("ascii", READABLE).decode() == shown


@contextmanager
def outlet(descriptor: int) -> Iterator[io.TextIOWrapper]:
    with io.TextIOWrapper(io.BufferedWriter(Outlet(descriptor, "w"))) as stream:
        yield stream


def test_where_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with outlet(writer) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        print("one", flush=True)
        assert os.read(reader, 100) == b"one\n" and not streams.unread()
        os.close(reader)
        print("x" * 100_000)
        print("more", flush=True)
        assert streams.unread() and streams.unwritten() == ""
        monkeypatch.undo()


def test_where_somebody_waits_for_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    with outlet(os.open("/dev/full", os.O_WRONLY)) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        print("text")
        assert streams.unwritten() == "No space left on device" and not streams.unread()
        monkeypatch.undo()


SHELL = """
    exec 3>&1
    {python} -m tuner {arguments} {redirected}
    echo "exit $?" >&3
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "redirected", "told"),
    [
        ("schema", "| head -c 1", "{exit 0"),
        ("schema", "> /dev/full", "error: could not write everything to standard output"),
        ("schema", "> /dev/full", "exit 2"),
        ("schema", ">&- 2>&- <&-", "exit 0"),
        ("plan missing.yaml", ">&- 2>&-", "exit 2"),
        ("plan missing.yaml", "2> /dev/full", "exit 2"),
    ],
)
def test_streams_of_the_shell(arguments: str, redirected: str, told: str, tmp_path: Path) -> None:
    """The exit code is that of the command, not of its streams."""
    script = SHELL.format(python=sys.executable, arguments=arguments, redirected=redirected)
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=True,
    )
    assert told in found.stdout and "Traceback" not in found.stdout, found.stdout


@pytest.mark.integration
def test_a_closed_stream_is_no_place_for_the_next_file(tmp_path: Path) -> None:
    """The next file would get the number of a closed stdout, and all that is printed."""
    code = (
        "import os, sys\n"
        "from tuner.terminal import streams\n"
        "streams.prepare()\n"
        "file = open('journal', 'w')\n"
        "os.write(1, b'printed'); os.write(2, b'printed'); print('printed', flush=True)\n"
        "sys.exit(os.path.getsize('journal') or file.fileno() < 3)\n"
    )
    command = f'{sys.executable} -c "$0" >&- 2>&- <&-'
    assert subprocess.run(["bash", "-c", command, code], cwd=tmp_path, check=False).returncode == 0
