"""The commands that read studies: report, compare, export, status, list, sync, schema, ui."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tuner.cli.completion import studies
from tuner.cli.shared import Insecure, Json, Storage, Study, There, console_of, folder_of
from tuner.errors import UserError
from tuner.invocation import program


def report(
    study: Study,
    storage: Storage = "studies",
    against: Annotated[
        str | None,
        typer.Option(metavar="SETTING", help="plot scores against this setting, over seeds"),
    ] = None,
    metrics: Annotated[
        list[str],
        typer.Option("--metric", help="for --against: metrics other than the objective"),
    ] = [],  # noqa: B006
    address: There = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Print a study's results and timeline from its journal; write its page and a CSV."""
    if address is not None:
        options = ["--against", against] if against is not None else []
        options += [f"--metric={metric}" for metric in metrics] + ["--json"] * as_json
        _look_there(address, ["report", study, *options], storage, insecure)
    from tuner.blocks.console import show_blocks, show_page
    from tuner.report.against import against as metrics_against
    from tuner.report.leaderboard import as_csv
    from tuner.report.page.beside import RelatedStudies
    from tuner.report.page.write import attach_page, page_of, write_page
    from tuner.report.status import look_at_all_of
    from tuner.report.timeline import timeline
    from tuner.report.timeline_figure import draw
    from tuner.storage.access import write

    folder = folder_of(study, storage)
    status, record = look_at_all_of(folder)
    if as_json:
        found = timeline(record)
        numbers = found.numbers if found else None
        print(json.dumps({**record.model_dump(mode="json"), "timeline": numbers}))
        return
    console = console_of(False)
    if against is not None:
        blocks, figure = metrics_against(record, against, metrics, folder / "figures")
        show_blocks(blocks, console)
        console.print(f"\nfigure: {figure}", highlight=False, soft_wrap=True)
        return
    page = page_of(record, status, RelatedStudies.of(record, folder))
    show_page(page, console, whole=True)
    write(folder / "leaderboard.csv", as_csv(record).encode())
    written = [("all settings and metrics", "leaderboard.csv")]
    if found := timeline(record):
        draw(record, found, folder / "figures" / "timeline.svg")
        written.append(("figure of the timeline", "figures/timeline.svg"))
    texts = write_page(page, folder)
    written += zip(("page", "the same in Markdown"), texts, strict=True)
    console.print()
    for what, name in written:
        console.print(f"{what}: {folder / name}", highlight=False, soft_wrap=True)
    console.print(attach_page(record, folder, texts), highlight=False, soft_wrap=True)


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="a study, or a trial as STUDY:TRIAL", autocompletion=studies
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="the other side: differences are B - A", autocompletion=studies
        ),
    ],
    oracle: Annotated[
        bool, typer.Option("--oracle", help="also compare dev sets that no decision may use")
    ] = False,
    storage: Storage = "studies",
    as_json: Json = False,
) -> None:
    """Set two studies or trials side by side on dev: settings, scores, paired intervals."""
    from tuner.blocks.console import show_blocks
    from tuner.report.compare import compare as compared
    from tuner.report.comparison import comparison
    from tuner.report.sides import side_of

    found = compared(side_of(a, storage), side_of(b, storage), oracle)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        show_blocks(comparison(found), console_of(False))


def export(
    study: Study,
    to: Annotated[
        Path, typer.Option(metavar="FOLDER", help="a new folder for the encoder and its tokenizer")
    ],
    trial: Annotated[
        int | None, typer.Option(metavar="N", help="default: the best one with kept weights")
    ] = None,
    storage: Storage = "studies",
) -> None:
    """Export a trial's model from its study, as a complete encoder that transformers loads."""
    from tuner.run.export import CLASSIFIER
    from tuner.run.export import export as taken_out
    from tuner.terminal.progress import ConsoleProgress

    console = console_of(False)
    found = taken_out(folder_of(study, storage), trial, to, ConsoleProgress(console))
    for line in (
        f"{to}: the encoder of trial {found.trial:03d} ({found.objective} {found.score:.2%})",
        f"  in transformers: AutoModel.from_pretrained({str(to)!r})",
        f"  in a study: --set encoder.name={to}",
        f"  fusion and head: {to / CLASSIFIER}",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def status(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="name of a study, or its folder; with --address, omit it to list all",
            autocompletion=studies,
        ),
    ] = None,
    watching: Annotated[
        bool, typer.Option("--watch", help="repeat until no driver is running")
    ] = False,
    storage: Storage = "studies",
    address: There = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Show a study's progress: its trials, its rungs, the best so far, whether it is running."""
    if address is not None and study is None:
        from tuner.jobs.looking import list_studies

        list_studies(address, as_json, console_of(as_json), insecure)
        return
    if study is None:
        raise UserError("which study?", f"Name one; to list them: {program()} list")
    if address is not None:
        options = [*(["--watch"] * watching), *(["--json"] * as_json)]
        _look_there(address, ["status", study, *options], storage, insecure)
    from tuner.report.status import look_at, show_status, watch

    folder, console = folder_of(study, storage), console_of(as_json)
    status = watch(folder, console) if watching else look_at(folder)
    if as_json:
        print(json.dumps(status.as_json()))
    elif not watching:
        show_status(status, console)


def _look_there(address: str, arguments: list[str], storage: str, insecure: bool) -> NoReturn:
    """Run a command on the cluster that holds the study, and exit with its exit code."""
    from tuner.jobs.looking import look

    place = None if storage == "studies" else storage
    raise typer.Exit(look(address, arguments, place, console_of(False), insecure))


def list_(storage: Storage = "studies", as_json: Json = False) -> None:
    """List the studies of a folder, the newest first."""
    from tuner.report.status import all_studies, show_all
    from tuner.storage.location import located

    if as_json:
        print(json.dumps([study.as_json() for study in all_studies(located(storage))]))
    else:
        show_all(located(storage), console_of(False))


def sync(
    study: Study,
    storage: Storage = "studies",
    address: There = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Bring MLflow up to date with a study's journal; it is safe to run this repeatedly."""
    if address is not None:
        _look_there(address, ["sync", study, *["--json"] * as_json], storage, insecure)
    from tuner.run.sync import sync as sync_study
    from tuner.terminal.progress import ConsoleProgress

    folder, console = folder_of(study, storage), console_of(as_json)
    synced = sync_study(folder, ConsoleProgress(console))
    if as_json:
        print(json.dumps({"name": folder.name, **asdict(synced)}))
    else:
        console.print(f"{folder.name} is in MLflow: {synced.in_words()}", highlight=False)


def schema() -> None:
    """Print the JSON Schema of a study's YAML, from which editors complete and check it."""
    from tuner.study.schema import study_schema

    print(json.dumps(study_schema(), indent=2))


def ui(
    storage: Storage = "studies",
    uri: Annotated[str | None, typer.Option(help="tracking URI, if not the default")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
) -> None:
    """Serve MLflow on the studies' store, on this machine only."""
    from tuner.storage.location import beside, located
    from tuner.tracking import default_uri, serve

    folder = beside(located(storage))
    serve(uri or default_uri(folder), folder, port, announce=_announce)


def _announce(address: str, view: str) -> None:
    print(f"MLflow: {address}   (Ctrl-C stops it)", flush=True)
    if view:
        print(f"the newest study, its trials ranked: {view}", flush=True)
