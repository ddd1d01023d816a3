"""Names of folders of studies, and names that are refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path, PurePath

import pytest
from upath import UPath

from tuner.errors import UserError
from tuner.storage import location
from tuner.storage.location import SHARED, beside, located, mounted_as, study_folder
from tuner.study import StudyConfig
from tuner.study.file import validate_study

SMALL = {
    "name": "small",
    "data": {"source": "nano"},
    "languages": {"source": ["en"]},
    "budget": {"trials": 1, "pairs_per_trial": 900},
    "scheduler": {"kind": "none"},
}


def study_at(storage: str) -> StudyConfig:
    return validate_study({**SMALL, "storage": storage}, "the test")


def test_a_local_folder_is_absolute_in_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    for text, expected in {
        "studies": tmp_path / "studies",
        "/data/../x": Path("/data/../x"),
        "~/studies": Path("/home/me/studies"),
        "a:b": tmp_path / "a:b",
    }.items():
        study = study_at(text)
        assert study.storage == expected and type(study.storage) is type(expected)
        assert study.model_dump(mode="json")["storage"] == str(expected)
        assert StudyConfig.model_validate(study.model_dump(mode="json")) == study


@pytest.mark.parametrize("url", ["s3://my.bucket-1/studies", "s3://bucket", "s3://b2b/a/b_c=1.x/"])
def test_an_object_store(url: str) -> None:
    study = study_at(url)
    assert isinstance(study.storage, UPath)
    assert str(study.storage).rstrip("/") == url.rstrip("/")
    assert str(study.folder) == f"{url.rstrip('/')}/small"
    assert StudyConfig.model_validate(study.model_dump(mode="json")) == study


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file:///etc", "studies cannot be stored at file://"),
        ("memory://x", "memory://"),
        ("http://host/x", "http://"),
        ("simplecache::s3://bucket/x", "simplecache::s3://"),
        ("S3://bucket/x", "S3://"),
        ("s3:/bucket/x", "s3:"),
        ("s3:bucket", "s3:"),
        ("s3://", "is not a folder of an object store"),
        ("s3:///x", "is not a folder of an object store"),
        ("s3://B/x", "is not a folder of an object store"),
        ("s3://bucket/a//b", "is not a folder of an object store"),
        ("s3://bucket/../x", "is not a folder of an object store"),
        ("s3://bucket/a/./b", "is not a folder of an object store"),
        ("s3://bucket/x?versionId=1", "is not a folder of an object store"),
        ("s3://bucket/x::file", "is not a folder of an object store"),
        ("s3://bucket/x\n", "is not a folder of an object store"),
        ("stu\0dies", "cannot hold NUL"),
    ],
)
def test_other_places_are_refused(text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        located(text)
    assert told in refused.value.problem
    with pytest.raises(UserError, match="storage"):
        study_at(text)


@pytest.mark.parametrize("url", ["s3://KEY:hush@bucket/x", "s3://KEY:hu/hush@bucket/x"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    for refuse in (located, study_at):
        with pytest.raises(UserError, match=r"contains credentials|a password") as refused:
            refuse(url)
        assert "hush" not in str(refused.value) and "AWS_SECRET_ACCESS_KEY" in str(refused.value)


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs")])
def test_what_is_not_installed_is_named(
    scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        location, "find_spec", lambda name: None if name in ("s3fs", "gcsfs") else found(name)
    )
    with pytest.raises(UserError, match=rf"-m pip install 'hybrid-batch-tuner\[{extra}\]'"):
        located(f"{scheme}://bucket/x")


def test_a_study_is_named_or_its_folder_is() -> None:
    assert study_folder("mine", "studies") == Path("studies/mine")
    assert study_folder("elsewhere/mine/", "studies") == Path("elsewhere/mine")
    assert study_folder("../../mine", "studies") == Path("../../mine")
    assert str(study_folder("mine", "s3://bucket/studies")) == "s3://bucket/studies/mine"
    assert str(study_folder("s3://bucket/mine", "studies")) == "s3://bucket/mine"


NAMES = ["", ".", "..", "a b", "-x", "mine\n", "mine\0", "s3:mine", "x" * 65, "ä"]
FOLDERS = ["/", "./", "../..", "a/..", "a/mi\0ne", "file:///tmp/mine"]
OBJECTS = ["s3://bucket", "s3://bucket/a b", "s3://bucket/.."]


@pytest.mark.parametrize("study", [*NAMES, *FOLDERS, *OBJECTS])
def test_what_names_no_study(study: str) -> None:
    with pytest.raises(UserError):
        study_folder(study, "studies")


MOUNTS = """\
proc /proc proc rw 0 0
/dev/sda1 / ext4 rw 0 0
server:/export /data nfs4 rw,vers=4.2 0 0
/dev/sdb1 /data/local\\040disk xfs rw 0 0
//server/share /mnt/share cifs rw 0 0
s3fs /mnt/bucket fuse.s3fs rw 0 0
/dev/sdc1 /mnt/twice ext4 rw 0 0
lustre@tcp:/fs /mnt/twice lustre rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "shared"),
    [
        ("/home/me/studies", "ext4", False),
        ("/data/studies", "nfs4", True),
        ("/database/studies", "ext4", False),
        ("/data/local disk/studies", "xfs", False),
        ("/mnt/share", "cifs", True),
        ("/mnt/bucket/a/b", "fuse.s3fs", True),
        ("/mnt/twice/x", "lustre", True),
    ],
)
def test_network_file_systems_are_told_by_their_type(path: str, kind: str, shared: bool) -> None:
    assert mounted_as(PurePath(path), MOUNTS) == kind
    assert bool(SHARED.fullmatch(kind)) == shared


def test_what_no_object_store_holds_is_beside_the_studies_or_in_the_default_folder() -> None:
    assert beside(Path("elsewhere")) == Path("elsewhere")
    assert beside(located("s3://bucket/x")) == Path("studies")
