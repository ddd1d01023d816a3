"""Tokenised corpora, against the tokenizers of transformers."""

from __future__ import annotations

import pickle  # noqa: TID251 (what Ray does with arrays; nothing is read from disk)
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import (
    AutoTokenizer,
    BertTokenizerFast,
    PreTrainedTokenizerBase,
)

from tests.data.tokenizers import corpus_of, made_corpus, odd_types, roberta, wordpiece, words
from tests.waiting import Within
from tuner.data import nano
from tuner.data.corpus import Corpus, Row, Split
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.data.tokens import TokenisedCorpus
from tuner.errors import UserError
from tuner.study.data import DirectoryData, NanoData


def assert_equal_to_the_tokenizer(
    tokenised: TokenisedCorpus,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    split: Split,
    language1: str,
    language2: str,
    most: int = 10_000,
) -> None:
    rows = tokenised.rows(split, [language1, language2])[:most]
    index1, index2 = (
        np.full(len(rows), corpus.languages.index(language)) for language in (language1, language2)
    )
    ids = sorted(corpus.rows[split][language1].keys() | corpus.rows[split][language2].keys())
    ids.sort(key=len)
    texts = [
        (corpus.rows[split][language1][id_], corpus.rows[split][language2][id_])
        for id_ in ids
        if id_ in corpus.rows[split][language1] and id_ in corpus.rows[split][language2]
    ][:most]
    expected = tokenizer(
        [one.sentence1 for one, _ in texts],
        [two.sentence2 for _, two in texts],
        truncation="longest_first",
        max_length=tokenised.max_length,
        padding=True,
        return_tensors="np",
    )
    pairs = tokenised.assemble(split, rows, index1, index2)
    np.testing.assert_array_equal(pairs.input_ids, expected["input_ids"])
    np.testing.assert_array_equal(pairs.attention_mask, expected["attention_mask"])
    if pairs.token_type_ids is None:
        assert "token_type_ids" not in expected
    else:
        np.testing.assert_array_equal(pairs.token_type_ids, expected["token_type_ids"])
    assert pairs.labels.tolist() == [one.label for one, _ in texts]
    lengths = tokenised.lengths(split, rows, index1, index2)
    np.testing.assert_array_equal(lengths, expected["attention_mask"].sum(axis=1))


@pytest.mark.parametrize("make", [wordpiece, roberta, odd_types])
@pytest.mark.parametrize("max_length", [8, 9, 10, 11, 12, 13, 17, 40])
def test_pairs_equal_the_tokenizers(make: Any, max_length: int, tmp_path: Path) -> None:
    tokenizer, corpus = make(tmp_path) if make is wordpiece else make(), made_corpus()
    tokenised = tokenise(corpus, tokenizer, max_length)
    for language1 in corpus.languages:
        for language2 in corpus.languages:
            assert_equal_to_the_tokenizer(tokenised, corpus, tokenizer, "dev", language1, language2)


def test_a_pair_by_hand(tmp_path: Path) -> None:
    corpus = corpus_of(one=[("a abc", "b"), ("c", "a a")], two=[("x x", "y y y y"), ("y", "y")])
    tokenised = tokenise(corpus, wordpiece(tmp_path), 9)
    pairs = tokenised.assemble("dev", np.array([0, 1]), np.array([0, 0]), np.array([1, 0]), 10)
    # a abc → a a ##b ##c, with y y y y: 6 of 8 tokens fit beside [CLS] and two [SEP]: 3 and 3.
    assert pairs.input_ids.tolist() == [
        [2, 5, 5, 8, 3, 11, 11, 11, 3, 0],
        [2, 7, 3, 5, 5, 3, 0, 0, 0, 0],
    ]
    assert pairs.token_type_ids is not None
    assert pairs.token_type_ids.tolist() == [
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 0],
        [0, 0, 0, 1, 1, 1, 0, 0, 0, 0],
    ]
    assert pairs.attention_mask.sum(axis=1).tolist() == [9, 6]
    assert pairs.labels.tolist() == [0, 1]


