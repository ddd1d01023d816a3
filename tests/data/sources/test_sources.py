from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tuner.data import nano
from tuner.data.sources import load_corpus, look
from tuner.errors import UserError
from tuner.study.data import NanoData

NANO = NanoData(source="nano")


def test_nano() -> None:
    corpus = load_corpus(NANO, ["en", "ja", "de"], ["en", "de"])
    assert corpus.languages == ("en", "ja", "de") and corpus.labels == ("0", "1")
    assert set(corpus.rows["train"]) == {"en", "de"}
    assert set(corpus.rows["dev"]) == set(corpus.rows["test"]) == {"en", "ja", "de"}
    assert list(corpus.rows["dev"]["ja"].values()) == nano.rows("ja", "dev")
    assert corpus.machine_translated
    assert corpus.notes == (
        "train: 4,000 of 4,000 ids clean in all of en, de; dropped: none",
        "dev: 500 of 500 ids clean in all of en, ja, de; dropped: none",
        "test: 1,000 of 1,000 ids clean in all of en, ja, de; dropped: none",
    )


def test_english_nano_is_original_text() -> None:
    assert not load_corpus(NANO, ["en", "de"], ["en"]).machine_translated


def test_nano_names_its_languages() -> None:
    for read in (load_corpus, look):
        with pytest.raises(UserError, match=r"(?s)no language it, pt.*en, de, fr, es, zh, ja, ko"):
            read(NANO, ["en", "it", "pt"], ["en"])
    assert look(NANO, ["en", "ja"], ["en"]) == 0, "it is built in"


@pytest.mark.integration
def test_a_look_needs_no_heavy_library(tmp_path: Path) -> None:
    """It comes before everything, in every command."""
    for split in ("train", "dev"):
        rows = [f'{{"id": {n}, "sentence1": "a", "sentence2": "b", "label": {n}}}' for n in (0, 1)]
        (tmp_path / f"{split}.en.jsonl").write_text("\n".join(rows), encoding="utf-8")
    code = (
        "import sys\n"
        "from tuner.data.sources import look\n"
        "from tuner.study.data import FilesData, HubData\n"
        "folder = sys.argv[1]\n"
        "paths = {split: f'{folder}/{split}.{{language}}.jsonl' for split in ('train', 'dev')}\n"
        "data = FilesData(source='files', machine_translated=None, **paths)\n"
        "assert look(data, ['en'], ['en']) == 2\n"
        "there = HubData(source='hub', machine_translated=None, name=folder)\n"
        "away = there.model_copy(update={'name': 'some/where'})\n"
        "assert look(there, ['en'], ['en']) == look(away, ['en'], ['en']) == 0\n"
        "heavy = {'torch', 'datasets', 'transformers', 'ray', 'pyarrow', 'huggingface_hub'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True
    )
    assert run.stdout.split() == []


def test_progress_is_told_a_table_at_a_time() -> None:
    told: list[tuple[int, int]] = []
    load_corpus(NANO, ["en", "de"], ["en"], lambda read, total: told.append((read, total)))
    assert told == [(number, 5) for number in range(1, 6)]  # train of one, dev and test of two
