"""Changes to small corpora in files, which break or mend them."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.sources.worlds import PAIRS, World, jsonl, pair, tsv
from tuner.errors import UserError

Change = Callable[[World], None]
NUMBERED = {"id": 1, "sentence1": 2, "sentence2": 3, "label": 4}
DE = "dev.de"


def in_all(change: Callable[[str], str | bytes]) -> Change:
    """A change of every file's text."""

    def changed(world: World) -> None:
        world.files.update({name: change(str(text)) for name, text in world.files.items()})

    return changed


def says(**settings: object) -> Change:
    """Settings of the `data:` block."""
    return lambda world: world.data.update(settings)


def holds(file: str, text: str | bytes) -> Change:
    """A file's content."""
    return lambda world: world.files.update({file: text})


def swaps(file: str, old: str, new: str) -> Change:
    """Something in a file."""
    return lambda world: world.replace(file, old, new)


def renames(old: str, new: str) -> Change:
    """Files, and the settings that name them, by their ending."""

    def changed(world: World) -> None:
        world.files = {name.removesuffix(old) + new: text for name, text in world.files.items()}
        for split in ("train", "dev"):
            world.data[split] = world.data[split].removesuffix(old) + new

    return changed


def then(*changes: Change) -> Change:
    """One after another."""

    def changed(world: World) -> None:
        for change in changes:
            change(world)

    return changed


def csv(language: str) -> str:
    return tsv(language).replace(", ", " ").replace("\t", ",")


def array(language: str) -> str:
    return "[" + ",\n".join(jsonl(language).splitlines()) + "]"


def parquet(language: str, spoilt: bool = False) -> bytes:
    columns = list(map(list, zip(*(pair(language, n) for n in range(PAIRS)), strict=True)))
    arrays = [pyarrow.array(column) for column in columns]
    if spoilt:
        first = pyarrow.array([text.encode("latin-1") + b"\xfc" for text in columns[1]])
        arrays[1] = pyarrow.Array.from_buffers(pyarrow.string(), PAIRS, first.buffers())
    table = pyarrow.table(arrays, names=["id", "sentence1", "sentence2", "label"])
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def as_format(ending: str, write: Callable[[str], str | bytes]) -> Change:
    return lambda world: world.as_format(ending, write)


def one_file(world: World) -> None:
    """Both languages in a file a split, with a column that tells them apart."""
    for split in ("train", "dev"):
        lines = [
            "\t".join((*pair(language, number), language))
            for language in ("en", "de")
            for number in range(PAIRS)
        ]
        world.files[f"{split}.tsv"] = "\n".join(
            ["id\tsentence1\tsentence2\tlabel\tlang", *lines, ""]
        )
        world.data[split] = f"{split}.tsv"
    world.data["columns"] = {"language": "lang"}


def official(world: World) -> None:
    """The layout of PAWS-X."""
    world.files.clear()
    world.data = {"source": "directory", "path": "."}
    for language, train in (("en", "train"), ("de", "translated_train")):
        for name in (train, "dev_2k"):
            rows = [f"{n}\t{language} {n}\tb\t{n % 2}" for n in range(4)]
            text = "\n".join(["id\tsentence1\tsentence2\tlabel", *rows, ""])
            world.files[f"{language}/{name}.tsv"] = text


WITHOUT_HEADER = in_all(lambda text: text.partition("\n")[2])
WITHOUT_ID = in_all(
    lambda text: "\n".join(line.partition("\t")[2] for line in text.splitlines()) + "\n"
)
LAST = f"{PAIRS - 1}\tde one, {PAIRS - 1}"
WITHHELD = holds(
    "test.en.tsv", tsv("en").replace("yes", "-").replace("no", "").replace("maybe", "")
)


def assert_mended(world: World, breaks: Change, problem: str, mends: Change) -> None:
    """Break a sound corpus: it is refused with the problem, and sound again by the remedy."""
    world.load()
    breaks(world)
    with pytest.raises(UserError, match=problem) as raised:
        world.load()
    assert raised.value.remedy
    assert "\n" not in raised.value.problem
    mends(world)
    assert len(world.load().rows["dev"]["de"]) >= 4
