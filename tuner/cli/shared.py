"""Arguments, options and helpers that the commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tuner.cli import completion

if TYPE_CHECKING:
    from tuner.storage.folders import Place

SpaceFile = Annotated[
    Path,
    typer.Argument(
        metavar="SPACE.yaml", help="a study's YAML file", autocompletion=completion.spaces
    ),
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="override a key of the YAML; repeatable"),
]
StrictOverlap = Annotated[
    bool,
    typer.Option(
        "--strict-overlap",
        help="drop pairs from train and dev that share sentences with evaluation data: "
        "--set protocol.strict_overlap=true",
    ),
]
Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="override a key of budget, resources, checkpoint or tracking",
    ),
]
Study = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="name of a study, or its folder", autocompletion=completion.studies
    ),
]
Storage = Annotated[
    str, typer.Option(metavar="FOLDER", help="folder of the studies; or s3://…, gs://…")
]
TrackingLater = Annotated[
    bool,
    typer.Option("--tracking-later", help="begin even if MLflow is unavailable; fill it in later"),
]
There = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL", help="dashboard of a cluster: run the command there, not here"
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure", help="accept a cluster without a token, and plain http over a network"
    ),
]
Tokenless = Annotated[
    bool,
    typer.Option("--insecure", help="run even if RAY_AUTH_MODE turns Ray's tokens off"),
]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON, progress to stderr")]


def overridden(overrides: Sequence[str], strict_overlap: bool) -> list[str]:
    """Return the overrides, with the one that `--strict-overlap` abbreviates if it is given."""
    return [*overrides, *["protocol.strict_overlap=true"] * strict_overlap]


def console_of(as_json: bool) -> Any:
    """Return a console on stdout, or on stderr if stdout gets JSON."""
    from tuner.terminal.console import TextConsole

    return TextConsole(stderr=as_json)


def loading(console: Any) -> Any:
    """Return a context manager that shows progress while heavy libraries load."""
    from tuner.terminal.progress import ConsoleProgress

    return ConsoleProgress(console).task("loading libraries")


def folder_of(study: str, storage: str) -> Place:
    """Return the folder of a study, given by name or by folder."""
    from tuner.storage.location import study_folder

    return study_folder(study, storage)


def study_there(
    address: str,
    command: str,
    space: Path,
    overrides: Sequence[str],
    options: Sequence[str],
    insecure: bool,
    files: Mapping[str, Path] | None = None,
) -> NoReturn:
    """Run a command on a study's file on a cluster, and exit with the command's exit code.

    Args:
        address: the address of the cluster's dashboard.
        command: the command's name.
        space: the study's file on this machine.
        overrides: overrides of its keys.
        options: options of the command.
        insecure: accept a cluster without tokens.
        files: local files that the command reads, by the option that names each.
    """
    from dataclasses import replace

    from tuner.jobs.secrets import needed_by
    from tuner.jobs.staging import FILE, check_here, stage
    from tuner.jobs.there import run_there

    if command != "doctor":  # doctor reports it on the cluster with all else
        check_here(space, overrides, lambda note: None)
    staged = stage(space, overrides)
    names = {option: f"{option.strip('-')}.yaml" for option in files or {}}
    sent = {names[option]: path for option, path in (files or {}).items()}
    staged = replace(staged, contents={**sent, **staged.contents})
    named = [word for option, name in names.items() for word in (option, name)]
    arguments = [command, FILE, *options, *named]
    credentials = needed_by(staged.study)
    raise typer.Exit(run_there(address, arguments, insecure, staged, credentials))
