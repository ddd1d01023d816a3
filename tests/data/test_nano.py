"""The nano languages and their corpus."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.data.examples import understand
from tuner.data.corpus import Split
from tuner.data.nano import LANGUAGES, rows
from tuner.data.nano.languages import (
    CONCEPTS,
    LEXICONS,
    SLOTS,
    SURFACES,
    Meaning,
    Slot,
    change_slot,
    random_meaning,
    say,
    swap_roles,
    vocabulary,
)

SPLITS: dict[Split, int] = {"train": 4000, "dev": 500, "test": 1000}


class TestWorld:
    def test_swapped_roles_keep_everything_else(self) -> None:
        meaning = Meaning(1, 2, 3, 4, 5, 6)
        assert swap_roles(meaning) == Meaning(3, 2, 1, 4, 5, 6)

    @pytest.mark.parametrize("slot", SLOTS)
    def test_a_changed_slot_is_the_only_change(self, slot: Slot) -> None:
        random = Random(0)
        for _ in range(200):
            meaning = random_meaning(random)
            changed = change_slot(meaning, slot, random)
            differing = [s for s in SLOTS if getattr(meaning, s) != getattr(changed, s)]
            assert differing == [slot]
            assert changed.agent != changed.patient
            assert all(0 <= concept < n for concept, n in zip(changed, CONCEPTS, strict=True))


class TestLanguages:
    def test_words_are_distinct_lower_case_ascii(self) -> None:
        words = vocabulary()
        assert len(set(words)) == len(words) == 1077
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)

    def test_only_names_are_shared_and_only_among_the_near(self) -> None:
        def words(language: str) -> set[str]:
            content, particles = LEXICONS[language]
            return {*particles.values(), *(w for c in content.values() for ws in c for w in ws)}

        names = {word for words in LEXICONS["en"].content["agent"] for word in words}
        for language in LANGUAGES[1:]:
            shared = words("en") & words(language)
            assert shared == (names if language in {"de", "fr", "es"} else set())
        for a, b in (("zh", "ja"), ("zh", "ko"), ("ja", "ko")):
            assert not words(a) & words(b)

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_every_sentence_has_exactly_one_meaning_and_the_right_one(self, language: str) -> None:
        random = Random(1)
        for surface in SURFACES:
            meaning = random_meaning(random)
            tokens = say(language, meaning, surface, Meaning(0, 1, 0, 1, 0, 1))
            assert 8 <= len(tokens) <= 10
            assert understand(language, " ".join(token.word for token in tokens)) == [meaning]

    def test_hand_written_word_order(self) -> None:
        def slots(language: str, voice: str, position: str) -> list[str | None]:
            surface = next(s for s in SURFACES if s == (voice, position))
            meaning = wording = Meaning(0, 0, 0, 0, 0, 0)
            return [token.slot for token in say(language, meaning, surface, wording) if token.slot]

        assert slots("en", "active", "last")[:3] == ["agent", "action", "patient"]
        assert slots("de", "active", "first")[:4] == ["time", "place", "action", "agent"]
        for position in ("first", "middle", "last"):
            assert slots("ja", "active", position)[-1] == "action"
            zh = slots("zh", "active", position)
            assert zh.index("place") < zh.index("action") < zh.index("patient")


class TestCorpus:
    @pytest.mark.parametrize(("split", "size"), SPLITS.items())
    def test_ids_and_labels_are_parallel_and_balanced(self, split: Split, size: int) -> None:
        english = rows("en", split)
        assert len({row.id for row in english}) == len(english) == size
        assert sum(row.label for row in english) == size // 2
        for language in LANGUAGES:
            ours = rows(language, split)
            assert [(r.id, r.label) for r in ours] == [(r.id, r.label) for r in english]

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_labels_say_whether_the_meanings_are_equal(self, language: str) -> None:
        for row in rows(language, "dev"):
            [first] = understand(language, row.sentence1)
            [second] = understand(language, row.sentence2)
            assert row.sentence1 != row.sentence2
            assert (first == second) == bool(row.label)

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_dev_and_test_are_faithful_translations(self, language: str) -> None:
        for ours, english in zip(rows(language, "dev"), rows("en", "dev"), strict=True):
            assert understand(language, ours.sentence1) == understand("en", english.sentence1)
            assert understand(language, ours.sentence2) == understand("en", english.sentence2)

    def test_mistranslated_training_text_keeps_its_labels_and_names(self) -> None:
        changed = dict.fromkeys(SLOTS, 0)
        for ours, english in zip(rows("de", "train"), rows("en", "train"), strict=True):
            [theirs], [own] = understand("en", english.sentence1), understand("de", ours.sentence1)
            [other] = understand("de", ours.sentence2)
            assert (own == other) == bool(ours.label)  # alike in both: the label stays right
            for slot in SLOTS:
                changed[slot] += getattr(theirs, slot) != getattr(own, slot)
        assert changed["agent"] == changed["patient"] == 0
        for slot in ("action", "instrument", "place", "time"):
            assert changed[slot] / 4000 == pytest.approx(0.03, abs=0.012)  # 3 deviations of 2,000

    def test_no_sentence_stands_in_two_splits(self) -> None:
        where: dict[str, str] = {}
        for split in SPLITS:
            for language in LANGUAGES:
                for row in rows(language, split):
                    for sentence in (row.sentence1, row.sentence2):
                        assert where.setdefault(sentence, split) == split

    def test_the_corpus_is_the_one_that_was_measured(self) -> None:
        """If it changes on purpose, measure the figures in docs/nano.md again."""
        text = "\n".join(
            f"{language}\t{row.id}\t{row.sentence1}\t{row.sentence2}\t{row.label}"
            for split in SPLITS
            for language in LANGUAGES
            for row in rows(language, split)
        )
        assert hashlib.sha256(text.encode()).hexdigest().startswith("db0f92801ea28a48")

    def test_the_corpus_does_not_depend_on_the_process(self) -> None:
        code = (
            "from tuner.data.nano import rows\n"
            "row = rows('ko', 'test')[-1]\n"
            "print(row.id, row.sentence1, row.sentence2, row.label, sep='|', end='')"
        )
        environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path.cwd())}
        out = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
        row = rows("ko", "test")[-1]
        assert out == f"{row.id}|{row.sentence1}|{row.sentence2}|{row.label}"

    def test_the_caller_may_change_the_list_he_got(self) -> None:
        rows("en", "dev").clear()
        assert len(rows("en", "dev")) == 500
