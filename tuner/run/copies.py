"""A copy of a study, which has its id: it never writes into the original's runs in MLflow."""

from __future__ import annotations

from pathlib import Path

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.journal import read_history
from tuner.journal.records import StudyRecord
from tuner.shown import without_secrets
from tuner.storage.folders import Place
from tuner.study.parts import SQLITE
from tuner.tracking.addresses import database_file, default_uri


def check_own_runs(record: StudyRecord, folder: Place, uri: str) -> None:
    """Refuse a store that has the runs of the study that this one was copied from.

    A database in the folder of the studies goes with them, unless the other one uses it, too;
    another store, as a server, may be that of both.

    Args:
        record: of the study.
        folder: its own.
        uri: the store.

    Raises:
        UserError: the study still is where it began, too, and the store is of both.
    """
    if not isinstance(folder, Path) or not record.began:
        return
    original = Path(record.began, record.name)
    if original.resolve() == folder.resolve() or not original.is_dir():
        return
    try:
        other = read_history(original).record()
    except UserError:  # what cannot be read writes nothing either: this one may be a backup
        return
    if other.id == record.id and not _apart(uri, folder, other):
        raise UserError(
            f"{folder} is a copy of the study in {original}, and MLflow's store "
            f"{without_secrets(uri)} has the runs of that one",
            f"Give the copy a store of its own: {command('resume', folder)} --set "
            "tracking.uri=null",
        )


def _apart(uri: str, folder: Path, other: StudyRecord) -> bool:
    """Whether a study's store lies beside it, and another study uses another one."""
    if not uri.startswith(SQLITE):
        return False
    database = database_file(uri)
    if not database.is_relative_to(folder.resolve().parent):
        return False
    theirs = other.settings["tracking"]["uri"] or default_uri(Path(other.settings["storage"]))
    return not theirs.startswith(SQLITE) or database_file(theirs) != database
