"""A study's data and encoder that lie here: packed, and found there under a path that stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml

from tuner.errors import UserError
from tuner.invocation import program
from tuner.jobs.staging import FILE, Staged, check_here, stage

SPACE = """
name: mine
storage: /mnt/shared/studies
data: {data}
encoder: {encoder}
languages: {{source: [en, de], target: [ja]}}
budget: {{trials: 2, pairs_per_trial: 100}}
space: {{optim.lr: [1e-4, 1e-3]}}
"""


@pytest.fixture
def staged(tmp_path: Path) -> Callable[..., Staged]:
    """A study with this data and encoder, as it stands in a folder of its own."""

    def make(data: str, encoder: str = "{name: nano}", *overrides: str) -> Staged:
        (tmp_path / "mine.yaml").write_text(SPACE.format(data=data, encoder=encoder))
        with chdir(tmp_path):
            return stage(Path("mine.yaml"), overrides)

    return make


def settings(staged: Staged) -> Any:
    content = staged.contents[FILE]
    assert isinstance(content, bytes)
    return yaml.safe_load(content)


def arrived(staged: Staged, home: Path, folder: str = "job") -> None:
    """Do what a job does before its own command, where its package was unpacked."""
    job = home / folder
    for name, content in staged.contents.items():
        path = job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    environment = os.environ | {"HOME": str(home)}
    subprocess.run(f"{staged.prepare}exec true", shell=True, cwd=job, env=environment, check=True)


def files(folder: Path, **contents: str) -> None:
    for name, content in contents.items():
        path = folder / f"{name.replace('__', '/')}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_nothing_of_what_is_built_in(staged: Callable[..., Staged]) -> None:
    study = staged("{source: nano}")
    assert set(study.contents) == {FILE} and study.prepare == "" and study.notes == ()
    assert study.command == f"{program()} submit mine.yaml"


def test_what_overrides_is_in_the_file(staged: Callable[..., Staged]) -> None:
    study = staged("{source: nano}", "{name: nano}", "budget.trials=7", "description=it's")
    assert settings(study)["budget"]["trials"] == 7
    assert "--set budget.trials=7 --set 'description=it'\"'\"'s'" in study.command


def test_a_folder_of_pawsx(staged: Callable[..., Staged], tmp_path: Path) -> None:
    files(tmp_path / "pawsx", en__train="1", de__train="2", ja__dev_2k="3", ko__dev_2k="4")
    (tmp_path / "pawsx" / "en" / ".hidden").write_text("")
    study = staged("{source: directory, path: pawsx}")
    assert len(study.contents) == 4, "three files and the YAML: Korean is not asked for"
    path = settings(study)["data"]["path"]
    for job in ("job", "later"):
        arrived(study, tmp_path / "home", job)
        there = Path(path.replace("~", str(tmp_path / "home"), 1))
        assert (there / "ja" / "dev_2k.tsv").read_text() == "3"
        assert there.resolve().is_relative_to(tmp_path / "home" / job)


def test_the_path_is_of_the_contents(staged: Callable[..., Staged], tmp_path: Path) -> None:
    """So that a study that is resumed has the settings it began with, and one on other data not."""
    data = "{source: directory, path: pawsx}"
    files(tmp_path / "pawsx", en__train="1")
    first = staged(data)
    again = staged(data)
    assert again.digest == first.digest
    files(tmp_path / "pawsx", en__train="2")
    other = staged(data)
    assert settings(other)["data"]["path"] != settings(first)["data"]["path"]


@pytest.mark.parametrize(
    "pattern", ["data/{language}/x/train.tsv", "data/train-{language}.tsv", "data/all.tsv"]
)
def test_files(pattern: str, staged: Callable[..., Staged], tmp_path: Path) -> None:
    for language in ("en", "de", "ja", "ko"):
        path = tmp_path / pattern.replace("{language}", language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(language)
    column = "" if "{language}" in pattern else ", columns: {language: language}"
    study = staged(
        f"{{source: files, train: '{pattern}', dev: '/not/here/{{language}}.tsv', "
        f"machine_translated: []{column}}}"
    )
    arrived(study, tmp_path / "home")
    data = settings(study)["data"]
    assert data["dev"] == "/not/here/{language}.tsv", "taken as the cluster's"
    for language in ("en", "de", "ja"):
        there = data["train"].replace("{language}", language)
        there = there.replace("~", str(tmp_path / "home"), 1)
        assert Path(there).read_text() == (language if "{language}" in pattern else "ko")
    assert not any("ko" in name.rpartition("/")[2] for name in study.contents)
    assert any("/not/here/{language}.tsv does not exist here" in line for line in study.notes)


def test_a_split_with_columns_of_its_own(staged: Callable[..., Staged], tmp_path: Path) -> None:
    """Its path changes, and its columns go with it."""
    files(tmp_path / "data", all="all", en="en", de="de", ja="ja")
    block = "{path: data/all.tsv, columns: {label: gold, language: lang}}"
    study = staged(
        f"{{source: files, train: {block}, dev: 'data/{{language}}.tsv', machine_translated: []}}"
    )
    arrived(study, tmp_path / "home")
    train = settings(study)["data"]["train"]
    assert train["columns"] == {"label": "gold", "language": "lang"}
    there = Path(train["path"].replace("~", str(tmp_path / "home"), 1))
    assert there.read_text() == "all"


def test_an_encoder_that_is_a_folder(staged: Callable[..., Staged], tmp_path: Path) -> None:
    files(tmp_path / "models" / "mine", vocab="x")
    study = staged("{source: nano}", "{name: ./models/mine}")
    name = settings(study)["encoder"]["name"]
    arrived(study, tmp_path / "home")
    there = Path(name.replace("~", str(tmp_path / "home"), 1))
    assert (there / "vocab.tsv").read_text() == "x"
    assert settings(staged("{source: nano}", "{name: org/of-the-hub}"))["encoder"]["name"] == (
        "org/of-the-hub"
    )


@pytest.mark.parametrize("storage", ["studies", "./x", "../x"])
def test_a_storage_that_would_go_with_the_job(storage: str, staged: Callable[..., Staged]) -> None:
    with pytest.raises(UserError, match="is a folder of this machine") as caught:
        staged("{source: nano}", "{name: nano}", f"storage={storage}")
    assert "--set storage=s3://bucket/studies" in str(caught.value)


@pytest.mark.parametrize("storage", ["s3://bucket/studies", "/mnt/x", "~/studies"])
def test_a_storage_of_the_cluster(storage: str, staged: Callable[..., Staged]) -> None:
    study = staged("{source: nano}", "{name: nano}", f"storage={storage}")
    assert study.storage == settings(study)["storage"] == storage


@pytest.mark.parametrize(
    ("data", "encoder", "words"),
    [
        ("{source: directory, path: /not/here}", "{name: /not/here/either}", ""),
        ("{source: directory, path: ~/not-here}", "{name: nano, max_length: 32}", ""),
        ("{source: directory, path: not/here}", "{name: nano, max_length: 32}", "not/here"),
        ("{source: nano}", "{name: ./not-here}", "does not exist"),
        ("{source: nano}", "{name: nano, max_length: 64}", "must be at most 32"),
    ],
)
def test_what_is_here_is_checked_before_it_is_packed(
    data: str, encoder: str, words: str, tmp_path: Path
) -> None:
    """A path that is written absolute, or from ~, may be the cluster's own; a relative one not."""
    (tmp_path / "mine.yaml").write_text(SPACE.format(data=data, encoder=encoder))
    with chdir(tmp_path):
        if not words:
            check_here(Path("mine.yaml"), [], pytest.fail)
            return
        with pytest.raises(UserError, match=words):
            check_here(Path("mine.yaml"), [], pytest.fail)
