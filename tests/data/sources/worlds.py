"""Small corpora in files, made whole, broken and mended by tests."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner.data.corpus import Corpus
from tuner.data.sources import load_corpus, look
from tuner.study.data import DirectoryData, FilesData

LABELS = ("no", "yes", "maybe")
PAIRS = 6


def pair(language: str, number: int) -> tuple[str, str, str, str]:
    """Id, two sentences and a label; the sentences say who they are."""
    sentences = f"{language} one, {number}", f"{language} two {number}"
    return (str(number), *sentences, LABELS[number % 3])


def tsv(language: str, header: str = "id\tsentence1\tsentence2\tlabel") -> str:
    lines = [header] if header else []
    return "\n".join([*lines, *("\t".join(pair(language, n)) for n in range(PAIRS))]) + "\n"


def jsonl(language: str) -> str:
    keys = ("id", "sentence1", "sentence2", "label")
    lines = (json.dumps(dict(zip(keys, pair(language, n), strict=True))) for n in range(PAIRS))
    return "\n".join(lines) + "\n"


@dataclass
class World:
    """A corpus in files: by default one TSV a language and split, in en and de.

    Attributes:
        folder: where its files are written.
        files: their contents, by path below the folder.
        data: the `data:` block; paths are below the folder.
    """

    folder: Path
    files: dict[str, str | bytes] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for language in ("en", "de"):
            for split in ("train", "dev"):
                self.files[f"{split}.{language}.tsv"] = tsv(language)
        self.data |= {
            "source": "files",
            "train": "train.{language}.tsv",
            "dev": "dev.{language}.tsv",
            "machine_translated": [],
        }

    def as_format(self, ending: str, write: Any) -> None:
        """Say the same in another format."""
        self.files.clear()
        for split in ("train", "dev"):
            self.data[split] = f"{split}.{{language}}.{ending}"
            for language in ("en", "de"):
                self.files[f"{split}.{language}.{ending}"] = write(language)

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a file, in one place."""
        text = self.files[file]
        assert isinstance(text, str)
        assert old in text
        self.files[file] = text.replace(old, new, 1)

    def settings(self) -> FilesData | DirectoryData:
        """The files are there, and nothing else; the block is read."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.unlink()
        for name, content in self.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        below = dict(self.data)
        for key in ("train", "dev", "test", "path"):
            if isinstance(below.get(key), dict):
                below[key] = {**below[key], "path": str(self.folder / below[key]["path"])}
            elif key in below:
                below[key] = str(self.folder / below[key])
        if below["source"] == "directory":
            return DirectoryData.model_validate(below)
        return FilesData.model_validate(below)

    def load(self) -> Corpus:
        """All of it, trained on in both languages."""
        return load_corpus(self.settings(), ["en", "de"], ["en", "de"])

    def look(self) -> int:
        """Its first rows."""
        return look(self.settings(), ["en", "de"], ["en", "de"])


def zipped(text: str | bytes) -> bytes:
    """Compressed with gzip."""
    return gzip.compress(text.encode() if isinstance(text, str) else text)
