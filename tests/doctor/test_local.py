"""The doctor's findings about a Ray on this machine, none of which is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuner.doctor.findings import Finding
from tuner.doctor.local import ray_can_start


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_MODE", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)


def found() -> dict[str, Finding]:
    return {finding.check: finding for finding in ray_can_start()}


def test_in_sound_surroundings_all_pass() -> None:
    assert {finding.level for finding in found().values()} == {"pass"}


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_folder_too_long_for_sockets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("longer" * 8)
    folder.mkdir()
    monkeypatch.setenv(name, str(folder))
    finding = found()["Ray's files"]
    assert finding.level == "fail" and f"{name}={folder} is " in finding.found
    assert "bytes long" in finding.found and "RAY_TMPDIR=/tmp" in finding.remedy
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")  # the remedy
    assert found()["Ray's files"].level == "pass"


@pytest.mark.parametrize(
    ("folder", "why"), [("/proc", ""), ("/no/such", "No such file"), ("/dev/null", "Not a dir")]
)
def test_a_folder_that_cannot_be_written(
    folder: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", folder)
    finding = found()["Ray's files"]
    assert finding.level == "fail" and f"RAY_TMPDIR={folder} cannot be written" in finding.found
    assert why in finding.found


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    finding = found()["home"]
    assert finding.level == "warn" and "/dev/null cannot be written" in finding.found


@pytest.mark.parametrize("mode", ["disabled", "DISABLED", "tokne"])
def test_tokens_that_are_turned_off(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes every word but `token` for off."""
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    finding = found()["tokens"]
    assert finding.level == "fail" and f"RAY_AUTH_MODE={mode}" in finding.found


def test_a_share_of_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(128)))
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert found()["CPUs"].found == "1 for trials of the machine's 128: SLURM"
