"""The command line: parse, call, print. No logic.

Exit codes: 0 done, 1 the study failed, 2 the user's input is wrong, 130 interrupted and resumable.
Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner import __version__
from tuner.errors import StudyFailed, StudyInterrupted, UserError
from tuner.invocation import command, program, search_command, storage_option

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
    from tuner.search.journal import check_free
    from tuner.study_file import load_study

    study, console = load_study(space, overrides), _console(as_json)
    check_free(study.folder)  # here too: the libraries take seconds
    with _loading(console):
        from tuner.search.run import begin
    _finish(begin(study, console), study.folder, as_json)


@app.command()
def plan(
    space: SpaceFile,
    overrides: Overrides = [],  # noqa: B006
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="time a few steps on this machine")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a search would run and cost; nothing is started."""
    from tuner.study_file import load_study
    from tuner.terminal.progress import ConsoleProgress

    study, console = load_study(space, overrides), _console(as_json)
    with _loading(console):
        from tuner.plan.command import plan_study
        from tuner.plan.show import show
    planned = plan_study(study, calibrate, ConsoleProgress(console))
    if as_json:
        print(planned.model_dump_json())
    else:
        show(planned, study, console)
        console.print(
            f"\nstart it: {search_command(space, overrides)}", highlight=False, soft_wrap=True
        )


@app.command()
def resume(study: Study, storage: Storage = Path("studies"), as_json: Json = False) -> None:
    """Go on with a study that was interrupted; finished trials are not run again."""
    folder, console = _folder(study, storage), _console(as_json)
    with _loading(console):
        from tuner.search.run import go_on
    _finish(go_on(folder, console), folder, as_json)


@app.command()
def train(space: SpaceFile, overrides: Overrides = [], as_json: Json = False) -> None:  # noqa: B006
    """Train one configuration here, without a cluster: the YAML's `trial:` block."""
    from tuner.study_file import load_study

    study, console = load_study(space, overrides), _console(as_json)
    with _loading(console):
        from tuner.single import train_one
    result = train_one(study, console)
    if as_json:
        print(json.dumps(result))


@app.command()
def report(
    study: Study,
    storage: Storage = Path("studies"),
    against: Annotated[
        str | None,
        typer.Option(metavar="SETTING", help="what this setting does, over seeds; and a figure"),
    ] = None,
    metrics: Annotated[
        list[str],
        typer.Option("--metric", help="for --against: other metrics than the objective"),
    ] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Print the leaderboard of a study from its journal alone, and write it as CSV."""
    from tuner.report.against import show_against
    from tuner.report.leaderboard import as_csv, show
    from tuner.search.journal import read_history

    folder = _folder(study, storage)
    record = read_history(folder).record()
    if as_json:
        print(record.model_dump_json())
        return
    console = _console(False)
    if against is not None:
        show_against(record, against, metrics, folder / "figures", console)
        return
    show(record, console)
    path = folder / "leaderboard.csv"
    path.write_text(as_csv(record), encoding="utf-8")
    console.print(f"\nall settings and metrics: {path}", highlight=False, soft_wrap=True)


@app.command()
def status(
    study: Study,
    watching: Annotated[bool, typer.Option("--watch", help="until no driver is at work")] = False,
    storage: Storage = Path("studies"),
    as_json: Json = False,
) -> None:
    """Say how a study stands: its trials, its rungs, the best so far, and whether it runs."""
    from tuner.report.status import look_at, show, watch

    folder, console = _folder(study, storage), _console(as_json)
    standing = watch(folder, console) if watching else look_at(folder)
    if as_json:
        print(json.dumps(standing.as_json()))
    elif not watching:
        show(standing, console)


@app.command("list")
def list_(storage: Storage = Path("studies"), as_json: Json = False) -> None:
    """List the studies of a folder, the newest first."""
    from tuner.report.status import all_studies, show_all

    if as_json:
        print(json.dumps([study.as_json() for study in all_studies(storage)]))
    else:
        show_all(storage, _console(False))


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
def schema() -> None:
    """Print the JSON Schema of a study's YAML, from which editors complete and check it."""
    from tuner.schema import study_schema

    print(json.dumps(study_schema(), indent=2))


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


def _announce(address: str, view: str) -> None:
    print(f"MLflow: {address}   (Ctrl-C ends it)", flush=True)
    if view:
        print(f"the newest study, its trials ranked: {view}", flush=True)


def _console(as_json: bool) -> Any:
    """Where people read: stderr where a program reads stdout."""
    from rich.console import Console

    return Console(stderr=as_json)


def _loading(console: Any) -> Any:
    """Shown while the heavy libraries are imported."""
    from tuner.terminal.progress import ConsoleProgress

    return ConsoleProgress(console).task("loading libraries")


def _folder(study: str, storage: Path) -> Path:
    return Path(study) if "/" in study else storage / study


def _finish(record: Any, folder: Path, as_json: bool) -> None:
    """Leaderboard, best configuration, next commands; and the exit code that fits."""
    from tuner.report.leaderboard import show
    from tuner.report.seeds import compared

    console = _console(as_json)
    if record.trials:
        console.print()
        show(record, console, limit=10)
    if as_json:
        print(json.dumps(record.model_dump(mode="json")))
    if record.state == "interrupted":
        raise StudyInterrupted(f"go on with: {command('resume', folder)}")
    if record.state == "failed":
        raise StudyFailed(f"{record.reason}; see: {command('report', folder)}")
    setting = compared(record)
    over_seeds = (
        f"  {command('report', folder)} --against {setting}\n    mean and deviation over seeds\n"
        if setting
        else ""
    )
    console.print(
        f"\nnext:\n{over_seeds}"
        f"  {command('report', folder)}\n    every trial, and a CSV\n"
        f"  {program()} ui{storage_option(folder.parent)}\n    compare the trials in MLflow",
        highlight=False,
        soft_wrap=True,
    )
