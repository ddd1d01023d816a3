"""Where MLflow keeps what it is told: the address, and a client of it.

MLflow tries an address that does not answer again for minutes, before the first word to the user.
So everything here is tried first with the standard library, and told within seconds.
"""

from __future__ import annotations

import http.client
import logging
import os
import re
import socket
import sqlite3
import ssl
import tempfile
import warnings
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from urllib.request import urlopen

from tuner.errors import UserError
from tuner.storage.access import create
from tuner.storage.folders import Place
from tuner.storage.location import beside
from tuner.study import StudyConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 5.0
"""Seconds that an address has to answer before it counts as unreachable."""
SQLITE = "sqlite:///"
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
DRIVERS = {
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL",
    "pyodbc": "pyodbc",
    "pymssql": "pymssql",
}
"""By the module that reaches a database: the distribution that has it, often of another name."""
SECRET = re.compile("pass|pwd|token|secret|key|odbc", re.IGNORECASE)
"""Names of query parameters that carry a secret."""
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody asked the user; and nodes may be offline
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what fails is raised too; the rest is chatter
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # else every ended run prints two lines
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # we look before a run is made again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Read by MLflow from the environment, and only there; what the user has set is kept."""
USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"
"""Where MLflow reads from who writes; nothing of it is kept or shown."""
GATEWAY_ERRORS = (502, 503, 504)
"""What is answered in place of a server that is away."""
ACTIVE_MODEL = ("MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID")
"""Would tie every metric to a model, and fail where the store has none of that name."""


class Unreachable(UserError):
    """A server that does not answer now, and may do so later."""


def default_uri(storage: Place) -> str:
    """The database beside the studies in `storage`, as an absolute address.

    Where they are in an object store, which holds no database, it is in ./studies.
    """
    return f"{SQLITE}{Path(os.path.realpath(beside(storage))) / 'mlflow.db'}"


def store_of(study: StudyConfig) -> str:
    """Where a study is tracked: where it says, or in the default store."""
    return study.tracking.uri or default_uri(study.storage)


def absolute(uri: str) -> str:
    """The same store wherever a process stands; only a sqlite file may be named relatively."""
    return f"{SQLITE}{database_file(uri)}" if uri.startswith(SQLITE) else uri


def database_file(uri: str) -> Path:
    """The file of a sqlite store, absolute."""
    return Path(os.path.realpath(uri.removeprefix(SQLITE)))  # also of a circle of links


def artifact_folder(uri: str) -> Path | None:
    """Where files go for a sqlite store: `mlartifacts` beside it. MLflow decides for others."""
    return database_file(uri).parent / "mlartifacts" if uri.startswith(SQLITE) else None


