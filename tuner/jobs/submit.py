"""`tuner submit` and `tuner stop`: start, follow, leave and stop a study's job."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tuner import version as commit
from tuner.cluster.private import STOP_SIGNAL, STOP_WAIT
from tuner.errors import StudyFailed, StudyInterrupted, UserError
from tuner.invocation import program
from tuner.jobs import api
from tuner.jobs.api import Job
from tuner.jobs.connection import Head, connect
from tuner.jobs.environment import environment, job_id
from tuner.jobs.following import Detached, follow
from tuner.jobs.package import code, pack
from tuner.jobs.secrets import needed_by, send
from tuner.jobs.staging import FILE, Staged, check_here, stage
from tuner.jobs.studies import StudyJob, find, find_known, metadata, refusal
from tuner.jobs.there import Command, reader
from tuner.terminal.progress import ConsoleProgress, say

STOP_SECONDS = 600
"""Seconds that a study has to shut down before Ray kills it."""


def submit(
    space: Path,
    overrides: Sequence[str],
    address: str,
    console: Console,
    detach: bool = False,
    insecure: bool = False,
    tracking_later: bool = False,
) -> None:
    """Run or resume a study on a cluster, and follow it to its end.

    Raises:
        UserError: the cluster is refused, or the study is invalid.
        StudyFailed: the study's job has failed.
        StudyInterrupted: the study was stopped and can be resumed.
    """
    progress = ConsoleProgress(console)
    check_here(space, overrides, progress.tell)
    staged = stage(space, overrides)
    head = connect(address, insecure)
    credentials = needed_by(staged.study)
    there = find(head, staged.study.name, staged.storage)
    if there is None or there.job.ended:
        there = _begin(head, staged, credentials, tracking_later, progress)
    else:
        _check_same(head, there, staged)
        progress.tell(f"{staged.study.name} is already running there: following it")
    if detach:
        _say_commands(head, there, console)
        return
    glance = Command(
        arguments=["status", there.name, "--storage", there.storage, "--watch"],
        runtime_env=there.runtime_env,
        credentials=credentials,
        again=there.command,
    )
    try:
        job = follow(head, there.job.id, glance, console)
    except Detached:
        console.print()
        if (job := api.job(head, there.job.id)).ended:  # it has just ended
            _conclude(job, there)
            return
        say(console, f"detached: {there.name} keeps running")
        _say_commands(head, there, console)
        return
    _conclude(job, there)


def stop(name: str, address: str, console: Console, insecure: bool = False) -> None:
    """Stop a study so that it can be resumed, and wait until it has ended.

    Raises:
        UserError: the cluster is refused or does not know the study, or the study does not run.
    """
    head = connect(address, insecure)
    there = find_known(head, name)
    if there.job.refused:
        raise refusal(head, there)
    if there.job.ended:
        raise UserError(
            f"study {name} is not running there: its last job is {there.state}",
            f"Continue it: {there.command}",
        )
    api.stop(head, there.job.id)
    with ConsoleProgress(console).task(f"stopping {name}, which saves its trials first"):
        job = asyncio.run(api.wait_until_ended(head, there.job.id))
    if job.status != "STOPPED":
        _conclude(job, there)
    say(console, f"{name} has stopped" if job.status == "STOPPED" else f"{name} has ended")
    _say_whole(console, f"continue it: {there.command}")


def _begin(
    head: Head,
    staged: Staged,
    credentials: dict[str, str],
    tracking_later: bool,
    progress: ConsoleProgress,
) -> StudyJob:
    """Pack and submit a study's job."""
    study = staged.study
    package = pack({**code(), **staged.contents})
    for line in (*staged.notes, package.in_words()):
        progress.tell(line)
    with progress.task("asking the cluster for its versions"):
        needed = environment(head, staged.storage)
    progress.tell(needed.summary)
    for line in _notes(study.tracking.uri, staged.storage, credentials):
        progress.tell(line)
    with progress.task("uploading"):
        working_dir = package.uploaded(head)
    later = " --tracking-later" if tracking_later else ""
    tokenless = "" if head.token else " --insecure"  # as the user chose here
    again = f"{staged.command}{later} {head.options}"
    variables = {
        STOP_SIGNAL: "SIGINT",
        STOP_WAIT: str(STOP_SECONDS),
        commit.VARIABLE: commit.commit(),
    }
    runtime_env = {
        **needed.runtime_env,
        "working_dir": working_dir,
        "env_vars": variables | reader(head, again) | send(head, credentials),
    }
    id = job_id(study.name)
    api.submit(
        head,
        id,
        f"{staged.prepare}exec python -m tuner search {FILE} --resume{later}{tokenless}",
        runtime_env,
        metadata(study.name, staged.storage, staged.digest, again),
    )
    progress.tell(f"submitted: job {id}")
    return StudyJob.of(api.job(head, id))


def _notes(uri: str | None, storage: str, credentials: dict[str, str]) -> list[str]:
    notes = []
    if credentials:
        notes.append(f"sent only to the driver and kept only in memory: {', '.join(credentials)}")
    if uri is None and "://" in storage:
        notes.append(
            "MLflow: no tracking.uri is given, so its database is lost with the job's folder; "
            f"`{program()} sync STUDY --storage {storage}` rebuilds it from the journal"
        )
    return notes


def _check_same(head: Head, there: StudyJob, staged: Staged) -> None:
    """Raise UserError if the running study has settings other than the staged ones."""
    if there.digest != staged.digest:
        raise UserError(
            f"study {there.name} is running there already with different settings",
            f"Stop it first: {program()} stop {there.name} {head.options}, or choose another name: "
            f"--set name={there.name}-2",
        )


def _say_commands(head: Head, there: StudyJob, console: Console) -> None:
    for what, line in (
        ("follow it", there.command),
        ("look at it", f"{program()} status {there.name} {head.options}"),
        ("stop it", f"{program()} stop {there.name} {head.options}"),
    ):
        _say_whole(console, f"{what + ':':<12}{line}")


def _say_whole(console: Console, line: str) -> None:
    """Print a line without wrapping it, so that the command in it can be copied."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _conclude(job: Job, there: StudyJob) -> None:
    """Return or raise so that this process's exit code fits the job's: 0, 1, 2 or 130."""
    again = f"continue with: {there.command}"
    match job.code:
        case 0:
            return
        case api.REFUSED:
            raise UserError(f"the cluster refused {there.name}: see the last lines above")
        case 130:
            raise StudyInterrupted(again)
        case None if job.status == "STOPPED":
            raise StudyInterrupted(f"{there.name} was stopped; {again}")
        case None:
            raise StudyFailed(f"{job.message.strip()[-1000:] or job.status}\n{again}")
        case code:
            raise StudyFailed(f"the job of {there.name} ended with exit code {code}; {again}")
