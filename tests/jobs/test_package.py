"""The files that leave this machine: our code and no more, under a limit told before the upload."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.jobs.conftest import Dashboard
from tuner.errors import UserError
from tuner.jobs.connection import Head
from tuner.jobs.package import code, pack


def test_our_code_is_whole_and_alone(tmp_path: Path) -> None:
    """Unpacked elsewhere it runs; there is nothing of tests, caches and the repository in it."""
    package = pack(code())
    with zipfile.ZipFile(io.BytesIO(package.archive)) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
        modes = {info.external_attr >> 16 for info in archive.infolist()}
    assert modes == {0o644}
    assert "tuner/data/nano/encoder/model.safetensors" in names
    assert all(name.startswith("tuner/") for name in names)
    assert not [name for name in names if "__pycache__" in name or "/." in name]
    asked = [sys.executable, "-m", "tuner", "--help"]
    said = subprocess.run(
        asked, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True
    )
    assert "Searches over" in said.stdout, said.stderr


def test_the_same_contents_are_uploaded_once(dashboard: Dashboard, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"content")
    package = pack({"a": file, "b": b"more"})
    head = Head(dashboard.address, "the-token")
    assert package.uploaded(head) == f"gcs://{package.name}"
    file.touch()
    assert pack({"b": b"more", "a": b"content"}).uploaded(head) == f"gcs://{package.name}"
    assert [method for method, *_ in dashboard.asked].count("PUT") == 1
    assert dashboard.stored == {package.name: package.archive}
    for other in ({"a": b"c0ntent", "b": b"more"}, {"a": b"content", "c": b"more"}):
        assert pack(other).name != package.name


def test_sizes_are_shown_by_part() -> None:
    package = pack({"tuner/a.py": os.urandom(2**20), "inputs/x/y": os.urandom(3 * 2**20)})
    assert package.in_words() == "package: 4.0 MiB (inputs 3.0 MiB, tuner 1.0 MiB)"


@pytest.mark.parametrize("limit", [1_000, 40_000], ids=["hopeless", "packed"])
def test_too_large(limit: int) -> None:
    contents = {f"inputs/{n}.tsv": os.urandom(n * 1_000) for n in range(1, 10)}
    with pytest.raises(UserError) as caught:
        pack(contents, limit)
    said = str(caught.value)
    assert said.index("9.tsv") < said.index("8.tsv") < said.index("5.tsv")
    assert "4.tsv" not in said and "a path that does not exist here" in said


def test_just_small_enough() -> None:
    size = len(pack({"a": b"x" * 500}).archive)
    pack({"a": b"x" * 500}, size + 1)
    with pytest.raises(UserError):
        pack({"a": b"x" * 500}, size)
