"""The commands that act on running studies and clusters: submit, add, stop, doctor."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.completion import spaces
from tuner.cli.shared import (
    Insecure,
    Json,
    Overrides,
    SpaceFile,
    Storage,
    Study,
    There,
    TrackingLater,
    console_of,
    folder_of,
    loading,
    study_there,
)
from tuner.interrupts import ending_at_once
from tuner.invocation import ADDRESS_VARIABLE

SUBMITTED = "interrupted: if the study was submitted, it continues; the same command follows it"

Address = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar=ADDRESS_VARIABLE,
        help="the cluster's dashboard: https://head, or http://127.0.0.1:8265 through a tunnel",
    ),
]


def submit(
    space: SpaceFile,
    address: Address,
    overrides: Overrides = [],  # noqa: B006
    detach: Annotated[
        bool, typer.Option("--detach", help="return after submission; the study continues")
    ] = False,
    insecure: Insecure = False,
    tracking_later: TrackingLater = False,
) -> None:
    """Run a study on a Ray cluster, or continue it there; follow it until Ctrl-C."""
    console = console_of(False)
    with ending_at_once(lambda: SUBMITTED):
        with loading(console):
            from tuner.jobs.submit import submit as submit_study

        submit_study(space, overrides, address, console, detach, insecure, tracking_later)


def stop(
    study: Study,
    trial: Annotated[
        int | None, typer.Argument(min=0, metavar="[TRIAL]", help="stop this trial alone")
    ] = None,
    storage: Storage = "studies",
    address: There = None,
    insecure: Insecure = False,
) -> None:
    """Stop a trial for good; or a study on a cluster cleanly, so that it can resume."""
    if trial is None:
        from tuner.errors import UserError
        from tuner.jobs.submit import stop as stop_study

        address = address or os.environ.get(ADDRESS_VARIABLE)
        if address is None:
            raise UserError(
                "tuner stop stops a trial, or with --address a study on a cluster",
                "Name the trial: tuner stop STUDY TRIAL. A study on this machine stops at Ctrl-C.",
            )
        stop_study(study, address, console_of(False), insecure)
        return
    if address is not None:
        from tuner.jobs.there import run_there

        named = ["stop", study, str(trial), "--storage", storage]
        raise typer.Exit(run_there(address, named, insecure))
    from tuner.run.asking import ask_to_stop

    print(ask_to_stop(folder_of(study, storage), trial))


def add(
    study: Study,
    settings: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE…", help="settings of the space")
    ],
    storage: Storage = "studies",
    address: There = None,
    insecure: Insecure = False,
) -> None:
    """Let a running search try a point of your own before the sampler's next proposal."""
    if address is not None:
        from tuner.jobs.there import run_there

        named = ["add", study, *settings, "--storage", storage]
        raise typer.Exit(run_there(address, named, insecure))
    from tuner.run.asking import ask_to_add

    print(ask_to_add(folder_of(study, storage), settings))


def doctor(
    space: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SPACE.yaml]", help="also check what this study needs", autocompletion=spaces
        ),
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    storage: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="folder of the studies; or s3://…, gs://…"),
    ] = None,
    address: There = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Check whether a study can run here, or on every node of a cluster; start nothing."""
    if space is not None and storage is not None:
        overrides = [*overrides, f"storage={json.dumps(storage)}"]
    if address is not None:
        options = ["--json"] * as_json
        if space is not None:
            study_there(address, "doctor", space, overrides, options, insecure)
        from tuner.jobs.there import run_there

        named = [] if storage is None else ["--storage", storage]
        raise typer.Exit(run_there(address, ["doctor", *named, *options], insecure))
    from tuner.storage.location import located
    from tuner.study.file import load_study
    from tuner.terminal.progress import ConsoleProgress

    study = None if space is None else load_study(space, overrides)
    if storage is None and not os.environ.get("RAY_ADDRESS"):
        storage = "studies"
    console = console_of(as_json)
    with loading(console):
        from tuner.doctor.command import DoctorOptions, diagnose
        from tuner.doctor.findings import worst
        from tuner.doctor.show import findings_as_json, show_findings
    place = study.storage if study else located(storage).absolute() if storage else None
    looking = diagnose(DoctorOptions(study, place), ConsoleProgress(console))
    if as_json:
        findings = list(looking)
        print(json.dumps(findings_as_json(findings)))
    else:
        findings = show_findings(looking, console)
    if worst(findings) == "fail":
        raise typer.Exit(1)
