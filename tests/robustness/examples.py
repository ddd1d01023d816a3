"""Helpers that several tests of this room share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tests.robustness.commands import in_time
from tests.robustness.conftest import NAME
from tuner.journal.journal import Journal
from tuner.run.resume import Extension, extended, nothing_left
from tuner.run.trial_files import TrialFiles
from tuner.search.driver import Driver
from tuner.training.checkpoint import Checkpoints


def spellings(secret: str) -> Iterator[bytes]:
    """Yield a secret as it is, as an address has it, and as a header has it."""
    for text in (secret, quote(secret, safe="")):
        yield text.encode()
    for before in ("", ":"):
        yield b64encode(f"{before}{secret}".encode()).rstrip(b"=")[2:-2]


def leaks(secrets: dict[str, str], folder: Path, *printed: str) -> list[str]:
    """Return which secrets are where."""
    contents = {f"printed {n}": text.encode() for n, text in enumerate(printed)}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            contents[path.relative_to(folder).as_posix()] = path.read_bytes()
    return [
        f"{name} in {where}"
        for where, content in contents.items()
        for name, secret in secrets.items()
        if any(spelling in content for spelling in spellings(secret))
    ]


LOOKS = [
    ["status", NAME],
    ["status", NAME, "--json"],
    ["list"],
    ["list", "--json"],
    ["report", NAME],
    ["report", NAME, "--json"],
]


def go_on(folder: Path) -> None:
    """Do what `tuner resume` does up to where Ray would start, and what the first worker does."""
    with in_time(), Journal(folder) as journal:
        record = journal.history.record()
        study = extended(record, folder, Extension(trials="+1"))
        assert study.folder == folder.absolute()
        if nothing_left(record, study):
            return
        files = TrialFiles(study)
        driver = Driver(study, journal, [files])
        driver.start()
        while (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            checkpoints = Checkpoints(study.trial_folder(trial.number), 60.0)
            checkpoints.latest("mine")
            driver.attempt_failed(trial.number, "non_finite", "the loss is nan")
        driver.finish()
        files.close()
