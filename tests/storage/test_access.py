"""Files on a local disk or network file system; object stores are in run/test_object_store.py."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from tuner.errors import StorageFull, UserError
from tuner.storage import access
from tuner.storage.access import create, listed, modified, probe, reaching, read, remove, write


def test_a_file_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert create(path, b"first")
    assert not create(path, b"second") and path.read_bytes() == b"first"
    assert create(path, b"first"), "NFS may ask again for what it has done"
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_what_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(UserError, match=r"table\.csv cannot be used: Is a directory"):
        write(tmp_path / "table.csv", b"content")
    assert [found.name for found in tmp_path.iterdir()] == ["table.csv"]


def test_of_many_at_once_one_creates_it(tmp_path: Path) -> None:
    won: list[bytes] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait(10)
        content = b"%d" % number * 1000
        if create(tmp_path / "file", content):
            won.append(content)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [(tmp_path / "file").read_bytes()]
    assert len(list(tmp_path.iterdir())) == 1


def test_without_hard_links_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(UserError, match="without hard links"):
        create(tmp_path / "file", b"1")
    assert list(tmp_path.iterdir()) == []


def test_writing_replaces_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"precious")
    (tmp_path / "file").symlink_to(tmp_path / "outside")
    write(tmp_path / "file", b"new")
    assert (tmp_path / "outside").read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == b"new"
    write(tmp_path / "deeper" / "file", b"1")
    remove(tmp_path / "deeper" / "file")
    remove(tmp_path / "deeper" / "file")
    assert list((tmp_path / "deeper").iterdir()) == []


def test_listing_and_reading(tmp_path: Path) -> None:
    assert listed(tmp_path / "none") == {}
    names = [f"{number}" for number in range(40)]
    for name in names:
        (tmp_path / name).write_text(name)
    before = listed(tmp_path)
    assert sorted(before) == sorted(names)
    write(tmp_path / "7", b"changed")
    after = listed(tmp_path)
    assert {name for name in names if before[name] != after[name]} == {"7"}
    expected = {name: name.encode() for name in names if name != "7"}
    assert read(tmp_path, expected) == expected
    with pytest.raises(UserError, match="cannot be used: No such file"):
        read(tmp_path, ["missing"])


def test_the_clock_of_the_storage(tmp_path: Path) -> None:
    os.utime(tmp_path, (100, 100))
    write(tmp_path / "file", b"1")
    assert 0 <= probe(tmp_path) - modified(tmp_path / "file") < 60
    assert sorted(listed(tmp_path)) == ["file"]


def test_what_goes_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used: "):
        create(tmp_path / "file" / "below", b"1")
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(StorageFull), reaching(tmp_path):
            raise OSError(number, "full")
    with pytest.raises(ZeroDivisionError), reaching(tmp_path):
        _ = 1 / 0  # ours is not the storage's

    def overwrites(path: Path, content: bytes) -> bool:
        write(path, content)
        return True

    monkeypatch.setattr(access, "create", overwrites)
    with pytest.raises(UserError, match="If-None-Match"):
        probe(tmp_path)
