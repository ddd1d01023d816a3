"""All that makes training fast, together, against the plain loop: the same losses and gradients.

Ours: the encoder cut to the corpus's tokens, batches in passes of packed blocks, gradients of rows.
Plain: BertForSequenceClassification, whole, on the whole batch as the corpus assembles it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from tests.training.examples import CPU, EPS, PROTOCOL, trial
from tuner.data.batches import HybridBatches
from tuner.data.tokens import Pairs, TokenisedCorpus
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import BlockEncoder
from tuner.model.vocabulary import cut, restored
from tuner.study.trial import TrialConfig
from tuner.training import forward
from tuner.training.accumulation import MicroBatches
from tuner.training.forward import Forward
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Step, train

STEPS, SIZE, PEAK = 200, 24, 3e-3
CONFIG = trial(
    **{
        "batch.effective_size": SIZE,
        "batch.micro_size": 9,
        "fusion.kind": "last",
        "fusion.layer": None,
        "head.dropout": 0.0,
        "optim.lr": PEAK,
        "optim.lr_scaling": "none",
        "optim.weight_decay": 0.1,
        "optim.warmup_ratio": 0.1,
        "optim.max_grad_norm": 0.5,
        "optim.eps": EPS,
    }
)


@pytest.fixture
def encoder(encoder: PretrainedEncoder, dtype: torch.dtype) -> Iterator[PretrainedEncoder]:
    """Without dropout, in a type in which everything else is computed too."""
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    of_type = torch.empty(0, dtype=dtype).numpy().dtype
    weights = {name: weight.astype(of_type) for name, weight in encoder.weights.items()}
    torch.set_default_dtype(dtype)
    yield replace(encoder, config={**encoder.config, **off}, weights=weights)
    torch.set_default_dtype(torch.float32)


@pytest.fixture(autouse=True)
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes blocks as small as those of larger encoders; how many each pass had."""
    monkeypatch.setitem(forward.BLOCK_COST, "cpu", 5 * 16**2)
    call = BlockEncoder.__call__
    found: list[int] = []

    def watched(self: BlockEncoder, blocks: list[object], all_layers: bool) -> object:
        found.append(len(blocks))
        return call(self, blocks, all_layers)

    monkeypatch.setattr(BlockEncoder, "__call__", watched)
    return found


def plain_model(encoder: PretrainedEncoder, config: TrialConfig) -> BertForSequenceClassification:
    """Begins where ours does."""
    model = BertForSequenceClassification(BertConfig(**encoder.config)).train()
    start = PairClassifier(encoder, config.fusion, config.head, seed=config.seed)
    model.classifier.load_state_dict(start.head.state_dict())
    model.bert.load_state_dict({n: torch.tensor(w) for n, w in encoder.weights.items()})
    model.dropout.p = 0.0
    return model


def batches(corpus: TokenisedCorpus, config: TrialConfig) -> Iterator[Pairs]:
    rows = corpus.rows("train", ["en", "de", "fr"])
    drawn = HybridBatches(config.mix, SIZE, [0, 1, 2], rows, config.seed)
    for step in range(STEPS):
        batch = drawn[step]
        yield corpus.assemble("train", batch.rows, batch.language1, batch.language2)


def plain_loss(model: BertForSequenceClassification, pairs: Pairs) -> Tensor:
    assert pairs.token_type_ids is not None
    loss: Tensor = model(
        input_ids=torch.from_numpy(pairs.input_ids),
        attention_mask=torch.from_numpy(pairs.attention_mask),
        token_type_ids=torch.from_numpy(pairs.token_type_ids),
        labels=torch.from_numpy(pairs.labels),
    ).loss
    return loss


def renamed(model: BertForSequenceClassification) -> dict[str, torch.nn.Parameter]:
    """Parameters by the names that ours have."""
    prefixes = {"bert.pooler.": "pooler.", "bert.": "encoder.", "classifier.": "head."}
    found = {}
    for name, parameter in model.named_parameters():
        prefix = next(prefix for prefix in prefixes if name.startswith(prefix))
        found[prefixes[prefix] + name.removeprefix(prefix)] = parameter
    return found


@pytest.mark.takes_long("200 steps, twice")
@pytest.mark.parametrize("dtype", [torch.float64])
def test_200_steps_have_the_losses_of_the_plain_loop(
    encoder: PretrainedEncoder,
    corpus: TokenisedCorpus,
    shapes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = replace(corpus, pad_id=0)
    model = plain_model(encoder, CONFIG)
    undecayed = ("bias", "Norm", "word_embeddings")
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[not any(part in name for part in undecayed)].append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": 0.1},
            {"params": groups[False], "weight_decay": 0},
        ],
        eps=EPS,
        foreach=False,
    )
    expected = []
    for step, pairs in enumerate(batches(corpus, CONFIG)):
        loss = plain_loss(model, pairs)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        lr = PEAK * min(step / 20, (STEPS - step) / (STEPS - 20))
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        expected.append(loss.item())

    gradient = MicroBatches.gradient
    found: list[float] = []
    trained: list[PairClassifier] = []

    def watched(self: MicroBatches, forward: Forward, *others: object) -> Tensor:
        loss = gradient(self, forward, *others)  # type: ignore[arg-type]
        found.append(loss.item())
        trained[:] = [forward.model]
        return loss

    monkeypatch.setattr(MicroBatches, "gradient", watched)
    smaller, renumbered = cut(encoder, corpus)
    assert renumbered.vocabulary_size < corpus.vocabulary_size
    for event in train(CONFIG, (STEPS * SIZE,), TrialInputs(PROTOCOL, renumbered, smaller), CPU):
        if isinstance(event, Step) and event.step == STEPS:
            break

    assert len(found) == STEPS
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    assert np.mean(found[-20:]) < 0.8 * np.mean(found[:20]), "something was learnt"
    assert len(shapes) > 1.9 * STEPS and max(shapes) > 2, "several passes, of several blocks"
    weights = restored(trained[0].state_dict(), encoder)
    for name, parameter in renamed(model).items():
        torch.testing.assert_close(weights[name], parameter.data, rtol=0, atol=1e-7, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32])
def test_a_gradient_in_float32_is_that_of_the_plain_model(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus, shapes: list[int]
) -> None:
    """To 1e-5 of the largest element of each parameter's gradient, or of what rounding leaves."""
    corpus = replace(corpus, pad_id=0)
    (pairs,) = islice(batches(corpus, CONFIG), 1)
    model = plain_model(encoder, CONFIG)
    plain_loss(model, pairs).backward()

    ours = PairClassifier(encoder, CONFIG.fusion, CONFIG.head, seed=CONFIG.seed)
    MicroBatches(0, [(0, 9)], corpus.max_length).gradient(Forward(ours, CPU), pairs, step=0)

    found = dict(ours.named_parameters())
    for name, parameter in renamed(model).items():
        gradient, expected = found[name].grad, parameter.grad
        assert gradient is not None and expected is not None
        assert (gradient - expected).abs().max() <= 1e-5 * max(float(expected.abs().max()), 0.01), (
            name
        )
    assert len(shapes) > 1 and max(shapes) > 1
