"""Checkpoints of a trial: what is saved comes back, whole, whatever interrupts the saving."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from upath import UPath

from tests.training.examples import latest, lose, progress, save, trained
from tuner.errors import StorageFull, UserError
from tuner.storage.folders import Place, names_in
from tuner.training.checkpoint import Checkpoints, remove_incomplete


def test_everything_comes_back(folder: Place) -> None:
    model, optimizer = trained()
    Checkpoints(folder, 60.0).save(model, optimizer, progress(step=2))
    other_model, other_optimizer = trained(seed=1)

    checkpoint = Checkpoints(folder, 60.0).latest("mine")

    assert checkpoint is not None
    assert checkpoint.progress == progress(step=2)  # floats to the last bit
    checkpoint.restore(other_model, other_optimizer)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other_model.state_dict()[name], tensor)
    state, other_state = (o.state_dict()["state"] for o in (optimizer, other_optimizer))
    assert state.keys() == other_state.keys() == {0, 1, 2, 3}
    for index, kept in state.items():
        assert kept.keys() == {"step", "exp_avg", "exp_avg_sq"}
        for key, tensor in kept.items():
            assert torch.equal(other_state[index][key], tensor)


def test_what_was_restored_does_not_hold_on_to_the_files(tmp_path: Path) -> None:
    """A mapped file takes its space until the process ends, also where it was removed."""
    save(tmp_path, 2)
    model, optimizer = trained(seed=1)
    checkpoint = Checkpoints(tmp_path, 60.0).latest("mine")
    assert checkpoint is not None and "model.safetensors" in Path("/proc/self/maps").read_text()
    checkpoint.restore(model, optimizer)
    del checkpoint
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_there_is_none_at_first(folder: Place) -> None:
    assert latest(folder) is None


def test_the_two_latest_are_kept_as_data(folder: Place) -> None:
    save(folder, 8, 9, 10, 11)
    assert names_in(folder) == ["step-000000010", "step-000000011"]
    files = ["manifest.json", "model.safetensors", "optimizer.safetensors", "progress.json"]
    assert all(names_in(folder / name) == files for name in names_in(folder))


def test_saving_the_same_step_again(folder: Place) -> None:
    save(folder, 4)
    save(folder, 4)
    assert latest(folder) == 4


def test_another_trials_is_refused(folder: Place) -> None:
    save(folder, 2)
    with pytest.raises(UserError, match="another configuration"):
        Checkpoints(folder, 60.0).latest("other")


def test_other_tensors_than_the_trials_are_refused(folder: Place) -> None:
    save(folder, 2)
    checkpoint = Checkpoints(folder, 60.0).latest("mine")
    assert checkpoint is not None
    smaller = torch.nn.Linear(2, 2)
    with pytest.raises(UserError, match="its tensors differ"):
        checkpoint.restore(smaller, torch.optim.AdamW(smaller.parameters()))


@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_dying_while_saving_leaves_the_ones_before(
    dies_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, 2)

    def die(*args: object) -> None:
        os._exit(9)

    child = os.fork()
    if child == 0:
        setattr(os, dies_in, die)
        save(tmp_path, 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert ".partial" in names_in(tmp_path) and latest(tmp_path) == 2

    checkpoints = Checkpoints(tmp_path, 60.0)
    checkpoints.latest("mine")
    checkpoints.save(*trained(seed=1), progress(step=3))  # what was left lying is no hindrance
    assert names_in(tmp_path) == ["step-000000002", "step-000000003"]


def test_what_a_dead_process_left_is_removed(folder: Place) -> None:
    save(folder, 2, 3, 4)
    lose(folder / "step-000000003")
    (folder / ".partial").mkdir()
    (folder / ".partial" / "model.safetensors").write_bytes(b"half")
    remove_incomplete(folder)
    assert names_in(folder) == ["step-000000004"] and latest(folder) == 4


@pytest.mark.parametrize("what", ["tensors", "progress"])
def test_no_space_left_is_said_and_nothing_is_lost(what: str, tmp_path: Path) -> None:
    """A limit on the size of files, which finds no space as a full disk does."""
    save(tmp_path, 1, 2)
    model = torch.nn.Linear(100, 100 if what == "tensors" else 1)
    optimizer = torch.optim.AdamW(model.parameters())
    steps = 1 if what == "tensors" else 5000
    large = progress(step=3).model_copy(update={"micro_plan": [(n, 8) for n in range(steps)]})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(StorageFull, match=re.escape(f"no space is left for {tmp_path}")):
            Checkpoints(tmp_path, 60.0).save(model, optimizer, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names_in(tmp_path) == ["step-000000001", "step-000000002"]
    assert latest(tmp_path) == 2


@pytest.mark.integration
def test_on_a_disk_that_is_really_full(small_disk: Callable[[str, str], str]) -> None:
    """4 MB; a checkpoint takes 1.4, so that three do not fit."""
    code = """
        import torch
        from pathlib import Path
        from tuner.errors import StorageFull
        from tuner.training.checkpoint import Checkpoints, TrialProgress
        model = torch.nn.Linear(340, 340)
        optimizer = torch.optim.AdamW(model.parameters())
        model(torch.ones(340)).sum().backward()
        optimizer.step()
        checkpoints = Checkpoints(Path("trial"), 60.0)
        for step in range(4):
            try:
                progress = TrialProgress(fingerprint="mine", micro_plan=[(0, 8)], step=step)
                checkpoints.save(model, optimizer, progress)
                print("saved", step)
            except StorageFull as error:
                print(error.problem)
        print(*sorted(path.name for path in Path("trial").iterdir()))
        print(Checkpoints(Path("trial"), 60.0).latest("mine").progress.step)
    """
    assert small_disk("4m", code).splitlines() == [
        "saved 0",
        "saved 1",
        "no space is left for trial",
        "no space is left for trial",
        "step-000000000 step-000000001",
        "1",
    ]


def test_an_upload_that_breaks_off_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an object store the manifest comes last."""
    folder = UPath(f"memory://{tmp_path}/trial")
    save(folder, 2)
    put = type(folder.fs).put_file
    uploaded: list[str] = []

    def break_off(store: object, local: str, remote: str) -> None:
        if len(uploaded) == 3:
            raise OSError("connection lost")
        uploaded.append(remote.rpartition("/")[2])
        put(store, local, remote)

    with monkeypatch.context() as patch:
        patch.setattr(type(folder.fs), "put_file", break_off)
        with pytest.raises(OSError, match="connection lost"):
            save(folder, 3)
    assert "manifest.json" not in uploaded and len(names_in(folder)) == 2
    assert latest(folder) == 2


def test_due_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoints = Checkpoints(tmp_path, every_seconds=60.0)
    now += 59
    assert not checkpoints.due()
    now += 1
    assert checkpoints.due()
    checkpoints.save(*trained(), progress(step=1))
    assert not checkpoints.due()
