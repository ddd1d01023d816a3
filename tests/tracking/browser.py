"""MLflow's pages in a browser, and the commands that make and serve them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.journal.records import TrialRecord

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, ViewportSize


WINDOW: ViewportSize = {"width": 1600, "height": 950}


@contextmanager
def tuner(place: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`tuner …` in a session of its own, which ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", *arguments],
        cwd=place,
        env={**os.environ, "HOME": str(place), "RAY_TMPDIR": str(place / "ray")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def columns(page: Page) -> set[str]:
    """Ids of the columns of the runs' table, of those that can be chosen, e.g. params.`seed`."""
    ids = page.locator(".ag-header-cell").evaluate_all(
        "cells => cells.map(cell => cell.getAttribute('col-id'))"
    )
    return {name for name in ids if "`" in name}


def cells(page: Page, column: str) -> list[str]:
    """Return the texts of a column, from top to bottom."""
    rows = page.locator(f'.ag-cell[col-id="{column}"]').evaluate_all(
        "cells => cells.map(cell => [+cell.closest('.ag-row').getAttribute('row-index'),"
        " cell.innerText.trim().split('\\n').at(-1)])"  # before it, a name's colour
    )
    return [text for _, text in sorted(rows)]


@contextmanager
def window(page: Page, width: int, height: int) -> Iterator[None]:
    """A larger window: columns and charts out of sight are not made."""
    page.set_viewport_size({"width": width, "height": height})
    yield
    page.set_viewport_size(WINDOW)


def named(trial: TrialRecord) -> str:
    return f"trial {trial.number:03d}" + (" baseline" if trial.origin == "baseline" else "")


def come(found: Locator, count: int) -> None:
    """Wait until there are so many."""
    from playwright.sync_api import expect

    expect(found).to_have_count(count, timeout=30_000)


def open_view(page: Page, address: str, rows: int) -> None:
    """Open a view, or the same again, until its table has its rows."""
    page.goto("about:blank")
    page.goto(address)
    come(page.locator('.ag-cell[col-id="attributes.`Run Name`"]'), rows)


def open_run(page: Page, address: str, rows: int, name: str) -> None:
    open_view(page, address, rows)
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_test_id("note-editor-preview-content").wait_for()
