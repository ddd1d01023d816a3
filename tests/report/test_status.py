"""The state of studies, from real journals; the lock of a driver is a real one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.records import facts
from tests.robustness.damage import sealed
from tuner.cli import main
from tuner.errors import UserError
from tuner.journal.events import (
    DriverEnded,
    DriverStarted,
    Evaluated,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialStarted,
)
from tuner.journal.file import PATIENCE
from tuner.journal.journal import FILE, Journal, being_written
from tuner.journal.records import Evaluation
from tuner.report import status
from tuner.report.status import Unreadable, all_studies, look_at, show_all, show_status, watch
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

CREATED = 1_700_000_000.0
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(name, state, created=...)`: a study with one trial that ended and one that ran."""

    def study(name: str, state: Any = None, created: float = CREATED, score: float = 0.8) -> Path:
        settings = {
            "name": name,
            "data": {"source": "nano"},
            "languages": {"source": ["en"]},
            "space": {"optim.lr": 1e-3},
            "budget": {"trials": 3, "pairs_per_trial": 800},
            "sampler": {"kind": "tpe"},
            "storage": str(tmp_path),
        }
        found = facts(
            claim="zero-shot for ja", objective="mean dev accuracy on en", majority_accuracy=0.55
        )
        folder = tmp_path / name
        at = StudyCreated(
            time=created, name=name, id=name, settings=settings, facts=found, rungs=(800,)
        )
        with Journal.create(folder, at) as journal:
            journal.append(DriverStarted(time=created))
            for number in (0, 1):
                journal.append(
                    TrialCreated(
                        time=created + 10 * number,
                        number=number,
                        origin="sampler",
                        params={"optim.lr": 1e-3},
                        config=TrialConfig.from_flat({"optim.lr": 1e-3}),
                        budget=800,
                    )
                )
                journal.append(TrialStarted(time=created + 10, number=number))
            journal.append(Evaluated(time=created + 60, number=0, evaluation=evaluation(score)))
            journal.append(TrialEnded(time=created + 60, number=0, state="completed"))
            if state is not None:
                ended = "interrupted" if state == "interrupted" else "failed"
                journal.append(TrialEnded(time=created + 65, number=1, state=ended))
                journal.append(DriverEnded(time=created + 65, state=state, reason="so it is"))
        return folder

    return study


def evaluation(score: float) -> Evaluation:
    return Evaluation(
        time=0,
        rung=800,
        pairs_seen=800,
        step=25,
        objective=score,
        select={"en": Scores(accuracy=score, f1=score, pairs=5)},
        train_loss=0.1,
        pairs_per_second=1,
        train_seconds=1,
        evaluation_seconds=1,
        peak_memory_mb=1,
        micro_plan=((0, 32),),
        precision="fp32",
    )


