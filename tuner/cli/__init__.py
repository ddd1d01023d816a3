"""The command line `tuner`: it parses arguments, calls the other packages, and prints.

Exit codes: 0 done, 1 the study failed, 2 the user's input is wrong, 130 interrupted and resumable.
Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tuner import __version__
from tuner.cli import cluster, confirming, looking, running, supervised
from tuner.errors import StudyFailed, StudyInterrupted, UserError
from tuner.invocation import SENT
from tuner.shown import is_printable, printable
from tuner.terminal import streams

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(running.search)
app.command()(running.plan)
app.command()(running.resume)
app.command()(running.train)
app.command()(running.replay)
app.command()(confirming.confirm)
app.command()(looking.status)
app.command("list")(looking.list_)
app.command()(looking.report)
app.command()(looking.compare)
app.command()(looking.export)
app.command()(looking.sync)
app.command()(looking.ui)
app.command()(looking.schema)
app.command()(cluster.submit)
app.command()(cluster.add)
app.command()(cluster.stop)
app.command()(cluster.doctor)


DRIVERS = ("search", "resume", "confirm")
"""Commands that run a driver; each gets a supervisor that reports a driver's silent death."""


def _show_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="print the version and exit"
        ),
    ] = False,
) -> None:
    """Searches over hybrid-batch fine-tuning of multilingual encoders."""


def start() -> None:
    """Run the command of this process; a command that runs a driver gets a supervisor."""
    if sys.argv[1:2] and sys.argv[1] in DRIVERS:
        supervised.supervise()
    try:
        main()
    finally:
        supervised.ends_by_itself()


def main() -> None:
    """Run the command line; user errors become one message and exit code 2.

    Raises:
        SystemExit: with the exit code.
    """
    streams.prepare()
    code = _run()
    if code == 0 and (why := streams.unwritten()):
        _tell(f"error: could not write everything to standard output: {why}")
        code = 2
    sys.exit(code)


def _run() -> int:
    """Run the command that the arguments name, and return its exit code."""
    try:
        _check_folder()
        _check_printable(sys.argv[1:])
        if SENT in os.environ:
            from tuner.cluster.credentials import load_job_credentials

            load_job_credentials()
        app()
    except SystemExit as left:
        if not isinstance(left.code, int):
            raise
        return left.code
    except UserError as error:
        _tell(f"error: {error}")
        return 2
    except StudyFailed as error:
        _tell(f"failed: {error}")
        return 1
    except StudyInterrupted as error:
        _tell(f"interrupted: {error}")
        return 130
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    return 0


def _check_folder() -> None:
    """Refuse to work in a removed folder, where no relative path works.

    Raises:
        UserError: the current folder is gone.
    """
    try:
        os.getcwd()
    except OSError as error:
        text = f"the current folder is gone or cannot be entered: {error.strerror}"
        raise UserError(text, "Change to an existing one first: cd") from None


def _check_printable(arguments: Sequence[str]) -> None:
    """Refuse arguments that could control the terminal when a message quotes them.

    Raises:
        UserError: an argument has control characters, or is not text in the locale's encoding.
    """
    for argument in arguments:
        if not is_printable(argument):
            encoding = sys.getfilesystemencoding()
            if argument != argument.encode(errors="replace").decode():  # it has lone surrogates
                raise UserError(
                    f"an argument is not text in {encoding}: {ascii(argument)[:300]}",
                    "Set a UTF-8 locale, for instance LC_ALL=C.UTF-8." * (encoding != "utf-8"),
                )
            raise UserError(f"an argument holds control characters: {ascii(argument)[:300]}")


def _tell(message: str) -> None:
    print(printable(message), file=sys.stderr)
