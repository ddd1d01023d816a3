"""The command line: parse, call, print. No logic.

Exit codes: 0 done, 1 the study failed, 2 the user's input is wrong, 130 interrupted and resumable.
Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import sys
from os.path import relpath
from pathlib import Path
from shutil import which
from typing import Annotated, Any

import typer

from tuner import __version__
from tuner.errors import StudyFailed, StudyInterrupted, UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SpaceFile = Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="a study's YAML file")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="override a key of the YAML; repeatable"),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="name of a study, or its folder")]
Storage = Annotated[Path, typer.Option(help="folder that holds the studies")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON, progress to stderr")]


@app.command()
def search(space: SpaceFile, overrides: Overrides = [], as_json: Json = False) -> None:  # noqa: B006
    """Run a search to its end: schedule, train, stop, track, and print the leaderboard."""
    from tuner.search.run import begin
    from tuner.study_file import load_study

    study = load_study(space, overrides)
    _finish(begin(study, _console(as_json)), study.storage, as_json)


@app.command()
def resume(study: Study, storage: Storage = Path("studies"), as_json: Json = False) -> None:
    """Go on with a study that was interrupted; finished trials are not run again."""
    from tuner.search.run import go_on

    folder = _folder(study, storage)
    _finish(go_on(folder, _console(as_json)), folder.parent, as_json)


@app.command()
def train(space: SpaceFile, overrides: Overrides = [], as_json: Json = False) -> None:  # noqa: B006
    """Train one configuration here, without a cluster: the YAML's `trial:` block."""
    from tuner.single import train_one
    from tuner.study_file import load_study

    result = train_one(load_study(space, overrides), _console(as_json))
    if as_json:
        print(json.dumps(result))


@app.command()
def report(study: Study, storage: Storage = Path("studies"), as_json: Json = False) -> None:
    """Print the leaderboard of a study from its journal alone, and write it as CSV."""
    from tuner.report.leaderboard import as_csv, show
    from tuner.search.journal import read_history

    folder = _folder(study, storage)
    record = read_history(folder).record()
    if as_json:
        print(record.model_dump_json())
        return
    console = _console(False)
    show(record, console)
    path = folder / "leaderboard.csv"
    path.write_text(as_csv(record), encoding="utf-8")
    console.print(f"\nall settings and metrics: {path}", highlight=False, soft_wrap=True)


@app.command()
def sync(study: Study, storage: Storage = Path("studies")) -> None:
    """Write a study into MLflow again, from its journal; what is there already stays as it is."""
    from tuner.search.journal import read_history
    from tuner.study_file import reopened_study
    from tuner.tracking import Tracker, store_of

    folder = _folder(study, storage)
    record = read_history(folder).record()
    config = reopened_study(record.settings, folder)
    Tracker(store_of(config), config.tracking.experiment).sync(record)
    print(f"{record.name}: {len(record.trials)} trials are in MLflow")


@app.command()
def ui(
    storage: Storage = Path("studies"),
    uri: Annotated[str | None, typer.Option(help="tracking URI, if not the default")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
) -> None:
    """Open MLflow on the studies' store, on this machine only."""
    from tuner.tracking import default_uri, serve

    serve(uri or default_uri(storage), storage, port, announce=_announce)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
) -> None:
    """Searches over hybrid-batch fine-tuning of multilingual encoders."""
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; user errors become one message and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error.problem}", file=sys.stderr)
        if error.remedy:
            print(error.remedy, file=sys.stderr)
        sys.exit(2)
    except StudyFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(1)
    except StudyInterrupted as error:
        print(f"interrupted: {error}", file=sys.stderr)
        sys.exit(130)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _announce(address: str) -> None:
    print(f"MLflow: {address}   (Ctrl-C ends it)", flush=True)


def _console(as_json: bool) -> Any:
    """Where people read: stderr where a program reads stdout."""
    from rich.console import Console

    return Console(stderr=as_json)


def _folder(study: str, storage: Path) -> Path:
    return Path(study) if "/" in study else storage / study


def _finish(record: Any, storage: Path, as_json: bool) -> None:
    """Leaderboard, best configuration, next commands; and the exit code that fits."""
    from tuner.report.leaderboard import show

    console = _console(as_json)
    if record.trials:
        console.print()
        show(record, console, limit=10)
    option = "" if storage.absolute() == Path("studies").absolute() else f" --storage {storage}"
    if as_json:
        print(json.dumps(record.model_dump(mode="json")))
    command = _command()
    if record.state == "interrupted":
        raise StudyInterrupted(f"go on with: {command} resume {record.name}{option}")
    if record.state == "failed":
        raise StudyFailed(f"{record.reason}; see: {command} report {record.name}{option}")
    console.print(
        f"\nnext:\n"
        f"  {command} report {record.name}{option}\n    every trial, and a CSV\n"
        f"  {command} ui{option}\n    compare the trials in MLflow",
        highlight=False,
        soft_wrap=True,
    )


def _command() -> str:
    """How this program was called, so that what is printed can be copied."""
    if which("tuner"):
        return "tuner"
    program = Path(sys.argv[0])
    return "python -m tuner" if program.name == "__main__.py" else relpath(program)
