"""cluster/README.md: what it names is there, and what it says to type can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from tests.manifests.manifests import FOLDER
from tuner.cli import app

README = (FOLDER / "README.md").read_text(encoding="utf-8")
ROOT = FOLDER.parent


def typed() -> list[list[str]]:
    """The commands of `tuner`, by word: of code blocks, and in the text."""
    blocks = [line for line in README.splitlines() if line.startswith("    ")]
    code = "\n".join(blocks).replace("\\\n", " ").splitlines() + re.findall(r"`([^`\n]+)`", README)
    found = (re.search(r"(?:^|-- )\s*(tuner [a-z].*)", line) for line in code)
    return [shlex.split(match[1], comments=True) for match in found if match]


@pytest.mark.parametrize("words", typed(), ids=" ".join)
def test_tuner_has_what_is_typed(words: list[str]) -> None:
    command = get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    for word in words:
        if word.startswith("search_spaces/"):
            assert (ROOT / word).is_file()


def test_there_are_commands() -> None:
    assert {words[1] for words in typed()} >= {"submit", "plan", "doctor", "status", "stop"}


def test_files_that_are_named_are_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    paths = re.findall(r"\bcluster/[\w./-]*\w", README)
    assert [link for link in links if not (FOLDER / link).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert {Path(link).name for link in links} >= {"aws.yaml", "gcp.yaml", "on-prem.yaml"}


def test_every_provider_takes_five_commands() -> None:
    section = README.partition("## Five commands")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    whole = [block for block in blocks if "tuner submit" in block]
    assert len(whole) == 2  # clouds and own machines; Kubernetes
    for block in whole:
        lines = re.sub(r"\\\n\s*", "", block).strip().splitlines()
        assert len(lines) == 5
        assert "tuner submit" in lines[-1]
