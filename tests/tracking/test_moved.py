"""A folder of studies that was moved or copied: its store has its files, not the original's."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from tests.robustness.commands import tree
from tests.tracking.examples import EVERY_STATE, study, written
from tests.tracking.stores import Store
from tuner.tracking import Tracker, attach
from tuner.tracking.moved import follow

pytestmark = pytest.mark.integration

RUN = "0123456789abcdef" * 2


def synced(store: Store) -> str:
    """With a study and its report; its run."""
    Tracker(store.uri, "demo").sync(study(*EVERY_STATE))
    assert attach(store.uri, "demo", "4f0c2b", {"report.md": "# of the original"})
    (parent,) = (run for run in store.runs() if "tuner.trial" not in run.data.tags)
    _artifact_repos_cache.clear()  # MLflow's of this process: from here on it is as another one
    return str(parent.info.run_id)


@pytest.mark.parametrize("first", ["attach", "sync"])
def test_a_copy_never_writes_into_the_original(store: Store, tmp_path: Path, first: str) -> None:
    parent = synced(store)
    copy = Store(tmp_path / "the copy")
    shutil.copytree(store.folder, copy.folder, ignore=shutil.ignore_patterns("the copy"))
    before = tree(store.folder, but=copy.folder)
    if first == "sync":
        shutil.rmtree(copy.folder / "mlartifacts")  # so that it writes
        Tracker(copy.uri, "demo").sync(study(*EVERY_STATE, id="new", name="new"))
        assert len(list(copy.folder.rglob("study.yaml"))) == 1
    assert attach(copy.uri, "demo", "4f0c2b", {"report.md": "# of the copy"})
    assert written(copy, parent) == {"report.md": "# of the copy"}
    assert tree(store.folder, but=copy.folder) == before
    for name in ("artifact_uri", "artifact_location"):
        assert all(copy.folder.as_uri() in place for place in places(copy, name))


def test_a_moved_store_has_its_files_where_it_is(store: Store, tmp_path: Path) -> None:
    parent = synced(store)
    there = tmp_path / "of a team" / "kept here"
    there.mkdir(parents=True)
    moved = Store(there)
    shutil.copy(store.folder / "mlflow.db", there)  # a rename, which this process would see through
    (store.folder / "mlflow.db").unlink()
    (store.folder / "mlartifacts").rename(there / "mlartifacts")
    assert attach(moved.uri, "demo", "4f0c2b", {"report.html": "<p>"})
    assert written(moved, parent) == {"report.md": "# of the original", "report.html": "<p>"}
    assert not (store.folder / "mlartifacts").exists()
    downloaded = moved.client.download_artifacts(parent, "report.md", str(tmp_path))
    assert Path(downloaded).read_text() == "# of the original"


def places(store: Store, column: str) -> Sequence[str]:
    table = {"artifact_uri": "runs", "artifact_location": "experiments"}[column]
    with closing(sqlite3.connect(store.folder / "mlflow.db")) as database:
        found = database.execute(f"SELECT {column} FROM {table} WHERE experiment_id != 0")
        return [place for (place,) in found]


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("file:///old/mlartifacts", "{here}/mlartifacts"),
        ("file:///old/my%20studies/mlartifacts", "{here}/mlartifacts"),
        ("/old/mlartifacts/3", "{here}/mlartifacts/3"),
        (f"file:///old/mlartifacts/{RUN}/artifacts", f"{{here}}/mlartifacts/{RUN}/artifacts"),
        (f"file:///old/mlartifacts/3/{RUN}/artifacts", f"{{here}}/mlartifacts/3/{RUN}/artifacts"),
        ("file:///somebody/elses", None),
        ("file:///somebody/elses/mlartifacts/of/a/project", None),
        ("s3://bucket/mlartifacts", None),
        ("mlflow-artifacts:/3", None),
        ("file://host/mlartifacts", None),
        ("./mlruns/0", None),
        ("", None),
        (None, None),
    ],
)
def test_what_follows_and_what_stays(was: str | None, becomes: str | None, tmp_path: Path) -> None:
    """Files in a store's own folder follow it; files that somebody put elsewhere stay there."""
    file = tmp_path / "mlflow.db"
    made(file, [(1, was, [(was, "ours")])])
    for _ in range(2):
        follow(file, 5.0)
        becomes_ = was if becomes is None else becomes.format(here=tmp_path.as_uri())
        assert kept(file) == [becomes_, becomes_]


def made(
    file: Path, experiments: Sequence[tuple[int, str | None, Sequence[tuple[str | None, str]]]]
) -> None:
    """A database with experiments at places, with runs at places, each ours or somebody else's."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE experiments (experiment_id, artifact_location)")
        database.execute("CREATE TABLE runs (run_uuid, experiment_id, artifact_uri)")
        database.execute("CREATE TABLE tags (key, value, run_uuid)")
        for number, place, runs in experiments:
            database.execute("INSERT INTO experiments VALUES (?, ?)", [number, place])
            for index, (where, whose) in enumerate(runs):
                run = f"{number}-{index}"
                database.execute("INSERT INTO runs VALUES (?, ?, ?)", [run, number, where])
                tag = "tuner.study_id" if whose == "ours" else "mlflow.user"
                database.execute("INSERT INTO tags VALUES (?, 'x', ?)", [tag, run])
        database.commit()


def kept(file: Path) -> list[str | None]:
    """The places of the experiments, and then those of the runs."""
    with closing(sqlite3.connect(file)) as database:
        places = [*database.execute("SELECT artifact_location FROM experiments")]
        places += database.execute("SELECT artifact_uri FROM runs")
        return [place for (place,) in places]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """A user's own runs and experiments in the same store, and one of both."""
    was, here = "file:///old/mlartifacts", f"{tmp_path.as_uri()}/mlartifacts"
    file = tmp_path / "mlflow.db"
    made(
        file,
        [
            (1, was, [(was, "ours"), (was, "ours")]),
            (2, was, [(was, "foreign")]),
            (3, was, [(was, "ours"), (was, "foreign")]),
            (4, was, []),
        ],
    )
    follow(file, 5.0)
    assert kept(file) == [here, was, was, was, here, here, was, here, was]


def test_files_that_did_not_move_along_are_found_where_they_are(tmp_path: Path) -> None:
    """Unless a store of the same name is beside them: then this one is a copy of it."""
    there, file = tmp_path / "there", tmp_path / "here" / "mlflow.db"
    (there / "mlartifacts").mkdir(parents=True)
    file.parent.mkdir()
    was = (there / "mlartifacts").as_uri()
    made(file, [(1, was, [(was, "ours")])])
    follow(file, 5.0)
    assert kept(file) == [was, was]
    (there / "mlflow.db").touch()
    follow(file, 5.0)
    assert kept(file) == [(file.parent / "mlartifacts").as_uri()] * 2


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("CREATE TABLE runs (name)")
        database.commit()
    before = (tmp_path / "x.db").read_bytes()
    follow(tmp_path / "x.db", 5.0)
    assert (tmp_path / "x.db").read_bytes() == before
