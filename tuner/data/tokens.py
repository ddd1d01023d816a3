"""The tokenised corpus: sentences as flat arrays, joined into pairs when a batch is assembled.

It holds only arrays and plain values, so that Ray can share them between trials without copying.
Shared arrays are read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from tuner.data.corpus import Split
from tuner.data.template import PairTemplate, longest_first
from tuner.errors import UserError


@dataclass(frozen=True)
class Pairs:
    """One padded batch.

    Attributes:
        input_ids: token ids, padded on the right.
        attention_mask: 1 for tokens, 0 for padding.
        token_type_ids: the sentence that a token belongs to; None if the encoder has no token
            types.
        labels: classes, from 0; in PAWS-X 1 for paraphrases, 0 for others.
        language_ids: the encoder's id of each pair's language; None if it takes no language ids.
    """

    input_ids: Int[np.ndarray, "pairs tokens"]
    attention_mask: Int[np.ndarray, "pairs tokens"]
    token_type_ids: Int[np.ndarray, "pairs tokens"] | None
    labels: Int[np.ndarray, " pairs"]
    language_ids: Int[np.ndarray, " pairs"] | None = None

    def chosen(self, indices: Int[np.ndarray, " some"]) -> Pairs:
        """Return some of the pairs, padded to the longest of them."""
        mask = self.attention_mask[indices]
        width = int(mask.sum(axis=1).max())
        types, languages = self.token_type_ids, self.language_ids
        return Pairs(
            input_ids=self.input_ids[indices, :width],
            attention_mask=mask[:, :width],
            token_type_ids=None if types is None else types[indices, :width],
            labels=self.labels[indices],
            language_ids=None if languages is None else languages[indices],
        )


@dataclass(frozen=True)
class TokenisedSplit:
    """All sentences of a split. A row is an id; rows are in the order of ids.

    Attributes:
        tokens: the template's special tokens, then all sentences one after another.
        starts: the index in `tokens` where a sentence begins, by language, side and row.
        lengths: the number of tokens of a sentence, by language, side and row.
        clean: true where the language has the row.
        labels: classes, from 0; in PAWS-X 1 for paraphrases, 0 for others.
    """

    tokens: Int[np.ndarray, " tokens"]
    starts: Int[np.ndarray, "languages 2 ids"]
    lengths: Int[np.ndarray, "languages 2 ids"]
    clean: Bool[np.ndarray, "languages ids"]
    labels: Int[np.ndarray, " ids"]


@dataclass(frozen=True)
class TokenisedCorpus:
    """The sentences of all splits and languages as token ids.

    Attributes:
        languages: the languages of the corpus; other attributes refer to them by index.
        pad_id: the padding token.
        vocabulary_size: token ids are smaller than this.
        max_length: maximum number of tokens in a pair, special tokens included.
        template: the layout of a pair.
        splits: the splits that the corpus has.
        num_labels: the number of classes, two or more.
        language_ids: the encoder's own id of each language, if it takes one language per sequence;
            no pair is cross-lingual then. None if it takes no language ids.
    """

    languages: tuple[str, ...]
    pad_id: int
    vocabulary_size: int
    max_length: int
    template: PairTemplate
    splits: dict[Split, TokenisedSplit]
    num_labels: int
    language_ids: tuple[int, ...] | None = None

    def rows(self, split: Split, languages: Sequence[str]) -> Int[np.ndarray, " ids"]:
        """Return the row indices that are clean in all the given languages, ascending.

        Raises:
            UserError: the corpus lacks the split in one of the languages.
        """
        clean = self.splits[split].clean if split in self.splits else None
        for language in languages:
            if clean is None or not clean[self.languages.index(language)].any():
                raise UserError(
                    f"the corpus has no {split} split for {language}",
                    "Add it to the data, or leave the language out.",
                )
        assert clean is not None
        indices = [self.languages.index(language) for language in languages]
        return np.flatnonzero(clean[indices].all(axis=0))

    def parted(self) -> tuple[TokenisedCorpus, TokenisedCorpus]:
        """Split off test: code that trains or selects gets only the first of the two corpora."""
        kept: dict[Split, TokenisedSplit] = dict(self.splits)
        test: dict[Split, TokenisedSplit] = {"test": kept.pop("test")} if "test" in kept else {}
        return replace(self, splits=kept), replace(self, splits=test)

    def truncated(self) -> dict[Split, dict[str, int]]:
        """Count the monolingual pairs that `max_length` truncates, by split and language."""
        limit = self.max_length - len(self.template.special_ids)
        return {
            split: {
                language: int((data.lengths[number].sum(axis=0)[data.clean[number]] > limit).sum())
                for number, language in enumerate(self.languages)
                if data.clean[number].any()
            }
            for split, data in self.splits.items()
        }

    @property
    def truncation(self) -> tuple[str, ...]:
        """The counts of `truncated` as a line for the user; empty if no pair is truncated."""
        lines = []
        for split, counts in self.truncated().items():
            clean = self.splits[split].clean.sum(axis=1)
            some = [
                f"{language} {count:,} of {clean[self.languages.index(language)]:,}"
                for language, count in counts.items()
                if count
            ]
            if some:
                lines.append(f"{split}: {', '.join(some)}")
        if not lines:
            return ()
        return (f"pairs truncated to {self.max_length} tokens: {'; '.join(lines)}",)

    def token_ids(self) -> Int[np.ndarray, " ids"]:
        """Return all ids that a batch can hold, ascending: sentences, special tokens, padding."""
        used = np.zeros(self.vocabulary_size, dtype=bool)
        used[self.pad_id] = True
        for data in self.splits.values():
            used[data.tokens] = True
        return np.flatnonzero(used)

    def renumbered(self, ids: Int[np.ndarray, " ids"]) -> TokenisedCorpus:
        """Return the corpus with each token id replaced by its index in `ids`.

        Args:
            ids: token ids, ascending; must include all of `token_ids`.
        """
        splits = {
            split: replace(data, tokens=np.searchsorted(ids, data.tokens).astype(data.tokens.dtype))
            for split, data in self.splits.items()
        }
        special_ids = np.searchsorted(ids, self.template.special_ids)
        return replace(
            self,
            pad_id=int(np.searchsorted(ids, self.pad_id)),
            vocabulary_size=len(ids),
            template=replace(self.template, special_ids=special_ids),
            splits=splits,
        )

    def lengths(
        self,
        split: Split,
        rows: Int[np.ndarray, " pairs"],
        language1: Int[np.ndarray, " pairs"],
        language2: Int[np.ndarray, " pairs"],
    ) -> Int[np.ndarray, " pairs"]:
        """Return the number of tokens of each pair, special tokens included, after truncation."""
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
        """Assemble a batch, equal to the tokenizer's own with `longest_first` truncation.

        Args:
            split: the split that `rows` refer to.
            rows: row indices.
            language1: index of the language of each pair's sentence1.
            language2: index of the language of each pair's sentence2.
            padded_to: width of the batch in tokens; by default the length of its longest pair.
        """
        starts, lengths = self._parts(split, rows, language1, language2)
        totals = lengths.sum(axis=1)
        width = int(totals.max()) if padded_to is None else padded_to
        assert width >= totals.max()
        # The parts of all pairs, concatenated, are the tokens of the batch row by row.
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
        language_ids = None
        if self.language_ids is not None:
            assert np.array_equal(language1, language2), "checked before anything is trained"
            language_ids = np.array(self.language_ids)[language1]
        return Pairs(
            input_ids=input_ids,
            attention_mask=is_token.astype(np.int64),
            token_type_ids=token_type_ids,
            labels=self.splits[split].labels[rows],
            language_ids=language_ids,
        )

    def _parts(
        self,
        split: Split,
        rows: Int[np.ndarray, " pairs"],
        language1: Int[np.ndarray, " pairs"],
        language2: Int[np.ndarray, " pairs"],
    ) -> tuple[Int[np.ndarray, "pairs parts"], Int[np.ndarray, "pairs parts"]]:
        """Return the start of each part of each pair in the split's tokens, and its length."""
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
