"""The gradient-noise probe: a diagnostic of what batches of one language leave in the gradient.

It is no critical batch size: that one is found by training at many B, with a learning rate for
each (arXiv 1811.03600); this is the geometry of gradients at one point of one run.

Batches of B pairs of a kind (monolingual, cross-lingual) are of one group each: a language, or an
ordered pair of languages, all G of them equally often. With μ_g and Σ_g the mean and covariance of
the gradient of one pair of group g, the variance (trace of the covariance) of a batch's gradient is

    within / B + between,   within  = mean over g of tr Σ_g
                            between = mean over g of |μ_g|² − |μ|²,   μ = mean over g of μ_g

`between` is what no B averages away where a batch is of one language (`mix.granularity: language`);
where languages are drawn pair by pair, the variance is (within + between) / B. At B = within /
between both parts are equal. (within + between) / |μ|² is the simple noise scale tr(Σ) / |G|² of
arXiv 1812.06162, section 2.2, of a pair whose languages are drawn too.

As in its appendix A.1 all three are estimated from squared norms of gradients at two batch sizes:
of each group n pairs are drawn, independently and with replacement, in chunks of b. With S the mean
of |gradient|² over chunks, L that over groups (n pairs each) and T that of the mean over groups,

    E S = mean |μ_g|² + within / b      E L = mean |μ_g|² + within / n
    E T = |μ|² + within / (G n)

which is solved for within, between and |μ|². Each is unbiased over draws, and so may be negative
where the true value is small. A ratio of them is not unbiased: average numerators and denominators
over rungs, seeds or trials first (`NoiseRecord.averaged`).

Gradients are of the trained loss (the mean cross-entropy of a batch), over all parameters, before
clipping, in training's precision, with dropout off: the noise is that of the choice of pairs alone.
Nothing of training is changed: it has a plan of micro-batches and random numbers of its own.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tuner.data.batches import Stream
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.noise import NoiseRecord
from tuner.study.parts import NOISE_BATCH
from tuner.training.accumulation import MicroBatches, none_to_spare
from tuner.training.evaluation import Evaluating
from tuner.training.forward import Forward
from tuner.training.group import ALONE, Group
from tuner.training.losses import Loss, cross_entropy


@dataclass(frozen=True)
class NoiseProbe:
    """Estimates gradient noise on training pairs: a diagnostic, not a critical batch size.

    Attributes:
        corpus: where the pairs are.
        languages: trained on, as indices.
        rows: training ids, clean in all of them.
        pairs: used of each kind, at most: as many as make equal chunks for every group.
        seed: with the rung, of the draws: trials of one seed are probed on the same pairs.
        loss: whose gradients they are.
    """

    corpus: TokenisedCorpus
    languages: Sequence[int]
    rows: Int[np.ndarray, " ids"]
    pairs: int
    seed: int
    loss: Loss = cross_entropy

    def measure(
        self, forward: Forward, rung: int, micro_size: int, group: Group = ALONE
    ) -> Generator[Evaluating, None, dict[str, NoiseRecord]]:
        """The noise of each kind of batch that the languages allow, at the model's weights.

        Yields how far it is, at the beginning and after every chunk. It costs about as much as
        training on these pairs, and two gradients' memory. Seeds torch's global generators. The
        model is in training after, without gradients.

        Args:
            forward: the model, without gradients.
            rung: nominal budget, in pairs, at which the model is.
            micro_size: pairs of a forward pass that fit. Halved here where memory runs out.
            group: the workers, which share each chunk; events and results are equal in all.

        Returns:
            By kind, `monolingual` and `cross_lingual`: the latter only where there are two
            languages; a kind is absent also where its gradients are not finite.

        Raises:
            OutOfMemory: the sums of gradients, or not even one pair, fit in the device's memory.
        """
        micro_batches = MicroBatches(
            self.seed, [(0, micro_size)], self.corpus.max_length, loss=self.loss
        )
        found: dict[str, NoiseRecord] = {}
        kinds = groups_of(self.languages)
        if self.corpus.language_ids is not None:  # the encoder takes one language a sequence
            kinds.pop("cross_lingual", None)
        draws = [
            self._draw(rung, index, len(groups)) for index, groups in enumerate(kinds.values())
        ]
        done, total = 0, sum(rows.size for rows in draws)
        yield Evaluating(done, total)
        forward.model.eval()
        for (kind, groups), drawn in zip(kinds.items(), draws, strict=True):
            norms = _SquaredNorms(forward, *drawn.shape[:2])
            for (language1, language2), chunks in zip(groups, drawn, strict=True):
                for rows in chunks:
                    pairs = self.corpus.assemble(
                        "train", rows, np.full_like(rows, language1), np.full_like(rows, language2)
                    )
                    micro_batches.gradient(forward, pairs, 0, group)
                    norms.add_chunk()
                    done += len(rows)
                    yield Evaluating(done, total)
                norms.end_group()
            noise = estimate(*norms.values(), *drawn.shape)
            if noise is not None:
                found[kind] = noise
        forward.model.train()
        if forward.device.type == "cuda":
            torch.cuda.empty_cache()  # training finds the memory as it left it
        return found

    def _draw(self, rung: int, kind: int, groups: int) -> Int[np.ndarray, "groups chunks small"]:
        """Rows by group and chunk, drawn with replacement."""
        each = self.pairs // groups
        small = min(NOISE_BATCH, each // 2)
        assert small > 0, "two pairs of each group at least: the study's check"
        chunks = each // small
        sequence = np.random.SeedSequence(self.seed, spawn_key=(Stream.NOISE, rung, kind))
        # NumPy keeps raw bits equal over its versions; the remainder's bias is below 2⁻⁴⁰.
        bits = np.random.PCG64(sequence).random_raw(groups * chunks * small)
        places = (bits % np.uint64(len(self.rows))).astype(np.int64)
        return self.rows[places].reshape(groups, chunks, small)


def groups_of(languages: Sequence[int]) -> dict[str, list[tuple[int, int]]]:
    """The languages of sentence1 and sentence2 of every group, by kind of batch."""
    kinds = {"monolingual": [(language, language) for language in languages]}
    if len(languages) > 1:
        kinds["cross_lingual"] = list(permutations(languages, 2))
    return kinds


def estimate(
    small_norm: float, large_norm: float, whole_norm: float, groups: int, chunks: int, small: int
) -> NoiseRecord | None:
    """Unbiased estimates from mean squared norms of gradients (this module's head derives them).

    Args:
        small_norm: S, of chunks: the mean over all of them.
        large_norm: L, of a group's pairs: the mean over groups.
        whole_norm: T, of the mean over groups.
        groups: G.
        chunks: of each group, two at least.
        small: b, pairs of a chunk.

    Returns:
        None where they are not finite.
    """
    assert chunks > 1
    large = chunks * small
    within = (small_norm - large_norm) / (1 / small - 1 / large)
    mean_squared = whole_norm - within / (groups * large)
    between = large_norm - within / large - mean_squared if groups > 1 else None
    if not all(map(math.isfinite, (within, mean_squared, between or 0.0))):
        return None
    return NoiseRecord(
        within=within,
        between=between,
        mean_gradient_squared=mean_squared,
        groups=groups,
        small=small,
        large=large,
        pairs=groups * large,
    )


class _SquaredNorms:
    """Squared norms of a model's gradients as they add up: of chunks, groups, and all."""

    def __init__(self, forward: Forward, groups: int, chunks: int) -> None:
        self._model = forward.model
        self._groups, self._chunks = groups, chunks
        self._parameters = list(forward.model.parameters())
        with none_to_spare("the two sums of gradients that diagnostics.gradient_noise keeps"):
            self._large = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
            self._whole = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
        self._small_norm = torch.zeros((), dtype=torch.float64, device=forward.device)
        self._large_norm = torch.zeros_like(self._small_norm)

    def add_chunk(self) -> None:
        """Take the gradient of a chunk out of the model."""
        present = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        self._small_norm += _squared(present) / (self._groups * self._chunks)
        for total, parameter in zip(self._large, self._parameters, strict=True):
            if parameter.grad is not None:
                total.add_(parameter.grad, alpha=1 / self._chunks)
        self._model.zero_grad(set_to_none=True)

    def end_group(self) -> None:
        """All chunks of a group are in."""
        self._large_norm += _squared(self._large) / self._groups
        for whole, large in zip(self._whole, self._large, strict=True):
            whole.add_(large, alpha=1 / self._groups)
            large.zero_()

    def values(self) -> tuple[float, float, float]:
        """Mean squared norms of chunks and groups, and that of the mean over groups."""
        norms = torch.stack([self._small_norm, self._large_norm, _squared(self._whole)])
        small, large, whole = norms.tolist()
        return small, large, whole


def _squared(tensors: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The squared norm of all together, added up in double precision: differences are taken."""
    norms = [torch.linalg.vector_norm(tensor, dtype=torch.float64) for tensor in tensors]
    return torch.stack(norms).square().sum()
