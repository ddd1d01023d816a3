"""The gradient-noise probe, against gradients of single pairs, planted cases, and training."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from tests.training.examples import CPU, ESTIMATES
from tests.training.ranks import Watched
from tuner.data.corpus import Split
from tuner.data.tokens import TokenisedCorpus, TokenisedSplit
from tuner.journal.gradient_noise import NoiseRecord
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs
from tuner.study.trial import FusionConfig, HeadConfig
from tuner.training.evaluation import Evaluating
from tuner.training.forward import Forward
from tuner.training.gradient_noise import NoiseProbe, estimate, groups_of


def forward_of(encoder: PretrainedEncoder) -> Forward:
    """In double precision, and in training, with dropout: the probe has to switch it off."""
    model = PairClassifier(encoder, FusionConfig(kind="dlfa", layer=1), HeadConfig())
    with torch.no_grad():  # without, the gradient does not come far into the encoder
        model.head.weight.mul_(20)
    return Forward(model.double().train(), CPU)


def run(events: Generator[Evaluating, None, dict[str, NoiseRecord]]) -> dict[str, NoiseRecord]:
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def gradient(
    forward: Forward, corpus: TokenisedCorpus, row: int, language1: int, language2: int
) -> np.ndarray:
    """Return the gradient of one pair's loss, without dropout: one row, one backward pass, flat."""
    arrays = (np.array([value]) for value in (row, language1, language2))
    pairs = corpus.assemble("train", *arrays)
    assert pairs.token_type_ids is not None
    ids, mask = torch.from_numpy(pairs.input_ids), torch.from_numpy(pairs.attention_mask)
    model = forward.model.eval()
    logits = model([PaddedPairs(ids, mask, torch.from_numpy(pairs.token_type_ids))])
    F.cross_entropy(logits, torch.from_numpy(pairs.labels)).backward()
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    flat = torch.cat([part.flatten() for part in parts]).numpy()
    model.zero_grad()
    model.train()
    return flat


@dataclass(frozen=True)
class Truth:
    """The true values that the probe estimates, from gradients by group and pair."""

    gradients: np.ndarray  # group, pair, parameter

    @property
    def within(self) -> float:
        return float(self.gradients.var(axis=1).sum(axis=1).mean())

    @property
    def between(self) -> float:
        return float(self.gradients.mean(axis=1).var(axis=0).sum())

    @property
    def mean_gradient_squared(self) -> float:
        return float(np.square(self.gradients.mean(axis=(0, 1))).sum())


