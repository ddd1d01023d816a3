"""The words about a worker that has gone."""

from __future__ import annotations

from pathlib import Path

from tuner.run.last_words import last_words

DIED = """The actor died unexpectedly before finishing this task.
\tclass_name: Inner
\tactor_id: 4ad0
\tpid: 4711
\tnamespace: 7c1a
\tip: 127.0.0.1
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR \
Worker exit detail: """
KILLED = DIED + "Worker unexpectedly exits with a connection error code 2. End of file."
NAME = "worker-280ca3e7-01000000-4711.err"


def test_a_worker_that_was_killed_says_nothing(tmp_path: Path) -> None:
    assert last_words(KILLED, tmp_path) == ""
    (tmp_path / NAME).write_text(":actor_name:TrialActor\nUserWarning: slow\n")
    assert last_words(KILLED, tmp_path) == ""
    assert last_words("The actor is unavailable", tmp_path) == ""


def test_one_that_exits_by_itself_says_with_what(tmp_path: Path) -> None:
    said = DIED + "Worker exits unexpectedly. Worker exits with an exit code a stranger: tuner."
    assert last_words(said, tmp_path) == ": it exited with a stranger: tuner"


def test_one_that_fails_at_an_import_names_it(tmp_path: Path) -> None:
    (tmp_path / NAME.replace("4711", "47")).write_text("Traceback (most recent call last):\nother")
    (tmp_path / NAME).write_text(
        ":job_id:01000000\nTraceback (most recent call last):\n"
        '  File "x.py", line 1, in <module>\n    import torch\n'
        "ModuleNotFoundError: No module named 'torch'\n"
    )
    assert last_words(KILLED, tmp_path) == ": ModuleNotFoundError: No module named 'torch'"


def test_a_crash_is_named_and_not_its_last_frame(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
        '  File "loop.py", line 9 in step\n'
    )
    assert last_words(KILLED, tmp_path) == ": Fatal Python error: Segmentation fault"
