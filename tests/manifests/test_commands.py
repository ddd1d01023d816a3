"""The commands that nodes run, run here: by the real shell, with stand-ins for Ray and pip."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.manifests.manifests import FOLDER, RAY_UP, load

TOKEN = "0123456789abcdef" * 4
STAND_INS = {
    "ray": 'env > "$HOME/environment"; echo "$@" >> "$HOME/started"',
    "pip": 'echo "$@" > "$HOME/installed"',
}

Shell = Callable[[str], str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "carried" / "ray").mkdir(parents=True)
    (home / "carried" / "ray" / "auth_token").write_text(TOKEN)
    (home / "carried" / "tuner").mkdir()
    (home / "carried" / "tuner" / "constraints.txt").write_text("ray==2.60.0")
    return home


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Shell:
    """Run a command as Ray's ssh sessions do: bash, with OMP_NUM_THREADS=1."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/bash\n{script}\n")
        (programs / name).chmod(0o755)
    environment = {
        "HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "RAY_HEAD_IP": "10.0.0.1",
    }

    def run(command: str) -> str:
        # Not the machine's /tmp: two tests may run at once.
        command = command.replace("/tmp/tuner", str(tmp_path / "tuner"))
        command = command.replace("ulimit -n 65536;", "ulimit -n;")  # of a user who is not root
        done = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def setup_commands(name: str) -> list[str]:
    manifest = load(name)
    commands: list[str] = manifest["setup_commands"] + manifest["head_setup_commands"]
    return commands


@pytest.mark.parametrize("name", RAY_UP)
def test_nobody_else_may_read_the_token(name: str, home: Path, shell: Shell) -> None:
    said = shell(setup_commands(name)[0])
    kept = home / ".ray" / "auth_token"
    assert kept.read_text() == TOKEN
    assert kept.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in said


@pytest.mark.parametrize("name", RAY_UP)
def test_the_versions_of_constraints_are_installed(
    name: str, home: Path, tmp_path: Path, shell: Shell
) -> None:
    shell(setup_commands(name)[1])
    arguments = (home / "installed").read_text().split()
    assert arguments[arguments.index("-c") + 1] == f"{tmp_path}/tuner/constraints.txt"
    extra = "gcs" if name == "gcp.yaml" else "s3"
    assert arguments[-1] == f"{tmp_path}/tuner[{extra}]"
    assert (tmp_path / "tuner" / "constraints.txt").read_text() == "ray==2.60.0"


@pytest.mark.parametrize("name", RAY_UP)
def test_the_head_has_the_secrets_and_workers_do_not(name: str, home: Path, shell: Shell) -> None:
    (home / "secrets.env").write_text("MLFLOW_TRACKING_PASSWORD='of the test'\n")
    manifest = load(name)

    def environment(which: str) -> list[str]:
        said = shell(manifest[f"{which}_start_ray_commands"][-1])
        assert "of the test" not in said
        return (home / "environment").read_text().splitlines()

    head, worker = environment("head"), environment("worker")
    assert "MLFLOW_TRACKING_PASSWORD=of the test" in head
    assert not [line for line in worker if line.startswith("MLFLOW")]
    for inherited in (head, worker):
        assert not [line for line in inherited if line.startswith(("OMP_", "PYTHONWARNINGS"))]
    [on_head, on_worker] = (home / "started").read_text().splitlines()
    assert on_head.startswith("start --head --port=6379 --num-cpus=0 --num-gpus=0 ")
    assert on_worker == "start --address=10.0.0.1:6379"


@pytest.mark.parametrize("name", RAY_UP)
def test_a_head_without_secrets_starts_as_well(name: str, home: Path, shell: Shell) -> None:
    shell(load(name)["head_start_ray_commands"][-1])
    assert (home / "started").exists()


def test_mlflow_is_not_started_without_what_it_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(FOLDER / "mlflow" / "serve.sh")],
        env={"PATH": os.environ["PATH"], "MLFLOW_NAME": "mlflow.example.org"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "MLFLOW_BACKEND_STORE_URI" in done.stderr
