"""Addresses of stores: where MLflow keeps what it is told, and what of an address is not shown."""

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
"""Where MLflow reads from who writes; nothing of it is kept or shown."""


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
    """Where files go for a sqlite store: a folder beside it. MLflow decides for others."""
    return database_file(uri).parent / ARTIFACTS if uri.startswith(SQLITE) else None


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
