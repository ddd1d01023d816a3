"""The commit that studies record: this package's own, never that of a repository around it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tuner import version as module
from tuner.version import VARIABLE, commit

pytestmark = pytest.mark.integration

COMMIT = "5d41402abc4b2a76b9719d911017c592a1b2c3d4"


@pytest.fixture(autouse=True)
def _not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *identity, *arguments]
    ran = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's own project, with one commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "paper.tex").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "theirs")
    return folder


def code_in(folder: Path) -> Path:
    package = folder / "tuner"
    package.mkdir(parents=True)
    (package / Path(module.__file__).name).write_text(Path(module.__file__).read_text())
    return package


def wheel_in(project: Path, origin: dict[str, object] | None) -> Path:
    """The package as pip puts it into an environment inside a project; where pip says it was."""
    packages = project / ".venv/lib/python3.11/site-packages"
    package = code_in(packages)
    for name, text in (("tuner", origin), ("other", {"vcs_info": {"commit_id": "0" * 40}})):
        info = packages / f"{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "RECORD").write_text(f"{name}/version.py,,\n{name}/__init__.py,,\n")
        if text is not None:
            (info / "direct_url.json").write_text(json.dumps({"url": "u", **text}))
    return package


def test_a_wheel_in_somebodys_repository_has_no_commit(repository: Path) -> None:
    assert commit(wheel_in(repository, None)) == ""


def test_nor_has_one_that_was_built_from_a_folder(repository: Path) -> None:
    assert commit(wheel_in(repository, {"dir_info": {}})) == ""


def test_pip_knows_the_commit_that_it_installed(repository: Path) -> None:
    origin = {"vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    assert commit(wheel_in(repository, origin)) == COMMIT


def test_a_checkout_has_its_own(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = code_in(repository)
    git(repository, "add", "tuner")
    git(repository, "commit", "-q", "-m", "ours")
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook of another repository
    assert commit(package) == head
    (repository / "paper.tex").write_text("y")
    assert commit(package) == head
    (package / Path(module.__file__).name).write_text("changed")
    assert commit(package) == f"{head}+"


def test_without_git_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = code_in(tmp_path)
    assert commit(package) == ""
    monkeypatch.setenv("PATH", "")
    assert commit(package) == ""
    monkeypatch.setenv(VARIABLE, COMMIT)
    assert commit(package) == COMMIT
