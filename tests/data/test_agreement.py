"""Texts that languages or splits have in common: refused, or part of the claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.examples import Texts, corpus_of
from tuner.data import nano
from tuner.data.agreement import Agreement
from tuner.data.overlap import Overlap
from tuner.data.sources import load_corpus
from tuner.errors import UserError
from tuner.study.data import DirectoryData, NanoData

ENGLISH: Texts = {str(n): f"one {n}/two {n}" for n in range(10)}
SPANISH: Texts = {str(n): f"uno {n}/dos {n}" for n in range(10)}
OTHER: Texts = {str(n): f"three {n}/four {n}" for n in range(10)}


def some(texts: Texts, copied: Texts, count: int) -> Texts:
    """The texts, of which the first few are another's."""
    return {**texts, **dict(list(copied.items())[:count])}


def swapped(texts: Texts) -> Texts:
    """The same pairs with their sentences in the other order, under other ids."""
    return {f"9{id_}": "/".join(reversed(text.split("/"))) for id_, text in texts.items()}


@pytest.mark.parametrize("split", ["train", "dev", "test"])
@pytest.mark.parametrize(("copied", "refused"), [(0, False), (5, False), (6, True), (10, True)])
def test_a_language_is_not_a_copy_of_another(split: str, copied: int, refused: bool) -> None:
    languages = {"en": ENGLISH, "es": some(SPANISH, ENGLISH, copied)}
    overlap = Overlap.of(corpus_of(**{"dev": {"en": OTHER}, split: languages}))  # type: ignore[arg-type]
    if not refused:
        Agreement.of(overlap).check()
        return
    with pytest.raises(UserError, match=rf"en and es .* in {copied} of 10 pairs of {split}"):
        Agreement.of(overlap).check()


def test_only_ids_that_both_languages_have_are_compared() -> None:
    few = dict(list(ENGLISH.items())[:3])
    with pytest.raises(UserError, match="in 3 of 3 pairs of dev"):
        Agreement.of(Overlap.of(corpus_of(dev={"en": ENGLISH, "en-GB": few}))).check()
    apart = {f"5{id_}": text for id_, text in ENGLISH.items()}
    Agreement.of(Overlap.of(corpus_of(dev={"en": ENGLISH, "en-GB": apart}))).check()


@pytest.mark.parametrize("later", [("train", "dev"), ("train", "test"), ("dev", "test")])
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_split_does_not_repeat_an_earlier_one(later: tuple[str, str], language: str) -> None:
    """In whatever language of the earlier one, under whatever ids, in whatever order."""
    earlier, repeating = later
    repeated = swapped(ENGLISH)
    held = {"dev": {"en": OTHER}, earlier: {"en": ENGLISH}}
    for count, refused in ((5, False), (6, True)):
        texts = some(dict(list(swapped(SPANISH).items())[count:]), repeated, count)
        overlap = Overlap.of(corpus_of(**{**held, repeating: {language: texts}}))  # type: ignore[arg-type]
        if not refused:
            Agreement.of(overlap).check()
            continue
        with pytest.raises(
            UserError, match=f"6 of the 10 pairs in the {repeating} set of {language} .* {earlier}"
        ):
            Agreement.of(overlap).check()


def test_test_pairs_in_the_training_text_are_counted() -> None:
    """The target's too, although the target is not trained on."""
    overlap = Overlap.of(
        corpus_of(
            train={"en": {**ENGLISH, "77": "uno 3/dos 3"}},
            dev={"en": OTHER, "es": {"1": "cinco/seis"}},
            test={"en": {"1": "a/b", "2": "two 4/one  4 "}, "es": SPANISH, "zh": {"1": "c/d"}},
        )
    )
    Agreement.of(overlap).check()
    told = "test pairs that the training text holds: 1 of 2 of en, 1 of 10 of es"
    assert Agreement.of(overlap).test_in_training == told
    assert Agreement.of(Overlap.of(corpus_of(dev={"en": OTHER}))).test_in_training == ""


def test_nano_and_the_official_sets_are_apart(pawsx_dir: Path) -> None:
    """No false alarm: of PAWS-X no pair agrees with a translation, and 22 of zh stand in dev."""
    for data in (
        NanoData(source="nano"),
        DirectoryData(source="directory", path=pawsx_dir / "x-final"),
    ):
        train = ["en", "de"] if data.source == "nano" else []
        overlap = Overlap.of(load_corpus(data, list(nano.LANGUAGES), train))
        Agreement.of(overlap).check()
        assert Agreement.of(overlap).test_in_training == ""
