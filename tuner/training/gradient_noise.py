"""The gradient-noise probe: a diagnostic of the variance that one-language batches leave.

It does not measure the critical batch size, which is found by training at many B, with a learning
rate for each (arXiv 1811.03600). It measures the geometry of gradients at one point of one run.

Each batch of B pairs of a kind (monolingual, cross-lingual) is of one group: a language, or an
ordered pair of languages. All G groups are equally frequent. With μ_g and Σ_g the mean and
covariance of the gradient of one pair of group g, the variance (trace of the covariance) of a
batch's gradient is

    within / B + between,   within  = mean over g of tr Σ_g
                            between = mean over g of |μ_g|² − |μ|²,   μ = mean over g of μ_g

No B averages `between` away if a batch is of one language (`mix.granularity: language`). If
languages are drawn pair by pair, the variance is (within + between) / B. At B = within / between
both parts are equal. (within + between) / |μ|² is the simple noise scale tr(Σ) / |G|² of arXiv
1812.06162, section 2.2, for a pair whose languages are drawn too.

As in appendix A.1 of that paper, all three are estimated from squared norms of gradients at two
batch sizes. The probe draws n pairs of each group, independently and with replacement, in chunks
of b. With S the mean of |gradient|² over chunks, L that over groups (n pairs each) and T that of
the mean over groups,

    E S = mean |μ_g|² + within / b      E L = mean |μ_g|² + within / n
    E T = |μ|² + within / (G n)

The probe solves these equations for within, between and |μ|². Each estimate is unbiased over draws,
and so may be negative if the true value is small. A ratio of them is biased: average numerators and
denominators over rungs, seeds or trials first (`NoiseRecord.averaged`).

Gradients are of the trained loss (the mean cross-entropy of a batch), over all parameters, before
clipping, in training's precision, with dropout off, so only the choice of pairs makes noise. The
probe has its own plan of micro-batches and its own random numbers, and so leaves training
unchanged.
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
from tuner.journal.gradient_noise import NoiseRecord
from tuner.study.parts import NOISE_BATCH
from tuner.training.accumulation import MicroBatches, reporting_out_of_memory
from tuner.training.evaluation import Evaluating
from tuner.training.forward import Forward
from tuner.training.group import ALONE, Group
from tuner.training.losses import Loss, cross_entropy


@dataclass(frozen=True)
class NoiseProbe:
    """Estimates gradient noise on training pairs: a diagnostic, not a critical batch size.

    Attributes:
        corpus: the corpus with the pairs.
        languages: indices of the languages that are trained on.
        rows: training ids that are clean in all of these languages.
        pairs: most pairs used of each kind; the probe uses as many as make equal chunks for every
            group.
        seed: determines the draws, together with the rung: trials of one seed are probed on the
            same pairs.
        loss: the loss whose gradients are measured.
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
        """Measure the noise of each kind of batch that the languages allow, at the model's weights.

        The generator yields its progress at the beginning and after every chunk. It costs about as
        much as training on these pairs, and the memory of two gradients. It seeds torch's global
        generators, and leaves the model in training mode, without gradients.

        Args:
            forward: the model, without gradients.
            rung: nominal budget of the model's rung, in pairs.
            micro_size: pairs of a forward pass that fit; halved here if memory runs out.
            group: the workers, which share each chunk; events and results are equal in all.

        Returns:
            The noise by kind: `monolingual`, and `cross_lingual` if there are two or more languages
            and the encoder accepts pairs of two. A kind whose estimates are not finite is left out.

        Raises:
            OutOfMemory: the sums of gradients, or even a single pair, do not fit in the device's
                memory.
        """
        micro_batches = MicroBatches(
            self.seed, [(0, micro_size)], self.corpus.max_length, loss=self.loss
        )
        found: dict[str, NoiseRecord] = {}
        kinds = groups_of(self.languages)
        if self.corpus.language_ids is not None:  # the encoder takes one language per sequence
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
            torch.cuda.empty_cache()  # training gets back the memory that the probe used
        return found

    def _draw(self, rung: int, kind: int, groups: int) -> Int[np.ndarray, "groups chunks small"]:
        """Draw rows by group and chunk, with replacement."""
        each = self.pairs // groups
        small = min(NOISE_BATCH, each // 2)
        assert small > 0, "two pairs of each group at least: the study's check"
        chunks = each // small
        sequence = np.random.SeedSequence(self.seed, spawn_key=(Stream.GRADIENT_NOISE, rung, kind))
        # Raw bits are equal in all versions of NumPy; the bias of the modulo is below 2⁻⁴⁰.
        bits = np.random.PCG64(sequence).random_raw(groups * chunks * small)
        places = (bits % np.uint64(len(self.rows))).astype(np.int64)
        return self.rows[places].reshape(groups, chunks, small)


def groups_of(languages: Sequence[int]) -> dict[str, list[tuple[int, int]]]:
    """Return the languages of sentence1 and sentence2 of every group, by kind of batch."""
    kinds = {"monolingual": [(language, language) for language in languages]}
    if len(languages) > 1:
        kinds["cross_lingual"] = list(permutations(languages, 2))
    return kinds


def estimate(
    small_norm: float, large_norm: float, whole_norm: float, groups: int, chunks: int, small: int
) -> NoiseRecord | None:
    """Compute unbiased estimates from mean squared norms, as derived in the module's docstring.

    Args:
        small_norm: S, the mean squared norm of the chunks' gradients.
        large_norm: L, the mean squared norm of the groups' gradients.
        whole_norm: T, the squared norm of the mean gradient over groups.
        groups: G, the number of groups.
        chunks: number of chunks of each group, at least two.
        small: b, the pairs of a chunk.

    Returns:
        The estimates; None if they are not finite.
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
    """The squared norms of a model's gradients, accumulated for chunks, groups and all groups."""

    def __init__(self, forward: Forward, groups: int, chunks: int) -> None:
        self._model = forward.model
        self._groups, self._chunks = groups, chunks
        self._parameters = list(forward.model.parameters())
        with reporting_out_of_memory(
            "the two sums of gradients that diagnostics.gradient_noise keeps"
        ):
            self._large = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
            self._whole = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
        self._small_norm = torch.zeros((), dtype=torch.float64, device=forward.device)
        self._large_norm = torch.zeros_like(self._small_norm)

    def add_chunk(self) -> None:
        """Add the model's gradient as that of a chunk, and clear it in the model."""
        present = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        self._small_norm += _squared(present) / (self._groups * self._chunks)
        for total, parameter in zip(self._large, self._parameters, strict=True):
            if parameter.grad is not None:
                total.add_(parameter.grad, alpha=1 / self._chunks)
        self._model.zero_grad(set_to_none=True)

    def end_group(self) -> None:
        """Add the gradient of a group whose chunks have all been added."""
        self._large_norm += _squared(self._large) / self._groups
        for whole, large in zip(self._whole, self._large, strict=True):
            whole.add_(large, alpha=1 / self._groups)
            large.zero_()

    def values(self) -> tuple[float, float, float]:
        """Return mean squared norms of chunks and groups, and that of the mean over groups."""
        norms = torch.stack([self._small_norm, self._large_norm, _squared(self._whole)])
        small, large, whole = norms.tolist()
        return small, large, whole


def _squared(tensors: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Return the squared norm of all tensors together, in double precision.

    The estimates are differences of such norms.
    """
    norms = [torch.linalg.vector_norm(tensor, dtype=torch.float64) for tensor in tensors]
    return torch.stack(norms).square().sum()
