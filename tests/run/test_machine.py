"""The resources that this machine could give to trials, counted without torch and Ray."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pytest

from tuner.cluster.machine import cpus
from tuner.errors import UserError
from tuner.model.shape import describe_encoder
from tuner.run import machine
from tuner.run.disk import check_space
from tuner.run.machine import check_machine, gpus_here, memory_here, this_machine
from tuner.study import StudyConfig
from tuner.study.file import override, validate_study


def asking(folder: Path, **resources: float) -> dict[str, Any]:
    return {
        "name": "small",
        "storage": str(folder),
        "data": {"source": "nano"},
        "encoder": {"name": "nano", "max_length": 32},
        "languages": {"source": ["en", "de"]},
        "budget": {"trials": 9, "pairs_per_trial": 900},
        "space": {"optim.lr": [1e-4, 1e-3]},
        "resources": resources,
    }


def checked(settings: dict[str, Any]) -> StudyConfig:
    study = validate_study(settings, "here")
    check_machine(study, describe_encoder(study.encoder))
    return study


class Driver:
    """NVIDIA's library, of a machine with GPUs, or where it fails."""

    def __init__(self, count: int, fails: int = 0) -> None:
        self._count, self._fails = count, fails

    def nvmlInit_v2(self) -> int:  # noqa: N802 (its name)
        return self._fails

    def nvmlDeviceGetCount_v2(self, found: Any) -> int:  # noqa: N802 (its name)
        found._obj.value = self._count
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802 (its name)
        return 0


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 4), ("", 0), ("-1", 0), ("0", 1), ("0,2", 2), ("0,1,2,3,4,5", 4), ("NoDevFiles", 0)],
)
def test_gpus_are_those_that_are_visible(
    visible: str | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray counts them so when it starts."""
    monkeypatch.setattr(machine, "ROCM", Path("/no/such"))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(4))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == count


def test_a_driver_that_fails_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROCM", Path("/no/such"))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(4, fails=9))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus_here() == 0


def test_what_this_machine_has() -> None:
    study = validate_study(asking(Path("studies")), "here")
    (type_,) = this_machine(study).types
    assert type_.cpus == cpus().number and type_.gpus == 0
    assert 0 < memory_here() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpus_per_trial": 1}, "1 GPU on one node"),
        ({"gpus_per_trial": 0.5}, "0.5 GPU on one node"),
        ({"cpus_per_trial": 4096}, "4096 CPU"),
        ({"workers": 4096, "cpus_per_trial": 4096}, "4096 workers"),
    ],
)
def test_a_trial_that_does_not_fit_is_refused_with_what_makes_it_fit(
    resources: dict[str, float], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    settings = asking(tmp_path, **resources)
    with pytest.raises(UserError, match=words) as told:
        checked(settings)
    options = told.value.remedy.partition(";")[0].split("--set ")[1:]
    assert options
    for option in options:
        override(settings, option.strip())
    if "workers" in resources:  # which share the CPUs evenly
        override(settings, f"resources.cpus_per_trial={cpus().number}")
    checked(settings)


def test_a_cluster_is_not_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    checked(asking(tmp_path, cpus_per_trial=4096))


def test_a_disk_that_would_fill_is_refused_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.run.disk.free_bytes", lambda place: 10**6)
    with pytest.raises(UserError, match="are free there") as early:
        checked(asking(tmp_path))
    study = validate_study(asking(tmp_path), "here")
    at_once = this_machine(study).trials_at_once(study.resources)
    with pytest.raises(UserError) as late:
        check_space(study, describe_encoder(study.encoder), at_once)
    assert str(early.value) == str(late.value)
