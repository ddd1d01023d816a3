"""The tracker, which writes a study to MLflow: a parent run, and a child run for each trial.

It uses only `MlflowClient`, with no active run and no other global state of MLflow. So neither
`MLFLOW_RUN_ID` nor another study in the same process can interfere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.errors import UserError
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.progress import Advance
from tuner.tracking.addresses import artifact_folder, without_credentials
from tuner.tracking.contents import Contents, artifacts, of_study, of_trial
from tuner.tracking.dataset import dataset
from tuner.tracking.refusals import deleted, failed
from tuner.tracking.store import connect, reach, settle
from tuner.tracking.view import changes, studies_view, study_view

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 250
"""Number of runs that one request reads."""
KIND = "mlflow.experimentKind"
EXPERIMENT_TAGS = {
    KIND: "custom_model_development",  # or MLflow guesses it, and asks the user
    "mlflow.note.content": (
        "A study is one run, with its trials nested under it; steps are `pairs_seen`. "
        "**Views** (above, right) has a table and charts prepared for each study.\n\n"
        "`select/…` may be used to choose; `oracle/…` (dev sets of targets) is recorded beside it "
        "and must not choose anything: a configuration picked by it is not zero-shot. "
        "`select/score` is the objective at the full budget; scores at lower budgets are not "
        "ranked against it."
    ),
}
"""Tags of a new experiment; later changes are left to the user."""
IDENTITY = ("mlflow.parentRunId", "tuner.study_id", "tuner.trial")
"""Tags by which runs are found; no credentials are masked in them, so they never change."""
PARENT = None
"""The key of the study's own run; trials' runs have their numbers as keys."""


@dataclass
class Synced:
    """Counts of a study's runs that were made, updated and left unchanged, and of duplicates."""

    made: int
    updated: int
    unchanged: int
    duplicates: int

    def in_words(self) -> str:
        """Return the counts on one line."""
        said = f"{self.made} runs created, {self.updated} updated, {self.unchanged} unchanged"
        return said + (f", {self.duplicates} duplicates deleted" if self.duplicates else "")


