"""A check that a copied study, which shares its id, never writes to the original's MLflow runs."""

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
    """Refuse an MLflow store that holds the runs of the study that this one was copied from.

    An SQLite database in the parent folder of the studies is copied along with them, so it is safe
    unless the original uses the same file. Any other store, such as a server, may serve both.

    Args:
        record: the study's record.
        folder: the study's own folder.
        uri: the address of the store.

    Raises:
        UserError: the original is still in the folder where it began, and both share the store.
    """
    if not isinstance(folder, Path) or not record.began:
        return
    original = Path(record.began, record.name)
    if original.resolve() == folder.resolve() or not original.is_dir():
        return
    try:
        other = read_history(original).record()
    except UserError:  # an unreadable original writes nothing either: this may be its backup
        return
    if other.id == record.id and not _apart(uri, folder, other):
        raise UserError(
            f"{folder} is a copy of the study in {original}, and MLflow's store "
            f"{without_secrets(uri)} holds the runs of the original",
            f"Give the copy a store of its own: {command('resume', folder)} --set "
            "tracking.uri=null",
        )


def _apart(uri: str, folder: Path, other: StudyRecord) -> bool:
    """Return whether a study's database lies beside the study, and `other` uses a different one."""
    if not uri.startswith(SQLITE):
        return False
    database = database_file(uri)
    if not database.is_relative_to(folder.resolve().parent):
        return False
    theirs = other.settings.tracking.uri or default_uri(other.settings.storage)
    return not theirs.startswith(SQLITE) or database_file(theirs) != database
