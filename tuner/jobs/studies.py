"""Studies as jobs of a cluster: which there are, by what was said of them at their submission."""

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
"""In the metadata of a study's job: its name, where it is kept, a digest of its settings, and the
command by which it was submitted."""


STATES = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "STOPPED": "stopped",
    "SUCCEEDED": "done",
    "FAILED": "failed",
}
"""What is said of a study, by the status of its newest job."""
LINES = 8
"""Of a refused job's log, which are shown: the last."""


@dataclass(frozen=True)
class StudyJob:
    """A job that works or has worked on a study.

    Attributes:
        job: as the head has it.
        name: the study's.
        storage: where it is kept, as the cluster understands it.
        digest: of its settings.
        command: by which it was submitted.
    """

    job: Job
    name: str
    storage: str
    digest: str
    command: str

    @classmethod
    def of(cls, job: Job) -> Self:
        """Of its metadata."""
        said = job.metadata
        return cls(job, *(said.get(key, "") for key in (NAME, STORAGE, DIGEST, COMMAND)))

    @property
    def state(self) -> str:
        """In a word."""
        return STATES.get(self.job.status, self.job.status.lower())

    @property
    def runtime_env(self) -> dict[str, Any]:
        """What was installed for it."""
        pins = self.job.runtime_env.get("pip")
        return {"pip": pins} if pins else {}


def metadata(name: str, storage: str, digest: str, command: str) -> Mapping[str, str]:
    """What is said of a study's job."""
    return {NAME: name, STORAGE: storage, DIGEST: digest, COMMAND: command}


def studies(head: Head) -> list[StudyJob]:
    """The newest job of each study that was submitted, the newest first.

    One that was refused says nothing of the study, where there is another.
    """
    jobs = [StudyJob.of(job) for job in api.all_jobs(head) if NAME in job.metadata]
    found: dict[tuple[str, str], StudyJob] = {}
    for study in sorted(jobs, key=lambda study: study.job.refused):
        found.setdefault((study.name, study.storage), study)
    return sorted(found.values(), key=lambda study: -study.job.started)


def find(head: Head, name: str, storage: str | None = None) -> StudyJob | None:
    """The newest job of a study, one that runs first; None where there is none.

    Args:
        head: of the cluster.
        name: the study's.
        storage: where it is kept; None where any will do.
    """
    known = [
        study
        for study in studies(head)
        if study.name == name and (storage is None or study.storage == storage)
    ]
    return next((study for study in known if not study.job.ended), next(iter(known), None))


def find_known(head: Head, name: str) -> StudyJob:
    """The same of a study that has to be there.

    Raises:
        UserError: no job of it is known.
    """
    if found := find(head, name):
        return found
    known = ", ".join(study.name for study in studies(head))
    raise UserError(
        f"no job of a study {name} is known to the cluster at {head.address}",
        (f"Known there: {known}." if known else "No study was submitted to it.")
        + f" One that was begun otherwise: {program()} status {name} --storage FOLDER "
        + head.options,
    )


def refusal(head: Head, study: StudyJob) -> UserError:
    """What is said of a study that never began, since each of its jobs was refused."""

    async def printed() -> str:
        return "".join([piece async for piece in api.log(head, study.job.id)])

    last = asyncio.run(printed()).strip().splitlines()[-LINES:]
    return UserError(
        f"study {study.name} has not begun: its job was refused there, as it said:\n"
        + "\n".join(f"  {line}" for line in last)
    )