def test_rows_are_those_clean_in_all_languages_in_the_order_of_ids(tmp_path: Path) -> None:
    texts = {"9": "a", "10": "b", "2": "c", "x1": "a"}
    of_ab = {id_: Row(id_, text, text, 0) for id_, text in texts.items()}
    of_xy = {id_: Row(id_, "x", "y", 0) for id_ in ("10", "11", "9")}
    splits: dict[Split, dict[str, dict[str, Row]]] = {"dev": {"ab": of_ab, "xy": of_xy}}
    corpus = Corpus(("ab", "xy"), ("0", "1"), splits, (), machine_translated=False)
    tokenised = tokenise(corpus, wordpiece(tmp_path), 16)  # ids: 2 9 10 11 x1
    assert tokenised.rows("dev", ["ab"]).tolist() == [0, 1, 2, 4]
    assert tokenised.rows("dev", ["xy"]).tolist() == [1, 2, 3]
    assert tokenised.rows("dev", ["ab", "xy"]).tolist() == [1, 2]
    first_words = tokenised.assemble("dev", np.array([0, 1, 2]), *np.zeros((2, 3), int))
    assert first_words.input_ids[:, 1].tolist() == [7, 5, 6]  # c a b
    with pytest.raises(UserError, match="no test split for ab"):
        tokenised.rows("test", ["ab"])


def test_a_split_may_lack_a_language(tmp_path: Path) -> None:
    rows = {language: {"1": Row("1", "a", "b", 1)} for language in ("ab", "xy")}
    splits: dict[Split, dict[str, dict[str, Row]]] = {"train": {"xy": rows["xy"]}, "dev": rows}
    corpus = Corpus(("ab", "xy"), ("0", "1"), splits, (), machine_translated=False)
    tokenised = tokenise(corpus, wordpiece(tmp_path), 16)
    assert tokenised.rows("train", ["xy"]).tolist() == [0]
    with pytest.raises(UserError, match="no train split for ab"):
        tokenised.rows("train", ["xy", "ab"])


def test_progress_ends_with_all_sentences(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    tokenise(made_corpus(), wordpiece(tmp_path), 16, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * 2 * 81, 2 * 2 * 81)
    assert seen == sorted(set(seen))


def test_arrays_are_shared_without_copying_and_may_be_read_only(tmp_path: Path) -> None:
    tokenised = tokenise(made_corpus(), wordpiece(tmp_path), 16)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(tokenised, protocol=5, buffer_callback=buffers.append)
    received = pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])
    assert len(data) < 4096  # the arrays are in the buffers
    assert not received.splits["dev"].tokens.flags.writeable
    at = np.arange(10), np.zeros(10, int), np.ones(10, int)
    ours, theirs = tokenised.assemble("dev", *at), received.assemble("dev", *at)
    np.testing.assert_array_equal(ours.input_ids, theirs.input_ids)
    assert theirs.input_ids.flags.writeable
    np.testing.assert_array_equal(tokenised.lengths("dev", *at), received.lengths("dev", *at))


def test_a_language_the_vocabulary_does_not_know_is_refused(tmp_path: Path) -> None:
    def of_unknown(count: int) -> Corpus:
        pairs = [("q" if n < count else "a", "a b c") for n in range(10)]  # 40 tokens
        return corpus_of(ab=[("a", "b")], qq=pairs)

    tokenizer = wordpiece(tmp_path)
    tokenise(of_unknown(4), tokenizer, 16)
    with pytest.raises(UserError, match="12% of the tokens of qq are unknown"):
        tokenise(of_unknown(5), tokenizer, 16)


def test_a_vocabulary_that_transformers_did_not_load_is_refused() -> None:
    vocabulary = nano.encoder_folder() / "vocab.txt"
    tokenizer = BertTokenizerFast(vocab_file=str(vocabulary))
    if len(tokenizer) > 5:
        pytest.skip("transformers loads a vocabulary file again")
    corpus = load_corpus(NanoData(source="nano"), ["en"], [])
    with pytest.raises(UserError, match=r"100% of the tokens of en are unknown.*\(5 entries\)"):
        tokenise(corpus, tokenizer, 32)


def test_a_pair_that_begins_with_a_word_is_refused() -> None:
    """The head reads the first token."""
    for template, names in (("$A $B", []), ("$A </s> $B </s>", ["</s>"])):
        inputs = ["input_ids", "attention_mask"]
        tokenizer = words(template, names, model_input_names=inputs)
        with pytest.raises(UserError, match="begins a pair without a special token"):
            tokenise(made_corpus(), tokenizer, 12)


def test_tokenizers_that_join_pairs_otherwise_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="on the right"):
        tokenise(made_corpus(), wordpiece(tmp_path, truncation_side="left"), 12)
    with pytest.raises(UserError, match="has no padding token"):
        tokenise(made_corpus(), roberta(pad_token=None), 12)


