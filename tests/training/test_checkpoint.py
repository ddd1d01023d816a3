from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tuner.errors import UserError
from tuner.records import Evaluation, Scores
from tuner.training.checkpoint import Checkpoints, Progress

EVALUATION = Evaluation(
    time=0.1 + 0.2,
    rung=10,
    pairs_seen=14,
    step=2,
    objective=1 / 3,
    select={"en": Scores(accuracy=1 / 3, f1=0.1, pairs=3)},
    train_loss=0.7,
    pairs_per_second=10.0,
    train_seconds=1.4,
    evaluation_seconds=0.1,
    peak_memory_mb=100.0,
    micro_plan=((0, 7),),
    precision="fp32",
)


def progress(step: int) -> Progress:
    return Progress(
        fingerprint="mine",
        micro_plan=[(0, 7), (1, 3)],
        step=step,
        loss_sum=0.1 + 0.2,
        train_seconds=1 / 3,
        evaluations=[EVALUATION],
    )


def trained(seed: int = 0) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A model and an optimizer with a state, one parameter never having had a gradient."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(3):
        model[1](model[0](torch.randn(5, 3))).pow(3).sum().backward()
        optimizer.step()
    return model, optimizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trials" / "0007"


def test_everything_comes_back(folder: Path) -> None:
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


def test_there_is_none_at_first(folder: Path) -> None:
    assert Checkpoints(folder, 60.0).latest("mine") is None


def test_only_the_latest_is_kept_as_data(folder: Path) -> None:
    for step in (9, 10, 11):
        Checkpoints(folder, 60.0).save(*trained(), progress(step))
    assert [path.name for path in folder.iterdir()] == ["step-000000011"]
    files = {path.name for path in (folder / "step-000000011").iterdir()}
    assert files == {"model.safetensors", "optimizer.safetensors", "progress.json", "manifest.json"}


def test_saving_the_same_step_again(folder: Path) -> None:
    for _ in range(2):
        Checkpoints(folder, 60.0).save(*trained(), progress(step=4))
    assert Checkpoints(folder, 60.0).latest("mine") is not None


def test_another_trials_is_refused(folder: Path) -> None:
    Checkpoints(folder, 60.0).save(*trained(), progress(step=2))
    with pytest.raises(UserError, match="another configuration"):
        Checkpoints(folder, 60.0).latest("other")


def cut(folder: Path) -> None:
    model = folder / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])


def flip(folder: Path) -> None:
    model = folder / "optimizer.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)


def edit(folder: Path) -> None:
    text = (folder / "progress.json").read_text()
    (folder / "progress.json").write_text(text.replace('"step":2', '"step":3'))


def lose(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [cut, flip, edit, lose])
def test_a_damaged_one_is_passed_over(damage: Callable[[Path], None], folder: Path) -> None:
    checkpoints = Checkpoints(folder, 60.0)
    checkpoints.save(*trained(), progress(step=2))
    shutil.copytree(folder / "step-000000002", folder / "step-000000003")
    damage(folder / "step-000000003")
    assert checkpoints.latest("mine") is not None
    damage(folder / "step-000000002")
    assert checkpoints.latest("mine") is None


@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_dying_while_saving_leaves_the_one_before(
    dies_in: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(folder, 60.0)
    checkpoints.save(*trained(), progress(step=2))

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, dies_in, die)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(*trained(seed=1), progress(step=3))
    left = checkpoints.latest("mine")
    assert left is not None
    assert left.progress.step == 2

    checkpoints.save(*trained(seed=1), progress(step=3))  # what was left lying is no hindrance
    assert [path.name for path in folder.iterdir()] == ["step-000000003"]


def test_due_by_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoints = Checkpoints(folder, every_seconds=60.0)
    now += 59
    assert not checkpoints.due()
    now += 1
    assert checkpoints.due()
    checkpoints.save(*trained(), progress(step=1))
    assert not checkpoints.due()
