"""Training with the gradient-noise probe is the same as without; the probe's records in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.examples import CPU, ESTIMATES, NEVER, PROTOCOL, trial
from tests.training.ranks import without_clock
from tuner.data.batches import Stream
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.gradient_noise import NoiseProbe
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train


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
