"""A client of MLflow's store whose requests all have deadlines.

MLflow retries an address that does not answer for minutes, without a message to the user. So this
module first tries the address with the standard library, and reports an error within seconds. Each
request has a deadline as a whole, since an answer that arrives byte by byte would never end.
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import sqlite3
import ssl
import tempfile
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

from tuner.errors import UserError
from tuner.storage.access import create
from tuner.storage.location import is_shared
from tuner.study.parts import SQLITE
from tuner.timing import within
from tuner.tracking.addresses import absolute, database_file
from tuner.tracking.moved import follow
from tuner.tracking.refusals import (
    UNFIT,
    Unreachable,
    failed,
    is_file,
    is_writable,
    of_file,
    other_file,
    refused,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE, IN_ALL = 5.0, 10.0
"""Seconds that an address has for each part of an answer, and for the whole answer, before it
counts as unreachable."""
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
"""MLflow's variable for the seconds that each part of an answer may take; a whole request may take
`PARTS` times that."""
PARTS = 2
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # the user did not consent, and nodes may be offline
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # failures are raised anyway
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # or each ended run prints two lines
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the tracker checks before it retries
    TIMEOUT: "30",
}
"""Settings that MLflow reads only from the environment; values that the user has set are kept."""
MEMORY = "/dev/shm"
"""A folder in memory, on Linux."""
GATEWAY_ERRORS = (502, 503, 504)
"""HTTP statuses that a gateway answers if the server behind it is unreachable."""
ACTIVE_MODEL = ("MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID")
"""Variables to unset: they tie every metric to a model, which fails if the store lacks it."""


def connect(uri: str) -> MlflowClient:
    """Return a client of the store at `uri` after checking that it answers and is usable.

    Raises:
        Unreachable: the store does not answer within seconds.
        UserError: the store cannot be used.
    """
    reach(uri)
    try:
        if not uri.startswith(SQLITE):
            return cast("MlflowClient", _InTime(_client(uri)))
        file = database_file(uri)
        if not file.exists():
            _make_database(file)
        client = _client(absolute(uri))
        follow(file, PATIENCE)
        return client
    except Exception as error:
        raise failed(uri, error) from None


class _InTime:
    """Wraps a client so that each call has a deadline."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            seconds = PARTS * float(os.environ[TIMEOUT])
            return within(seconds, partial(method, *arguments, **options), "mlflow request")

        return call


def reach(uri: str) -> None:
    """Check that the store at `uri` answers, without creating or changing anything.

    Raises:
        Unreachable: no answer came within seconds.
        UserError: the store cannot be used.
    """
    try:
        if is_file(uri):
            _reach(uri)
        else:
            within(IN_ALL, partial(_reach, uri), "connecting to MLflow")
    except UserError:
        raise
    except (OSError, http.client.HTTPException, sqlite3.Error, ValueError) as error:
        reason = f"it cannot be reached ({getattr(error, 'reason', error)})"
        if is_file(uri):
            raise refused(uri, reason, of_file(database_file(uri), error)) from None
        if isinstance(error, OSError):
            raise refused(uri, reason, kind=Unreachable) from None
        raise refused(uri, reason, "Correct its address in tracking.uri.") from None


def _make_database(file: Path) -> None:
    """Let MLflow create its database in a temporary folder, and then move it into place whole.

    MLflow creates a database in many steps that take seconds. If the process is killed between
    them, no other process can use or repair the database. Where it is made in memory, it does not
    wait for a disk at each step.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tuner-mlflow-", dir=memory) as folder:
        made = Path(folder, "mlflow.db")
        _client(f"{SQLITE}{made}")
        if not is_shared(file.parent):
            _log_ahead(made)
        create(file, made.read_bytes())  # does nothing if another process was faster


def _log_ahead(file: Path) -> None:
    """Let a database write each change to a log first, which takes a third of the time.

    The setting stays with the file. It loses nothing, but works only on a local disk.
    """
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def settle(uri: str) -> None:
    """Move what a database has written to its log into its file, so that the file alone is whole.

    Otherwise this happens only when the last process closes it, and `tuner ui` may have it open.
    """
    if is_file(uri):
        with closing(sqlite3.connect(database_file(uri), timeout=PATIENCE)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _client(uri: str) -> MlflowClient:
    """Return MLflow's own client; the import takes two seconds, a new database as long."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in ACTIVE_MODEL:
        os.environ.pop(name, None)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of retries
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(uri, registry_uri=uri)


def _reach(uri: str) -> None:
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme in ("http", "https"):
        _open_page(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl())
    elif scheme == "sqlite":
        _open_sqlite(uri)
    elif scheme in ("", "file"):
        storage = database_file(unquote(parts.path)).parent
        raise refused(
            uri,
            "it is a folder of files, which MLflow no longer supports",
            f"Use a database instead, for instance {other_file(storage)}",
        )
    elif scheme in DATABASE_PORTS:
        if parts.hostname:
            port = parts.port or DATABASE_PORTS[scheme]
            socket.create_connection((parts.hostname, port), PATIENCE).close()
    elif scheme != "databricks":
        known = ["http", "https", "sqlite", *DATABASE_PORTS]
        raise refused(
            uri,
            f"MLflow does not support this kind, only {', '.join(known)}",
            f"Use one of these, for instance {other_file()}",
        )


def _open_page(address: str) -> None:
    try:
        urlopen(address, timeout=PATIENCE).close()
    except HTTPError as error:  # it answers; the client reports the error
        error.close()
        if error.code in GATEWAY_ERRORS:
            raise
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # MLflow has its own settings for that
            raise


def _open_sqlite(uri: str) -> None:
    """Check that the file can be written or, if it is missing, created."""
    file = database_file(uri)
    if UNFIT & set(str(file)) or not uri.startswith(SQLITE) or file.name == ":memory:":
        raise refused(
            uri,
            "MLflow needs a plain file without %, ? and # in its path",
            f"Use another one, for instance {other_file()}",
        )
    folder = next(parent for parent in file.parents if os.path.exists(parent))
    writable = os.path.isdir(folder) and is_writable(folder)
    if not writable or (os.path.exists(file) and not is_writable(file)):
        there = file if writable else folder
        raise refused(
            uri,
            f"{there} is not writable" if os.path.isdir(folder) else f"{there} is not a folder",
            f"Make it writable, or use another file, for instance {other_file()}",
        )
    if not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
