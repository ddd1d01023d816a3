"""The commands that the terminal suggests after a study has ended."""

from __future__ import annotations

import os

from tuner.invocation import READER, command, program, storage_option
from tuner.journal.records import StudyRecord
from tuner.report.seeds import compared
from tuner.storage.folders import Place
from tuner.tracking.notes import instead_of_confirming


def next_steps(study: StudyRecord, folder: Place) -> str:
    """List commands with their purpose; never suggest confirming a search that learnt nothing."""
    lines = ["next:"]
    sampled = any(trial.origin == "sampler" for trial in study.complete)
    if study.best is not None and not study.learnt:
        lines.append(f"  {instead_of_confirming(study)}")
    elif sampled and study.settings.baseline is not None:
        lines += [
            f"  {command('confirm', folder)}",
            "    train the best again with fresh seeds, then test",
        ]
    report = command("report", folder)
    if setting := compared(study):
        lines += [f"  {report} --against {setting}", "    mean and deviation over seeds"]
    lines += [f"  {report}", "    every trial, and a CSV"]
    if READER not in os.environ:
        interface = f"{program()} ui{storage_option(folder.parent)}"
        lines += [f"  {interface}", "    compare the trials in MLflow"]
    return "\n".join(lines)
