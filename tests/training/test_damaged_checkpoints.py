"""Damaged and foreign checkpoints are passed over."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.examples import latest, lose, progress, save, trained
from tuner.errors import UserError
from tuner.storage.folders import Place, names_in
from tuner.training.checkpoint import Checkpoints


def changed(path: Place, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def cut(folder: Place) -> None:
    changed(folder / "model.safetensors", lambda content: content[:-1])


def flip(folder: Place) -> None:
    changed(folder / "optimizer.safetensors", lambda c: c[:-1] + bytes([c[-1] ^ 1]))


def edit(folder: Place) -> None:
    changed(folder / "progress.json", lambda content: content.replace(b"[0,7]", b"[0,8]"))


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
