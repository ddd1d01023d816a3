"""The environment of a job: packages to install where the cluster's versions differ from ours."""

from __future__ import annotations

import asyncio
import json
import platform
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from tuner import DISTRIBUTION
from tuner.errors import UserError
from tuner.jobs import api
from tuner.jobs.connection import Head

EXTRAS = {"s3": "s3", "gs": "gcs"}
"""The extra of our distribution that reaches a storage, by the storage's URL scheme."""
_ASK = """
import json, platform
from importlib.metadata import PackageNotFoundError, version
def of(name):
    try: return version(name)
    except PackageNotFoundError: return None
print(json.dumps({"python": platform.python_version(), **{name: of(name) for name in NAMES}}))
"""
_MARKED = re.compile(r"extra\s*==\s*['\"](\w+)['\"]")


@dataclass(frozen=True)
class JobPackages:
    """The packages to install for a job.

    Attributes:
        pins: requirements such as `torch==2.13.0`; empty where the cluster has our versions.
        summary: the same in words.
    """

    pins: tuple[str, ...]
    summary: str

    @property
    def runtime_env(self) -> dict[str, Any]:
        """Ray's runtime environment with these packages."""
        return {"pip": list(self.pins)} if self.pins else {}


def environment(head: Head, storage: str = "") -> JobPackages:
    """Run a short job to read the versions on the cluster's head, and compare them with ours.

    Raises:
        UserError: the head has a different Python or Ray, or cannot run Python at all.
    """
    here = versions_here(storage)
    return compared(here, asyncio.run(_versions_there(head, list(here))))


def versions_here(storage: str = "") -> dict[str, str]:
    """Return the versions here of Python, of our dependencies and of the storage's extra.

    Raises:
        UserError: this program is not installed as a package.
    """
    extra = EXTRAS.get(storage.partition("://")[0])
    try:
        needs = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        raise UserError(
            f"{DISTRIBUTION} is not installed here, so its dependencies are unknown",
            "In its repository: make setup; or: pip install -c constraints.txt -e .",
        ) from None
    found = {}
    for need in needs:
        marked = _MARKED.search(need)
        if marked is None or marked[1] == extra:
            name = re.split(r"[\s\[<>=!~;]", need, maxsplit=1)[0]
            found[name] = version(name)
    return {"python": platform.python_version(), **found}


def compared(here: Mapping[str, str], there: Mapping[str, str | None]) -> JobPackages:
    """Return the packages to install so that the cluster has the versions installed here.

    Raises:
        UserError: Python or Ray differs, and neither can be installed for a job.
    """
    for name, what in {"python": "Python", "ray": "Ray"}.items():
        has = there.get(name) or "none"
        same = _minor(has) == _minor(here[name]) if name == "python" else has == here[name]
        if not same:
            raise UserError(
                f"the cluster has {what} {has}, but {here[name]} is installed here",
                f"Use an image with {what} {here[name]}, or submit from an environment with the "
                f"cluster's.",
            )
    differ = {
        name: there.get(name)
        for name, wanted in here.items()
        if name != "python" and _public(there.get(name)) != _public(wanted)
    }
    if not differ:
        count = len(here) - 1
        return JobPackages((), f"the cluster has the same versions ({count} packages)")
    pins = tuple(f"{name}=={_public(here[name])}" for name in differ)
    lacks = ", ".join(
        f"{name} {_public(here[name])} (there: {has or 'none'})" for name, has in differ.items()
    )
    return JobPackages(pins, f"installed on the cluster for this job: {lacks}")


def job_id(what: str) -> str:
    """Return a unique submission id."""
    return f"tuner-{what}-{secrets.token_hex(4)}"


async def _versions_there(head: Head, names: Sequence[str]) -> dict[str, str | None]:
    script = f"NAMES = {list(names[1:])!r}{_ASK}"
    id = job_id("versions")
    api.submit(head, id, f"exec python -c {shlex.quote(script)}", {})
    try:
        printed = "".join([piece async for piece in api.log(head, id)])
        found = await api.wait_until_ended(head, id)
    finally:
        await api.forget(head, id)
    if found.code != 0:
        raise UserError(
            f"the cluster cannot run Python: {(printed or found.message).strip()[-300:]}",
            "`python` on the PATH of `ray start` must be the one that has Ray.",
        )
    said: dict[str, str | None] = json.loads(printed.strip().splitlines()[-1])
    return said


def _public(version: str | None) -> str | None:
    """Return a version without its build suffix, such as `+cu126`."""
    return version and version.partition("+")[0]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
