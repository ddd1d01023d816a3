"""The `sync` of a study: make MLflow equal to its journal, after the fact."""

from __future__ import annotations

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.journal import being_written, read_history
from tuner.progress import Progress
from tuner.run.copies import check_own_runs
from tuner.storage.folders import Place
from tuner.study.file import reopened_study
from tuner.tracking import Synced, Tracker, store_of


def sync(folder: Place, progress: Progress) -> Synced:
    """Make MLflow equal to the journal in a study's folder: no duplicate runs, none left running.

    This refuses to run while a driver works on the study, since the driver writes to MLflow itself.

    Raises:
        UserError: there is no such study, a driver is at work on it, or MLflow cannot be written.
    """
    at_work = being_written(folder)
    record = read_history(folder).record()
    if at_work:
        raise UserError(
            f"another process is working on study {record.name} and writes to MLflow itself",
            f"Run this again when it has ended; to watch it: {command('status', folder)} --watch",
        )
    if record.state == "running":
        record = record.model_copy(update={"state": "interrupted", "reason": "its driver died"})
    study = reopened_study(record.settings, folder)
    check_own_runs(record, folder, store_of(study))
    with progress.task("asking MLflow"):
        tracker = Tracker(store_of(study), study.tracking.experiment)
    with progress.task(f"writing {record.name} to MLflow", "trials") as advance:
        return tracker.sync(record, advance)
