"""Commands that are shown: they can be copied."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tuner.invocation import command


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
