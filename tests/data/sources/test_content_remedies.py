"""Every remedy works for what files hold: their languages, labels and ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.sources.changes import (
    LAST,
    WITHHELD,
    WITHOUT_ID,
    Change,
    assert_mended,
    holds,
    in_all,
    official,
    one_file,
    says,
    swaps,
    then,
)
from tests.data.sources.worlds import World, tsv

CASES: dict[str, tuple[Change, str, Change]] = {
    # Languages and files.
    "a language that a file does not have": (
        then(one_file, in_all(lambda text: text.replace("\tde\n", "\tdeu\n"))),
        "train.tsv has no row for de\nLanguages in its column 'lang': deu, en. Name the study's",
        in_all(lambda text: text.replace("\tdeu\n", "\tde\n")),
    ),
    "a path that leads nowhere": (
        says(dev="dev-{language}.tsv"),
        "data.dev does not exist.*\nCorrect the path",
        says(dev="dev.{language}.tsv"),
    ),
    "no test": (
        says(test="test.{language}.tsv"),
        "data.test does not exist.*\n.*leave data.test out",
        lambda world: world.data.pop("test"),
    ),
    # Labels and ids.
    "a label far from all": (
        then(
            in_all(lambda text: text.replace("\tmaybe\n", "\t-\n")),
            holds("dev.de.tsv", tsv("de")),
            holds("dev.en.tsv", tsv("en")),
        ),
        "dev.en.tsv, line 4: the label 'maybe' is not one of no, yes .*\nList all classes",
        then(
            says(labels=["no", "yes", "maybe"]),
            holds("train.en.tsv", tsv("en")),
            holds("train.de.tsv", tsv("de")),
        ),
    ),
    "a column that holds no classes": (
        then(in_all(lambda text: text.replace("\n", "\tx\n")), says(columns={"label": "x"})),
        r"has 1 different labels \('x'\)\nName the column of the classes in data.columns",
        says(columns={"label": "label"}),
    ),
    "a split without a class": (
        then(
            says(labels=["no", "yes", "maybe", "never"]),
        ),
        "no clean row for en has the label never\n.*list only the classes that occur",
        says(labels=["no", "yes", "maybe"]),
    ),
    "labels that are withheld": (
        then(WITHHELD, says(test="test.{language}.tsv")),
        "test.en.tsv has no clean row for en; dropped: 6 no label\n.*Leave test out",
        lambda world: world.data.pop("test"),
    ),
    "an id twice": (
        swaps("dev.de.tsv", LAST, "0" + LAST[1:]),
        "dev.de.tsv, line 7: id 0 again, first in line 2\nAn id must name one pair",
        swaps("dev.de.tsv", "0" + LAST[1:], LAST),
    ),
    "a blank id": (
        swaps("dev.de.tsv", LAST, LAST[1:]),
        "dev.de.tsv, line 7: a blank id\nAn id must name one pair",
        swaps("dev.de.tsv", LAST[1:], LAST),
    ),
    "one id, two labels": (
        swaps("dev.de.tsv", "de two 3\tno", "de two 3\tyes"),
        "dev.de.tsv, line 5: id 3 has label yes, but label no in .*\nThe same id must be",
        swaps("dev.de.tsv", "de two 3\tyes", "de two 3\tno"),
    ),
    "rows without ids that are not equally many": (
        then(
            WITHOUT_ID,
            says(columns={"id": None}),
            swaps("dev.de.tsv", "de one, 5\tde two 5\tmaybe\n", ""),
        ),
        "no id column, and 6 rows for en, but 5 for de .*\nAdd the id column",
        then(
            in_all(lambda t: t),
            lambda world: world.data.pop("columns"),
            lambda world: world.files.update(
                {f"{s}.{g}.tsv": tsv(g) for s in ("train", "dev") for g in ("en", "de")}
            ),
        ),
    ),
    # The layout of PAWS-X.
    "PAWS-X: a label": (
        then(official, swaps("de/dev_2k.tsv", "\t1\n", "\t2\n")),
        "de/dev_2k.tsv, line 3: the label '2' is not one of 0, 1",
        swaps("de/dev_2k.tsv", "\t2\n", "\t1\n"),
    ),
    "PAWS-X: a header": (
        then(official, swaps("de/dev_2k.tsv", "id\t", "idx\t")),
        "line 1: unknown header .*\nThe header must be 'id sentence1 sentence2 label'",
        swaps("de/dev_2k.tsv", "idx\t", "id\t"),
    ),
    "PAWS-X: translated by name, and not by the settings": (
        then(official, says(machine_translated=[])),
        "translated_train.tsv is machine translation.*\nAdd de to data.machine_transl",
        says(machine_translated=["de"]),
    ),
    "PAWS-X: the file renamed": (
        then(official, says(machine_translated=[])),
        "or name the file train.tsv",
        lambda world: world.files.update(
            {"de/train.tsv": world.files.pop("de/translated_train.tsv")}
        ),
    ),
    "PAWS-X: both files": (
        then(
            official, lambda w: w.files.update({"de/train.tsv": w.files["de/translated_train.tsv"]})
        ),
        "has both train.tsv and translated_train.tsv\nKeep one",
        lambda world: world.files.pop("de/train.tsv"),
    ),
}


@pytest.mark.parametrize(("breaks", "problem", "mends"), CASES.values(), ids=CASES)
def test_what_the_message_says_to_do_works(
    breaks: Change, problem: str, mends: Change, tmp_path: Path
) -> None:
    assert_mended(World(tmp_path), breaks, problem, mends)