def test_pairs_longer_than_the_encoder_takes_are_refused() -> None:
    tokenise(made_corpus(), roberta(model_max_length=13), 13)
    tokenise(made_corpus(), roberta(model_max_length=22), 128)  # the longest pair: 9 + 9 + 4
    with pytest.raises(UserError, match=r"(?s)up to 22 tokens.*takes 21.*max_length to 21 or less"):
        tokenise(made_corpus(), roberta(model_max_length=21), 128)


@pytest.fixture(scope="module")
def nano_tokens() -> tuple[TokenisedCorpus, Corpus, PreTrainedTokenizerBase]:
    corpus = load_corpus(NanoData(source="nano"), ["en", "ja"], [])
    tokenizer = AutoTokenizer.from_pretrained(nano.encoder_folder())
    return tokenise(corpus, tokenizer, 32), corpus, tokenizer


@pytest.mark.parametrize("max_length", [32, 16])
@pytest.mark.parametrize("languages", [("en", "en"), ("ja", "en")])
def test_nano_equals_its_tokenizer(
    nano_tokens: Any, max_length: int, languages: tuple[str, str]
) -> None:
    tokenised, corpus, tokenizer = nano_tokens
    assert tokenised.vocabulary_size == len(tokenizer)
    tokenised = replace(tokenised, max_length=max_length)
    assert_equal_to_the_tokenizer(tokenised, corpus, tokenizer, "test", *languages)


def test_assembling_is_fast(nano_tokens: Any, within: Within) -> None:
    tokenised, _, _ = nano_tokens
    rows, at = np.arange(32), np.arange(32) % 2
    with within(200 * 1e-3):
        for _ in range(200):
            tokenised.assemble("dev", rows, at, at[::-1])


@pytest.mark.takes_long("tokenises 56,000 real sentences, and thousands of pairs to compare with")
def test_real_text_equals_mbert(pawsx_dir: Path, tmp_path: Path) -> None:
    languages = ["de", "en", "es", "fr", "ja", "ko", "zh"]
    tokenizer = wordpiece(tmp_path, pawsx_dir.parent / "mbert" / "vocab.txt")
    assert len(tokenizer) == 119_547
    data = DirectoryData(source="directory", path=pawsx_dir / "x-final")
    corpus = load_corpus(data, languages, [])
    wide = tokenise(corpus, tokenizer, 512)
    tokenised = replace(wide, max_length=128)
    for language in languages:
        assert_equal_to_the_tokenizer(tokenised, corpus, tokenizer, "dev", language, language)
    for pair in (("ja", "en"), ("en", "ko"), ("zh", "de")):
        assert_equal_to_the_tokenizer(tokenised, corpus, tokenizer, "test", *pair, most=1000)

    # Known of this text: mean tokens of a pair; 5.1% of Japanese pairs are longer than 128.
    for language, mean in zip(languages, (59, 54, 60, 63, 86, 70, 75), strict=True):
        rows = wide.rows("test", [language])
        at = np.full(len(rows), languages.index(language))
        lengths = wide.lengths("test", rows, at, at)
        assert abs(lengths.mean() - mean) < 2
        if language == "ja":
            assert abs((lengths > 128).mean() - 0.051) < 0.01


def test_truncated_pairs_are_counted_by_language(tmp_path: Path) -> None:
    rows = {
        "ab": {str(n): Row(str(n), "a " * n, "b a", n % 2) for n in range(1, 8)},
        "xy": {str(n): Row(str(n), "x", "y " * 2, n % 2) for n in range(2, 8)},
    }
    splits: dict[Split, dict[str, dict[str, Row]]] = {"dev": rows, "train": {"xy": rows["xy"]}}
    corpus = Corpus(("ab", "xy"), ("0", "1"), splits, (), machine_translated=False)
    tokens = tokenise(corpus, wordpiece(tmp_path), max_length=9)
    # Three special tokens and two of sentence2: sentence1 may have four.
    assert tokens.truncated() == {"dev": {"ab": 3, "xy": 0}, "train": {"xy": 0}}
    assert tokens.truncation == ("pairs truncated to 9 tokens: dev: ab 3 of 7",)
    whole = tokenise(corpus, wordpiece(tmp_path), max_length=12)
    assert whole.truncated()["dev"]["ab"] == 0
    assert whole.truncation == ()
    for split, counts in tokens.truncated().items():
        for number, language in enumerate(corpus.languages):
            if language in counts:
                at = tokens.rows(split, [language])
                languages = np.full_like(at, number)
                lengths = whole.lengths(split, at, languages, languages)
                assert counts[language] == (lengths > 9).sum()
