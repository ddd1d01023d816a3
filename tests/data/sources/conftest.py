from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.sources.examples import LANGUAGES
from tuner.data.corpus import Corpus
from tuner.data.sources import load_corpus
from tuner.study.data import NanoData

SPLITS = {"train": "train", "dev": "validation", "test": "test"}


@pytest.fixture
def pawsx_on_the_hub(tmp_path: Path):
    """Writes a corpus of PAWS-X as the hub has it: a subset a language, and a README that says so.

    Rows that are not clean are missing. `id` is an int32 and `label` a ClassLabel, as there.
    """

    def write(corpus: Corpus) -> Path:
        folder, infos, configs = tmp_path / "paws-x", "dataset_info:\n", "configs:\n"
        for language in corpus.languages:
            (folder / language).mkdir(parents=True)
            infos += f"- config_name: {language}\n  features:\n  - name: id\n    dtype: int32\n"
            infos += "  - name: sentence1\n    dtype: string\n  - name: sentence2\n"
            infos += "    dtype: string\n  - name: label\n    dtype:\n      class_label:\n"
            infos += "        names:\n          '0': '0'\n          '1': '1'\n  splits:\n"
            configs += f"- config_name: {language}\n  data_files:\n"
            for split, name in SPLITS.items():
                if language not in corpus.rows[split]:
                    continue
                rows = corpus.rows[split][language].values()
                table = pyarrow.table(
                    {
                        "id": pyarrow.array([int(row.id) for row in rows], pyarrow.int32()),
                        "sentence1": [row.sentence1 for row in rows],
                        "sentence2": [row.sentence2 for row in rows],
                        "label": [row.label for row in rows],
                    }
                )
                file = f"{language}/{name}-00000-of-00001.parquet"
                pyarrow.parquet.write_table(table, folder / file)
                infos += f"  - name: {name}\n    num_bytes: 1\n    num_examples: {len(rows)}\n"
                configs += f"  - split: {name}\n    path: {language}/{name}-*\n"
            infos += "  download_size: 1\n  dataset_size: 1\n"
        readme = f"---\nlicense: other\n{infos}{configs}---\n\n# PAWS-X\n"
        (folder / "README.md").write_text(readme, encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="module")
def nano() -> Corpus:
    """Seven languages, a few rows of each, with numbers for ids as in PAWS-X."""
    whole = load_corpus(NanoData(source="nano"), LANGUAGES, LANGUAGES)
    corpus = replace(whole, rows={split: dict(whole.rows[split]) for split in whole.rows})
    for of_split in corpus.rows.values():
        for language, rows in of_split.items():
            few = enumerate(list(rows.values())[:20], start=1)
            of_split[language] = {str(id_): replace(row, id=str(id_)) for id_, row in few}
    return corpus
