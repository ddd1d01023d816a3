"""Composition of a study's page by the kind of study, for `tuner report`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from tuner.blocks import HTML, MARKDOWN, Block, Commands, Page, Section, Words
from tuner.blocks.html import html
from tuner.blocks.markdown import markdown
from tuner.confirm.result import Confirmed
from tuner.errors import UserError
from tuner.invocation import command, lasting_command
from tuner.journal.records import END_STATES, StudyRecord
from tuner.report.page import confirmation, provenance, scaling, search
from tuner.report.page.beside import RelatedStudies, first_test, to_page
from tuner.report.page.gradient_noise import gradient_noise
from tuner.report.page.languages import beside_published
from tuner.report.page.published import published
from tuner.report.page.timeline import nodes
from tuner.report.page.trials import FIRST, planned
from tuner.report.status import StudyStatus
from tuner.run.copies import check_own_runs
from tuner.scaling.result import Scaled
from tuner.search.recommend import NONE_WHOLE, concluded
from tuner.storage.access import write
from tuner.storage.folders import Place
from tuner.study.design import REFERENCE, ConfirmDesign, ScalingDesign
from tuner.study.file import reopened_study
from tuner.tracking import attach, store_of
from tuner.wording import clock, count


def page_of(study: StudyRecord, status: StudyStatus, family: RelatedStudies) -> Page:
    """Return the page of a study in its current state.

    Args:
        study: its whole record.
        status: its state.
        family: the search and the confirmations that belong to it.
    """
    folder = status.folder
    design = study.settings.design
    if design is None:
        kind, sections = "search", _search(study, folder, family)
    elif isinstance(design, ScalingDesign):
        kind, sections = "scaling study", _scaling(study)
    else:
        alone = design.arms[0].name == REFERENCE
        kind = "external reference" if alone else "confirmation"
        sections = _confirmation(study, folder, family, study if alone else family.reference)
    if family.unread:
        warned = tuple(Words(problem, "warning") for problem in family.unread)
        first, *others = sections
        sections = [replace(first, blocks=(*first.blocks, *warned)), *others]
    optional = [section for section in (gradient_noise(study), nodes(study)) if section is not None]
    return Page(
        study.name,
        kind,
        _status(study, status),
        study.settings.description,
        study.claim,
        (
            *sections,
            *optional,
            provenance.cost(study),
            provenance.data(study),
            provenance.reproduce(study, folder),
        ),
    )


def write_page(page: Page, folder: Place) -> dict[str, str]:
    """Write a page as HTML and as Markdown into the study's folder.

    Returns:
        The texts of both files, by name.
    """
    texts = {HTML: html(page), MARKDOWN: markdown(page)}
    for name, text in texts.items():
        write(folder / name, text.encode())
    return texts


def attach_page(study: StudyRecord, folder: Place, texts: Mapping[str, str]) -> str:
    """Attach the page to the study's run in MLflow, and return a message about the outcome.

    An unreachable MLflow is not an error, since the files are in the study's folder.
    """
    try:
        settings = reopened_study(study.settings, folder)
        uri = store_of(settings)
        check_own_runs(study, folder, uri)
        found = attach(uri, settings.tracking.experiment, study.id, texts)
    except UserError as error:
        return f"not attached to MLflow: {error.problem}. {error.remedy}"
    if found:
        return "attached to the study's run in MLflow"
    first, then = command("sync", folder), command("report", folder)
    return f"not attached to MLflow, which has no run of it: {first}, then {then} again"


def _search(study: StudyRecord, folder: Place, family: RelatedStudies) -> list[Section]:
    """Return a search's sections; after a confirmation, that answer comes first."""
    confirmed = family.confirmation
    if confirmed is None:
        blocks = [*search.conclusion_blocks(study), *search.next_step(study, folder)]
        return [Section("Answer", tuple(blocks), brief=True), *search.sections(study)]
    blocks = [*confirmation.conclusion_blocks(Confirmed.of(confirmed)), *_went_on(study, family)]
    link = to_page(f"Confirmed by {confirmed.name}: its whole page", confirmed, folder)
    return [
        Section("Answer, confirmed", (*blocks, link), brief=True),
        Section("Answer of the search alone", tuple(search.conclusion_blocks(study))),
        *search.sections(study),
    ]


def _went_on(search: StudyRecord, family: RelatedStudies) -> list[Block]:
    """Return a warning if a search went on after its first confirmation had read test."""
    if not family.tested:
        return []
    confirmed = family.tested[0]
    read = first_test(confirmed)
    assert read is not None
    later = [trial for trial in search.trials if (trial.started or 0.0) > read]
    if not later:
        return []
    message = (
        f"{count(len(later), 'trial')} of the search began after {confirmed.name} had read test: "
        "its results may have influenced the decision to add trials."
    )
    return [Words(message, "warning")]


def _confirmation(
    study: StudyRecord, folder: Place, family: RelatedStudies, reference: StudyRecord | None
) -> list[Section]:
    """Return the sections of a confirmation, or of the external reference."""
    if study.recommendation is None:
        trials = (planned(study, FIRST),)
        return [
            Section("Answer", tuple(_without(study, folder)), brief=True),
            Section("Trials, as planned", trials, brief=True),
        ]
    result = Confirmed.of(study)
    blocks = confirmation.conclusion_blocks(result)
    if reference is study:
        text, other = "The confirmation that it accompanies", family.confirmation
    else:
        text, other = "The search that this confirms", family.search
    if other is not None:
        blocks.append(to_page(f"{text}, {other.name}", other, folder))
    sections = [Section("Answer", tuple(blocks), brief=True), *confirmation.sections(result)]
    if reference is not None:
        sections.append(beside_published(Confirmed.of(reference), published(reference)))
    return [*sections, _planned(study)]


def _scaling(study: StudyRecord) -> list[Section]:
    result = Scaled.of(study)
    answer = Section("Answer", tuple(scaling.conclusion_blocks(result)), brief=True)
    return [answer, *scaling.sections(result), _planned(study)]


def _without(study: StudyRecord, folder: Place) -> list[Block]:
    """Return the answer of a confirmation without a recommendation."""
    design = study.settings.design
    if isinstance(design, ConfirmDesign) and concluded(design, study):
        message = f"{NONE_WHOLE[:1].upper()}{NONE_WHOLE[1:]}. Nothing has read test."
        return [
            Words(message, "answer"),
            Words("To confirm the search with different seeds, use --again."),
        ]
    return [
        Words("There is no recommendation yet, and test has not been read.", "answer"),
        Commands("Continue with:", (lasting_command("resume", folder),)),
    ]


def _planned(study: StudyRecord) -> Section:
    return Section("Trials, as planned", (planned(study),))


def _status(study: StudyRecord, status: StudyStatus) -> tuple[str, ...]:
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(study.created))
    ended = sum(trial.state in END_STATES for trial in study.trials)
    message = f"{ended} of {status.trials} trials ended"
    return status.state, message, f"begun {began}", f"took {clock(study.seconds)}"
