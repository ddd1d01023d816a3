"""A command of ours run on the head of a cluster: its text comes here, and its exit code."""

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
"""Variables of this terminal by which text is laid out."""


@dataclass(frozen=True)
class Command:
    """A command to be run there.

    Attributes:
        arguments: of it, as `["status", "nano", "--storage", "s3://bucket/studies"]`; with `--json`
            among them its stdout alone is printed.
        runtime_env: what is installed for it.
        credentials: sent with it, by variable.
        staged: the study that it reads, as `study.yaml` in the folder where it runs.
        again: by which the study that it is about is submitted, where that is known.
    """

    arguments: Sequence[str]
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    staged: Staged | None = None
    again: str = ""

    @property
    def entrypoint(self) -> str:
        """As the head's shell reads it."""
        prepare = self.staged.prepare if self.staged else ""
        command = f"python -m tuner {shlex.join(self.arguments)}"
        if "--json" not in self.arguments:
            return f"{prepare}exec {command}"
        # A job's log has stdout and stderr alike; the complaints are for those who failed.
        complaints = 'E=$(mktemp); %s 2> "$E"; C=$?; [ $C = 0 ] || cat "$E"; rm "$E"; exit $C'
        return prepare + complaints % command


def run_there(
    address: str,
    arguments: Sequence[str],
    insecure: bool = False,
    staged: Staged | None = None,
    credentials: Mapping[str, str] | None = None,
) -> int:
    """Run `tuner ARGUMENTS` as a job on the head; print what it prints, as it comes.

    Ctrl-C ends it there too.

    Args:
        address: of the cluster's dashboard.
        arguments: as of `Command`, like the others.
        insecure: as for `connect`.
        staged: see there.
        credentials: see there.

    Returns:
        Its exit code.

    Raises:
        UserError: the cluster is refused, does not answer, or cannot run it.
    """
    head = connect(address, insecure)
    storage = arguments[arguments.index("--storage") + 1] if "--storage" in arguments else ""
    if staged:
        storage = staged.storage
    runtime_env = environment(head, storage).runtime_env
    again = f"{staged.command} {head.options}" if staged else ""
    return run(head, Command(arguments, runtime_env, credentials or {}, staged, again))


def run(head: Head, command: Command) -> int:
    """The same on a head that has let us in.

    Raises:
        UserError: it does not answer any more, or cannot run it.
    """
    return asyncio.run(_print(head, command))


@asynccontextmanager
async def running(head: Head, command: Command) -> AsyncIterator[str]:
    """A command as a job on the head, while the block runs; its id. Afterwards it is gone."""
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
    """Variables that tell a command there how the commands that it shows are typed here."""
    return {READER: head.options} | ({AGAIN: again} if again else {})


def terminal() -> dict[str, str]:
    """Variables by which text is laid out for this terminal; it is plain where there is none."""
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
        ended = await api.ended(head, id)
    if ended.code is None:
        raise UserError(f"the command was not run on the cluster: {ended.message.strip()[-500:]}")
    if as_json:
        print("".join(printed), end="", file=sys.stderr if ended.code else sys.stdout)
    return ended.code
