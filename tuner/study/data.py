"""The `data:` block: a study's source of sentence pairs, with one model for each kind of source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from tuner.errors import nearest
from tuner.storage.location import local
from tuner.study.columns import (
    LANGUAGE,
    SEPARATED,
    ColumnsConfig,
    SplitFile,
    check_told_apart,
    ending,
)
from tuner.study.labels import folded
from tuner.study.trial import Part

Split = Literal["train", "dev", "test"]
Label = StrictStr | StrictInt | StrictBool
Translated = tuple[str, ...] | None

TRANSLATED = (
    "languages whose training text is machine-translated, [] for none, null if this is "
    "unknown: the claim of every result depends on it"
)


class NanoData(Part):
    """The built-in artificial languages: nothing to download."""

    source: Literal["nano"] = Field(description="the built-in artificial languages")


class DirectoryData(Part):
    """PAWS-X as it is published: FOLDER/LANGUAGE/{train or translated_train,dev_2k,test_2k}.tsv."""

    source: Literal["directory"] = Field(description="a folder in the official layout of PAWS-X")
    path: Path = Field(
        description="the folder that holds one folder for each language, as in en/dev_2k.tsv"
    )
    machine_translated: Translated = Field(
        None, description=f"{TRANSLATED}. The name translated_train.tsv implies it"
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return local(path).absolute()  # a later resume has another working directory


class AnyCorpus(Part):
    """The settings that corpora of any layout share."""

    columns: ColumnsConfig = Field(ColumnsConfig(), description="names of the columns")
    labels: tuple[Label | tuple[Label, ...], ...] | None = Field(
        None,
        description="the classes in order, two or more. If the data write a class in several ways, "
        "give a list with its name first, as in [contradiction, contradictory]. Other labels "
        "are refused. Default: the names that the data declare, else the values in train, sorted",
    )
    machine_translated: Translated = Field(description=TRANSLATED)

    @field_validator("labels", mode="before")
    @classmethod
    def _scalars(cls, labels: Any) -> Any:
        for each in labels if isinstance(labels, list | tuple) else ():
            for name in each if isinstance(each, list | tuple) else (each,):
                if not isinstance(name, str | int):
                    quote = f": write '{name}'" if isinstance(name, float) else ""
                    raise ValueError(
                        f"a label must be text, a whole number, true or false, or a list of "
                        f"these for a class with several names, got {name!r}{quote}"
                    )
        return labels

    @field_validator("labels")
    @classmethod
    def _told_apart(cls, labels: Any) -> Any:
        if labels is None:
            return None
        classes = [each if isinstance(each, tuple) else (each,) for each in labels]
        names = [name for each in classes for name in {folded(str(name)) for name in each}]
        if len(classes) < 2 or not all(classes) or len(set(names)) < len(names):
            shown = ", ".join(
                str(list(each) if len(each) > 1 else each[0]) for each in classes if each
            )
            raise ValueError(
                f"labels must be two or more, and must differ in more than case, blanks at the "
                f"ends and the format of numbers, got [{shown}]"
            )
        return labels


class FilesData(AnyCorpus):
    """Any corpus of sentence pairs in files; the file endings tell the formats.

    A path with `{language}` stands for one file for each language. A path without it is one file of
    all languages: either a column holds the language of each row (`columns.language`), or each
    language has columns of its own (`columns.sentence1: text_{language}`).
    """

    source: Literal["files"] = Field(description="TSV, CSV, JSON, JSON Lines or Parquet files")
    train: SplitFile = Field(description="the training split, as data/{language}/train.tsv")
    dev: SplitFile = Field(description="the dev split")
    test: SplitFile | None = Field(None, description="the test split, if there is one")

    @model_validator(mode="after")
    def _languages_told_apart(self) -> Self:
        for split, file in self.splits.items():
            columns = self.columns_of(split)
            check_told_apart(f"data.{split}", file.path, self.key_of(split), columns)
            if columns.numbered and ending(file.path) not in SEPARATED:
                raise ValueError(
                    f"{self.key_of(split)} gives columns by number, which only "
                    f"{', '.join(SEPARATED)} files without a header need: "
                    f"name the columns of {Path(file.path).name}"
                )
        if self.columns.language is not None and all(
            LANGUAGE in file.path for file in self.splits.values() if not file.columns
        ):
            raise ValueError(
                f"data.columns.language is for one table of all languages, but every path that "
                f"data.columns applies to contains {LANGUAGE}: leave one of them out"
            )
        return self

    @property
    def splits(self) -> dict[Split, SplitFile]:
        """The splits that are given."""
        files: dict[Split, SplitFile | None] = {
            "train": self.train,
            "dev": self.dev,
            "test": self.test,
        }
        return {split: file for split, file in files.items() if file is not None}

    def columns_of(self, split: Split) -> ColumnsConfig:
        """Return the names of a split's columns.

        A split with one file per language has no language column; other splits may have one.
        """
        file = self.splits[split]
        if file.columns is not None:
            return file.columns
        if LANGUAGE in file.path:
            return self.columns.model_copy(update={"language": None})
        return self.columns

    def key_of(self, split: Split) -> str:
        """Return the setting that gives the columns of a split."""
        return f"data.{split}.columns" if self.splits[split].columns else "data.columns"


class SplitsConfig(Part):
    """The names of the splits of a dataset on the hub."""

    train: str = Field("train", description="the training split")
    dev: str = Field("validation", description="the dev split")
    test: str | None = Field("test", description="the test split; null if there is none")


class HubData(AnyCorpus):
    """A dataset on the Hugging Face hub, or a folder with the layout of one."""

    source: Literal["hub"] = Field(description="a dataset of the Hugging Face hub")
    name: str = Field(
        description="its id, or a folder in the hub's layout, beginning with /, ~ or ."
    )
    revision: str | None = Field(None, description="commit of the hub's repository; pin it")
    subset: str | None = Field(
        LANGUAGE,
        description="the hub's subset (configuration) of a language; null: there is only one",
    )
    splits: SplitsConfig = Field(SplitsConfig(), description="names of the splits")

    @field_validator("name")
    @classmethod
    def _absolute(cls, name: str) -> str:
        return str(local(name).absolute()) if name[:1] in ("/", "~", ".") else name

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        check_told_apart("data.subset", self.subset or "", "data.columns", self.columns)
        if self.columns.numbered:
            raise ValueError("data.columns: a dataset of the hub has column names, not numbers")
        if self.is_folder and self.revision is not None:
            raise ValueError(
                "data.revision is the commit of a repository on the hub, but data.name is a folder"
            )
        return self

    @property
    def is_folder(self) -> bool:
        """True if `name` is a local folder, not a repository on the hub."""
        return Path(self.name).is_absolute()


DataConfig = Annotated[
    NanoData | DirectoryData | FilesData | HubData, Field(discriminator="source")
]
"""The `data:` block; its `source` selects the model."""

SOURCES: dict[str | int, type[Part]] = {
    "nano": NanoData,
    "directory": DirectoryData,
    "files": FilesData,
    "hub": HubData,
}
"""The models of the `data:` block by the value of `source`."""


def check_translated(data: DataConfig, languages: Sequence[str]) -> None:
    """Refuse a machine-translated language that the study does not have.

    Raises:
        ValueError: such a language is named.
    """
    if isinstance(data, NanoData):
        return
    for language in data.machine_translated or ():
        if language not in languages:
            raise ValueError(
                f"data.machine_translated: {language!r} is not a language of the study; "
                f"{nearest(language, list(languages))}"
            )
