"""An independent look into MLflow's database."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.journal.records import StudyRecord
from tuner.tracking import default_uri
from tuner.tracking.contents import of_study, of_trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run


@dataclass
class Tally:
    """A store's content for a study, beside what its record says: zeros but for the first two.

    Attributes:
        runs: the study and its trials; deleted ones are not counted.
        running: of these.
        duplicate: more than one of the same.
        lost: runs that the record has, and the store not.
        missing, surplus: points, over all metrics; a study may have been best with others before.
        elsewhere: trials that hang under another run than the study's.
    """

    runs: int
    running: int = 0
    duplicate: int = 0
    lost: int = 0
    missing: int = 0
    surplus: int = 0
    elsewhere: int = 0


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

    def runs_of(self, study_id: str) -> list[Run]:
        """Those of one study."""
        return [run for run in self.runs() if run.data.tags["tuner.study_id"] == study_id]

    def trash(self) -> list[Run]:
        """The runs that were deleted."""
        from mlflow.entities import ViewType

        ids = [self.experiment().experiment_id]
        return list(self.client.search_runs(ids, run_view_type=ViewType.DELETED_ONLY))

    def tally(self, study: StudyRecord) -> Tally:
        """Compare what is there of a study with its record, from the tables alone."""
        tags = """SELECT t.run_uuid, t.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid
            WHERE r.lifecycle_stage = 'active' AND t.key = ?"""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            ids = dict(database.execute(tags, ["tuner.study_id"]))
            trials = dict(database.execute(tags, ["tuner.trial"]))
            parents = dict(database.execute(tags, ["mlflow.parentRunId"]))
            states = dict(database.execute("SELECT run_uuid, status FROM runs").fetchall())
            points = database.execute("SELECT run_uuid, key, timestamp, step FROM metrics")
            stored = Counter(points.fetchall())
        ours = [run for run, study_id in ids.items() if study_id == study.id]
        found = {run: int(trials[run]) if run in trials else None for run in ours}
        begun = [trial for trial in study.trials if trial.started is not None]
        wanted = {trial.number: of_trial(trial, study, "").metrics for trial in begun}
        expected = Counter(
            (run, point.key, point.timestamp, point.step)
            for run, number in found.items()
            for point in (of_study(study).metrics if number is None else wanted.get(number, []))
        )
        here = Counter({point: n for point, n in stored.items() if point[0] in found})
        return Tally(
            runs=len(found),
            running=sum(states[run] == "RUNNING" for run in found),
            duplicate=len(found) - len(set(found.values())),
            lost=len({None, *wanted} - set(found.values())),
            missing=(expected - here).total(),
            surplus=sum(n for point, n in (here - expected).items() if found[point[0]] is not None),
            elsewhere=sum(
                number is not None and found.get(parents[run], -1) is not None
                for run, number in found.items()
            ),
        )
