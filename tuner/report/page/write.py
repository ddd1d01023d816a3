"""`tuner report` writes the page: what kind of study it is decides what stands on it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tuner.errors import UserError
from tuner.invocation import command
from tuner.report.page import provenance, search
from tuner.report.page.blocks import Page, Section
from tuner.report.page.render import HTML, MARKDOWN, html, markdown
from tuner.report.status import Standing
from tuner.storage.access import write
from tuner.study_file import reopened_study
from tuner.terminal.progress import clock
from tuner.tracking import attach, store_of


def page_of(standing: Standing) -> Page:
    """The page of a study as it stands."""
    study, folder = standing.study, standing.folder
    sections = [
        Section("Answer", tuple(search.answer(study, folder))),
        *search.sections(study),
        provenance.cost(study),
        provenance.data(study),
        provenance.reproduce(study, folder),
    ]
    return Page(
        study.name,
        "search",
        _status(standing),
        str(study.settings.get("description", "")),
        study.facts["claim"],
        tuple(sections),
    )


def write_page(standing: Standing) -> dict[str, str]:
    """Write both files into the study's folder.

    Returns:
        Their texts, by name.
    """
    page = page_of(standing)
    texts = {HTML: html(page), MARKDOWN: markdown(page)}
    for name, text in texts.items():
        write(standing.folder / name, text.encode())
    return texts


def attach_page(standing: Standing, texts: Mapping[str, str]) -> str:
    """Put the page into the study's run in MLflow, and say so, or why it is not there.

    An MLflow that is away is no error: the files are in the study's folder.
    """
    study, folder = standing.study, standing.folder
    try:
        settings = reopened_study(study.settings, folder)
        found = attach(store_of(settings), settings.tracking.experiment, study.id, texts)
    except UserError as error:
        return f"not attached to MLflow: {error.problem}"
    if found:
        return "attached to the study's run in MLflow"
    return f"not attached to MLflow, which has no run of it: {command('sync', folder)}"


def _status(standing: Standing) -> tuple[str, ...]:
    study = standing.study
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(study.created))
    ended = sum(trial.ended is not None for trial in study.trials)
    told = f"{ended} of {standing.trials} trials ended"
    return standing.state, told, f"begun {began}", f"took {clock(study.seconds)}"
