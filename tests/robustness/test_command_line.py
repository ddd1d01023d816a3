"""Command lines that make no sense: exit code 2 and a message, and nothing is made anywhere.

Nothing here gets so far as to start Ray, a training or a server: no file is a study's, and where a
study is named that there is, an option is wrong.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import chdir, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.robustness.commands import examples, in_time, tree, tuner
from tests.robustness.conftest import copied
from tuner.errors import UserError
from tuner.study.file import load_study

NANO = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"

LONG = "x" * 300
ESCAPES = ["\x1b[31mred", "a\nb", "\x9b2J", "nul\0", "\udcff", "\u202eback", "\r", "\x07"]
NAMES = ["..", ".", "", " ", "../x", "../small", "/abs", "a/../../b", "./..", "/", "//", LONG, "-"]
NAMES += [
    "small/",
    "small/..",
    "elsewhere/precious.txt",
    "\u0455mall",
    "s3://",
    "s3://U/x",
    "ftp://h/x",
]
NAMES += ["file:///etc/passwd", "~no-such-user/x", "studies/small/journal.jsonl", "nul", *ESCAPES]
STORAGES = ["", ".", "..", "elsewhere", "studies/small/journal.jsonl", "/dev/null", "s3:", "s3:/b"]
STORAGES += [
    "s3://",
    "s3://U",
    "s3://k:s@b/x",
    "gs://../x",
    "ftp://h",
    "~no-such-user",
    LONG,
    *ESCAPES,
]
FILES = ["missing.yaml", "", ".", "elsewhere", "/dev/null", "binary", "empty", "not-ours", LONG]
FILES += ["studies/small/journal.jsonl", "a/../../b", *ESCAPES]
ADDED = [
    "+0",
    "-1",
    "8",
    "+",
    "+1e9",
    "+x",
    "+nan",
    "+inf",
    "+" + "9" * 30,
    "++1",
    "+1,0",
    "",
    *ESCAPES,
]
SETTINGS = ["=", "a", "a=", "=1", "a.b.c=1", "..=1", "name=x=y", "budget=3", "space=[", "trial.=1"]
SETTINGS += ["budget.trials=&a [*a]", "x=!!python/object:a b", "name=../x", "data.token=hunter2"]
SETTINGS += ["budget.trials=" + "9" * 400, "[=1", "description=\x1b", LONG + "=1", *ESCAPES]
OPTIONS = [
    "--json",
    "--watch",
    "--nonsense",
    "--",
    "-x",
    "--set",
    "--metric",
    "--against",
    "--port",
]
WORDS = st.sampled_from(sorted({*NAMES, *STORAGES, *FILES, *ADDED, *SETTINGS})) | st.text(
    max_size=8
)


def option(name: str, values: list[str]) -> st.SearchStrategy[list[str]]:
    """The option with one of the values, or not at all."""
    return st.just([]) | st.sampled_from(values).map(lambda value: [name, value])


def joined(*parts: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    return st.tuples(*parts).map(lambda lists: [word for part in lists for word in part])


names = st.sampled_from(NAMES).map(lambda name: [name])
storage = option("--storage", STORAGES)
files = joined(st.sampled_from(FILES).map(lambda file: [file]), option("--set", SETTINGS))
wrong = st.sampled_from(
    [[name, value] for name in ("--trials", "--gpu-hours", "--until") for value in ADDED]
    + [["--set", value] for value in SETTINGS]
).filter(lambda option: option != ["--gpu-hours", "+1e9"])
ADDRESSES = ["http://127.0.0.1:9", "http://h", "https://u:hunter2@127.0.0.1:9", "ray://h", "", "9"]
PATHS = [name for name in NAMES if "://h" not in name]  # no name server is asked
LINES: dict[str, st.SearchStrategy[list[str]]] = {
    "search": files,
    "plan": files,
    "train": files,
    "resume": joined(names, storage, wrong),
    "resume small": wrong,
    "status": joined(names, storage),
    "sync": joined(names, storage),
    "report": joined(names, storage, option("--against", [*SETTINGS, *NAMES])),
    "report small": joined(option("--against", NAMES), option("--metric", [*NAMES, "train/loss"])),
    "confirm": joined(names, storage),
    "confirm small": st.sampled_from(
        [["--top", "0"], ["--seeds", "1"], ["--top", LONG], *(["--set", each] for each in SETTINGS)]
    ),
    "compare": joined(names, names, storage),
    "compare small": st.sampled_from([*NAMES, "small", "small:", "small:-1", "small:x"]).map(
        lambda name: [name]
    ),
    "replay": joined(names, st.just(["0"]), storage),
    "replay small": st.sampled_from(["-1", "x", "999", "1.5", LONG, *ESCAPES]).map(
        lambda number: [number]
    ),
    "list": storage,
    "submit": joined(files, st.sampled_from(ADDRESSES).map(lambda url: ["--address", url])),
    "stop small": st.sampled_from(ADDRESSES).map(lambda url: ["--address", url]),
    "ui": joined(storage, option("--port", ["0", "-1", "70000", "x"]), option("--uri", PATHS)),
    "": st.lists(WORDS, max_size=3),
}


@pytest.fixture
def place(sound: Path) -> Any:
    """A folder with a study, and with what is none."""
    with copied(sound) as folder:
        Path("binary").write_bytes(bytes(range(256)))
        Path("empty").touch()
        Path("not-ours").write_text("%PDF-1.4\n")
        (folder.parent / "file").write_text("no study")
        yield folder.parents[1]


@pytest.mark.parametrize("command", LINES, ids=lambda command: command or "any")
def test_refused_or_done_and_nothing_is_made(command: str, place: Path) -> None:
    own = {"leaderboard.csv", "figures", "figures/timeline.svg", "report.html", "report.md"}
    own = {f"studies/small/{name}" for name in own}

    @examples(8)
    @given(st.data())
    def each(data: st.DataObject) -> None:
        before = tree(place)
        arguments = [*command.split(), *data.draw(LINES[command])]
        if data.draw(st.integers(0, 4)) == 0:
            arguments.insert(data.draw(st.integers(0, len(arguments))), data.draw(WORDS))
        if data.draw(st.integers(0, 4)) == 0:
            arguments.append(data.draw(st.sampled_from(OPTIONS)))
        said = tuner(*arguments)
        assert command in ("list", "ui", "", "report small") or said.code == 2, arguments
        after = tree(place)
        assert {name for name in after.keys() ^ before.keys() if name not in own} == set()
        assert all(after[name] == before[name] for name in before if name not in own)
        if "Usage:" not in said.err:  # which shows who typed it what they typed
            assert "hunter2" not in said.err and "k:s@" not in said.err

    each()


@examples(30)
@given(st.lists(st.sampled_from(SETTINGS) | st.text(max_size=30), min_size=1, max_size=3))
def test_any_set_on_a_real_study(texts: list[str]) -> None:
    try:
        with in_time():
            load_study(NANO, texts)
    except UserError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "name", ["..", ".", "../small", "/abs", "a/../../b", "", "a b", "\u0455mall", LONG]
)
def test_a_name_is_no_way_out(name: str, place: Path) -> None:
    """Names of a study on the command line, and in the YAML."""
    before = tree(place)
    for command in ("status", "report", "sync", "resume"):
        assert tuner(command, name).code == 2
    said = tuner("search", str(NANO), "--set", f"name='{name}'")
    assert said.code == 2 and "name must be letters, digits, - and _, at most 64" in said.err
    assert tree(place) == before


def test_what_cannot_be_printed_is_told_and_not_printed(place: Path) -> None:
    said = tuner("status", "\x1b]0;owned\x07")
    assert said.code == 2 and r"\x1b]0;owned\x07" in said.err
    assert tuner("status", "\udcff").code == 2


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    with chdir(tmp_path):
        os.chdir("gone")
        (tmp_path / "gone").rmdir()
        for arguments in (("status", "small"), ("plan", "study.yaml"), ("list",)):
            said = tuner(*arguments)
            assert said.code == 2 and "the current folder is gone" in said.err


def test_a_module_runs_where_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself has put the folder first by then."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), *sys.path])
    monkeypatch.setattr(sys, "argv", ["tuner", "--version"])
    (tmp_path / "gone").mkdir()
    with chdir(tmp_path):
        os.chdir("gone")
        (tmp_path / "gone").rmdir()
        with redirect_stderr(StringIO()) as err, pytest.raises(SystemExit) as left:
            runpy.run_module("tuner", run_name="__main__")
    assert left.value.code == 2 and "the current folder is gone" in err.getvalue()
