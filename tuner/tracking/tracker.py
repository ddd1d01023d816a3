"""A study in MLflow: the study the parent run, each trial a child of it.

Only `MlflowClient` is used: no active run, nothing of MLflow's own state, so neither
`MLFLOW_RUN_ID` nor another study in the same process can come in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.records import Evaluation, StudyRecord, TrialRecord
from tuner.tracking.contents import Contents, artifacts, dataset, metrics_of, of_study, of_trial
from tuner.tracking.store import (
    artifact_folder,
    connect,
    in_short,
    refused,
    without_credentials,
)
from tuner.tracking.view import changes, studies_view, study_view

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 1000
"""Runs that one request reads."""
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # what MLflow else guesses, and asks
    "mlflow.note.content": (
        "A study is one run, its trials are nested under it; steps are `pairs_seen`. "
        "**Views** (above, right) has a table and charts prepared for each study.\n\n"
        "`select/…` may choose; `oracle/…` (dev sets of target languages) is recorded beside it, "
        "chose nothing, and may choose nothing: a configuration picked by it is not zero-shot. "
        "`select/score` is the objective at the full budget; scores at lower budgets are not "
        "ranked against it."
    ),
}
"""Written where an experiment is made; from then on they are the user's."""


class Tracker:
    """Writes records into MLflow. Each call is idempotent: a replay changes nothing.

    Args:
        uri: the store.
        experiment: its name; made where there is none.

    Raises:
        UserError: from every method, where the store does not take what it is told.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri = uri
        self._client = connect(uri)
        self._study: StudyRecord | None = None
        self._runs: dict[int | None, _Run] | None = None  # by trial number; None: the study itself
        with self._requests():
            self._experiment = self._experiment_id(experiment)

    def sync(self, study: StudyRecord) -> None:
        """Write all that is known of a study; what is there already is left as it is."""
        self._study = study
        with self._requests():
            self._runs = self._find(study.id)
            parent = self._write(None, of_study(study))
            if "data" in study.facts:
                self._client.log_inputs(parent.id, datasets=[dataset(study.facts["data"])])
            self._write_artifacts(parent.id, artifacts(study))
            for trial in study.trials:
                if trial.started is not None:
                    self._write_trial(trial)
            self._write_views(study)

    study_started = sync  # a study that goes on may have trials that never arrived here

    def trial_started(self, trial: TrialRecord) -> None:
        """A trial began, or goes on after an interruption: in the run that it has."""
        with self._requests():
            self._write_trial(trial)

    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None:
        """A trial was evaluated at a rung: one request."""
        with self._requests():
            run = self._known().get(trial.number) or self._write_trial(trial)
            self._client.log_batch(run.id, metrics_of([evaluation]), synchronous=True)

    def trial_ended(self, trial: TrialRecord) -> None:
        """A trial ended; what of it did not arrive is written with it."""
        with self._requests():
            self._write_trial(trial)

    def study_ended(self, study: StudyRecord) -> None:
        """The study ended, in whichever state."""
        self._study = study
        with self._requests():
            self._write(None, of_study(study))

    @contextmanager
    def _requests(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._runs = None  # what arrived is not known: look again
            raise refused(self._uri, in_short(error)) from None

    def _experiment_id(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            folder = artifact_folder(self._uri)
            where = folder.as_uri() if folder else None
            return self._client.create_experiment(name, where, EXPERIMENT_TAGS)
        if experiment.lifecycle_stage != "active":
            raise ValueError(
                f"its experiment {name!r} was deleted; set another tracking.experiment"
            )
        return str(experiment.experiment_id)

    def _known(self) -> dict[int | None, _Run]:
        assert self._study is not None, "study_started comes first"
        if self._runs is None:
            self._runs = self._find(self._study.id)
        return self._runs

    def _find(self, study_id: str) -> dict[int | None, _Run]:
        """All runs of a study that are in MLflow."""
        found: list[Run] = []
        token = None
        while token != "":
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`tuner.study_id` = '{study_id}'",
                max_results=PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            found += page
            token = page.token or ""
        runs: dict[int | None, _Run] = {}
        for run in found:
            number = run.data.tags.get("tuner.trial")
            key = int(number) if number else None
            if key in runs:  # made twice: a request whose answer was lost is sent again
                self._client.delete_run(run.info.run_id)
            else:
                runs[key] = _Run(run.info.run_id, run.info.status, dict(run.data.tags))
        return runs

    def _write_trial(self, trial: TrialRecord) -> _Run:
        assert self._study is not None, "study_started comes first"
        parent = self._known().get(None) or self._write(None, of_study(self._study))
        return self._write(trial.number, of_trial(trial, self._study, parent.id))

    def _write(self, key: int | None, contents: Contents) -> _Run:
        """Make a run equal to its record. The status comes last: an ended run is complete."""
        from mlflow.entities import Param, RunTag

        tags = {name: self._clean(text) for name, text in contents.tags.items()}
        run = self._known().get(key)
        if run is None:
            made = self._client.create_run(
                self._experiment, contents.started, dict(tags), contents.name
            )
            run = self._known()[key] = _Run(made.info.run_id, made.info.status, dict(tags))
        changed = {name: text for name, text in tags.items() if run.tags.get(name) != text}
        if not changed and run.status == contents.status != "RUNNING":
            return run
        self._client.log_batch(
            run.id,
            contents.metrics,
            [Param(name, value) for name, value in contents.params.items()],
            [RunTag(name, text) for name, text in changed.items()],
            synchronous=True,
        )
        if contents.status != "RUNNING":
            self._client.set_terminated(run.id, contents.status, contents.ended)
        elif run.status != "RUNNING":
            self._client.update_run(run.id, contents.status)
        run.status = contents.status
        run.tags |= tags
        return run

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

    def _clean(self, text: str) -> str:
        return without_credentials(text, self._uri)


@dataclass
class _Run:
    """What is known of a run in MLflow."""

    id: str
    status: str
    tags: dict[str, str]
