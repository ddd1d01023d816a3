"""The gradient-noise probe, against gradients of single pairs, planted cases, and training."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from tests.training.examples import PROTOCOL, trial
from tests.training.ranks import Watched, without_clock
from tuner.data.batches import Stream
from tuner.data.corpus import Split
from tuner.data.tokens import TokenisedCorpus, TokenisedSplit
from tuner.journal.gradient_noise import NoiseRecord
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs
from tuner.study.parts import LanguagesConfig, ProtocolConfig
from tuner.study.protocol import EvaluationProtocol
from tuner.study.trial import FusionConfig, HeadConfig
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.forward import Forward
from tuner.training.gradient_noise import NoiseProbe, estimate, groups_of
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train

CPU = torch.device("cpu")
NEVER = 1e9


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


ESTIMATES = ("within", "between", "mean_gradient_squared")


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


class Probed:
    """A trial with the probe or without."""

    def __init__(
        self,
        noise_pairs: int | None,
        corpus: TokenisedCorpus,
        encoder: PretrainedEncoder,
        folder: Path,
        protocol: EvaluationProtocol = PROTOCOL,
        **settings: Any,
    ) -> None:
        checkpoints = Checkpoints(folder, NEVER)
        inputs = TrialInputs(protocol, corpus, encoder)
        events = train(
            trial(**settings), (14, 42), inputs, CPU, checkpoints, noise_pairs=noise_pairs
        )
        self.events = list(events)
        self.raw = [event for event in self.events if isinstance(event, Evaluation)]
        self.evaluations = [without_clock(each) for each in self.raw]
        self.files = {
            path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")
        }


def test_training_is_the_same_bit_for_bit(
    corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    """With dropout: weights, optimizer and scores at every rung."""
    plain = Probed(None, corpus, encoder, tmp_path / "plain")
    probed = Probed(24, corpus, encoder, tmp_path / "probed")

    assert len(plain.files) == 4 and probed.files == plain.files
    assert [each.noise for each in plain.evaluations] == [{}, {}]
    assert [each.model_copy(update={"noise": {}}) for each in probed.evaluations] == (
        plain.evaluations
    )
    first, second = (each.noise for each in probed.evaluations)
    assert first.keys() == second.keys() == {"monolingual", "cross_lingual"}
    assert first["monolingual"].within != second["monolingual"].within
    for each in probed.raw:
        assert 0 < each.noise_seconds < each.evaluation_seconds
        assert Evaluation.model_validate_json(each.model_dump_json()) == each
    assert probed.raw[-1].train_seconds < 3 * plain.raw[-1].train_seconds
    told = [event for event in probed.events if isinstance(event, Evaluating)]
    assert [e.pairs_done for e in told if e.pairs_total == 48].count(48) == 2, "it says how far"


def test_little_memory_halves_its_micro_batches_and_no_others(
    corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    plain = Probed(12, corpus, encoder, tmp_path / "plain")
    passes = 0

    def check(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal passes
        if not isinstance(module, PairClassifier) or module.training or not torch.is_grad_enabled():
            return
        passes += 1
        if sum(len(block.input_ids) for block in inputs[0]) > 2:
            raise torch.OutOfMemoryError("injected")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(check)
    try:
        little = Probed(12, corpus, encoder, tmp_path / "little")
    finally:
        hook.remove()
    assert passes >= 24, "of two pairs at most, twice 24 of them"
    assert little.files == plain.files
    for ours, theirs in zip(little.evaluations, plain.evaluations, strict=True):
        assert ours.micro_plan == theirs.micro_plan == ((0, 7),)
        assert ours.select == theirs.select
        for kind, noise in theirs.noise.items():
            for name in ESTIMATES:
                expected = pytest.approx(getattr(noise, name), rel=1e-4, abs=1e-6)
                assert getattr(ours.noise[kind], name) == expected


def test_one_language_has_nothing_between(
    corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    alone = EvaluationProtocol.of(LanguagesConfig(source=("en",)), ProtocolConfig(), True)
    found = Probed(10, corpus, encoder, tmp_path, alone, **{"mix.cross_lingual": 0.0})
    for evaluation in found.evaluations:
        (noise,) = evaluation.noise.values()
        assert noise.between is None and noise.equal_parts_size is None and noise.pairs == 10
        named = {name for name in evaluation.metrics() if name.startswith("diagnostic/")}
        prefix = "diagnostic/noise/monolingual/"
        allowed = {f"{prefix}{n}" for n in ("within", "mean_gradient_squared", "pairs")}
        assert allowed <= named <= allowed | {f"{prefix}simple_noise_scale"}


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


def test_draws_are_fresh_at_every_rung_and_for_every_kind_and_seed(corpus: TokenisedCorpus) -> None:
    """And equal for trials that differ in other things, as in B."""
    rows = np.arange(100, 150)
    probes = {seed: NoiseProbe(corpus, [0, 1], rows, 40, seed) for seed in (0, 1)}
    drawn = {
        (seed, rung, kind): probe._draw(rung, kind, 2)
        for seed, probe in probes.items()
        for rung in (10, 30)
        for kind in (0, 1)
    }
    assert len({array.tobytes() for array in drawn.values()}) == 8
    assert all(array.shape == (2, 2, 8) and set(array.flat) <= {*rows} for array in drawn.values())
    assert np.array_equal(probes[0]._draw(10, 0, 2), drawn[0, 10, 0])
    assert probes[0]._draw(10, 0, 20).shape == (20, 2, 1), "few pairs make small chunks"
    counts = np.unique(probes[0]._draw(1, 0, 1), return_counts=True)[1]
    assert counts.max() > 1, "with replacement"
    assert Stream.GRADIENT_NOISE not in (Stream.PAIRS, Stream.KIND)
