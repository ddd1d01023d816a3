"""The doctor's findings about a study's settings and files: resources, memory, disk, inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.cluster.capacity import Capacity, NodeType
from tuner.doctor import head
from tuner.doctor.findings import Finding
from tuner.study import StudyConfig
from tuner.study.file import validate_study


def study(folder: Path, **changes: Any) -> StudyConfig:
    settings = {
        "name": "small",
        "storage": str(folder),
        "data": {"source": "nano"},
        "encoder": {"name": "nano", "max_length": 32},
        "languages": {"source": ["en", "de"]},
        "budget": {"trials": 9, "pairs_per_trial": 900},
        "space": {"optim.lr": [1e-4, 1e-3], "seed": [0, 1, 2, 3]},
    }
    return validate_study(settings | changes, "here")


def machine(cpus: float = 4, gpus: float = 0) -> Capacity:
    return Capacity((NodeType("this machine", cpus, gpus, alive=1, most=1),))


def fits(asked: StudyConfig, holds: Capacity) -> dict[str, Finding]:
    return {found.check: found for found in head.study_fits(asked, holds, "this machine")}


def test_a_study_that_fits(tmp_path: Path) -> None:
    found = fits(study(tmp_path), machine())
    assert {each.level for each in found.values()} == {"pass"}
    assert found["resources"].found == "this machine holds 4 trials at once"
    assert f"at once in {tmp_path}" in found["space"].found


def test_a_gpu_that_is_not_there_fails(tmp_path: Path) -> None:
    asked = study(tmp_path, resources={"gpus_per_trial": 1})
    (finding,) = fits(asked, machine()).values()
    assert (finding.check, finding.level) == ("resources", "fail")
    assert finding.found.endswith("the largest is this machine (4 CPU, 0 GPU)")
    assert finding.remedy.startswith("Lower it: --set resources.gpus_per_trial=0;")
    assert fits(asked, machine(gpus=1))["resources"].level == "pass"


def test_workers_that_are_too_many_fail(tmp_path: Path) -> None:
    asked = study(tmp_path, resources={"workers": 8, "cpus_per_trial": 8})
    finding = fits(asked, machine())["resources"]
    assert finding.level == "fail" and "--set resources.workers=4" in finding.remedy


def test_a_disk_that_would_fill_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.run.disk.free_bytes", lambda place: 10**6)
    finding = fits(study(tmp_path), machine())["space"]
    assert finding.level == "fail" and "1.0 MB are free there" in finding.found


@pytest.mark.parametrize(
    ("there", "level", "remedy"),
    [
        (1e9, "pass", ""),
        (7e6, "warn", "--set resources.max_concurrent_trials=2"),
        (1e6, "warn", "smaller encoder"),
    ],
)
def test_memory(
    there: float, level: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nano's 0.21 M parameters take 3.4 MB with gradients and moments."""
    monkeypatch.setattr(head, "memory_here", lambda: there)
    (finding,) = head.memory_suffices(study(tmp_path), machine())
    assert (finding.check, finding.level) == ("memory", level)
    assert remedy in finding.remedy


def test_trials_on_gpus_hold_their_weights_there(tmp_path: Path) -> None:
    asked = study(tmp_path, resources={"gpus_per_trial": 1})
    assert list(head.memory_suffices(asked, machine(gpus=1))) == []


def test_what_files_tell_is_told_for_data_and_encoder_both(tmp_path: Path) -> None:
    wrong = study(
        tmp_path,
        data={"source": "directory", "path": str(tmp_path / "no")},
        encoder={"name": str(tmp_path / "none")},
    )
    data, encoder = head.from_files(wrong)
    assert (data.check, data.level, encoder.check, encoder.level) == (
        "data",
        "fail",
        "encoder",
        "fail",
    )
    assert head.from_files(study(tmp_path)) == []
