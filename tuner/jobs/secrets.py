"""Credentials for a study's driver: sent from this environment to the driver's memory.

Credentials are not part of the job: everybody with access to the cluster can see a job's
entrypoint, runtime environment and metadata, and logs keep them. They are uploaded like a package,
under a name that nobody can guess. The driver first reads them from the head's store and deletes
them there. Ray removes credentials that nobody has read after ten minutes.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping

from tuner.cluster.credentials import HEADER, OBJECT_STORES
from tuner.invocation import SENT
from tuner.jobs.api import upload
from tuner.jobs.connection import Head
from tuner.study import StudyConfig

MLFLOW = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
HUB = ("HF_TOKEN",)


def needed_by(study: StudyConfig) -> dict[str, str]:
    """Return the variables of this environment that a study's MLflow, storage and hub need."""
    uri, storage = study.tracking.uri or "", str(study.storage)
    from_hub = study.data.source == "hub" or study.encoder.name != "nano"
    return (
        of_storage(storage)
        | _set_here(MLFLOW if uri.startswith(("http", "databricks")) else ())
        | _set_here(HUB if from_hub else ())
    )


def of_storage(storage: str) -> dict[str, str]:
    """Return the variables of this environment that a storage needs."""
    return _set_here(OBJECT_STORES.get(storage.partition("://")[0], ()))


def send(head: Head, secrets_: Mapping[str, str]) -> dict[str, str]:
    """Upload secrets, and return the environment variable that tells the job where they are."""
    if not secrets_:
        return {}
    name = f"{secrets.token_hex(16)}.bin"
    upload(head, name, HEADER + json.dumps(dict(secrets_)).encode())
    return {SENT: name}


def _set_here(names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name in names if (value := os.environ.get(name))}
