"""Running a tuner command on a cluster's head, with its output and exit code brought here."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tuner.errors import UserError
from tuner.invocation import AGAIN, READER
from tuner.jobs import api
from tuner.jobs.connection import Head, connect
from tuner.jobs.environment import environment, job_id
from tuner.jobs.package import code, pack
from tuner.jobs.secrets import send
from tuner.jobs.staging import Staged

PASSED_ON = ("NO_COLOR", "TERM", "COLORTERM", "COLUMNS", "LINES")
"""Variables of this terminal that determine the layout of text."""


@dataclass(frozen=True)
class Command:
    """A command to run on a cluster's head.

    Attributes:
        arguments: its arguments, such as `["status", "nano", "--storage", "s3://bucket/studies"]`;
            with `--json` only its stdout is printed.
        runtime_env: Ray's runtime environment with the packages to install.
        credentials: credentials to send with it, by variable.
        staged: the study that it reads from `study.yaml` in its working folder.
        again: the command that submits the study in question, if known.
    """

    arguments: Sequence[str]
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    staged: Staged | None = None
    again: str = ""

    @property
    def entrypoint(self) -> str:
        """The command for the head's shell."""
        prepare = self.staged.prepare if self.staged else ""
        command = f"python -m tuner {shlex.join(self.arguments)}"
        if "--json" not in self.arguments:
            return f"{prepare}exec {command}"
        # A job's log mixes stdout and stderr, so stderr is printed only after a failure.
        complaints = 'E=$(mktemp); %s 2> "$E"; C=$?; [ $C = 0 ] || cat "$E"; rm "$E"; exit $C'
        return prepare + complaints % command


def run_there(
    address: str,
    arguments: Sequence[str],
    insecure: bool = False,
    staged: Staged | None = None,
    credentials: Mapping[str, str] | None = None,
) -> int:
    """Run `tuner ARGUMENTS` as a job on the head, and print its output as it comes.

    Ctrl-C ends the job too.

    Args:
        address: the address of the cluster's dashboard.
        arguments: see `Command`.
        insecure: see `connect`.
        staged: see `Command`.
        credentials: see `Command`.

    Returns:
        The command's exit code.

    Raises:
        UserError: the cluster is refused, does not answer, or cannot run the command.
    """
    head = connect(address, insecure)
    storage = arguments[arguments.index("--storage") + 1] if "--storage" in arguments else ""
    if staged:
        storage = staged.storage
    runtime_env = environment(head, storage).runtime_env
    again = f"{staged.command} {head.options}" if staged else ""
    return run(head, Command(arguments, runtime_env, credentials or {}, staged, again))


def run(head: Head, command: Command) -> int:
    """Run a command on a connected head, print its output and return its exit code.

    Raises:
        UserError: the head does not answer any more, or cannot run the command.
    """
    return asyncio.run(_print(head, command))


@asynccontextmanager
async def running(head: Head, command: Command) -> AsyncIterator[str]:
    """Submit a command as a job, yield the job's id, and stop and delete the job afterwards."""
    package = pack({**code(), **(command.staged.contents if command.staged else {})})
    runtime_env = {
        **command.runtime_env,
        "working_dir": await asyncio.to_thread(package.uploaded, head),
        "env_vars": {
            **terminal(),
            **reader(head, command.again),
            **send(head, command.credentials),
        },
    }
    id = job_id(command.arguments[0])
    await asyncio.to_thread(api.submit, head, id, command.entrypoint, runtime_env)
    try:
        yield id
    finally:
        await api.forget(head, id)


def reader(head: Head, again: str) -> dict[str, str]:
    """Return variables that make a remote command show commands as the user types them here."""
    return {READER: head.options} | ({AGAIN: again} if again else {})


def terminal() -> dict[str, str]:
    """Return variables that lay out text for this terminal; plain text without a terminal."""
    found = {name: value for name in PASSED_ON if (value := os.environ.get(name))}
    if not sys.stdout.isatty():
        return found
    size = shutil.get_terminal_size()
    laid_out = {"COLUMNS": str(size.columns), "LINES": str(size.lines)}
    return found | laid_out | {"FORCE_COLOR": "1", "TTY_INTERACTIVE": "0"}


async def _print(head: Head, command: Command) -> int:
    as_json = "--json" in command.arguments
    printed = []
    async with running(head, command) as id:
        async for piece in api.log(head, id):
            if as_json:
                printed.append(piece)
            else:
                sys.stdout.write(piece)
                sys.stdout.flush()
        ended = await api.wait_until_ended(head, id)
    if ended.code is None:
        raise UserError(f"the command did not run on the cluster: {ended.message.strip()[-500:]}")
    if as_json:
        print("".join(printed), end="", file=sys.stderr if ended.code else sys.stdout)
    return ended.code
