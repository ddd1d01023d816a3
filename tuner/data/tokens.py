"""A corpus tokenised once: sentences as flat arrays, joined to pairs when a batch is assembled.

Every sentence is tokenised by itself, once in a study, for any language pair it may be part of.
The tokenizer itself is not kept: its pair template (BERT's `[CLS] a [SEP] b [SEP]`, XLM-R's
`<s> a </s></s> b </s>`) is read off an encoded pair, and a sample of the result is compared with
what the tokenizer makes of the same pairs. There are only arrays and plain values inside, so that
Ray shares them between trials without copying; such arrays are read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Bool, Int
from transformers import PreTrainedTokenizerBase

from tuner.data.corpus import Corpus, Split
from tuner.data.template import (
    ANOTHER_ENCODER,
    PairTemplate,
    longest_first,
    not_understood,
    read_template,
)
from tuner.errors import UserError

MAX_UNKNOWN = 0.1
"""Share of unknown tokens in a language above which the vocabulary cannot be the right one."""

CHUNK = 4096
"""Sentences that the tokenizer is given at a time."""

Encoded = dict[tuple[Split, str, int], tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " ids"]]]


@dataclass(frozen=True)
class Pairs:
    """One padded batch.

    Attributes:
        input_ids: token ids, padded on the right.
        attention_mask: 1 for tokens, 0 for padding.
        token_type_ids: which sentence a token belongs to; None where the encoder knows none.
        labels: 1 for paraphrases, 0 for others.
    """

    input_ids: Int[np.ndarray, "pairs tokens"]
    attention_mask: Int[np.ndarray, "pairs tokens"]
    token_type_ids: Int[np.ndarray, "pairs tokens"] | None
    labels: Int[np.ndarray, " pairs"]


@dataclass(frozen=True)
class TokenisedSplit:
    """All sentences of a split. A row is an id; rows are in the order of ids.

    Attributes:
        tokens: the template's special tokens, then every sentence after another.
        starts: where a sentence begins in `tokens`; by language, side and row.
        lengths: its number of tokens.
        clean: whether the language has the row.
        labels: 1 for paraphrases, 0 for others.
    """

    tokens: Int[np.ndarray, " tokens"]
    starts: Int[np.ndarray, "languages 2 ids"]
    lengths: Int[np.ndarray, "languages 2 ids"]
    clean: Bool[np.ndarray, "languages ids"]
    labels: Int[np.ndarray, " ids"]


@dataclass(frozen=True)
class TokenisedCorpus:
    """Sentences of all splits and languages as token ids.

    Attributes:
        languages: as in the corpus; elsewhere languages are indices into it.
        pad_id: the token that fills a batch.
        vocabulary_size: token ids are below it.
        max_length: tokens of a pair at most, special tokens included.
        template: how sentences are joined.
        splits: those that the corpus has.
    """

    languages: tuple[str, ...]
    pad_id: int
    vocabulary_size: int
    max_length: int
    template: PairTemplate
    splits: dict[Split, TokenisedSplit]

    def rows(self, split: Split, languages: Sequence[str]) -> Int[np.ndarray, " ids"]:
        """Row indices that are clean in all the given languages, ascending.

        Raises:
            UserError: the corpus lacks the split in one of the languages.
        """
        clean = self.splits[split].clean if split in self.splits else None
        for language in languages:
            if clean is None or not clean[self.languages.index(language)].any():
                raise UserError(
                    f"the corpus has no {split} split for {language}",
                    "Add its file to data.path, or leave the language out.",
                )
        assert clean is not None
        indices = [self.languages.index(language) for language in languages]
        return np.flatnonzero(clean[indices].all(axis=0))

    def lengths(
        self,
        split: Split,
        rows: Int[np.ndarray, " pairs"],
        language1: Int[np.ndarray, " pairs"],
        language2: Int[np.ndarray, " pairs"],
    ) -> Int[np.ndarray, " pairs"]:
        """Tokens of each pair, special tokens included, after truncation."""
        _, lengths = self._parts(split, rows, language1, language2)
        return np.asarray(lengths.sum(axis=1))

    def assemble(
        self,
        split: Split,
        rows: Int[np.ndarray, " pairs"],
        language1: Int[np.ndarray, " pairs"],
        language2: Int[np.ndarray, " pairs"],
        padded_to: int | None = None,
    ) -> Pairs:
        """The batch of these pairs, equal to the tokenizer's with `longest_first` truncation.

        Args:
            split: the split that `rows` are of.
            rows: row indices.
            language1: index of the language of each pair's sentence1.
            language2: index of the language of each pair's sentence2.
            padded_to: tokens of the batch; by default those of its longest pair.
        """
        starts, lengths = self._parts(split, rows, language1, language2)
        totals = lengths.sum(axis=1)
        width = int(totals.max()) if padded_to is None else padded_to
        assert width >= totals.max()
        # The parts of all pairs, one after another, are the tokens of the batch row by row.
        starts, lengths = starts.ravel(), lengths.ravel()
        ends = lengths.cumsum()
        places = np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1])
        is_token = np.arange(width) < totals[:, None]
        input_ids = np.full(is_token.shape, self.pad_id, dtype=np.int64)
        input_ids[is_token] = self.splits[split].tokens[places]
        token_type_ids = None
        if self.template.types is not None:
            token_type_ids = np.zeros_like(input_ids)
            token_type_ids[is_token] = np.repeat(np.tile(self.template.types, len(rows)), lengths)
        return Pairs(
            input_ids=input_ids,
            attention_mask=is_token.astype(np.int64),
            token_type_ids=token_type_ids,
            labels=self.splits[split].labels[rows],
        )

    def _parts(
        self,
        split: Split,
        rows: Int[np.ndarray, " pairs"],
        language1: Int[np.ndarray, " pairs"],
        language2: Int[np.ndarray, " pairs"],
    ) -> tuple[Int[np.ndarray, "pairs parts"], Int[np.ndarray, "pairs parts"]]:
        """Where each part of each pair starts in the split's tokens, and how long it is."""
        data, template = self.splits[split], self.template
        assert data.clean[language1, rows].all()
        assert data.clean[language2, rows].all()
        specials = len(template.special_ids)
        sentences = (template.sentence1, template.sentence2)
        special_parts = [part for part in range(specials + 2) if part not in sentences]
        starts = np.empty((len(rows), specials + 2), dtype=np.int64)
        starts[:, special_parts] = np.arange(specials)
        starts[:, template.sentence1] = data.starts[language1, 0, rows]
        starts[:, template.sentence2] = data.starts[language2, 1, rows]
        lengths = np.ones_like(starts)
        lengths[:, template.sentence1], lengths[:, template.sentence2] = longest_first(
            data.lengths[language1, 0, rows],
            data.lengths[language2, 1, rows],
            self.max_length - specials,
        )
        return starts, lengths


