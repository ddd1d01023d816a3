"""Completion as a shell asks for it: by an environment variable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import SETTINGS
from tests.search.examples import create
from tuner.cli.completion import spaces
from tuner.study.file import validate_study

TUNER = str(Path(sys.executable).parent / "tuner")


def complete(folder: Path, typed: str) -> list[str]:
    """Return what bash would offer for the last word of a command line."""
    words = typed.split(" ")
    asked = {
        "_TUNER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [TUNER], cwd=folder, env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.integration
def test_commands_options_and_studies_are_completed(tmp_path: Path) -> None:
    for storage, names in (("studies", ["mbert", "nano", "nano-2"]), ("elsewhere", ["nearby"])):
        for name in names:
            settings = {**SETTINGS, "name": name, "storage": str(tmp_path / storage)}
            with create(validate_study(settings, "the test")):
                pass
    (tmp_path / "studies" / "not-a-study").mkdir()
    assert complete(tmp_path, "tuner re") == ["resume", "replay", "report"]
    assert complete(tmp_path, "tuner report --ag") == ["--against"]
    assert complete(tmp_path, "tuner resume na") == ["nano", "nano-2"]
    assert complete(tmp_path, "tuner status n") == ["nano", "nano-2"]
    assert complete(tmp_path, "tuner compare mbert nano-") == ["nano-2"]
    assert complete(tmp_path, "tuner report --storage elsewhere n") == ["nearby"]
    assert complete(tmp_path, "tuner report --storage nowhere n") == []


@pytest.mark.integration
def test_a_shell_gets_a_script_that_asks_so(tmp_path: Path) -> None:
    source = os.environ | {"_TUNER_COMPLETE": "source_bash"}
    script = subprocess.run([TUNER], env=source, capture_output=True, text=True, check=True).stdout
    assert "_TUNER_COMPLETE=complete_bash" in script and "tuner" in script.split()
    from_bash = ["bash", "-c", f"'{TUNER}' --show-completion; exit $?"]  # it looks at its parents
    shown = subprocess.run(from_bash, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


def test_yaml_files_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine.yaml", "notes.txt", "search_spaces/nano.yaml", "search_spaces/smoke.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert spaces("") == ["search_spaces/nano.yaml", "search_spaces/smoke.yaml"]
    assert spaces("search_spaces/n") == ["search_spaces/nano.yaml"]
    assert spaces("m") == ["mine.yaml"]
    assert spaces("[") == []
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert spaces("") == [] and spaces("../m") == ["../mine.yaml"]