def without_credentials(text: str, uri: str) -> str:
    """`text` with what lets us in blotted out wherever it stands: of `uri`, of the environment."""
    userinfo = "".join(re.findall(r"//(.*)@", uri))  # greedy: a password may hold any character
    secrets = {userinfo, userinfo.partition(":")[2]}
    secrets |= {value for name, value in parse_qsl(uri.partition("?")[2]) if SECRET.search(name)}
    user, password, token = (os.environ.get(name, "") for name in (USERNAME, PASSWORD, TOKEN))
    secrets |= {password, token}
    for pair in (f"{user}:{password}", unquote(userinfo)):  # as a header has it
        secrets |= {b64encode(pair.encode()).decode()} if pair.strip(":") else set()
    spelt = {form for secret in secrets for form in (secret, unquote(secret), quote(secret))}
    for secret in sorted(spelt - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`, which answers and is one that MLflow can use.

    Raises:
        Unreachable: it does not answer within seconds.
        UserError: it is of a kind that is refused.
    """
    reach(uri)
    try:
        if uri.startswith(SQLITE) and not database_file(uri).exists():
            _make_database(database_file(uri))
        return _client(absolute(uri))
    except ImportError as error:
        driver = DRIVERS.get(error.name or "")
        remedy = f"Install its driver: pip install {driver}" if driver else "Install that module."
        raise refused(uri, in_short(error), remedy) from None
    except Exception as error:
        raise refused(uri, in_short(error)) from None


def reach(uri: str) -> None:
    """Ask for any answer of the store at `uri`; nothing is made or changed.

    Raises:
        Unreachable: none came within seconds.
        UserError: the store is of a kind that is refused.
    """
    try:
        _reach(uri)
    except UserError:
        raise
    except (OSError, http.client.HTTPException, sqlite3.Error, ValueError) as error:
        kind = Unreachable if isinstance(error, OSError) and not _is_file(uri) else UserError
        reason = getattr(error, "reason", error)
        raise refused(uri, f"it cannot be reached ({reason})", kind=kind) from None


def refused(
    uri: str, reason: str, remedy: str = "", kind: type[UserError] = UserError
) -> UserError:
    """What is said of a store that cannot be used."""
    return kind(
        without_credentials(f"MLflow's store {uri} cannot be used: {reason}", uri),
        remedy or "Start it or correct tracking.uri; without tracking.uri, a local file is used.",
    )


def failed(uri: str, error: Exception) -> UserError:
    """What is said of a request that failed."""
    from mlflow.exceptions import MlflowException

    status: int = 0
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
    if status in (401, 403):
        reason = "it asks for a login" if status == 401 else "this login may not write there"
        return refused(
            uri,
            f"{reason} ({status})",
            f"Set {USERNAME} and {PASSWORD}, or {TOKEN}, in the environment, for a login that may "
            "edit the experiment.",
        )
    away = (status >= 500 or isinstance(error, ConnectionError)) and not _is_file(uri)
    return refused(uri, in_short(error), kind=Unreachable if away else UserError)


def _is_file(uri: str) -> bool:
    return uri.startswith("sqlite")


def in_short(error: BaseException) -> str:
    """An error in a line: databases go on with their SQL, and requests give the reason last."""
    text = " ".join(str(error).partition("[SQL:")[0].split())
    caused = re.search(r"\(Caused by (.*)\)", text)
    return (caused[1] if caused else text)[:300] or type(error).__name__


def _make_database(file: Path) -> None:
    """Let MLflow make its database, and put it in its place whole.

    That takes it seconds, in many steps, and what a process leaves that is killed in the midst of
    them no other can use or repair.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tuner-mlflow-") as folder:
        made = Path(folder, "mlflow.db")
        _client(f"{SQLITE}{made}")
        create(file, made.read_bytes())  # or another process has, in the meantime


def _client(uri: str) -> MlflowClient:
    """MLflow's import takes two seconds; creating a database, seven more."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in ACTIVE_MODEL:
        os.environ.pop(name, None)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings are of what is tried again
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
            "it is a folder of files, which MLflow no longer keeps up",
            f"Use a database instead: tracking.uri: {default_uri(storage)}",
        )
    elif scheme in DATABASE_PORTS:
        if parts.hostname:
            port = parts.port or DATABASE_PORTS[scheme]
            socket.create_connection((parts.hostname, port), PATIENCE).close()
    elif scheme != "databricks":
        known = ["http", "https", "sqlite", *DATABASE_PORTS]
        raise refused(uri, f"MLflow has none of this kind, but of {', '.join(known)}")


def _open_page(address: str) -> None:
    try:
        urlopen(address, timeout=PATIENCE).close()
    except HTTPError as error:  # it answers; what it wants is told by the client
        if error.code in GATEWAY_ERRORS:
            raise
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # MLflow has its own settings for that
            raise


def _open_sqlite(uri: str) -> None:
    """Open the file for writing; where there is none, see that it could be made."""
    file = database_file(uri)
    if set("%?#") & set(str(file)) or not uri.startswith(SQLITE) or file.name == ":memory:":
        raise refused(
            uri,
            "MLflow needs a plain file, with no %, ? and # in its name",
            f"Use another one, for instance tracking.uri: {default_uri(Path('studies'))}",
        )
    if not file.exists():
        folder = next(parent for parent in file.parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise refused(uri, f"{folder} is no folder that can be written to")
        return
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
