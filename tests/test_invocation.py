"""Commands that are shown: they can be copied."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tuner import __version__
from tuner.cli import main
from tuner.invocation import command, search_command
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
