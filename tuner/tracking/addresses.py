"""Addresses of MLflow's stores, and the removal of credentials from text."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from tuner.storage.folders import Place
from tuner.storage.location import beside
from tuner.study import StudyConfig
from tuner.study.parts import SQLITE
from tuner.tracking.moved import ARTIFACTS

SECRET = re.compile("pass|pwd|token|secret|key|odbc", re.IGNORECASE)
"""Names of query parameters that carry a secret."""
USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"
"""Variables from which MLflow reads credentials; their values are never kept or shown."""


def default_uri(storage: Place) -> str:
    """Return the absolute address of the database beside the studies in `storage`.

    An object store cannot hold a database; for one, the database is in ./studies.
    """
    return f"{SQLITE}{Path(os.path.realpath(beside(storage))) / 'mlflow.db'}"


def store_of(study: StudyConfig) -> str:
    """Return the address of a study's store: the one it names, or the default."""
    return study.tracking.uri or default_uri(study.storage)


def absolute(uri: str) -> str:
    """Return an address that is valid in every working folder; only sqlite files are relative."""
    return f"{SQLITE}{database_file(uri)}" if uri.startswith(SQLITE) else uri


def database_file(uri: str) -> Path:
    """Return the absolute path of a sqlite store's file."""
    return Path(os.path.realpath(uri.removeprefix(SQLITE)))  # raises nothing for circular links


def artifact_folder(uri: str) -> Path | None:
    """Return the folder of artifacts beside a sqlite store; None where MLflow decides."""
    return database_file(uri).parent / ARTIFACTS if uri.startswith(SQLITE) else None


def without_credentials(text: str, uri: str) -> str:
    """Return `text` with the credentials of `uri` and of the environment masked."""
    userinfo = "".join(re.findall(r"//(.*)@", uri))  # greedy: a password may hold any character
    secrets = {userinfo, userinfo.partition(":")[2]}
    secrets |= {value for name, value in parse_qsl(uri.partition("?")[2]) if SECRET.search(name)}
    user, password, token = (os.environ.get(name, "") for name in (USERNAME, PASSWORD, TOKEN))
    secrets |= {password, token}
    for pair in (f"{user}:{password}", unquote(userinfo)):  # as in an HTTP header
        secrets |= {b64encode(pair.encode()).decode()} if pair.strip(":") else set()
    spelt = {form for secret in secrets for form in (secret, unquote(secret), quote(secret))}
    for secret in sorted(spelt - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
