"""The command that confirms what a search has found."""

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
        typer.Option(min=1, max=999, help="configurations beside the control; default: 5"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, max=500, help="fresh seeds of each; default: 5")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="once more, with other seeds: STUDY-confirm-2")
    ] = False,
    reference: Annotated[
        bool,
        typer.Option("--reference", help="also English alone by XTREME's recipe: STUDY-reference"),
    ] = False,
    overrides: Changes = [],  # noqa: B006
    tracking_later: TrackingLater = False,
    tokenless: Tokenless = False,
    as_json: Json = False,
) -> None:
    """Train the best of a search and its control with fresh seeds; recommend; then read test."""
    from tuner.search.credentials import check_tokens

    check_tokens(tokenless)
    folder, console = folder_of(study, storage), console_of(as_json)
    goes_on = command("confirm", folder) + " --reference" * reference
    told = f"interrupted: what was begun is as it was; {goes_on}"
    say_at_the_end(f"go on with {goes_on}")
    with ending_at_once(lambda: told):
        with loading(console):
            from tuner.confirm.command import Asked
            from tuner.confirm.command import confirm as run
        asked = Asked(top, seeds, again, reference, overrides)
        records = run(folder, asked, console, tracking_later)
    last = records[-1]
    for record in records:
        if record.recommendation is not None and record.state == "completed":
            show_confirmed(record, console)
    if as_json:
        print(json.dumps([as_plain(record) for record in records]))
    end_as(last, folder.parent / last.name, goes_on)
    names = "\n".join(f"  {command('report', folder.parent / record.name)}" for record in records)
    console.print(f"\nnext:\n{names}\n    all of its trials", highlight=False, soft_wrap=True)


def show_confirmed(record: Any, console: Any) -> None:
    """The arms of a confirmation, and what is concluded."""
    from tuner.confirm.result import Confirmed
    from tuner.confirm.show import show

    console.print()
    show(Confirmed.of(record), console)


def as_plain(record: Any) -> dict[str, Any]:
    """For programs: how a confirmation stands, its result, and what is concluded."""
    from tuner.confirm.result import Confirmed
    from tuner.confirm.sentences import sentences

    stands = {"name": record.name, "state": record.state, "reason": record.reason}
    if record.recommendation is None:
        return stands
    result = Confirmed.of(record)
    return {**stands, "result": asdict(result), "sentences": sentences(result)}


def end_as(record: Any, folder: Place, goes_on: str) -> None:
    """End with the exit code that fits how a study stands.

    Raises:
        StudyInterrupted: it can go on.
        StudyFailed: it could not do its work.
    """
    if record.state == "interrupted":
        raise StudyInterrupted(f"go on with: {goes_on}")
    if record.state == "failed":
        raise StudyFailed(f"{record.reason}; see: {command('report', folder)}")
