"""Lists of all studies, and the commands that show them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.report.examples import CREATED, Make, shown
from tuner.cli import main
from tuner.errors import UserError
from tuner.journal.journal import FILE
from tuner.report.status import Unreadable, all_studies, show_all


def test_all_studies_the_newest_first_and_damaged_ones_with_their_complaint(
    make: Make, tmp_path: Path
) -> None:
    make("old", "completed", CREATED - 86_400)
    make("new", "interrupted", score=0.9)
    damaged = make("broken") / FILE
    lines = damaged.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join([lines[0], b"nonsense\n", *lines[2:]]))
    (tmp_path / ".half.new").mkdir()
    (tmp_path / ".half.new" / FILE).write_text("")
    (tmp_path / "no-study").mkdir()

    text = shown(lambda console: show_all(tmp_path, console))
    caption, *lines_below = text.splitlines()
    rows = [line.split() for line in lines_below]
    assert [row[0] for row in rows[:4]] == ["study", "new", "old", "broken"]
    assert rows[1][1:4] == ["interrupted", "1/3", "90.00%"] and rows[1][4] == "0:01:05"
    assert rows[2][1:4] == ["completed", "2/3", "80.00%"]
    assert rows[3][1] == "damaged" and "record 2 is damaged" in text
    assert "unconfirmed" in caption and "new: interrupted; continue with: " in text
    assert isinstance(all_studies(tmp_path)[-1], Unreadable)
    narrow = shown(lambda console: show_all(tmp_path, console), width=60)
    assert "created" in narrow and "90.00%" in narrow
    assert max(map(len, narrow.splitlines()[1:8])) <= 60


def test_where_there_is_no_study(tmp_path: Path) -> None:
    text = shown(lambda console: show_all(tmp_path / "none", console), 200)
    assert "there is no study in" in text and "search search_spaces/nano.yaml" in text
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is not a folder"):
        all_studies(tmp_path / "file")


def run(capsys: pytest.CaptureFixture[str], monkeypatch: Any, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["tuner", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    return capsys.readouterr().out


def test_the_commands(
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make("mine", "interrupted")
    storage = ["--storage", str(tmp_path)]
    found = json.loads(run(capsys, monkeypatch, "status", "mine", *storage, "--json"))
    assert found["state"] == "interrupted" and found["folder"] == str(folder)
    assert found["trials"] == {
        "of": 3,
        "ended": 1,
        "interrupted": 1,
        "waiting": 1,
        "completed": 1,
        "pruned": 0,
        "failed": 0,
    }
    assert found["best"]["objective"] == 0.8 and found["best"]["confirmed"] is False
    assert found["claim"] == "zero-shot for ja" and "resume mine" in found["next"]
    assert json.loads(run(capsys, monkeypatch, "list", *storage, "--json")) == [found]
    assert "mine: interrupted" in run(capsys, monkeypatch, "status", "mine", *storage)
    assert "mine: interrupted" in run(capsys, monkeypatch, "status", "mine", *storage, "--watch")
    assert "interrupted     1/3" in run(capsys, monkeypatch, "list", *storage)


def test_a_look_imports_no_framework() -> None:
    code = "import tuner.report.status, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "ray", "mlflow", "optuna", "numpy"}.isdisjoint(done.stdout.split())
