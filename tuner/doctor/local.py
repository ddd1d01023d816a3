"""Checks of what Ray needs on this machine, without starting Ray."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tuner.cluster.credentials import check_tokens
from tuner.cluster.local_ray import check_folder, scratch
from tuner.cluster.machine import cpus
from tuner.doctor.findings import Finding
from tuner.errors import UserError


def ray_can_start() -> Iterator[Finding]:
    """Check the CPUs for trials, the folder of Ray's files, the tokens and the home folder."""
    found = cpus()
    of = f" of the machine's {os.cpu_count()}: {found.limit}" if found.limit else ""
    yield Finding("CPUs", "pass", f"{found.number} for trials{of}")
    try:
        check_folder()
    except UserError as error:
        yield Finding("Ray's files", "fail", error.problem, error.remedy)
    else:
        yield Finding("Ray's files", "pass", f"in a folder of its own in {scratch()[1]}")
    try:
        check_tokens(insecure=False)
    except UserError as error:
        yield Finding("tokens", "fail", error.problem, error.remedy)
    else:
        yield Finding("tokens", "pass", "on: each Ray that is started here gets a new token")
    yield home_is_writable()


def home_is_writable() -> Finding:
    """Check that the home folder, where libraries keep caches, can be written."""
    try:
        home = Path.home()
        with tempfile.TemporaryDirectory(dir=home):
            return Finding("home", "pass", f"{home} can be written")
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return Finding(
            "home",
            "warn",
            f"the home folder {os.environ.get('HOME', '~')} cannot be written: {why}",
            "Studies run without it, but downloads from the hub then need HF_HOME=FOLDER.",
        )
