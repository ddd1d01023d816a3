"""The command `confirm`, and the display of a study that has ended."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.shared import (
    Changes,
    Json,
    Storage,
    Study,
    Tokenless,
    TrackingLater,
    console_of,
    folder_of,
    loading,
)
from tuner.cli.supervised import say_at_the_end
from tuner.errors import StudyFailed, StudyInterrupted
from tuner.interrupts import ending_at_once
from tuner.invocation import command

if TYPE_CHECKING:
    from tuner.storage.folders import Place


def confirm(
    study: Study,
    storage: Storage = "studies",
    top: Annotated[
        int | None,
        typer.Option(min=1, max=999, help="configurations besides the controls; default: 3"),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N+M", help="fresh seeds that choose, and others that estimate; default: 3+6"
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="confirm again with different seeds: STUDY-confirm-2")
    ] = False,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference", help="also train English alone by XTREME's recipe: STUDY-reference"
        ),
    ] = False,
    overrides: Changes = [],  # noqa: B006
    tracking_later: TrackingLater = False,
    tokenless: Tokenless = False,
    as_json: Json = False,
) -> None:
    """Retrain the best of a search and its controls with fresh seeds; recommend; read test."""
    from tuner.cluster.credentials import check_tokens

    check_tokens(tokenless)
    folder, console = folder_of(study, storage), console_of(as_json)
    goes_on = command("confirm", folder) + " --reference" * reference
    message = f"interrupted: completed work is kept; {goes_on}"
    say_at_the_end(f"continue with {goes_on}")
    with ending_at_once(lambda: message):
        with loading(console):
            from tuner.confirm.command import ConfirmOptions, parse_seeds
            from tuner.confirm.command import confirm as run
        numbers = None if seeds is None else parse_seeds(seeds)
        asked = ConfirmOptions(top, numbers, again, reference, overrides)
        records = run(folder, asked, console, tracking_later)
    last = records[-1]
    for record in records:
        if record.recommendation is not None and record.state == "completed":
            show_result(record, folder.parent / record.name, console)
    if as_json:
        print(json.dumps([as_plain(record) for record in records]))
    end_as(last, folder.parent / last.name, goes_on)
    from tuner.blocks import Commands
    from tuner.blocks.console import show_blocks

    reports = (command("report", folder.parent / record.name) for record in records)
    console.print()
    show_blocks([Commands("All trials, a page and a CSV:", tuple(reports))], console)


def show_result(record: Any, folder: Place, console: Any) -> None:
    """Print the brief sections of the page of a study that has ended."""
    from tuner.blocks.console import show_page
    from tuner.report.page.beside import RelatedStudies
    from tuner.report.page.write import page_of
    from tuner.report.status import StudyStatus

    console.print()
    show_page(page_of(record, StudyStatus.after_end(record, folder), RelatedStudies()), console)


def as_plain(record: Any) -> dict[str, Any]:
    """Return a confirmation's state, result and conclusion as plain values for JSON."""
    from tuner.confirm.result import Confirmed
    from tuner.confirm.sentences import sentences

    stands = {"name": record.name, "state": record.state, "reason": record.reason}
    if record.recommendation is None:
        return stands
    result = Confirmed.of(record)
    controls = [{**each.model_dump(), "kind": each.kind} for each in result.controls]
    plain = {**asdict(result), "controls": controls}
    return {**stands, "result": plain, "sentences": sentences(result)}


def end_as(record: Any, folder: Place, goes_on: str) -> None:
    """Raise the error that gives the exit code for a study's state; return if it completed.

    Raises:
        StudyInterrupted: the study was interrupted and can be resumed.
        StudyFailed: the study failed.
    """
    if record.state == "interrupted":
        raise StudyInterrupted(f"continue with: {goes_on}")
    if record.state == "failed":
        raise StudyFailed(f"{record.reason}; see: {command('report', folder)}")
