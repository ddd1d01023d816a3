from __future__ import annotations

import hashlib
import json
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from tuner.errors import StorageFull, UserError
from tuner.journal.records import Evaluation
from tuner.storage.folders import Place, names_in
from tuner.study.scores import Scores
from tuner.training.checkpoint import Checkpoints, TrialProgress, remove_incomplete

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


def progress(step: int) -> TrialProgress:
    return TrialProgress(
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


@pytest.fixture(params=["local", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A trial's, not made yet; fsspec's store in memory has what object stores have."""
    if request.param == "local":
        return tmp_path / "trials" / "0007"
    return UPath(f"memory://{tmp_path}/trials/0007")


def save(folder: Place, *steps: int) -> None:
    checkpoints = Checkpoints(folder, 60.0)
    for step in steps:
        checkpoints.save(*trained(), progress(step))


def latest(folder: Place) -> int | None:
    """The step that a trial would go on from."""
    checkpoint = Checkpoints(folder, 60.0).latest("mine")
    return checkpoint.progress.step if checkpoint else None


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


def changed(path: Place, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def cut(folder: Place) -> None:
    changed(folder / "model.safetensors", lambda content: content[:-1])


def flip(folder: Place) -> None:
    changed(folder / "optimizer.safetensors", lambda c: c[:-1] + bytes([c[-1] ^ 1]))


def edit(folder: Place) -> None:
    changed(folder / "progress.json", lambda content: content.replace(b"[0,7]", b"[0,8]"))


def lose(folder: Place) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [cut, flip, edit, lose])
def test_where_the_last_is_damaged_the_trial_goes_on_from_the_one_before(
    damage: Callable[[Place], None], folder: Place
) -> None:
    save(folder, 2, 3)
    damage(folder / "step-000000003")
    checkpoints = Checkpoints(folder, 60.0)
    left = checkpoints.latest("mine")
    assert left is not None and left.progress.step == 2

    checkpoints.save(*trained(), progress(step=4))  # the damaged one is none of the two
    assert names_in(folder) == ["step-000000002", "step-000000004"]
    damage(folder / "step-000000004")
    assert latest(folder) == 2
    damage(folder / "step-000000002")
    assert latest(folder) is None


def with_sums(folder: Path) -> None:
    """Make the manifest fit what is there."""
    names = ("model.safetensors", "optimizer.safetensors", "progress.json")
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "manifest.json").write_text(json.dumps(sums))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda folder: (folder / "progress.json").write_text("{"),
    "deep": lambda folder: (folder / "progress.json").write_text("[" * 100_000),
    "not UTF-8": lambda folder: (folder / "progress.json").write_bytes(b"\xff\xfe{}"),
    "another type": lambda folder: (folder / "progress.json").write_text('["mine"]'),
    "no micro-batch": lambda folder: changed(
        folder / "progress.json", lambda c: c.replace(b"[[0,7],[1,3]]", b"[]")
    ),
    "larger than memory": lambda folder: os.truncate(folder / "progress.json", 2**40),
    "no tensors": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "an endless header": lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64),
    "an endless shape": lambda folder: (folder / "model.safetensors").write_bytes(
        b"\x46\0\0\0\0\0\0\0"
        b'{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}'
    ),
    "a pickle": lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04K\x01."),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_is_passed_over_though_its_sums_fit(
    hostile: Callable[[Path], object], tmp_path: Path
) -> None:
    save(tmp_path, 2, 3)
    hostile(tmp_path / "step-000000003")
    if (tmp_path / "step-000000003" / "progress.json").stat().st_size < 2**30:
        with_sums(tmp_path / "step-000000003")
    assert latest(tmp_path) == 2


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        '"x"',
        "{}",
        '{"../../model.safetensors": "0"}',
        '{"model.safetensors": 7}',
        "[" * 9**5,
    ],
    ids=range(7),
)
def test_a_manifest_of_another_kind_is_passed_over(manifest: str, tmp_path: Path) -> None:
    save(tmp_path, 2, 3)
    (tmp_path / "step-000000003" / "manifest.json").write_text(manifest)
    assert latest(tmp_path) == 2


@settings(max_examples=40)
@given(
    name=st.sampled_from(["model.safetensors", "optimizer.safetensors", "progress.json"]),
    at=st.floats(0, 1, exclude_max=True),
    content=st.binary(min_size=1, max_size=9),
    fits=st.booleans(),
)
def test_whatever_is_changed_the_answer_is_a_checkpoint_or_none(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: float, content: bytes, fits: bool
) -> None:
    """No traceback in reading or restoring, also where the manifest was made to fit."""
    folder = tmp_path_factory.mktemp("trial")
    save(folder, 3)

    def overwrite(whole: bytes) -> bytes:
        start = int(at * len(whole))
        return whole[:start] + content + whole[start + len(content) :]

    changed(folder / "step-000000003" / name, overwrite)
    if fits:
        with_sums(folder / "step-000000003")
    try:
        checkpoint = Checkpoints(folder, 60.0).latest("mine")
        if checkpoint is not None:
            checkpoint.restore(*trained(seed=1))
    except UserError:
        assert fits


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither a checkpoint nor a file of one is read or removed elsewhere."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "trial"
    save(elsewhere, 2, 3, 4)
    save(folder, 2)
    (folder / "step-000000003").symlink_to(elsewhere / "step-000000003")
    (folder / "step-000000004").mkdir()
    for path in (elsewhere / "step-000000004").iterdir():
        (folder / "step-000000004" / path.name).symlink_to(path)
    os.mkfifo(folder / "step-000000005")
    (folder / ".partial").symlink_to(elsewhere)
    assert latest(folder) == 2
    checkpoints = Checkpoints(folder, 60.0)
    checkpoints.latest("mine")
    checkpoints.save(*trained(), progress(step=6))
    assert names_in(folder) == ["step-000000002", "step-000000006"]
    assert names_in(elsewhere) == ["step-000000003", "step-000000004"] and latest(elsewhere) == 4


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
