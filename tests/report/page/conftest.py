"""Pages, each made once: their figures take a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.page.studies import confirmation, probed, search
from tuner.blocks import Page
from tuner.journal.digest import Digest
from tuner.journal.records import StudyRecord
from tuner.report.page.beside import RelatedStudies
from tuner.report.page.write import page_of
from tuner.report.status import StudyStatus


def paged(study: StudyRecord, folder: Path) -> Page:
    there = folder / study.name
    status = StudyStatus(there, "completed", len(study.trials), Digest.of(study))
    return page_of(study, status, RelatedStudies.of(study, there))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="session")
def searched(place: Path) -> StudyRecord:
    return probed(search(place))


@pytest.fixture(scope="session")
def search_page(searched: StudyRecord, place: Path) -> Page:
    return paged(searched, place)


@pytest.fixture(scope="session")
def confirmed(place: Path) -> StudyRecord:
    return confirmation(place, {"control": 0.6, "trial 007": 0.95, "trial 003": 0.62})


@pytest.fixture(scope="session")
def confirmed_page(confirmed: StudyRecord, place: Path) -> Page:
    return paged(confirmed, place)
