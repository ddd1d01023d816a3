"""The studies of a cluster, found by the metadata of their jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tuner.errors import UserError
from tuner.invocation import program
from tuner.jobs import api
from tuner.jobs.api import Job
from tuner.jobs.connection import Head

NAME, STORAGE, DIGEST, COMMAND = (
    "tuner.study",
    "tuner.storage",
    "tuner.settings",
    "tuner.command",
)
"""Keys in the metadata of a study's job: the study's name, its storage, a digest of its settings,
and the command that submitted it."""


STATES = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "STOPPED": "stopped",
    "SUCCEEDED": "done",
    "FAILED": "failed",
}
"""The state of a study in a word, by the status of its newest job."""
LINES = 8
"""Number of last lines of a refused job's log that are shown."""


@dataclass(frozen=True)
class StudyJob:
    """A job that runs or has run a study.

    Attributes:
        job: the job as the head describes it.
        name: the study's name.
        storage: the study's storage, as the cluster understands it.
        digest: a digest of the study's settings.
        command: the command that submitted it.
    """

    job: Job
    name: str
    storage: str
    digest: str
    command: str

    @classmethod
    def of(cls, job: Job) -> Self:
        """Read a study's job from the job's metadata."""
        said = job.metadata
        return cls(job, *(said.get(key, "") for key in (NAME, STORAGE, DIGEST, COMMAND)))

    @property
    def state(self) -> str:
        """The state of the study in a word."""
        return STATES.get(self.job.status, self.job.status.lower())

    @property
    def runtime_env(self) -> dict[str, Any]:
        """The runtime environment with the packages that were installed for the job."""
        pins = self.job.runtime_env.get("pip")
        return {"pip": pins} if pins else {}


def metadata(name: str, storage: str, digest: str, command: str) -> Mapping[str, str]:
    """Return the metadata of a study's job."""
    return {NAME: name, STORAGE: storage, DIGEST: digest, COMMAND: command}


def studies(head: Head) -> list[StudyJob]:
    """Return the newest job of each submitted study, the newest first.

    A refused job is returned only if the study has no other job.
    """
    jobs = [StudyJob.of(job) for job in api.all_jobs(head) if NAME in job.metadata]
    found: dict[tuple[str, str], StudyJob] = {}
    for study in sorted(jobs, key=lambda study: study.job.refused):
        found.setdefault((study.name, study.storage), study)
    return sorted(found.values(), key=lambda study: -study.job.started)


def find(head: Head, name: str, storage: str | None = None) -> StudyJob | None:
    """Return the newest job of a study, preferring one that has not ended; None without a job.

    Args:
        head: the head of the cluster.
        name: the study's name.
        storage: the study's storage; None for any.
    """
    known = [
        study
        for study in studies(head)
        if study.name == name and (storage is None or study.storage == storage)
    ]
    return next((study for study in known if not study.job.ended), next(iter(known), None))


def find_known(head: Head, name: str) -> StudyJob:
    """Return the job that `find` returns, or raise an error.

    Raises:
        UserError: the cluster knows no job of the study.
    """
    if found := find(head, name):
        return found
    known = ", ".join(study.name for study in studies(head))
    raise UserError(
        f"the cluster at {head.address} knows no job of a study {name}",
        (f"Studies known there: {known}." if known else "No study has been submitted to it.")
        + f" For a study started in another way: {program()} status {name} --storage FOLDER "
        + head.options,
    )


def refusal(head: Head, study: StudyJob) -> UserError:
    """Return the error for a study that never began, since each of its jobs was refused."""

    async def printed() -> str:
        return "".join([piece async for piece in api.log(head, study.job.id)])

    last = asyncio.run(printed()).strip().splitlines()[-LINES:]
    return UserError(
        f"study {study.name} never started: its job was refused there. Its last lines:\n"
        + "\n".join(f"  {line}" for line in last)
    )
