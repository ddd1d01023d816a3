from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.sources.worlds import PAIRS, World, jsonl, tsv
from tuner.data.sources import opening
from tuner.data.sources.labels import found_classes
from tuner.data.sources.tables import SourceTable
from tuner.errors import UserError
from tuner.study.labels import folded
from tuner.study.plain_yaml import parse


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def refused(world: World) -> UserError:
    with pytest.raises(UserError) as raised:
        world.load()
    return raised.value


def labels_of(remedy: str) -> Any:
    """The value of `data.labels` that a remedy tells the user to give."""
    (written,) = re.findall(r"data\.labels: (\[.*\])$", remedy)
    return parse(written, "the remedy")


def test_xnli_as_published_says_contradictory_in_train_alone(world: World) -> None:
    """Else dev would lose a third, and all numbers rest on two of three classes."""
    names = ("neutral", "entailment", "contradictory"), ("neutral", "entailment", "contradiction")
    for split, of_split in zip(("train", "dev"), names, strict=True):
        for language in ("en", "de"):
            text = tsv(language)
            for old, new in zip(("no", "yes", "maybe"), of_split, strict=True):
                text = text.replace(f"\t{old}\n", f"\t{new}\n")
            world.files[f"{split}.{language}.tsv"] = text
    error = refused(world)
    assert error.problem == (
        f"{world.folder}/dev.en.tsv, line 4: the label 'contradiction' is not one of "
        f"contradictory, entailment, neutral (found in train); the nearest is contradictory; "
        f"1 other row with unknown labels"
    )
    world.data["labels"] = labels_of(error.remedy)
    corpus = world.load()
    assert corpus.labels == ("contradictory", "entailment", "neutral")
    assert len(corpus.rows["dev"]["de"]) == PAIRS
    world.data["labels"] = ["entailment", "neutral", ["contradiction", "contradictory"]]
    assert world.load().labels == ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize("file", ["train.de.tsv", "dev.en.tsv", "test.de.tsv"])
@pytest.mark.parametrize("listed", [True, False])
def test_an_unknown_label_is_named_wherever_it_is(world: World, file: str, listed: bool) -> None:
    world.data |= {"test": "test.{language}.tsv"}
    world.files |= {f"test.{language}.tsv": tsv(language) for language in ("en", "de")}
    world.load()
    if listed or file.startswith("train"):  # else it becomes a class that English lacks
        world.data["labels"] = ["no", "yes", "maybe"]
    world.replace(file, "\tyes\n", "\tyess\n")
    error = refused(world)
    assert error.problem.startswith(
        f"{world.folder}/{file}, line 3: the label 'yess' is not one of"
    )
    assert error.problem.endswith("; the nearest is yes")


def test_a_label_of_one_language_alone_is_a_class_that_the_others_lack(world: World) -> None:
    world.replace("train.de.tsv", "\tyes\n", "\tjawohl\n")
    assert "train.de.tsv, line 3: id 1 has label jawohl, but label yes in" in refused(world).problem
    for language in ("en", "de"):
        number = 1
        for line in str(world.files[f"train.{language}.tsv"]).splitlines()[1:]:
            world.replace(f"train.{language}.tsv", line, f"{language}{number}{line}")
            number += 1
    assert "no id of the training split is clean in all of en, de" in refused(world).problem


@pytest.mark.parametrize("missing", ["-", "", "nan", "NaN", "null"])
def test_what_is_no_label_in_text(world: World, missing: str) -> None:
    """XNLI and SNLI write - where the annotators disagreed."""
    for file in world.files:
        world.replace(file, "\tmaybe\n", f"\t{missing}\n")
    corpus = world.load()
    assert corpus.labels == ("maybe", "no", "yes")
    assert corpus.notes[0] == (
        "train: 5 of 6 ids clean in all of en, de; dropped: en 1 no label, de 1 no label"
    )


@pytest.mark.parametrize("missing", [None, float("nan"), "-"])
def test_what_is_no_label_in_json(world: World, missing: Any) -> None:
    world.as_format("jsonl", jsonl)
    for file in world.files:
        world.replace(file, '"label": "maybe"', f'"label": {json.dumps(missing)}')
    corpus = world.load()
    assert corpus.labels == ("maybe", "no", "yes")
    assert "de 1 no label" in corpus.notes[1]


@pytest.mark.parametrize("value", [["yes"], {"gold": "yes"}, []])
def test_a_list_is_no_label(world: World, value: Any) -> None:
    world.as_format("jsonl", jsonl)
    world.replace("dev.de.jsonl", '"label": "yes"', f'"label": {json.dumps(value)}')
    problem = refused(world).problem
    assert problem == (
        f"{world.folder}/dev.de.jsonl, line 2: label is neither text nor a number: {value!r}"
    )


