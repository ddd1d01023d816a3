"""A study from its beginning, or from where it stopped, to its end: the parts put together."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path

from rich.console import Console

from tuner.errors import StudyInterrupted
from tuner.invocation import command
from tuner.prepare import Inputs, check_unchanged, prepare
from tuner.progress import Phase, Progress
from tuner.records import ENDED, Evaluation, StudyRecord, TrialRecord
from tuner.search import engine
from tuner.search.cluster import cluster, concurrency
from tuner.search.driver import Driver
from tuner.search.events import StudyCreated
from tuner.search.journal import Journal, check_free, read_history
from tuner.search.observer import Observer
from tuner.study import StudyConfig
from tuner.study_file import reopened_study
from tuner.terminal.progress import ConsoleProgress, say
from tuner.terminal.view import StudyView
from tuner.tracking import BackgroundTracker, reach, store_of


def begin(study: StudyConfig, console: Console) -> StudyRecord:
    """Run a new study to its end. Nothing is written before every check has passed.

    Raises:
        UserError: the study exists, or its data, encoder, tracker or resources do not fit.
    """
    check_free(study.folder)
    reach(store_of(study))
    progress = ConsoleProgress(console)
    inputs = prepare(study, progress)
    with cluster(progress):
        concurrency(study.resources)
        created = StudyCreated(
            time=time.time(),
            name=study.name,
            id=uuid.uuid4().hex,
            settings=study.model_dump(mode="json"),
            facts=inputs.facts,
            rungs=study.rungs,
        )
        with Journal.create(study.folder, created) as journal:
            return _run(study, inputs, journal, console, progress)


def go_on(folder: Path, console: Console) -> StudyRecord:
    """Go on with the study in `folder`: unfinished trials first, from their checkpoints.

    Raises:
        UserError: there is no such study, or its data or encoder has changed since.
    """
    record = read_history(folder).record()
    if record.state == "completed":
        say(console, f"study {record.name} is complete: nothing is left to do")
        return record
    progress = ConsoleProgress(console)
    with Journal(folder) as journal:  # from here on the study is ours
        study = reopened_study(record.settings, folder)
        reach(store_of(study))
        inputs = prepare(study, progress)
        check_unchanged(record.facts, inputs.facts)
        with cluster(progress):
            return _run(study, inputs, journal, console, progress)


def _run(
    study: StudyConfig, inputs: Inputs, journal: Journal, console: Console, progress: Progress
) -> StudyRecord:
    tracker = BackgroundTracker(store_of(study), study.tracking.experiment)
    with StudyView(console, study.trials) as view:
        observers: list[Observer] = [view, _CheckpointCleaner(study), tracker]
        driver = Driver(study, journal, observers)
        driver.start()
        try:
            interrupted = engine.run(
                study, driver, inputs.protocol, inputs.corpus, inputs.encoder, progress
            )
        except KeyboardInterrupt:  # the second one: nothing more is written
            told = f"stopped at once; the study goes on with: {command('resume', study.folder)}"
            raise StudyInterrupted(told) from None
        record = driver.finish(interrupted)
    with progress.task("writing the rest to MLflow"):
        complaints = tracker.close()
    for complaint in complaints:
        say(console, complaint, style="yellow")
    if driver.outcome is not None and driver.outcome.error is not None:
        raise driver.outcome.error
    return record


class _CheckpointCleaner:
    """Removes a trial's checkpoint when the trial is over; an interrupted one keeps it."""

    def __init__(self, study: StudyConfig) -> None:
        self._study = study

    def trial_ended(self, trial: TrialRecord) -> None:
        if trial.state in ENDED:
            shutil.rmtree(self._study.trial_folder(trial.number), ignore_errors=True)

    def study_started(self, study: StudyRecord) -> None: ...
    def trial_started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None: ...
    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None: ...
    def study_ended(self, study: StudyRecord) -> None: ...
