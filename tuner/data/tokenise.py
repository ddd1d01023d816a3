"""Tokenisation of a corpus, once per study: each sentence separately, for use in any pair.

The tokenizer itself is not kept. Its pair template (BERT's `[CLS] a [SEP] b [SEP]`, XLM-R's
`<s> a </s></s> b </s>`) is derived from an encoded pair. A sample of the result is compared with
the tokenizer's own encoding of the same pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from tuner.data.corpus import Corpus, Split
from tuner.data.template import ANOTHER_ENCODER, PairTemplate, not_understood, read_template
from tuner.data.tokens import TokenisedCorpus, TokenisedSplit
from tuner.errors import UserError

MAX_UNKNOWN = 0.1
"""The highest accepted share of unknown tokens in a language; above it the vocabulary is wrong."""

CHUNK = 4096
"""The number of sentences that the tokenizer encodes per call."""

Encoded = dict[tuple[Split, str, int], tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " ids"]]]


def tokenise(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    progress: Callable[[int, int], None] | None = None,
) -> TokenisedCorpus:
    """Tokenise every sentence of a corpus separately.

    Args:
        corpus: the sentences.
        tokenizer: the encoder's tokenizer.
        max_length: maximum number of tokens in a pair, special tokens included.
        progress: called regularly with the number of sentences done and the total.

    Raises:
        UserError: the vocabulary does not cover a language, there is no padding token, pairs are
            longer than the encoder allows, or the tokenizer joins pairs in an unknown way.
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
        num_labels=len(corpus.labels),
    )
    _check_fits_encoder(tokenised, tokenizer)
    _check_against(tokenizer, tokenised, corpus)
    return tokenised


def _encode(
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    progress: Callable[[int, int], None] | None,
) -> Encoded:
    """Encode every split, language and side: token ids, and each sentence's number of tokens."""
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


def _lay_out(
    corpus: Corpus, split: Split, template: PairTemplate, encoded: Encoded
) -> TokenisedSplit:
    row_of = {id_: row for row, id_ in enumerate(corpus.ids(split))}
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
    """Compare four pairs per split and language, short to long, with the tokenizer's encoding."""
    for split, data in tokenised.splits.items():
        ids = corpus.ids(split)
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