def tokenise(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    progress: Callable[[int, int], None] | None = None,
) -> TokenisedCorpus:
    """Tokenise every sentence of a corpus, each by itself.

    Args:
        corpus: the sentences.
        tokenizer: the encoder's.
        max_length: tokens of a pair at most, special tokens included.
        progress: called now and then with the sentences done and those to do in all.

    Raises:
        UserError: the vocabulary does not know a language, there is no padding token, pairs are
            longer than the encoder takes, or the tokenizer joins pairs in an unknown way.
    """
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} has no padding token", ANOTHER_ENCODER
        )
    dev = corpus.rows["dev"][corpus.languages[0]].values()
    probe = max(dev, key=lambda row: min(len(row.sentence1), len(row.sentence2)))
    template = read_template(tokenizer, probe.sentence1, probe.sentence2)
    encoded = _encode(tokenizer, corpus, progress)
    _check_known(encoded, tokenizer)
    tokenised = TokenisedCorpus(
        languages=corpus.languages,
        pad_id=int(tokenizer.pad_token_id),
        vocabulary_size=len(tokenizer),
        max_length=max_length,
        template=template,
        splits={split: _lay_out(corpus, split, template, encoded) for split in corpus.rows},
    )
    _check_fits_encoder(tokenised, tokenizer)
    _check_against(tokenizer, tokenised, corpus)
    return tokenised


def _encode(
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    progress: Callable[[int, int], None] | None,
) -> Encoded:
    """Token ids of every split, language and side, and the number of tokens of each sentence."""
    encoded: Encoded = {}
    sides = {
        (split, language, side): [row.sentence2 if side else row.sentence1 for row in rows.values()]
        for split, languages in corpus.rows.items()
        for language, rows in languages.items()
        for side in (0, 1)
    }
    done, total = 0, sum(map(len, sides.values()))
    for key, sentences in sides.items():
        ids: list[list[int]] = []
        for start in range(0, len(sentences), CHUNK):
            ids += tokenizer(
                sentences[start : start + CHUNK],
                add_special_tokens=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )["input_ids"]
            if progress is not None:
                progress(done + len(ids), total)
        done += len(ids)
        tokens = np.fromiter(chain.from_iterable(ids), dtype=np.int32)
        encoded[key] = tokens, np.array([len(sentence) for sentence in ids])
    return encoded


