"""Helpers that several tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner.data.corpus import Corpus
from tuner.data.sources import load_corpus
from tuner.errors import UserError
from tuner.study.data import HubData

LANGUAGES = ["en", "de", "fr", "es", "zh", "ja", "ko"]
NAME = "google-research-datasets/paws-x"

Write = Callable[[Corpus], Path]


def asked(name: Path | str, **settings: Any) -> HubData:
    machine_translated = tuple(LANGUAGES[1:])
    given = {"source": "hub", "machine_translated": machine_translated, "name": str(name)}
    return HubData(**(given | settings))


def refused(data: HubData) -> str:
    with pytest.raises(UserError) as raised:
        load_corpus(data, ["en", "de"], ["en"])
    assert raised.value.remedy
    return str(raised.value)


WORDS = ("None", "NA", "null", "N/A", "nan", "NaN", "n/a", "NULL", "<NA>", "#N/A")
"""Texts that `datasets` takes for missing values in CSV, if nobody tells it otherwise."""


def write_csv(folder: Path) -> None:
    """A dataset in en and de whose sentences are such words; the last is blank."""
    readme = "---\nconfigs:\n"
    for language in ("en", "de"):
        (folder / language).mkdir(parents=True)
        rows = [f"{n},{word},{language} {n},{n % 2}" for n, word in enumerate((*WORDS, ""))]
        readme += f"- config_name: {language}\n  data_files:\n"
        for split in ("train", "validation"):
            text = "\n".join(["id,sentence1,sentence2,label", *rows, ""])
            (folder / language / f"{split}.csv").write_text(text)
            readme += f"  - split: {split}\n    path: {language}/{split}.csv\n"
    (folder / "README.md").write_text(f"{readme}---\n")