class Tracker:
    """Makes MLflow equal to records. Each call is idempotent: repeating it changes nothing.

    After an error it is unknown what arrived, so `sync` must be called before `write` again.

    Args:
        uri: the address of the store.
        experiment: the experiment's name; created if missing.

    Attributes:
        written: number of times that a run was made or updated so far.

    Raises:
        Unreachable: from every method, if a server does not answer.
        UserError: from every method, if the store does not accept a request.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self.written = 0
        self._uri = uri
        self._name = experiment
        self._client = connect(uri)
        self._study: StudyRecord | None = None
        self._runs: dict[int | None, _Run] | None = None  # MLflow's runs, by trial number
        self._made: set[int | None] = set()  # by the current sync
        self._updated: set[int | None] = set()
        self._duplicates = 0
        with self._requests():
            self._experiment = self._experiment_id()

    def sync(self, study: StudyRecord, advance: Advance = lambda done, total: None) -> Synced:
        """Make MLflow equal to a study's record; leave runs that are up to date unchanged.

        It continues after an error, unless nothing was written since the previous error.

        Args:
            study: the study's current record.
            advance: called with the numbers of trials done and in all.
        """
        self._study = study
        self._made, self._updated, self._duplicates = set(), set(), 0
        whole = stuck = False
        while not whole:
            written = self.written
            try:
                with self._requests():
                    whole = self._whole(study, advance)
                    settle(self._uri)
            except UserError:
                if stuck and self.written == written:
                    raise
                stuck = self.written == written
                reach(self._uri)
        runs = {trial.number for trial in study.trials if trial.started is not None} | {PARENT}
        made, updated = self._made, self._updated - self._made
        return Synced(len(made), len(updated), len(runs - made - updated), self._duplicates)

    def write(self, trial: TrialRecord) -> None:
        """Make a trial's run equal to its record, in one request unless it begins or ends."""
        assert self._study is not None and self._runs is not None, "sync comes first"
        with self._requests():
            parent = self._runs[PARENT]
            self._write(trial.number, of_trial(trial, self._study, parent.id))

    @contextmanager
    def _requests(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            self._runs, self._experiment = None, ""
            raise
        except Exception as error:
            self._runs, self._experiment = None, ""
            raise failed(self._uri, error) from None

    def _experiment_id(self) -> str:
        experiment = self._client.get_experiment_by_name(self._name)
        if experiment is None:
            folder = artifact_folder(self._uri)
            where = folder.as_uri() if folder else None
            return _given(self._client.create_experiment(self._name, where, EXPERIMENT_TAGS))
        identifier = _given(experiment.experiment_id)
        if experiment.lifecycle_stage != "active":
            raise deleted(self._uri, self._name, identifier)
        kind = experiment.tags.get(KIND, EXPERIMENT_TAGS[KIND])
        self._client.set_experiment_tag(identifier, KIND, kind)  # fails without write access
        return identifier

    def _whole(self, study: StudyRecord, advance: Advance) -> bool:
        """Write everything that is missing; return False if a run that it made has a duplicate.

        The study's run ends last: once it has ended, everything is in MLflow.
        """
        self._experiment = self._experiment or self._experiment_id()
        runs = self._runs = self._find(study.id)
        there = set(runs)
        parent = runs.get(PARENT) or self._make(PARENT, of_study(study))
        started = [trial for trial in study.trials if trial.started is not None]
        for done, trial in enumerate(started):
            advance(done, len(started))
            self._write(trial.number, of_trial(trial, study, parent.id))
        advance(len(started), len(started))
        if not parent.has_data:
            self._client.log_inputs(parent.id, datasets=[dataset(study.facts.data)])
            parent.has_data = True
        self._write_artifacts(parent.id, artifacts(study))
        self._write_views(study)
        self._write(PARENT, of_study(study))
        if set(runs) == there:
            return True
        found = self._find(study.id)
        return {key: run.id for key, run in found.items()} == {
            key: run.id for key, run in runs.items()
        }

    def _find(self, study_id: str) -> dict[int | None, _Run]:
        """Return all runs of a study in MLflow, and delete duplicates.

        Duplicates arise when the answer to a request is lost and the run is made again.
        """
        found: list[Run] = []
        token = None
        while token != "":
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`tuner.study_id` = '{study_id}'",
                max_results=PAGE,
                order_by=["attributes.start_time ASC"],  # ties by id: the order is stable
                page_token=token,
            )
            found += page
            token = page.token or ""
        runs: dict[int | None, _Run] = {}
        for run in found:
            number = run.data.tags.get("tuner.trial")
            key = int(number) if number else PARENT
            if key not in runs:
                runs[key] = _Run.of(run)
                continue
            if run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, "KILLED")
            self._client.delete_run(run.info.run_id)
            self._duplicates += 1
        return runs

    def _make(self, key: int | None, contents: Contents) -> _Run:
        assert self._runs is not None
        tags = self._cleaned(contents.tags)
        made = self._client.create_run(
            self._experiment, contents.started, dict(tags), contents.name
        )
        run = self._runs[key] = _Run(_given(made.info.run_id), made.info.status, tags)
        self._made.add(key)
        self.written += 1
        return run

    def _write(self, key: int | None, contents: Contents) -> None:
        """Make a run equal to its record. The status comes last: an ended run is complete.

        A trial's points only grow in number. A study's run has two points, those of its best trial.
        """
        from mlflow.entities import Param, RunTag

        assert self._runs is not None
        run = self._runs.get(key) or self._make(key, contents)
        tags = self._cleaned(contents.tags)
        changed = {name: text for name, text in tags.items() if run.tags.get(name) != text}
        whole = run.status != "RUNNING" or run.points == len(contents.metrics)
        if whole and run.status == contents.status and not changed:
            return
        metrics = contents.metrics if key is PARENT else contents.metrics[max(run.points, 0) :]
        params = contents.params if run.points < 0 else {}
        self._client.log_batch(
            run.id,
            metrics,
            [Param(name, value) for name, value in params.items()],
            [RunTag(name, text) for name, text in changed.items()],
            synchronous=True,
        )
        if contents.status != "RUNNING":
            self._client.set_terminated(run.id, contents.status, contents.ended)
        elif run.status != "RUNNING":
            self._client.update_run(run.id, contents.status)
        run.status, run.points = contents.status, len(contents.metrics)
        run.tags |= tags
        self._updated.add(key)
        self.written += 1

    def _write_artifacts(self, run_id: str, texts: Mapping[str, str]) -> None:
        written = {file.path for file in self._client.list_artifacts(run_id)}
        for name, text in texts.items():
            if name not in written:
                self._client.log_text(run_id, self._clean(text), name)

    def _write_views(self, study: StudyRecord) -> None:
        tags = self._client.get_experiment(self._experiment).tags
        written, expired = changes(tags, [studies_view(study.created), study_view(study)])
        for view in written:
            self._client.set_experiment_tag(self._experiment, view.tag, view.value)
        for tag in expired:
            self._client.delete_experiment_tag(self._experiment, tag)

    def _cleaned(self, tags: Mapping[str, str]) -> dict[str, str]:
        return {
            name: text if name in IDENTITY else self._clean(text) for name, text in tags.items()
        }

    def _clean(self, text: str) -> str:
        return without_credentials(text, self._uri)


def _given(identifier: str) -> str:
    """Return an id from MLflow; an empty one means that the answer was cut off in its headers."""
    if not identifier:
        raise ConnectionError("its answer was cut off")
    return str(identifier)


@dataclass
class _Run:
    """The known state of a run in MLflow.

    Attributes:
        points: number of its record's points in MLflow; -1 if they and its params are unknown.
        has_data: whether the run names the corpus.
    """

    id: str
    status: str
    tags: dict[str, str]
    points: int = -1
    has_data: bool = False

    @classmethod
    def of(cls, run: Run) -> _Run:
        has_data = bool(run.inputs and run.inputs.dataset_inputs)
        return cls(run.info.run_id, run.info.status, dict(run.data.tags), has_data=has_data)
