"""The tables of a corpus: their files, their columns, and the ways to tell languages apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tuner.storage.location import local
from tuner.study.trial import Part

LANGUAGE = "{language}"
"""Placeholder for a language's code in a path, a column's name or a subset's name."""

SEPARATED = (".tsv", ".txt", ".csv")
ENDINGS = (*SEPARATED, ".json", ".jsonl", ".parquet")
"""File name endings of the supported formats; `.gz` may follow."""
COMPRESSED = ".gz"

Column = StrictStr | Annotated[StrictInt, Field(ge=1)]


def ending(path: str | Path) -> str:
    """Return the ending that tells a file's format: in lower case, without `.gz`."""
    return Path(Path(path).name.lower().removesuffix(COMPRESSED)).suffix


class ColumnsConfig(Part):
    """The names of a table's columns, or their numbers from 1 in a file without a header.

    A name with `{language}` stands for one column for each language.
    """

    id: Column | None = Field(
        "id",
        description="identifies a pair across languages; null: pairs are matched by row order",
    )
    sentence1: Column = Field("sentence1", description="the first sentence")
    sentence2: Column = Field("sentence2", description="the second sentence")
    label: Column = Field("label", description="the class")
    language: Column | None = Field(
        None, description="the language of each row, if one table holds all languages"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _name_or_number(cls, name: Any) -> Any:
        if not (name is None or isinstance(name, str)) and (type(name) is not int or name < 1):
            raise ValueError(
                f"must be a column's name, or its number, counted from 1, got {name!r}"
            )
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        named = {key: name for key, name in self if name is not None}
        if len({isinstance(name, int) for name in named.values()}) > 1:
            words = ", ".join(f"{key}: {name}" for key, name in named.items())
            raise ValueError(
                f"columns must all be names, or all be numbers for a file without a header, got "
                f"{words} (write id: null if there are no ids)"
            )
        if len(set(named.values())) < len(named):
            words = ", ".join(f"{key}: {name}" for key, name in named.items())
            raise ValueError(f"columns must be distinct, got {words}")
        if (LANGUAGE in str(self.sentence1)) != (LANGUAGE in str(self.sentence2)):
            raise ValueError(
                f"sentence1 and sentence2 must both contain {LANGUAGE}, or neither, got "
                f"{self.sentence1} and {self.sentence2}"
            )
        return self

    @property
    def numbered(self) -> bool:
        """True where columns are numbers: the file has no header."""
        return isinstance(self.label, int)

    @property
    def wide(self) -> bool:
        """True where the sentences of each language have columns of their own."""
        return LANGUAGE in str(self.sentence1)

    def of(self, language: str) -> ColumnsConfig:
        """Return the columns of one language."""
        filled = {
            key: name.replace(LANGUAGE, language) if isinstance(name, str) else name
            for key, name in self
        }
        return ColumnsConfig(**filled)


class SplitFile(Part):
    """The file or files of a split. A path alone is enough: `dev: data/{language}/dev.tsv`."""

    path: str = Field(
        description="one file for each language if it contains {language}, else one file of all"
    )
    columns: ColumnsConfig | None = Field(
        None, description="names of its columns, in place of data.columns"
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a schema that accepts a path alone, or the block."""
        block = handler(core_schema)
        return {"anyOf": [{"type": "string"}, block]}

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, given: Any) -> Any:
        if not isinstance(given, str | dict | SplitFile):
            raise ValueError(f"must be a path, or a block with path and columns, got {given!r}")
        return {"path": given} if isinstance(given, str) else given

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if ending(path) not in ENDINGS:
            raise ValueError(
                f"a file's name must end in {', '.join(ENDINGS)}, or in one of these and "
                f"{COMPRESSED}, got {path!r}"
            )
        return str(local(path).absolute())


def check_told_apart(what: str, pattern: str, key: str, columns: ColumnsConfig) -> None:
    """Require exactly one of the three ways to tell languages apart.

    Raises:
        ValueError: none of the three is used, or several are.
    """
    ways = {
        f"{what} contains {LANGUAGE}": LANGUAGE in pattern,
        f"{key}.language names a column": columns.language is not None,
        f"{key}.sentence1 contains {LANGUAGE}": columns.wide,
    }
    used = [way for way, is_used in ways.items() if is_used]
    if not used:
        raise ValueError(
            f"{what} does not contain {LANGUAGE}, so it is one table of all languages: name the "
            f"column that holds the language in {key}.language, or the columns of each language, "
            f"as in {key}.sentence1: sentence1_{LANGUAGE}"
        )
    if len(used) > 1:
        raise ValueError(f"{' and '.join(used)}, but only one is needed: leave the others out")
