"""What a study's driver needs to be let in elsewhere: from this environment to its memory.

It is no part of the job: what is said of a job (its entrypoint, runtime environment and metadata)
is shown to everybody who may look at the cluster, and kept in logs. It goes the way of a package,
under a name that nobody can guess; the driver takes it from the head's store as the first thing it
does, and takes it away from there. What nobody takes, Ray removes after ten minutes.
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
    """What of this environment a study needs: for its MLflow, storage and hub, where it has any."""
    uri, storage = study.tracking.uri or "", str(study.storage)
    from_hub = study.data.source == "hub" or study.encoder.name != "nano"
    return (
        of_storage(storage)
        | _set_here(MLFLOW if uri.startswith(("http", "databricks")) else ())
        | _set_here(HUB if from_hub else ())
    )


def of_storage(storage: str) -> dict[str, str]:
    """What of this environment a storage needs."""
    return _set_here(OBJECT_STORES.get(storage.partition("://")[0], ()))


def send(head: Head, secrets_: Mapping[str, str]) -> dict[str, str]:
    """Hand them over; what to put into the job's environment, which tells where they are."""
    if not secrets_:
        return {}
    name = f"{secrets.token_hex(16)}.bin"
    upload(head, name, HEADER + json.dumps(dict(secrets_)).encode())
    return {SENT: name}


def _set_here(names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name in names if (value := os.environ.get(name))}
