"""MLflow as a view of records: in real sqlite stores, and through a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tuner.config import TrialConfig
from tuner.errors import UserError
from tuner.records import Evaluation, Scores, StudyRecord, TrialRecord, TrialState
from tuner.tracking import BackgroundTracker, Tracker, background, default_uri, serve, tracker, view
from tuner.tracking.contents import metrics_of
from tuner.tracking.store import artifact_folder, without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

BEGAN = 1_700_000_000.0
CHECKSUM = "0123456789abcdef" * 4
PASSWORD = "hunter2-of-the-store"


def evaluation(trial: int, rung: int, languages: int = 2) -> Evaluation:
    scores = {f"l{i}": Scores(accuracy=0.5 + i / 1e3, f1=0.4, pairs=10) for i in range(languages)}
    return Evaluation(
        time=BEGAN + 60 * trial + rung / 1000,
        rung=rung,
        pairs_seen=rung + 7,
        step=rung // 32,
        objective=0.6 + trial / 100 + rung / 1e6,
        select=scores,
        oracle={"es": Scores(accuracy=0.7, f1=0.6, pairs=10)},
        train_loss=0.5,
        pairs_per_second=100.0,
        train_seconds=10.0,
        evaluation_seconds=1.0,
        peak_memory_mb=512.0,
        micro_plan=((0, 32),),
        precision="fp32",
    )


def trial(number: int, state: TrialState = "completed", rungs: tuple[int, ...] = (1000, 3000)):
    fusion: dict[str, Any] = {"fusion.kind": "dlfa", "fusion.layer": 2} if number else {}
    params = {"optim.lr": 5e-4, "mix.cross_lingual": 0.25, **fusion}
    return TrialRecord(
        number=number,
        origin="sampler" if number else "baseline",
        params=params,
        config=TrialConfig.from_flat(params),
        state=state,
        reason={"failed": "out of memory", "pruned": "below the rung's best third"}.get(state, ""),
        attempts=1,
        started=BEGAN + 60 * number,
        ended=None if state == "running" else BEGAN + 60 * number + 50,
        evaluations=tuple(evaluation(number, rung) for rung in rungs),
    )


def study(*trials: TrialRecord, **changes: Any) -> StudyRecord:
    return StudyRecord(
        name="demo",
        id="4f0c2b",
        created=BEGAN - 10,
        settings={
            "storage": "/kept",
            "description": "What does mixing do?",
            "encoder": {"name": "nano", "revision": None},
            "languages": {"source": ["en", "de"], "target": []},
            "budget": {"trials": 8, "pairs_per_trial": 3000},
        },
        facts={
            "claim": "zero-shot for es; trained on en, de (machine-translated: no)",
            "objective": "mean dev accuracy on en, de",
            "encoder": {"layers": 4},
            "environment": {"tuner": "0.0.1", "commit": "0ddba11"},
            "data": {
                "source": "nano",
                "checksum": CHECKSUM,
                "languages": ["en", "de", "es"],
                "counts": {"train": {"en": 100}},
            },
        },
        rungs=(1000, 3000),
        trials=trials,
        seconds=400,
    ).model_copy(update=changes)


EVERY_STATE = (
    trial(0),
    trial(1, "pruned", (1000,)),
    trial(2, "failed", ()),
    trial(3, "interrupted", (1000,)),
    trial(4, "running", (1000,)),
    trial(5),
)


@dataclass
class Store:
    """A sqlite store and an independent look into it."""

    folder: Path

    @property
    def uri(self) -> str:
        return default_uri(self.folder)

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def experiment(self) -> Experiment:
        (experiment,) = self.client.search_experiments(filter_string="name = 'demo'")
        return experiment

    def runs(self) -> list[Run]:
        """The runs that are not deleted, parents and children, as started."""
        ids = [self.experiment().experiment_id]
        return list(self.client.search_runs(ids, order_by=["attributes.start_time ASC"]))

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that is in the database."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr)
                for (name,) in tables.fetchall()
            }

    def statement(self, sql: str) -> None:
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            database.execute(sql)
            database.commit()


@pytest.fixture(scope="module")
def first_use(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    """A store made by a process that stands where MLflow would find an old ./mlruns."""
    folder = tmp_path_factory.mktemp("first use")
    (folder / "mlruns" / "0").mkdir(parents=True)
    (folder / "mlruns" / "0" / "meta.yaml").write_text("name: old\n")
    code = (
        "from pathlib import Path; from tuner.tracking import Tracker, default_uri; "
        "Tracker(default_uri(Path('studies')), 'demo')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    return folder, made


@pytest.fixture
def store(first_use: tuple[Path, subprocess.CompletedProcess], tmp_path: Path) -> Store:
    """An empty store; making one takes MLflow seven seconds, copying it none."""
    shutil.copy(first_use[0] / "studies" / "mlflow.db", tmp_path / "mlflow.db")
    made = Store(tmp_path)
    made.statement("DELETE FROM experiment_tags")
    made.statement("DELETE FROM experiments WHERE name = 'demo'")
    return made


@pytest.mark.integration
def test_the_first_use_is_silent_and_stays_beside_the_studies(first_use) -> None:
    folder, made = first_use
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"mlruns/0/meta.yaml", "studies/mlflow.db"}


@pytest.mark.integration
def test_a_study_with_every_state(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study(*EVERY_STATE))

    parent, *children = store.runs()
    assert parent.info.run_name == "demo"
    assert parent.info.status == "RUNNING"
    assert parent.data.tags["tuner.study_id"] == "4f0c2b"
    assert parent.data.params == {
        "encoder.name": "nano",
        "languages.source": "en, de",
        "budget.pairs_per_trial": "3000",
    }
    assert parent.data.metrics == {"best/objective": pytest.approx(0.653), "best/trial": 5.0}
    for words in ("What does mixing do?", "zero-shot for es", "mean dev accuracy on en, de"):
        assert words in parent.data.tags["mlflow.note.content"]
    assert "**Best, unconfirmed:** trial 5 with 0.6530" in parent.data.tags["mlflow.note.content"]
    assert parent.data.tags["mlflow.source.name"] == "tuner 0.0.1"
    assert parent.data.tags["mlflow.source.git.commit"] == "0ddba11"

    assert [child.info.run_name for child in children] == [
        "trial 000 baseline",
        *(f"trial 00{number}" for number in range(1, 6)),
    ]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert [(child.data.tags["tuner.state"], child.info.status) for child in children] == [
        ("completed", "FINISHED"),
        ("pruned", "FINISHED"),
        ("failed", "FAILED"),
        ("interrupted", "KILLED"),
        ("running", "RUNNING"),
        ("completed", "FINISHED"),
    ]
    assert children[2].data.tags["tuner.reason"] == "out of memory"
    assert "**Failed**: out of memory." in children[2].data.tags["mlflow.note.content"]
    assert "**Pruned** at 1,007 pairs" in children[1].data.tags["mlflow.note.content"]
    assert children[1].info.start_time == (BEGAN + 60) * 1000
    assert children[1].info.end_time == (BEGAN + 110) * 1000

    control, dlfa = children[0].data.params, children[5].data.params
    assert float(dlfa["optim.lr"]) == 5e-4
    assert float(dlfa["fusion.layer"]) == 2
    assert "fusion.layer" not in control  # `last` has none
    assert (float(control["fusion.lowest_layer"]), float(dlfa["fusion.lowest_layer"])) == (4, 2)
    assert set(dlfa) == {*TrialConfig.from_flat(trial(5).params).flat(), "fusion.lowest_layer"}

    for name, value in evaluation(5, 3000).metrics().items():
        points = store.client.get_metric_history(children[5].info.run_id, name)
        assert [(point.step, point.timestamp) for point in points] == [
            (1007, (BEGAN + 301) * 1000),
            (3007, (BEGAN + 303) * 1000),
        ]
        assert points[1].value == pytest.approx(value)
    seen = store.client.get_metric_history(children[5].info.run_id, "train/pairs_seen")
    assert [(point.step, point.value) for point in seen] == [(1007, 1007), (3007, 3007)]
    scores = [child.data.metrics.get("select/score") for child in children]
    assert scores == [pytest.approx(0.603), *4 * [None], pytest.approx(0.653)]  # of full budgets


@pytest.mark.integration
def test_views_are_made_once_and_then_the_users(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study())
    tags = store.experiment().tags
    ours, all_studies = f"{view.OURS}4f0c2b", view.STUDIES
    assert json.loads(tags[ours])["name"] == "demo"
    assert json.loads(tags[all_studies])["name"] == "all studies"
    assert "`oracle/…`" in tags["mlflow.note.content"]

    changed = {ours: tags[ours].replace("demo", "mine"), "mlflow.note.content": "mine"}
    for tag, text in changed.items():
        store.client.set_experiment_tag(store.experiment().experiment_id, tag, text)
    store.client.delete_experiment_tag(store.experiment().experiment_id, all_studies)
    Tracker(store.uri, "demo").sync(study(state="completed"))
    assert store.experiment().tags == tags | changed


@pytest.mark.integration
def test_views_do_not_pile_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "KEPT", 2)
    studies = [study(id=f"study{number}", created=BEGAN + number) for number in range(4)]
    for record in (studies[1], studies[0], studies[3], studies[2]):
        Tracker(store.uri, "demo").sync(record)
    seen = store.rows()
    kept = {tag for tag in store.experiment().tags if tag.startswith(view.SAVED)}
    assert kept == {view.STUDIES, f"{view.OURS}study2", f"{view.OURS}study3"}
    for record in studies:
        Tracker(store.uri, "demo").sync(record)
    assert store.rows() == seen


@pytest.mark.integration
def test_data_and_artifacts(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study())

    run = store.client.get_run(store.runs()[0].info.run_id)
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("nano", CHECKSUM[:12])
    assert json.loads(used.dataset.source)["sha256"] == CHECKSUM
    assert json.loads(used.dataset.profile)["counts"] == {"train": {"en": 100}}
    assert {tag.key: tag.value for tag in used.tags} == {
        "mlflow.data.context": "training",
        "tuner.languages": "en, de, es",
    }
    folder = store.folder / "mlartifacts" / run.info.run_id / "artifacts"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(texts) == {"study.yaml", "data.json", "encoder.json", "environment.json"}
    assert yaml.safe_load(texts["study.yaml"]) == study().settings
    assert json.loads(texts["data.json"]) == study().facts["data"]


@pytest.mark.integration
def test_events_one_by_one_and_a_sync_give_the_same(store: Store) -> None:
    tracker = Tracker(store.uri, "demo")
    whole = study(*(t for t in EVERY_STATE if t.state != "running"), state="completed")
    for _ in range(2):  # the second time is a replay
        tracker.study_started(study())
        for ended in whole.trials:
            tracker.trial_started(ended.model_copy(update={"state": "running", "evaluations": ()}))
            for point in ended.evaluations:
                tracker.evaluated(ended, point)
            tracker.trial_ended(ended)
        tracker.study_ended(whole)
    events = store.rows()
    assert len(events["runs"]) == 6
    assert len(events["latest_metrics"]) < len(events["metrics"])  # a point a rung

    for _ in range(2):
        Tracker(store.uri, "demo").sync(whole)
        assert store.rows() == events


@pytest.mark.integration
def test_a_trial_that_goes_on_keeps_its_run(store: Store) -> None:
    interrupted = trial(1, "interrupted", (1000,))
    Tracker(store.uri, "demo").sync(study(interrupted, state="interrupted"))
    assert [run.info.status for run in store.runs()] == ["KILLED", "KILLED"]

    again = Tracker(store.uri, "demo")
    again.study_started(study(interrupted))
    running = interrupted.model_copy(update={"state": "running"})
    again.trial_started(running)
    parent, child = store.runs()
    assert [parent.info.status, child.info.status] == ["RUNNING", "RUNNING"]
    assert child.data.tags["tuner.state"] == "running"

    again.evaluated(running, evaluation(1, 3000))
    again.trial_ended(trial(1))
    parent, child = store.runs()
    assert (child.info.status, child.data.tags["tuner.state"]) == ("FINISHED", "completed")
    assert len(store.client.get_metric_history(child.info.run_id, "select/objective")) == 2


@pytest.mark.integration
def test_sync_repairs_what_a_killed_driver_left(store: Store) -> None:
    left = Tracker(store.uri, "demo")
    left.study_started(study())
    left.trial_started(trial(1, "running", ()))
    left.trial_started(trial(2, "running", ()))
    twin = store.runs()[1]  # as when an answer is lost, and its request sent again
    store.client.create_run(
        twin.info.experiment_id, int(BEGAN + 999) * 1000, tags=dict(twin.data.tags)
    )

    record = study(trial(1), trial(2, "running", (1000,)), state="interrupted")
    Tracker(store.uri, "demo").sync(record)
    parent, first, second = store.runs()
    assert first.info.run_id == twin.info.run_id
    assert [run.info.status for run in (parent, first, second)] == ["KILLED", "FINISHED", "KILLED"]
    assert second.data.metrics["select/objective"] == pytest.approx(0.621)


@pytest.mark.integration
def test_a_tracker_goes_on_after_an_error(store: Store) -> None:
    writer = Tracker(store.uri, "demo")
    store.statement("ALTER TABLE runs RENAME TO away")
    with pytest.raises(UserError, match="no such table: runs") as told:
        writer.study_started(study())
    assert "[SQL" not in str(told.value)
    store.statement("ALTER TABLE away RENAME TO runs")
    writer.trial_started(trial(1, "running", ()))
    writer.evaluated(trial(2, "running", ()), evaluation(2, 1000))
    assert [run.info.run_name for run in store.runs()] == ["demo", "trial 001", "trial 002"]


@pytest.mark.integration
def test_a_trial_that_never_started_has_no_run(store: Store) -> None:
    created = trial(1, "running", ()).model_copy(update={"started": None})
    Tracker(store.uri, "demo").sync(study(created))
    assert [run.info.run_name for run in store.runs()] == ["demo"]


@pytest.mark.integration
def test_many_trials_are_found_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "PAGE", 2)
    record = study(*(trial(number, "failed", ()) for number in range(6)))
    for _ in range(2):
        Tracker(store.uri, "demo").sync(record)
    assert len(store.runs()) == 7


@pytest.mark.integration
def test_the_limits_of_mlflow_are_kept(store: Store) -> None:
    long = trial(1, rungs=()).model_copy(
        update={
            "reason": "r" * 20_000,
            "evaluations": (evaluation(1, 1000, languages=700),),
        }
    )
    assert len(long.evaluations[0].metrics()) > 1000
    settings = {"encoder": {"name": "e" * 20_000}}
    Tracker(store.uri, "demo").sync(study(long, settings=settings))
    parent, child = store.runs()
    assert parent.data.params["encoder.name"] == "e" * 6000
    assert child.data.tags["tuner.reason"] == "r" * 5000
    assert len(child.data.metrics) == len(metrics_of(long.evaluations)) + 1


@pytest.mark.integration
def test_what_is_not_finite_is_written_once_too(store: Store) -> None:
    diverged = evaluation(1, 1000).model_copy(
        update={"objective": float("nan"), "train_loss": float("inf")}
    )
    started = trial(1, "running", ())
    ended = trial(1, "failed").model_copy(update={"evaluations": (diverged,)})
    writer = Tracker(store.uri, "demo")
    writer.study_started(study())
    writer.trial_started(started)
    writer.evaluated(started, diverged)
    writer.trial_ended(ended)
    seen = store.rows()
    assert len(seen["metrics"]) == len(metrics_of([diverged]))
    writer.trial_started(started)
    writer.evaluated(started, diverged)
    writer.trial_ended(ended)
    assert store.rows() == seen


@pytest.mark.integration
def test_the_environment_does_not_come_in_between(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_ACTIVE_MODEL_ID", "m-0")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    behind = BackgroundTracker(store.uri, "demo")  # MLflow reads it per thread
    behind.study_started(study(trial(1)))
    assert behind.close() == []
    monkeypatch.undo()
    assert [run.info.run_name for run in store.runs()] == ["demo", "trial 001"]


@pytest.mark.integration
def test_a_deleted_experiment_is_named(store: Store) -> None:
    Tracker(store.uri, "demo")
    client = store.client
    client.delete_experiment(
        client.search_experiments(filter_string="name = 'demo'")[0].experiment_id
    )
    with pytest.raises(UserError, match="'demo' was deleted; set another"):
        Tracker(store.uri, "demo")


def test_where_the_default_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_uri(Path("studies")) == f"sqlite:///{tmp_path}/studies/mlflow.db"
    assert default_uri(Path("studies")).startswith("sqlite:////")
    assert artifact_folder("sqlite:///studies/mlflow.db") == tmp_path / "studies" / "mlartifacts"
    assert artifact_folder("http://server") is None


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://nobody:{password}@127.0.0.1:1", "refused"),
        ("https://nobody.invalid/mlflow", "cannot be reached"),
        ("postgresql://nobody:{password}@127.0.0.1:1/mlflow", "refused"),
        ("http://nobody:{password}@[half", "cannot be reached"),
        ("postgresql://127.0.0.1:none/mlflow?user=nobody&password={password}", "cannot be reached"),
        ("./mlruns", "folder of files"),
        ("file:///tmp/mlruns", "folder of files"),
        ("sqlite:///:memory:", "plain file"),
        ("sqlite:///50%/mlflow.db", "plain file"),
        ("sqlite:////proc/none/mlflow.db", "No such file or directory"),
    ],
)
def test_a_store_that_cannot_be_used(uri: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=reason) as told:
        Tracker(uri.format(password=PASSWORD), "demo")
    assert time.monotonic() - began < 10
    assert PASSWORD not in str(told.value)
    assert told.value.remedy
    assert ("sqlite:////" in told.value.remedy) == (reason in ("folder of files", "plain file"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is a text, and not a short one\n" * 100)
    with pytest.raises(UserError, match="not a database"):
        Tracker(default_uri(tmp_path), "demo")


@pytest.mark.integration
def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        with pytest.raises(UserError, match="timed out"):
            Tracker(f"http://127.0.0.1:{deaf.getsockname()[1]}", "demo")
        assert time.monotonic() - began < 10


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(f"no entry for {self.headers['Authorization']}\n".encode())

    def log_message(self, *args: object) -> None: ...


@pytest.mark.integration
def test_a_server_that_refuses_is_quoted_without_credentials() -> None:
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://somebody:{PASSWORD}@127.0.0.1:{server.server_port}"
        with pytest.raises(UserError, match="401") as told:
            Tracker(uri, "demo")
        server.shutdown()
    assert PASSWORD not in str(told.value)
    assert "somebody" not in str(told.value)


@pytest.mark.parametrize(
    "uri",
    [
        f"https://somebody:{PASSWORD}@host/path",
        f"https://{PASSWORD}@host/path",
        f"postgresql+psycopg2://somebody:{PASSWORD}@host:5432/db?sslmode=require",
        f"postgresql://somebody:p@ss/{PASSWORD}@host/db",
        f"mysql://host/db?user=somebody&password={PASSWORD}",
        f"https://somebody:{PASSWORD}%21@host",
    ],
)
def test_credentials_are_blotted_out(uri: str) -> None:
    text = f"tracking:\n  uri: {uri}\n  experiment: demo require\nerror at {uri}/api: {PASSWORD}!"
    shown = without_credentials(text, uri)
    assert PASSWORD not in shown.replace(f"{PASSWORD}!", "" if "%21" not in uri else PASSWORD)
    assert "host" in shown
    assert "demo require" in shown
    assert without_credentials(text, "sqlite:////folder/mlflow.db") == text


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE", 0.02)


def deliver(to: BackgroundTracker, trials: tuple[TrialRecord, ...]) -> None:
    for ended in trials:
        to.trial_started(ended.model_copy(update={"state": "running", "evaluations": ()}))
        for point in ended.evaluations:
            to.evaluated(ended, point)
        to.trial_ended(ended)


def until_idle(to: BackgroundTracker) -> None:
    deadline = time.monotonic() + 20
    while to._queue.qsize() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)


@pytest.mark.integration
@pytest.mark.usefixtures("no_pause")
def test_what_is_lost_while_the_store_is_broken_is_made_good(store: Store) -> None:
    whole = study(*(trial(number) for number in range(6)), state="completed")
    behind = BackgroundTracker(store.uri, "demo")
    behind.study_started(study())
    deliver(behind, whole.trials[:2])
    until_idle(behind)
    store.statement("ALTER TABLE metrics RENAME TO away")
    deliver(behind, whole.trials[2:4])
    until_idle(behind)
    store.statement("ALTER TABLE away RENAME TO metrics")
    deliver(behind, whole.trials[4:])
    behind.study_ended(whole)
    assert behind.close() == []

    seen = store.rows()
    assert len(seen["runs"]) == 7
    points = 6 * (2 * len(metrics_of([evaluation(0, 1000)])) + 1) + 2  # a score, and the best two
    assert len(seen["metrics"]) == points
    Tracker(store.uri, "demo").sync(whole)
    assert store.rows() == seen


@pytest.mark.integration
@pytest.mark.usefixtures("no_pause")
def test_what_stays_lost_is_told(store: Store) -> None:
    whole = study(trial(1), state="completed")
    behind = BackgroundTracker(store.uri, "demo")
    behind.study_started(study())
    until_idle(behind)
    store.statement("ALTER TABLE metrics RENAME TO away")
    deliver(behind, whole.trials)
    behind.study_ended(whole)
    what, why, remedy = behind.close()
    assert "lacks a part of the study demo" in what
    assert "no such table: metrics" in why
    assert remedy.endswith("tuner sync demo --storage /kept")


@pytest.mark.integration
def test_a_search_never_waits_for_mlflow(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CAPACITY", 3)
    whole = study(*(trial(number) for number in range(6)), state="completed")
    behind = BackgroundTracker(store.uri, "demo")
    began = time.monotonic()
    behind.study_started(study())
    deliver(behind, whole.trials)
    behind.study_ended(whole)
    assert time.monotonic() - began < 0.1
    assert behind.close() == []
    assert len(store.runs()) == 7


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def members(group: int) -> list[str]:
    """Processes of a group, by name; zombies do not count."""
    shown = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True)
    lines = (line.split(None, 2) for line in shown.stdout.splitlines())
    return [line[2] for line in lines if int(line[0]) == group and line[1][0] != "Z"]


def test_the_interface_says_what_it_cannot_do(tmp_path: Path) -> None:
    announced: list[tuple[str, str]] = []

    def announce(address: str, view: str) -> None:
        announced.append((address, view))

    serve(f"http://somebody:{PASSWORD}@host:5000/mlflow", tmp_path, 5000, announce)
    assert announced == [("http://***@host:5000/mlflow", "")]
    with pytest.raises(UserError, match="no MLflow store") as told:
        serve(default_uri(tmp_path), tmp_path, 5000, announce)
    assert "--storage" in told.value.remedy
    (tmp_path / "mlflow.db").touch()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UserError, match="Address already in use") as told,
    ):
        serve(default_uri(tmp_path), tmp_path, taken.getsockname()[1], announce)
    assert "--port" in told.value.remedy


@pytest.fixture
def interface(store: Store) -> Iterator[tuple[subprocess.Popen, str]]:
    """`tuner ui`'s part of it, in a process of its own."""
    code = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from tuner.tracking import serve\n"
        "serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), partial(print, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, store.uri, str(store.folder), str(free_port())]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.terminate()
    process.wait(20)
    process.stdout.close()


