"""The check that a joined cluster refuses everyone who lacks its token."""

from __future__ import annotations

import os
import subprocess
import sys

import ray

from tuner.cluster.private import ASK_STORE, dashboard
from tuner.doctor.findings import Finding
from tuner.errors import UserError
from tuner.jobs.connection import NO_JOB, TURN_ON, Head

TOKENS = "tokens"
STORE_SECONDS = 60.0
"""Seconds for Ray's import and an answer of the store."""


def tokens_on() -> Finding:
    """Check that nobody can use the joined cluster without its token.

    The check tries two interfaces without a token: the dashboard's job API, and the cluster's own
    store, which runs even if the dashboard is off.
    """
    store = ray.get_runtime_context().gcs_address
    if _store_is_open(store):
        return Finding(
            TOKENS, "fail", "off: anyone who can reach the cluster can run anything on it", TURN_ON
        )
    address = dashboard()
    if not address:
        return Finding(TOKENS, "pass", "on; the dashboard is off")
    try:
        status, _ = Head(f"http://{address}").ask("GET", NO_JOB)
    except UserError as error:
        return Finding(TOKENS, "warn", f"on; {error.problem}", error.remedy)
    if status not in (401, 403):
        return Finding(
            TOKENS,
            "fail",
            f"the job API at {address} answers without a token ({status})",
            TURN_ON,
        )
    return Finding(TOKENS, "pass", f"on; the job API at {address} refuses requests without a token")


def _store_is_open(address: str) -> bool:
    """Return whether the cluster's store answers a process without a token."""
    environment = {name: os.environ[name] for name in os.environ if "RAY" not in name}
    try:
        subprocess.run(
            [sys.executable, "-P", "-c", ASK_STORE, address],
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            timeout=STORE_SECONDS,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False
    return True