def test_a_listed_class_may_be_called_as_a_missing_label_is(world: World) -> None:
    for file in world.files:
        world.files[file] = str(world.files[file]).replace("\tmaybe\n", "\t-\n")
    world.data["labels"] = ["yes", "no", "-"]
    assert len(world.load().rows["train"]["en"]) == PAIRS


@pytest.mark.parametrize("other", [" Yes", "YES", "yes ", "\uff59es"])
@pytest.mark.parametrize("file", ["train.en.tsv", "train.de.tsv", "dev.de.tsv"])
@pytest.mark.parametrize("listed", [True, False])
def test_labels_that_differ_in_form_alone_are_not_classes(
    world: World, other: str, file: str, listed: bool
) -> None:
    if listed:
        world.data["labels"] = ["no", "yes", "maybe"]
    world.replace(file, "\tyes\n", f"\t{other}\n")
    error = refused(world)
    assert f"{file}, line 3: the label {other!r} " in error.problem
    world.data["labels"] = labels_of(error.remedy)
    assert sorted(world.load().labels) == ["maybe", "no", "yes"]


@pytest.mark.parametrize("other", ["1.0", "01", "+1", "1e0", "\uff11"])
def test_numbers_that_are_equal_are_one_class(world: World, other: str) -> None:
    for file in world.files:
        text = str(world.files[file])
        text = text.replace("\tno\n", "\t0\n").replace("\tyes\n", "\t1\n")
        world.files[file] = text.replace("\tmaybe\n", "\t2\n")
    assert world.load().labels == ("0", "1", "2")
    world.replace("train.de.tsv", "\t1\n", f"\t{other}\n")
    error = refused(world)
    assert f"train.de.tsv, line 3: the label {other!r} differs" in error.problem
    world.data["labels"] = labels_of(error.remedy)
    assert sorted(world.load().labels) == ["0", "1", "2"]


def test_minus_one_may_be_a_class_or_stand_for_none(world: World) -> None:
    """A sentiment of -1, or a label that was withheld: nobody can know, so the user says."""
    for file in world.files:
        text = str(world.files[file])
        text = text.replace("\tno\n", "\t0\n").replace("\tyes\n", "\t1\n")
        world.files[file] = text.replace("\tmaybe\n", "\t-1\n")
    error = refused(world)
    assert "train.en.tsv, line 4: the label -1 may be a class" in error.problem
    three, two = (parse(text, "") for text in re.findall(r"\[.*?\]", error.remedy))
    world.data["labels"] = three
    assert world.load().labels == ("-1", "0", "1")
    world.data["labels"] = two
    corpus = world.load()
    assert corpus.labels == ("0", "1")
    assert "de 2 no label" in corpus.notes[0]


@pytest.mark.parametrize("large", [False, True])
def test_a_look_shows_wrong_labels(
    world: World, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(opening, "SMALL", 0)
    assert world.look() == 4
    world.replace("dev.de.tsv", "\tyes\n", "\tYes\n")
    problem = (
        "differs .* from 'yes' in .*train.en.tsv"
        if large
        else r"is not one of .* \(found in train\)"
    )
    with pytest.raises(UserError, match=rf"line 3: the label 'Yes' {problem}"):
        world.look()
    world.data["labels"] = ["no", "yes", "maybe"]
    with pytest.raises(UserError, match=r"line 3: the label 'Yes' is not one of no, yes, maybe"):
        world.look()


def test_a_look_at_small_files_tells_all_that_a_corpus_would(world: World) -> None:
    """A class that a split lacks, and a pair whose label depends on the language."""
    world.replace("dev.de.tsv", "\tmaybe\n", "\tyes\n")
    with pytest.raises(UserError) as refused:
        world.load()
    with pytest.raises(UserError) as looked:
        world.look()
    assert str(looked.value) == str(refused.value) and "maybe" in refused.value.problem


def test_many_distinct_labels_are_looked_through_once() -> None:
    """A column of sentences named as the label: every row has its own."""
    searches = 0

    class Watched(list[str]):
        def index(self, *arguments: Any) -> int:
            nonlocal searches
            searches += 1
            return super().index(*arguments)

    labels = Watched(f"label {number}" for number in range(100))
    pairs = ["x"] * len(labels)
    table = SourceTable("train", "en", "train.tsv", None, pairs, pairs, labels, range(2, 102))
    with pytest.raises(UserError, match="100 different labels"):
        found_classes([table])
    assert searches == 0


@given(st.integers(-(10**30), 10**30), st.sampled_from(["", ".0", ".", "e0"]))
def test_a_number_is_one_label_however_it_is_written(number: int, end: str) -> None:
    assert folded(f" {number}{end}") == folded(str(number))
    assert folded(str(number)) != folded(str(number + 1))


@given(st.text())
def test_folding_twice_is_folding_once(label: str) -> None:
    assert folded(label.upper()) == folded(folded(label.upper()))
