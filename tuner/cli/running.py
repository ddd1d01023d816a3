"""The commands that run studies and trials: search, plan, resume, train, replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.confirming import end_as, show_result
from tuner.cli.shared import (
    Changes,
    Insecure,
    Json,
    Overrides,
    SpaceFile,
    Storage,
    StrictOverlap,
    Study,
    There,
    Tokenless,
    TrackingLater,
    console_of,
    folder_of,
    loading,
    overridden,
    study_there,
)
from tuner.cli.supervised import say_at_the_end
from tuner.interrupts import ending_at_once
from tuner.invocation import command, search_command

if TYPE_CHECKING:
    from tuner.storage.folders import Place

NOTHING_KEPT = "interrupted: nothing was kept"


def search(
    space: SpaceFile,
    overrides: Overrides = [],  # noqa: B006
    strict_overlap: StrictOverlap = False,
    tracking_later: TrackingLater = False,
    tokenless: Tokenless = False,
    resuming: Annotated[
        bool, typer.Option("--resume", help="if the study exists, continue it")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a search to its end: schedule, train, stop, track, and print the leaderboard."""
    from tuner.cluster.credentials import check_tokens
    from tuner.journal.journal import is_begun
    from tuner.run.resume import check_new
    from tuner.storage.folders import is_remote
    from tuner.study.file import load_study

    check_tokens(tokenless)
    overrides = overridden(overrides, strict_overlap)
    study, console = load_study(space, overrides), console_of(as_json)
    if not resuming:
        check_new(study)  # early, since loading libraries takes seconds

    def stands() -> str:
        goes_on = f"continue with {command('resume', study.folder)}"
        if is_remote(study.folder):  # it may not answer, and a signal handler must not wait
            return f"interrupted: if the study was started, {goes_on}"
        if is_begun(study.folder):
            return f"interrupted: {goes_on}"
        return "interrupted: nothing was started"

    say_at_the_end(f"if the study was started, continue with {command('resume', study.folder)}")
    with ending_at_once(stands):
        with loading(console):
            from tuner.run.study import begin, begin_or_go_on
        run = begin_or_go_on if resuming else begin
        record = run(study, console, tracking_later)
    _finish(record, study.folder, as_json)


def plan(
    space: SpaceFile,
    overrides: Overrides = [],  # noqa: B006
    strict_overlap: StrictOverlap = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="time a few steps on this machine")
    ] = False,
    prices: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="prices of the cluster's nodes, as cluster/prices.yaml"),
    ] = None,
    address: There = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Say what a search would run and cost, here or on a cluster; start nothing."""
    from tuner.plan.prices import load_prices
    from tuner.study.file import load_study
    from tuner.terminal.progress import ConsoleProgress

    overrides = overridden(overrides, strict_overlap)
    table = None if prices is None else load_prices(prices)
    if address is not None:
        options = ["--calibrate"] * calibrate + ["--json"] * as_json
        files = {} if prices is None else {"--prices": prices}
        study_there(address, "plan", space, overrides, options, insecure, files)
    study, console = load_study(space, overrides), console_of(as_json)
    with ending_at_once(lambda: NOTHING_KEPT):
        with loading(console):
            from tuner.blocks import Commands
            from tuner.blocks.console import show_blocks
            from tuner.plan.command import plan_study
            from tuner.plan.content import content
        planned = plan_study(study, calibrate, ConsoleProgress(console), table)
    if as_json:
        print(json.dumps(planned.model_dump(mode="json")))  # ASCII, like all JSON output
    else:
        start = Commands("Start it:", (search_command(space, overrides),))
        show_blocks([*content(planned, study), *[start] * (planned.too_small is None)], console)


def resume(
    study: Study,
    storage: Storage = "studies",
    trials: Annotated[str | None, typer.Option(metavar="+N", help="add trials, as in +32")] = None,
    gpu_hours: Annotated[
        str | None, typer.Option(metavar="+N", help="add GPU-hours, as in +4")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="+TIME", help="add time, as in +2h or +90m")
    ] = None,
    overrides: Changes = [],  # noqa: B006
    tracking_later: TrackingLater = False,
    tokenless: Tokenless = False,
    as_json: Json = False,
) -> None:
    """Continue an interrupted study, or add to it; no finished trial runs again."""
    from tuner.cluster.credentials import check_tokens
    from tuner.journal.journal import read_history
    from tuner.report.page.beside import RelatedStudies
    from tuner.run.resume import Extension, extended, nothing_left

    check_tokens(tokenless)
    folder, console = folder_of(study, storage), console_of(as_json)
    extension = Extension(trials, gpu_hours, until, overrides)
    message = f"interrupted: the study is unchanged; {command('resume', folder)}"
    say_at_the_end(f"continue with {command('resume', folder)}")
    with ending_at_once(lambda: message):
        record = read_history(folder).record()
        left = not nothing_left(record, extended(record, folder, extension))
        for confirmed in (
            RelatedStudies.of(record, folder).tested if left and not record.designed else ()
        ):
            warning = (
                f"{confirmed.name} has read test: its results may influence what is added to "
                f"{record.name}"
            )
            console.print(warning, style="yellow", highlight=False, soft_wrap=True)
        with loading(console):
            from tuner.run.study import go_on
        record = go_on(folder, extension, console, tracking_later)
    _finish(record, folder, as_json)


def train(
    space: SpaceFile,
    overrides: Overrides = [],  # noqa: B006
    strict_overlap: StrictOverlap = False,
    as_json: Json = False,
) -> None:
    """Train one configuration here, without a cluster: the YAML's `trial:` block."""
    from tuner.run.checked import check_study
    from tuner.study.file import load_study
    from tuner.study.planned import single_config

    overrides = overridden(overrides, strict_overlap)
    study, console = load_study(space, overrides), console_of(as_json)
    single_config(study)
    with ending_at_once(lambda: NOTHING_KEPT):
        check_study(study)
        with loading(console):
            from tuner.run.single import train_one
        result = train_one(study, console)
    if as_json:
        print(json.dumps(result))


def replay(
    study: Study,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="number of the trial")],
    storage: Storage = "studies",
    as_json: Json = False,
) -> None:
    """Train one trial again here from its study's folder alone, and compare its scores."""
    folder, console = folder_of(study, storage), console_of(as_json)
    with ending_at_once(lambda: NOTHING_KEPT):
        with loading(console):
            from tuner.blocks.console import show_blocks
            from tuner.report.replay import verdict
            from tuner.run.replay import replay as replay_trial
            from tuner.terminal.progress import ConsoleProgress
        found = replay_trial(folder, trial, ConsoleProgress(console))
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        show_blocks(verdict(found), console)
    if not found.agrees:
        raise typer.Exit(1)


def _finish(record: Any, folder: Place, as_json: bool) -> None:
    """Print the result of a study and the next commands, or raise by the study's state."""
    from tuner.blocks.console import show_blocks
    from tuner.report.next_steps import next_steps

    console = console_of(as_json)
    if record.trials:
        show_result(record, folder, console)
    if as_json:
        print(json.dumps(record.model_dump(mode="json")))
    end_as(record, folder, command("resume", folder))
    console.print()
    show_blocks(next_steps(record, folder), console)
