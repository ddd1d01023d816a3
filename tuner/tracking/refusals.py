"""Errors for a store that cannot be used, each with its reason and a remedy for that reason."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from tuner.errors import UserError
from tuner.invocation import program
from tuner.study.parts import SQLITE
from tuner.timing import Late
from tuner.tracking.addresses import (
    PASSWORD,
    TOKEN,
    USERNAME,
    database_file,
    without_credentials,
)

UNFIT = frozenset("%?#")
"""Characters that MLflow reads as syntax of an address, so a file's name must not have them."""
STORE_OPTIONS = "--set tracking.uri=… with search and resume, --uri … with ui"
"""The options that choose another store."""
SERVER_REMEDY = (
    "Start it, or check its log; or use another store: --set tracking.uri=… with search and "
    "resume (null is a database beside the studies)."
)
"""The remedy for a server that does not answer, or answers wrongly."""
DRIVERS = {
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL",
    "pyodbc": "pyodbc",
    "pymssql": "pymssql",
}
"""The distribution to install for each database driver, by the name of the driver's module."""
OUTDATED = re.compile(r"out-of-date database schema \(found version (\w+),")
"""MLflow's error message for a database that a different version of it made."""


class Unreachable(UserError):
    """An error for a server that does not answer now, but may do so later."""


def refused(
    uri: str, reason: str, remedy: str = SERVER_REMEDY, kind: type[UserError] = UserError
) -> UserError:
    """Return the error for a store that cannot be used."""
    problem = f"MLflow's store {uri} cannot be used: {reason}"
    return kind(without_credentials(problem, uri), without_credentials(remedy, uri))


def failed(uri: str, error: Exception) -> UserError:
    """Return the error for a request that failed."""
    from mlflow.exceptions import MlflowException

    status: int = 0
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
    if status in (401, 403):
        reason = "it requires a login" if status == 401 else "this user may not write there"
        return refused(
            uri,
            f"{reason} ({status})",
            f"Set {USERNAME} and {PASSWORD}, or {TOKEN}, in the environment, for a user who may "
            "edit the experiment.",
        )
    if isinstance(error, ImportError):
        driver = DRIVERS.get(error.name or "")
        remedy = f"Install its driver: pip install {driver}" if driver else "Install that module."
        return refused(uri, in_short(error), remedy)
    if is_file(uri):
        return refused(uri, in_short(error), of_file(database_file(uri), error))
    away = status >= 500 or isinstance(error, ConnectionError | Late)
    return refused(uri, in_short(error), kind=Unreachable if away else UserError)


def deleted(uri: str, name: str, identifier: str) -> UserError:
    """Return the error for an experiment in MLflow's trash."""
    restore = f"{_mlflow(uri)} experiments restore --experiment-id {shlex.quote(identifier)}"
    return refused(
        uri,
        f"its experiment {name!r} was deleted",
        f"Restore it: {restore}\nOr use another one: --set tracking.experiment=… with search and "
        "resume.",
    )


def of_file(file: Path, error: BaseException) -> str:
    """Return the remedy for an error of a database file."""
    reasons = [str(getattr(each, "sqlite_errorname", "")) for each in _causes(error)]
    uri, kept = f"{SQLITE}{file}", shlex.quote(str(file))
    again = (
        f"Move it away: mv {kept} {shlex.quote(f'{file}.old')}\nThen create it again from the "
        f"journal: {program()} sync STUDY for each study."
    )
    if found := OUTDATED.search(str(error)):
        if not _is_known(found[1]):
            return (
                f"Install the version of MLflow that made it (installed: {_version()}). Or: {again}"
            )
        return (
            f"Keep a copy: cp {kept} {shlex.quote(f'{file}.old')}\nThen upgrade it: "
            f"{_mlflow(uri)} db upgrade {shlex.quote(uri)}"
        )
    if any(name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) for name in reasons):
        return "Another process is writing to it: wait until it ends, or end it; then try again."
    if any(name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")) for name in reasons):
        return again
    if any(name.startswith("SQLITE_FULL") for name in reasons):
        return "Free some space on its disk, then try again."
    if os.path.isdir(file):
        return (
            f"It is a folder: move it away, or use a file, for instance {other_file(file.parent)}"
        )
    if any(name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")) for name in reasons):
        return f"Make {file} and its folder writable, or use another file: {other_file()}"
    return f"Try again; if it persists, use another file, for instance {other_file()}"


def other_file(*folders: Path) -> str:
    """Suggest a usable database file and its options, in the first suitable folder."""
    for folder in (*folders, Path("studies").absolute(), Path.home()):
        file = folder / "mlflow.db"
        number = 1
        while os.path.exists(file):
            number += 1
            file = folder / f"mlflow-{number}.db"
        there = next(parent for parent in file.parents if os.path.exists(parent))
        if not UNFIT & set(str(file)) and os.path.isdir(there) and is_writable(there):
            return f"tracking.uri: {SQLITE}{file} ({STORE_OPTIONS})"
    return f"tracking.uri: {SQLITE}/FOLDER/mlflow.db ({STORE_OPTIONS})"


def is_writable(place: Path) -> bool:
    """Return whether this process may write to a file, or create one in a folder."""
    mode = os.W_OK | os.X_OK if os.path.isdir(place) else os.W_OK
    return os.access(place, mode, effective_ids=os.access in os.supports_effective_ids)


def is_file(uri: str) -> bool:
    """Return whether a store is a database in a file."""
    return uri.startswith("sqlite")


def in_short(error: BaseException) -> str:
    """Return an error on one line, without SQL; for an error of requests, only its cause."""
    text = " ".join(str(error).partition("[SQL:")[0].split())
    caused = re.search(r"\(Caused by (.*)\)", text)
    return (caused[1] if caused else text)[:300] or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _mlflow(uri: str) -> str:
    """Return the shell command that runs MLflow on a store."""
    return f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {shlex.quote(sys.executable)} -m mlflow"


def _version() -> str:
    from mlflow import __version__

    return __version__


def _is_known(revision: str) -> bool:
    """Return whether the MLflow installed here can upgrade a database of this revision."""
    import mlflow

    versions = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    return any(versions.glob(f"{revision}_*.py"))