def _check_known(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> None:
    for language in dict.fromkeys(language for _, language, _ in encoded):
        tokens = np.concatenate([ids for key, (ids, _) in encoded.items() if key[1] == language])
        unknown = np.count_nonzero(tokens == tokenizer.unk_token_id)
        if unknown > MAX_UNKNOWN * len(tokens):
            raise UserError(
                f"{unknown / len(tokens):.0%} of the tokens of {language} are unknown to the "
                f"tokenizer of {tokenizer.name_or_path} ({len(tokenizer):,} entries)",
                "Choose an encoder that was pre-trained on the language. If this one was, its "
                "vocabulary was not loaded: load vocab.txt from a folder whose "
                "tokenizer_config.json names the tokenizer's class.",
            )


def _row_ids(corpus: Corpus, split: Split) -> list[str]:
    """The ids of a split in the order of row indices, whatever the order in the files."""
    ids = {id_ for rows in corpus.rows[split].values() for id_ in rows}
    return sorted(ids, key=lambda id_: (len(id_), id_))  # 2 before 10


def _lay_out(
    corpus: Corpus, split: Split, template: PairTemplate, encoded: Encoded
) -> TokenisedSplit:
    row_of = {id_: row for row, id_ in enumerate(_row_ids(corpus, split))}
    starts = np.zeros((len(corpus.languages), 2, len(row_of)), dtype=np.int64)
    lengths = np.zeros_like(starts)
    labels = np.zeros(len(row_of), dtype=np.int64)
    clean = np.zeros((len(corpus.languages), len(row_of)), dtype=bool)
    flat = [template.special_ids.astype(np.int32)]
    end = len(template.special_ids)
    for number, language in enumerate(corpus.languages):
        of_language = corpus.rows[split].get(language)
        if of_language is None:
            continue
        rows = np.array([row_of[id_] for id_ in of_language])
        clean[number, rows] = True
        labels[rows] = [row.label for row in of_language.values()]
        for side in (0, 1):
            tokens, counts = encoded[split, language, side]
            starts[number, side, rows] = end + counts.cumsum() - counts
            lengths[number, side, rows] = counts
            flat.append(tokens)
            end += len(tokens)
    return TokenisedSplit(np.concatenate(flat), starts, lengths, clean, labels)


def _check_fits_encoder(tokenised: TokenisedCorpus, tokenizer: PreTrainedTokenizerBase) -> None:
    specials = len(tokenised.template.special_ids)
    for split, data in tokenised.splits.items():
        sides = data.lengths.max(axis=(0, 2)).sum()
        longest = min(tokenised.max_length, int(sides) + specials)
        if longest > tokenizer.model_max_length:
            raise UserError(
                f"pairs of {split} have up to {longest} tokens, but {tokenizer.name_or_path} takes "
                f"{tokenizer.model_max_length}",
                f"Set encoder.max_length to {tokenizer.model_max_length} or less.",
            )


def _check_against(
    tokenizer: PreTrainedTokenizerBase, tokenised: TokenisedCorpus, corpus: Corpus
) -> None:
    """Compare four pairs of every split and language, short to long, with the tokenizer's own."""
    for split, data in tokenised.splits.items():
        ids = _row_ids(corpus, split)
        for language, texts in corpus.rows[split].items():
            number = corpus.languages.index(language)
            rows = np.flatnonzero(data.clean[number])
            by_length = rows[data.lengths[number][:, rows].sum(axis=0).argsort()]
            for row in by_length[np.linspace(0, len(rows) - 1, 4, dtype=int)]:
                text, at = texts[ids[row]], np.array([number])
                expected = tokenizer(
                    text.sentence1,
                    text.sentence2,
                    truncation="longest_first",
                    max_length=tokenised.max_length,
                )
                pair = tokenised.assemble(split, np.array([row]), at, at)
                same = pair.input_ids[0].tolist() == expected["input_ids"]
                if pair.token_type_ids is not None:
                    same &= pair.token_type_ids[0].tolist() == expected["token_type_ids"]
                if not same:
                    raise not_understood(tokenizer)
