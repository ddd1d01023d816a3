"""Checks from where a driver runs: whether what it needs is there, and what must not be, is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ray
from ray._private.worker import get_dashboard_url

from tuner.data.sources import load_corpus
from tuner.doctor.findings import Finding
from tuner.errors import UserError
from tuner.hub import ask, offline
from tuner.jobs.connection import NO_JOB, TURN_ON, Head
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.shape import describe_encoder
from tuner.search.capacity import Capacity
from tuner.shown import without_secrets
from tuner.study import StudyConfig, trained_on
from tuner.study.data import HubData
from tuner.study.parts import SQLITE, TrackingConfig
from tuner.tracking.store import reach
from tuner.tracking.tracker import Tracker

TOKENS = "tokens"
ASK_STORE = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_exists(b"", None)
"""
STORE_SECONDS = 60.0
"""For Ray's import and an answer."""


def study_fits(study: StudyConfig, capacity: Capacity) -> Finding:
    """The cluster can hold a trial of it, at least at its maximum."""
    try:
        at_once = capacity.trials_at_once(study.resources)
    except UserError as error:
        return _failed("resources", error)
    trials = f"{at_once:,} trial{'s' * (at_once > 1)}"
    return Finding("resources", "pass", f"the cluster holds {trials} at its maximum")


def mlflow_answers(uri: str, experiment: str = TrackingConfig().experiment) -> Finding:
    """MLflow can be reached and lets us write: what a search asks of it too, before it begins."""
    shown = without_secrets(uri)
    try:
        if uri.startswith(SQLITE):
            reach(uri)
            return Finding("MLflow", "pass", f"{shown} can be written")
        Tracker(uri, experiment)
    except UserError as error:
        return _failed("MLflow", error)
    return Finding("MLflow", "pass", f"{shown} answers and lets us write to {experiment!r}")


def encoder_is_there(study: StudyConfig) -> Finding:
    """The hub has the encoder, or the cache of this machine does, or the folder that is named."""
    name, revision = study.encoder.name, study.encoder.revision
    try:
        shape = describe_encoder(study.encoder)
        size = f"{shape.parameters / 1e6:.0f} M parameters"
        if name == "nano":
            return Finding("encoder", "pass", "nano is built in")
        local = Path(name).expanduser().is_dir()
        if not local and ask("model", name, revision).commit:
            return Finding("encoder", "pass", f"the hub answers and has {name} ({size})")
        with offline(True):
            load_tokenizer(study.encoder)
            load_encoder(study.encoder)
    except UserError as error:
        return _failed("encoder", error)
    return Finding("encoder", "pass", f"{name} is on this machine ({size}): no hub is needed")


def data_is_there(study: StudyConfig) -> Finding:
    """The hub has the corpus, or the cache does, or the files; what is here is read."""
    data = study.data
    if data.source == "nano":
        return Finding("data", "pass", "nano is built in")
    try:
        if isinstance(data, HubData) and not data.is_folder:  # noqa: SIM102
            if ask("dataset", data.name, data.revision).commit:
                return Finding("data", "pass", f"the hub answers and has {data.name}")
        languages = list(dict.fromkeys([*study.languages.source, *study.languages.target]))
        languages += [pivot for pivot in study.protocol.pivot if pivot not in languages]
        train = trained_on(study.languages, study.protocol)
        with offline(True):
            corpus = load_corpus(data, languages, train)
    except UserError as error:
        return _failed("data", error)
    pairs = sum(len(rows) for by_language in corpus.rows.values() for rows in by_language.values())
    return Finding("data", "pass", f"{pairs:,} pairs of {data.source} are read on this machine")


def tokens_on() -> Finding:
    """Whoever reaches the joined cluster without its token can do nothing there.

    Two doors are tried without one: the dashboard's job API, and the cluster's own store, which is
    there also where the dashboard is off.
    """
    store = ray.get_runtime_context().gcs_address
    if _store_is_open(store):
        return Finding(
            TOKENS, "fail", "off: whoever reaches the cluster may run anything on it", TURN_ON
        )
    dashboard = get_dashboard_url()  # type: ignore[no-untyped-call]
    if not dashboard:
        return Finding(TOKENS, "pass", "on; the dashboard is off")
    try:
        status, _ = Head(f"http://{dashboard}").ask("GET", NO_JOB)
    except UserError as error:
        return Finding(TOKENS, "warn", f"on; {error.problem}", error.remedy)
    if status not in (401, 403):
        return Finding(
            TOKENS, "fail", f"the job API at {dashboard} answers without one ({status})", TURN_ON
        )
    return Finding(TOKENS, "pass", f"on; the job API at {dashboard} refuses who has none")


def _store_is_open(address: str) -> bool:
    """Whether the cluster answers a process that has no token."""
    environment = {name: os.environ[name] for name in os.environ if "RAY" not in name}
    try:
        subprocess.run(
            [sys.executable, "-c", ASK_STORE, address],
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            timeout=STORE_SECONDS,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False
    return True


def _failed(check: str, error: UserError) -> Finding:
    return Finding(check, "fail", error.problem, error.remedy)
