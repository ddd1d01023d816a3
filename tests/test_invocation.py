"""Commands that are shown: they can be copied."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tuner import __version__, invocation
from tuner.cli import main
from tuner.invocation import command, lasting_command, search_command
from tuner.storage.location import located


@pytest.mark.parametrize(
    ("storage", "option"),
    [
        ("studies", []),
        ("elsewhere", ["--storage", "elsewhere"]),
        ("a folder", ["--storage", "a folder"]),
        ("/data/studies", ["--storage", "/data/studies"]),
    ],
)
def test_a_command_names_the_storage_where_it_must(
    storage: str, option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path(storage) / "mine", Path(storage).absolute() / "mine"):
        words = shlex.split(command("resume", folder))
        assert words[words.index("resume") :] == ["resume", "mine", *option]


@pytest.mark.parametrize("called", ["../.venv/bin/tuner", "/opt/a folder/tuner", "x/__main__.py"])
def test_a_command_that_is_kept_runs_from_any_folder(
    called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(invocation, "which", lambda name: None)
    for folder in (Path("studies/mine"), tmp_path / "here" / "studies" / "mine"):
        words = shlex.split(lasting_command("report", folder))
        program = words[: words.index("report")]
        if called.endswith("__main__.py"):
            assert program == [sys.executable, "-m", "tuner"]
        else:
            assert program == [str((tmp_path / "here" / called).resolve())]
        rest = ["report", "mine", "--storage", str(tmp_path / "here" / "studies")]
        assert words[len(program) :] == rest
    remote = lasting_command("report", located("s3://bucket/studies") / "mine")
    assert remote.endswith("report mine --storage s3://bucket/studies")


def test_a_study_in_an_object_store_is_named_with_it() -> None:
    words = shlex.split(command("resume", located("s3://bucket/studies") / "mine"))
    assert words[words.index("resume") :] == ["resume", "mine", "--storage", "s3://bucket/studies"]


def test_a_search_is_shown_with_its_overrides_quoted() -> None:
    overrides = ["name=b", "require=[seed == 0]"]
    words = shlex.split(search_command(Path("my spaces/a.yaml"), overrides))
    expected = ["search", "my spaces/a.yaml", "--set", "name=b", "--set", "require=[seed == 0]"]
    assert words[words.index("search") :] == expected


def test_the_version_is_told_without_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tuner", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0 and capsys.readouterr().out == f"{__version__}\n"
