"""Commands on studies of a cluster, run from here: `tuner status --address` and similar ones."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from rich.console import Console

from tuner.blocks import Commands, Grid
from tuner.blocks.console import show_blocks
from tuner.invocation import program
from tuner.jobs.connection import connect
from tuner.jobs.environment import environment
from tuner.jobs.following import watch
from tuner.jobs.secrets import of_storage
from tuner.jobs.studies import StudyJob, find, find_known, refusal, studies
from tuner.jobs.there import Command, run
from tuner.terminal.progress import say


def look(
    address: str,
    arguments: Sequence[str],
    storage: str | None,
    console: Console,
    insecure: bool = False,
) -> int:
    """Run a command on the cluster that holds a study, and print its output.

    Args:
        address: the address of the cluster's dashboard.
        arguments: the command, the study's name, and options.
        storage: the storage of the study; None to take it from the cluster's jobs.
        console: the console on which to show a watched study.
        insecure: see `connect`.

    Returns:
        The command's exit code.

    Raises:
        UserError: the cluster is refused, or does not know the study.
    """
    head = connect(address, insecure)
    name = arguments[1]
    known = find(head, name, storage) if storage else find_known(head, name)
    if known and known.job.refused:
        raise refusal(head, known)
    place = storage or (known.storage if known else "")
    command = Command(
        arguments=[*arguments, "--storage", place],
        runtime_env=known.runtime_env if known else environment(head, place).runtime_env,
        credentials=of_storage(place),
        again=known.command if known else "",
    )
    if "--watch" in arguments and console.is_interactive:
        return watch(head, command, console)
    return run(head, command)


def list_studies(address: str, as_json: bool, console: Console, insecure: bool = False) -> None:
    """Print the studies submitted to a cluster, the newest first.

    Raises:
        UserError: the cluster is refused.
    """
    head = connect(address, insecure)
    found = studies(head)
    if as_json:
        print(json.dumps([_as_json(study) for study in found]))
        return
    if not found:
        say(console, f"no study has been submitted to {address}")
        return
    columns = ("study", "state", "submitted", "storage")
    rows = tuple((study.name, study.state, _when(study), study.storage) for study in found)
    progress = Commands("Progress of a study:", (f"{program()} status STUDY {head.options}",))
    show_blocks([Grid("", "", columns, rows, left=4), progress], console)


def _when(study: StudyJob) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(study.job.started))


def _as_json(study: StudyJob) -> dict[str, str | float]:
    return {
        "name": study.name,
        "state": study.state,
        "storage": study.storage,
        "submitted": study.job.started,
        "job": study.job.id,
        "command": study.command,
    }
