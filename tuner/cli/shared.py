"""What commands have in common: arguments, options, and where they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tuner.storage.folders import Place

SpaceFile = Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="a study's YAML file")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="override a key of the YAML; repeatable"),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="name of a study, or its folder")]
Storage = Annotated[
    str, typer.Option(metavar="FOLDER", help="that holds the studies; or s3://…, gs://…")
]
TrackingLater = Annotated[
    bool,
    typer.Option("--tracking-later", help="begin even where MLflow is away; fill it in later"),
]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON, progress to stderr")]


def console_of(as_json: bool) -> Any:
    """Where people read: stderr where a program reads stdout."""
    from tuner.terminal.console import TextConsole

    return TextConsole(stderr=as_json)


def loading(console: Any) -> Any:
    """Shown while the heavy libraries are imported."""
    from tuner.terminal.progress import ConsoleProgress

    return ConsoleProgress(console).task("loading libraries")


def folder_of(study: str, storage: str) -> Place:
    """The folder of a study that is given by its name, or by its folder."""
    from tuner.storage.location import study_folder

    return study_folder(study, storage)