@pytest.mark.integration
@pytest.mark.usefixtures("no_pause")
def test_through_a_server_that_is_ended_in_between(
    store: Store, interface: tuple[subprocess.Popen, str], capfd: pytest.CaptureFixture[str]
) -> None:
    process, url = interface
    assert url.startswith("http://127.0.0.1:")
    uri = url.replace("//", f"//somebody:{PASSWORD}@")
    whole = study(trial(0), trial(1, "pruned", (1000,)), state="completed", reason=f"at {uri}")
    behind = BackgroundTracker(uri, "demo")
    behind.study_started(study())
    deliver(behind, whole.trials)
    behind.study_ended(whole)
    assert behind.close() == []
    parent, *children = store.runs()
    assert [child.data.tags["tuner.state"] for child in children] == ["completed", "pruned"]
    assert parent.info.status == "FINISHED"
    seen = store.rows()
    Tracker(uri, "demo").sync(whole)
    assert store.rows() == seen
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert {"mlflow.db", "study.yaml"} <= {path.name for path in files}
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []

    later = BackgroundTracker(uri, "demo")
    later.study_started(whole)
    until_idle(later)
    (group,) = (int(pid) for pid in children_of(process.pid))
    assert members(group)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert members(group) == []
    later.trial_started(trial(2, "running", ()))
    later.study_ended(whole)
    what, why, _ = later.close()
    assert "lacks a part" in what
    assert PASSWORD not in why
    said = capfd.readouterr()
    assert said.out + said.err == ""


def children_of(pid: int) -> list[str]:
    shown = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return shown.stdout.split()
