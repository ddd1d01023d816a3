"""The commands that the terminal suggests after a study has ended, besides its confirmation."""

from __future__ import annotations

import os

from tuner.blocks import Commands
from tuner.invocation import READER, command, program, storage_option
from tuner.journal.records import StudyRecord
from tuner.report.seeds import compared
from tuner.storage.folders import Place


def next_steps(study: StudyRecord, folder: Place) -> list[Commands]:
    """Return commands with their purpose; the page says whether and how a search is confirmed."""
    report = command("report", folder)
    steps = [Commands("Every trial, a page and a CSV:", (report,))]
    if setting := compared(study):
        steps.append(Commands("mean and deviation over seeds:", (f"{report} --against {setting}",)))
    if READER not in os.environ:
        interface = f"{program()} ui{storage_option(folder.parent)}"
        steps.append(Commands("The trials in MLflow:", (interface,)))
    return steps
