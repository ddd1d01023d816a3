"""Where a study's pairs come from: the `data:` block, one model a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from tuner.config import Part
from tuner.storage.location import local

LANGUAGE = "{language}"
"""What a language's code takes the place of in a path or in the name of a subset."""


class NanoData(Part):
    """The built-in artificial languages: nothing to download."""

    source: Literal["nano"] = Field(description="the built-in artificial languages")


class DirectoryData(Part):
    """PAWS-X as it is published: FOLDER/LANGUAGE/{train or translated_train,dev_2k,test_2k}.tsv."""

    source: Literal["directory"] = Field(description="a folder in the official layout of PAWS-X")
    path: Path = Field(description="the folder that holds one folder a language, as en/dev_2k.tsv")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return local(path).absolute()  # a later resume stands elsewhere


class ColumnsConfig(Part):
    """What the columns of a corpus are called."""

    id: str | None = Field(
        "id",
        description="the same id is the same pair in every language; null: joined by order of rows",
    )
    sentence1: str = Field("sentence1", description="the first sentence")
    sentence2: str = Field("sentence2", description="the second sentence")
    label: str = Field("label", description="the class")
    language: str | None = Field(
        None, description="the language of a row, where one table holds all languages"
    )


class AnyCorpus(Part):
    """What a corpus that may look like anything has to be asked."""

    columns: ColumnsConfig = Field(ColumnsConfig(), description="what the columns are called")
    labels: tuple[StrictStr | StrictInt | StrictBool, ...] | None = Field(
        None,
        description="labels in class order, two or more; rows with others are dropped and counted. "
        "Default: the names that the data declares, else the values in train, sorted",
    )
    machine_translated: tuple[str, ...] = Field(
        description="languages whose training text is machine translation, [] for none: the claim "
        "of every result depends on it"
    )

    @field_validator("labels")
    @classmethod
    def _two_or_more(
        cls, labels: tuple[str | int | bool, ...] | None
    ) -> tuple[str | int | bool, ...] | None:
        if labels is not None and len({str(label) for label in labels}) < max(2, len(labels)):
            shown = ", ".join(map(str, labels))
            raise ValueError(f"labels must be two or more, all different, got [{shown}]")
        return labels

    def wanted(self, shared: bool) -> list[str]:
        """Names of the columns to read; `shared`: of a table that holds all languages."""
        columns = self.columns
        named = [columns.id, columns.sentence1, columns.sentence2, columns.label]
        named += [columns.language] if shared else []
        return list(dict.fromkeys(name for name in named if name is not None))

    def _check_language_column(self, patterns: Mapping[str, str | None]) -> None:
        """Every table is of one language, which names it, or has a column that tells."""
        shared = [key for key, pattern in patterns.items() if LANGUAGE not in (pattern or "")]
        if shared and self.columns.language is None:
            raise ValueError(
                f"{shared[0]} has no {LANGUAGE} in it, so it is one table of all languages: "
                f"name the column that tells them apart in data.columns.language"
            )
        if self.columns.language is not None and not shared:
            raise ValueError(
                f"data.columns.language is for one table of all languages, but "
                f"{' and '.join(patterns)} has {LANGUAGE} in it: leave one of them out"
            )


class FilesData(AnyCorpus):
    """Any corpus of sentence pairs in files: .tsv, .csv, .jsonl or .parquet, by the file's ending.

    A path with `{language}` in it is one file a language; one without it is a file of all languages
    with the column `columns.language`.
    """

    source: Literal["files"] = Field(description="TSV, CSV, JSONL or Parquet files")
    train: str = Field(description="path of the training split, as data/{language}/train.tsv")
    dev: str = Field(description="path of the dev split")
    test: str | None = Field(None, description="path of the test split, where there is one")

    @field_validator("train", "dev", "test")
    @classmethod
    def _absolute(cls, pattern: str | None) -> str | None:
        return pattern and str(local(pattern).absolute())

    @model_validator(mode="after")
    def _languages_told_apart(self) -> Self:
        paths = {"data.train": self.train, "data.dev": self.dev}
        self._check_language_column(paths | ({"data.test": self.test} if self.test else {}))
        return self


class SplitsConfig(Part):
    """What the splits of a dataset on the hub are called."""

    train: str = Field("train", description="the training split")
    dev: str = Field("validation", description="the dev split")
    test: str | None = Field("test", description="the test split; null where there is none")


class HubData(AnyCorpus):
    """A dataset of the Hugging Face hub, or a folder in the layout of one."""

    source: Literal["hub"] = Field(description="a dataset of the Hugging Face hub")
    name: str = Field(description="its id, or a folder in the hub's layout, from / ~ or .")
    revision: str | None = Field(None, description="commit of the hub's repository; pin it")
    subset: str | None = Field(
        LANGUAGE,
        description="the hub's subset (configuration) of a language; null: the dataset has but one",
    )
    splits: SplitsConfig = Field(SplitsConfig(), description="what the splits are called")

    @field_validator("name")
    @classmethod
    def _absolute(cls, name: str) -> str:
        return str(local(name).absolute()) if name[:1] in ("/", "~", ".") else name

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        self._check_language_column({"data.subset": self.subset})
        if self.is_folder and self.revision is not None:
            raise ValueError("data.revision is of a repository on the hub, but data.name a folder")
        return self

    @property
    def is_folder(self) -> bool:
        """Whether `name` is a local folder, not a repository on the hub."""
        return Path(self.name).is_absolute()


DataConfig = Annotated[
    NanoData | DirectoryData | FilesData | HubData, Field(discriminator="source")
]
"""The `data:` block: which of these it is, `source` says."""

SOURCES: dict[str | int, type[Part]] = {
    "nano": NanoData,
    "directory": DirectoryData,
    "files": FilesData,
    "hub": HubData,
}
"""What `source` may be."""
