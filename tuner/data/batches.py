"""The hybrid batch sampler: the pairs, kinds and languages of every optimizer step.

An effective batch is monolingual (both sentences in one language) or cross-lingual (the sentences
in an ordered pair of languages, joined by the pair's id). `mix.cross_lingual` is the share β of
cross-lingual batches, 1 − α in arXiv 2408.10536. The plan is a pure function of seed and step:

- pairs: one seeded permutation of the training ids per epoch, whatever the mix and batch size;
- kind: unit n is cross-lingual where ⌊(n+1)β + φ⌋ exceeds ⌊nβ + φ⌋, with a seeded phase φ in
  [0, 1): after n units the number of cross-lingual units is within one of βn (a low-discrepancy
  order, not coin flips);
- languages: one seeded permutation of the languages (for cross-lingual units, of their ordered
  pairs) after another: after any number of units, their counts differ by at most one.

`mix.granularity` defines the unit. With `language`, the kind and the languages are drawn per step.
With `kind`, the kind is drawn per step and the languages per pair. With `pair`, both are drawn per
pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from tuner.errors import UserError
from tuner.study.trial import MixConfig


class Stream(IntEnum):
    """The purposes of randomness; each has its own stream of random numbers."""

    PAIRS = 0
    KIND = 1
    MONOLINGUAL = 2
    CROSS_LINGUAL = 3
    GRADIENT_NOISE = 4


@dataclass(frozen=True)
class PlannedBatch:
    """One effective batch, before its texts are looked up.

    Attributes:
        step: optimizer step, counted from 0.
        cross_lingual: true for pairs whose sentences are in different languages.
        rows: row indices of the pairs.
        language1: index of the language of sentence1.
        language2: index of the language of sentence2.
    """

    step: int
    cross_lingual: Bool[np.ndarray, " pairs"]
    rows: Int[np.ndarray, " pairs"]
    language1: Int[np.ndarray, " pairs"]
    language2: Int[np.ndarray, " pairs"]


class HybridBatches:
    """The endless sequence of a run's effective batches, by step; random access, without state.

    Args:
        mix: share and granularity of cross-lingual batches.
        effective_size: number of pairs in a batch (B).
        languages: the training languages, as the indices that planned batches will hold.
        rows: training ids, as row indices that are clean in all these languages.
        seed: determines the order of pairs, kinds and languages.

    Raises:
        UserError: the mix has cross-lingual batches, but there are fewer than two languages.
    """

    def __init__(
        self,
        mix: MixConfig,
        effective_size: int,
        languages: Sequence[int],
        rows: Int[np.ndarray, " ids"],
        seed: int,
    ) -> None:
        assert effective_size > 0
        assert len(rows) > 0
        assert len(languages) > 0
        if mix.cross_lingual > 0 and len(languages) < 2:
            raise UserError(
                f"mix.cross_lingual is {mix.cross_lingual:g}, but cross-lingual batches need two "
                f"languages to train on, got {len(languages)}",
                "Add a source language, or set mix.cross_lingual to 0.",
            )
        self.effective_size = effective_size
        self.rows = rows
        self._granularity = mix.granularity
        self._kinds = _Kinds(mix.cross_lingual, seed)
        self._order = _Shuffles(seed, Stream.PAIRS, len(rows))
        self._monolingual = np.array([(lang, lang) for lang in languages])
        self._cross_lingual = np.array(list(permutations(languages, 2)))
        self._monolingual_order = _Shuffles(seed, Stream.MONOLINGUAL, len(self._monolingual))
        self._cross_lingual_order = _Shuffles(seed, Stream.CROSS_LINGUAL, len(self._cross_lingual))

    def __getitem__(self, step: int) -> PlannedBatch:
        """Return the batch of an optimizer step, counted from 0: a pure function of the step."""
        assert step >= 0
        size = self.effective_size
        if self._granularity == "pair":
            before = self._kinds.cross_lingual_before(np.arange(step * size, (step + 1) * size + 1))
            cross_lingual = np.diff(before).astype(bool)
            cross_lingual_before = int(before[0])
            first_unit = step * size
        else:
            before_step = self._kinds.cross_lingual_before(step)
            after_step = self._kinds.cross_lingual_before(step + 1)
            cross_lingual = np.full(size, after_step > before_step)
            units = 1 if self._granularity == "language" else size
            cross_lingual_before = before_step * units
            first_unit = step * units
        languages = self._languages(
            cross_lingual, cross_lingual_before, first_unit - cross_lingual_before
        )
        return PlannedBatch(
            step=step,
            cross_lingual=cross_lingual,
            rows=self.rows[self._order.take(step * size, size)],
            language1=languages[:, 0],
            language2=languages[:, 1],
        )

    def _languages(
        self,
        cross_lingual: Bool[np.ndarray, " pairs"],
        cross_lingual_before: int,
        monolingual_before: int,
    ) -> Int[np.ndarray, "pairs 2"]:
        """Return the languages of both sentences, given the count of earlier units of each kind."""
        languages = np.empty((len(cross_lingual), 2), dtype=np.int64)
        for of_kind, choices, order, before in (
            (cross_lingual, self._cross_lingual, self._cross_lingual_order, cross_lingual_before),
            (~cross_lingual, self._monolingual, self._monolingual_order, monolingual_before),
        ):
            pairs = int(np.count_nonzero(of_kind))
            if pairs:
                units = 1 if self._granularity == "language" else pairs
                languages[of_kind] = choices[order.take(before, units)]
        return languages


class _Kinds:
    """The kinds of units, cross-lingual or monolingual, in exact arithmetic.

    β = a/b is the fraction of its shortest decimal representation, so that 0.1 is exactly a tenth.
    With j = ⌊φb⌋, ⌊nβ + φ⌋ is ⌊(na + j)/b⌋, which needs only integers.
    """

    def __init__(self, cross_lingual: float, seed: int) -> None:
        self._numerator, self._denominator = Fraction(repr(float(cross_lingual))).as_integer_ratio()
        phase = int(_bits(seed, Stream.KIND, 0).random_raw())  # φ, in units of 2**-64
        self._offset = (phase * self._denominator) >> 64

    def cross_lingual_before(self, n: Any) -> Any:
        """Count the cross-lingual units among the first `n`, an int or an array of them.

        Arrays are converted to Python's integers, which cannot overflow.
        """
        exact = n.astype(object) if isinstance(n, np.ndarray) else n
        return (exact * self._numerator + self._offset) // self._denominator


@dataclass(frozen=True)
class _Shuffles:
    """An endless sequence of seeded permutations of `size` items, one after another."""

    seed: int
    stream: Stream
    size: int

    def take(self, start: int, count: int) -> Int[np.ndarray, " count"]:
        """Return `count` items of the sequence from `start` on."""
        # Permutations of few items are drawn many at a time, for speed.
        permutations_a_draw = max(1, 4096 // self.size)
        drawn = permutations_a_draw * self.size
        pieces = [
            _draw(self.seed, self.stream, draw, permutations_a_draw, self.size)[
                max(start - draw * drawn, 0) : start + count - draw * drawn
            ]
            for draw in range(start // drawn, (start + count - 1) // drawn + 1)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


@lru_cache(maxsize=8)
def _draw(
    seed: int, stream: Stream, draw: int, permutations: int, size: int
) -> Int[np.ndarray, " permutations*size"]:
    keys = _bits(seed, stream, draw).random_raw(permutations * size).reshape(permutations, size)
    order = keys.argsort(axis=1, kind="stable").ravel()
    order.flags.writeable = False
    return order


def _bits(seed: int, stream: Stream, draw: int) -> np.random.PCG64:
    """Return a source of raw bits, which NumPy keeps stable across versions, unlike `Generator`."""
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, draw)))