@contextmanager
def driver_at_work(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the journal's lock, as a driver does; it lets go as it dies."""
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code, str(folder / FILE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def shown(what: Callable[[Console], Any], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    what(console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(cell_len, text.splitlines())) <= width or "--storage" in text
    return text


def test_a_driver_at_work_and_one_that_was_killed(make: Make) -> None:
    """Their journals are equal: the lock tells them apart."""
    folder = make("mine")
    with driver_at_work(folder) as process:
        running = look_at(folder)
        assert running.state == "running" and being_written(folder)
        text = shown(lambda console: show_status(running, console))
        assert "mine: running" in text and "status mine --storage" in text and "--watch" in text
        assert "running 1" in text and "waiting 1" in text and " 0 of 800 pairs" in text
        assert running.study.seconds > 1e6, "its clock goes on"
        with pytest.raises(UserError, match="another process"):
            Journal(folder)
        process.kill()
        process.wait()
        died = look_at(folder)
    text = shown(lambda console: show_status(died, console))
    assert died.state == "driver died" and not being_written(folder)
    assert "its driver died; continue with: " in text and "resume mine --storage" in text
    assert "interrupted 1" in text and "running" not in text
    assert died.study.seconds == 60, "up to its last word"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("interrupted", "interrupted; continue with: "),
        ("completed", "completed; every trial: "),
        ("failed", "failed, so it is; see: "),
    ],
)
def test_what_an_orderly_end_leaves(make: Make, state: str, words: str) -> None:
    folder = make("mine", state)
    status = look_at(folder)
    text = shown(lambda console: show_status(status, console))
    command = "resume" if state == "interrupted" else "report"
    assert status.state == state and words in text and f"{command} mine --storage" in text
    assert "0:01:05" in text and "best (unconfirmed): trial 000, 80.00%" in text


def test_resuming_is_running_before_the_first_record(make: Make) -> None:
    """A driver that loads and starts holds the lock already."""
    folder = make("mine", "interrupted")
    with driver_at_work(folder):
        assert look_at(folder).state == "running"


def test_a_torn_record_is_not_seen(make: Make) -> None:
    folder = make("mine", "completed")
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[:-20])
    assert look_at(folder).state == "driver died"  # that it ended was not written


def test_a_look_does_not_keep_a_driver_from_starting(make: Make) -> None:
    """The look's lock is held for a moment; a writer waits for so long."""
    folder = make("mine")
    code = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'rb')\n"
        "fcntl.flock(file, fcntl.LOCK_SH)\n"
        "print('held', flush=True)\n"
        f"time.sleep({PATIENCE / 2})\n"
    )
    look = [sys.executable, "-S", "-c", code, str(folder / FILE)]
    with subprocess.Popen(look, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with Journal(folder) as journal:
            assert len(journal.history.trials) == 2


def test_watching_ends_with_the_driver(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("mine")
    monkeypatch.setattr(status, "LOOK_EVERY", 0.01)
    looks = []
    with driver_at_work(folder) as process:

        def look(at: Path) -> status.StudyStatus:
            looks.append(at)
            if len(looks) == 3:
                process.kill()
                process.wait()
            return look_at(at)

        monkeypatch.setattr(status, "look_at", look)
        text = shown(lambda console: watch(folder, console))
    assert len(looks) == 3
    assert "mine: driver died" in text and text.rstrip().splitlines()[-1].startswith("its driver")


def test_ctrl_c_ends_the_view_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("mine")

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", interrupted)
    with driver_at_work(folder) as process:
        assert watch(folder, Console(file=io.StringIO())).state == "running"
        assert process.poll() is None


def test_a_view_that_nobody_reads_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell waits for `tuner status NAME --watch | head -1`."""
    folder = make("mine")

    def slept(seconds: float) -> None:
        raise AssertionError("it goes on")

    monkeypatch.setattr(status, "unread", lambda: True)
    monkeypatch.setattr(status.time, "sleep", slept)
    with driver_at_work(folder) as process:
        assert watch(folder, Console(file=io.StringIO())).state == "running"
        assert process.poll() is None


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


@pytest.mark.parametrize("block", ["budget", "sampler", "data", "encoder", "claim"])
def test_a_record_that_lacks_what_readers_take_for_granted(make: Make, block: str) -> None:
    """Its checksum is right: it was forged, or another version wrote it. It is no KeyError."""
    folder = make("mine", "completed")
    first, *others = (folder / FILE).read_bytes().splitlines(keepends=True)
    body = json.loads(first)
    if block in ("budget", "sampler"):
        del body["settings"][block]["trials" if block == "budget" else "kind"]
        body["settings"][block] |= {"startup_trials": "many"} if block == "sampler" else {}
    else:
        del body["facts"][block]
    (folder / FILE).write_bytes(b"".join([sealed(body, 0), *others]))
    with pytest.raises(UserError):
        look_at(folder)
    (found,) = all_studies(folder.parent)
    assert isinstance(found, Unreadable)