@pytest.mark.parametrize("micro_size", [64, 2])
def test_it_is_what_gradients_of_single_pairs_give(
    micro_size: int, encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    """By other formulas: variances of chunks' means, products of different chunks."""
    forward = forward_of(encoder)
    seen = Watched(**{f.name: getattr(corpus, f.name) for f in fields(TokenisedCorpus)})
    rows = corpus.rows("train", ["en", "de", "fr"])[:9]
    found = run(NoiseProbe(seen, [0, 1, 2], rows, 37, 5).measure(forward, 100, micro_size))

    assert list(found) == ["monolingual", "cross_lingual"]
    known: dict[tuple[int, ...], np.ndarray] = {}
    chunks = iter(seen.seen)
    for kind, groups in groups_of([0, 1, 2]).items():
        noise = found[kind]
        sizes = {"monolingual": (3, 6, 12, 36), "cross_lingual": (6, 3, 6, 36)}[kind]
        assert (noise.groups, noise.small, noise.large, noise.pairs) == sizes
        means = []
        for language1, language2 in groups:
            for _ in range(2):
                pairs = next(chunks).T.tolist()
                assert len(pairs) == noise.small
                for pair in pairs:
                    assert tuple(pair[1:]) == (language1, language2) and pair[0] in rows
                    if tuple(pair) not in known:
                        known[tuple(pair)] = gradient(forward, corpus, *pair)
                means.append(np.mean([known[tuple(pair)] for pair in pairs], axis=0))
        of = np.array(means).reshape(len(groups), 2, -1)
        products = np.einsum("gcp,hdp->ghcd", of, of)
        own = np.mean([products[g, g, 0, 1] for g in range(len(groups))])  # |μ_g|²
        other = [products[g, h].mean() for g in range(len(groups)) for h in range(g)]
        squared = (own + (len(groups) - 1) * np.mean(other)) / len(groups)  # |μ|²
        within = noise.small * of.var(axis=1, ddof=1).sum(axis=1).mean()
        assert noise.within == pytest.approx(within, rel=1e-9)
        assert noise.between == pytest.approx(own - squared, rel=1e-9)
        assert noise.mean_gradient_squared == pytest.approx(squared, rel=1e-9)
        assert noise.within > 1e-3
    assert next(chunks, None) is None
    assert forward.model.training
    assert all(parameter.grad is None for parameter in forward.model.parameters())


@pytest.mark.takes_long("hundreds of backward passes")
def test_it_is_unbiased_over_draws(encoder: PretrainedEncoder, corpus: TokenisedCorpus) -> None:
    """Four pairs a group, so that what sampling adds is large; the truth is of all pairs."""
    forward = forward_of(encoder)
    rows = corpus.rows("train", ["en", "de"])[:6]
    probe = NoiseProbe(corpus, [0, 1], rows, 8, 0)
    draws = [run(probe.measure(forward, rung, 64)) for rung in range(60)]
    for kind, groups in groups_of([0, 1]).items():
        truth = Truth(
            np.array([[gradient(forward, corpus, int(row), *g) for row in rows] for g in groups])
        )
        for name in ESTIMATES:
            values = np.array([getattr(draw[kind], name) for draw in draws])
            error = values.std(ddof=1) / len(values) ** 0.5
            assert abs(values.mean() - getattr(truth, name)) < 3.5 * error, (kind, name)
            averaged = NoiseRecord.averaged([draw[kind] for draw in draws])
            assert getattr(averaged, name) == pytest.approx(values.mean(), rel=1e-9)
        # A plain difference of squared norms, nothing subtracted, would be off by this:
        bias = truth.within / 4 / 2
        values = np.array([draw[kind].between for draw in draws])
        assert bias > 5 * values.std(ddof=1) / len(values) ** 0.5, "the test has the power to tell"


@pytest.mark.parametrize(("groups", "chunks", "small"), [(1, 2, 3), (2, 4, 1), (6, 3, 2)])
def test_the_estimates_are_unbiased(groups: int, chunks: int, small: int) -> None:
    """Gradients of four parameters are made up: 20,000 draws from populations of five pairs."""
    random = np.random.default_rng(0)
    truth = Truth(random.normal(size=(groups, 5, 4)) + random.normal(size=(groups, 1, 4)))
    draws = 20_000
    chosen = random.integers(0, 5, (draws, groups, chunks * small))
    drawn = truth.gradients[np.arange(groups)[:, None], chosen]
    parts = drawn.reshape(draws, groups, chunks, small, 4).mean(axis=3)
    large = parts.mean(axis=2)
    norms = np.stack(
        [
            np.square(parts).sum(axis=-1).mean(axis=(1, 2)),
            np.square(large).sum(axis=-1).mean(axis=1),
            np.square(large.mean(axis=1)).sum(axis=-1),
        ],
        axis=1,
    )
    found = [estimate(*each, groups, chunks, small) for each in norms.tolist()]
    for name in ESTIMATES if groups > 1 else ("within", "mean_gradient_squared"):
        values = np.array([getattr(noise, name) for noise in found])
        error = values.std() / draws**0.5
        assert abs(values.mean() - getattr(truth, name)) < 3.5 * error, name
    if groups == 1:
        assert {noise.between for noise in found if noise} == {None}


def with_languages(corpus: TokenisedCorpus, copied: bool) -> TokenisedCorpus:
    """Languages that are copies of the first; or not: then each has a word, and says it alone.

    Nine in ten labels are 1, so that mean gradients are far from zero.
    """
    data = corpus.splits["train"]
    starts, lengths, tokens = (array.copy() for array in (data.starts, data.lengths, data.tokens))
    starts[:], lengths[:] = starts[:1], lengths[:1]
    if not copied:
        sentence = len(tokens)
        tokens = np.append(tokens, np.repeat(np.array([5, 20, 40], np.int32), 3))
        starts[:3] = np.array([sentence, sentence + 3, sentence + 6])[:, None, None]
        lengths[:3] = 3
    clean = np.ones_like(data.clean)
    splits: dict[Split, TokenisedSplit] = {
        "train": TokenisedSplit(tokens, starts, lengths, clean, (np.arange(97) > 9).astype(int))
    }
    return replace(corpus, splits=splits)


def test_languages_with_equal_gradients_have_nothing_between_them(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    forward, rows = forward_of(encoder), np.arange(97)
    for copied in (True, False):
        probe = NoiseProbe(with_languages(corpus, copied), [0, 1, 2], rows, 96, 1)
        draws = [run(probe.measure(forward, rung, 64)) for rung in (1, 2)]
        for kind in ("monolingual", "cross_lingual"):
            noise = NoiseRecord.averaged([draw[kind] for draw in draws])
            assert noise.between is not None and noise.pairs == 2 * 96
            # What two draws of so many pairs leave of the noise within:
            floor = noise.within / (noise.large * 2**0.5)
            if copied:
                assert abs(noise.between) < floor, (kind, noise)
            else:
                assert noise.between > 3 * floor, (kind, noise)


def test_a_gradient_that_is_no_number_leaves_the_diagnostic_out(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    forward = forward_of(encoder)
    with torch.no_grad():
        forward.model.head.bias[0] = float("nan")
    assert run(NoiseProbe(corpus, [0, 1], np.arange(3), 8, 0).measure(forward, 1, 64)) == {}
    with pytest.raises(ValidationError):
        NoiseRecord.model_validate(RECORD.model_dump() | {"within": float("inf")})


RECORD = NoiseRecord(
    within=12.0, between=0.5, mean_gradient_squared=0.1, groups=3, small=8, large=80, pairs=240
)


def test_ratios_are_of_means_and_stand_only_where_they_mean_something() -> None:
    assert RECORD.equal_parts_size == pytest.approx(24.0)
    assert RECORD.simple_noise_scale == pytest.approx(125.0)
    negative = RECORD.model_copy(update={"between": -0.25, "mean_gradient_squared": -0.02})
    assert negative.equal_parts_size is None and negative.simple_noise_scale is None
    assert set(negative.metrics()) == {"within", "between", "mean_gradient_squared", "pairs"}
    both = NoiseRecord.averaged([RECORD, negative])
    assert both.between == pytest.approx(0.125) and both.pairs == 480
    assert both.equal_parts_size == pytest.approx(96.0), "not the mean of ratios"
    tiny = RECORD.model_copy(update={"between": 5e-324})
    assert tiny.equal_parts_size is None and "equal_parts_size" not in tiny.metrics()
