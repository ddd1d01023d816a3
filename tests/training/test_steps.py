"""The computation of a step: against transformers, with micro-batches, in each precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

from tests.training.examples import CPU, EPS, Run, trial
from tuner.data.batches import HybridBatches
from tuner.data.tokens import TokenisedCorpus
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.training.loop import (
    adamw,
    computes_in_bf16,
)


@pytest.fixture
def still(encoder: PretrainedEncoder) -> PretrainedEncoder:
    """The encoder without dropout."""
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return replace(encoder, config={**encoder.config, **off})


@pytest.mark.parametrize("warmup_ratio", [0.0, 0.2])
def test_equals_transformers_and_a_plain_loop(
    warmup_ratio: float, corpus: TokenisedCorpus, still: PretrainedEncoder, tmp_path: Path
) -> None:
    """Against BertForSequenceClassification, torch's AdamW and transformers' scheduler."""
    steps, size = 10, 8
    config = trial(
        **{
            "batch.effective_size": size,
            "batch.micro_size": 3,
            "fusion.kind": "last",
            "fusion.layer": None,
            "head.dropout": 0.0,
            "optim.weight_decay": 0.1,
            "optim.new_modules_lr": 3.0,
            "optim.lr_scaling": "sqrt",
            "optim.warmup_ratio": warmup_ratio,
            "optim.max_grad_norm": 0.05,
            "optim.eps": EPS,
        }
    )

    model = BertForSequenceClassification(BertConfig(**still.config)).train()
    start = PairClassifier(still, config.fusion, config.head, seed=config.seed)
    model.classifier.load_state_dict(start.head.state_dict())
    model.bert.load_state_dict({n: torch.tensor(w) for n, w in still.weights.items()})
    model.dropout.p = 0.0
    undecayed = ("bias", "Norm", "word_embeddings")
    others = [p for n, p in model.bert.named_parameters() if any(part in n for part in undecayed)]
    decayed = list({*model.bert.parameters()} - {*others})
    lr = 1e-3 * (8 / 32) ** 0.5
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": 0.1},
            {"params": others, "weight_decay": 0.0},
            {"params": [model.classifier.weight], "weight_decay": 0.1, "lr": 3 * lr},
            {"params": [model.classifier.bias], "weight_decay": 0.0, "lr": 3 * lr},
        ],
        lr=lr,
        eps=EPS,
        foreach=False,
    )
    scheduler = get_linear_schedule_with_warmup(optimizer, int(warmup_ratio * steps), steps)
    rows = corpus.rows("train", ["en", "de", "fr"])
    batches = HybridBatches(config.mix, size, [0, 1, 2], rows, config.seed)
    losses = []
    for step in range(steps):
        batch = batches[step]
        pairs = corpus.assemble("train", batch.rows, batch.language1, batch.language2)
        assert pairs.token_type_ids is not None
        loss = model(
            input_ids=torch.from_numpy(pairs.input_ids),
            attention_mask=torch.from_numpy(pairs.attention_mask),
            token_type_ids=torch.from_numpy(pairs.token_type_ids),
            labels=torch.from_numpy(pairs.labels),
        ).loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        assert norm > 0.05  # clipping has something to do
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())

    ours = Run(config, (40, 80), corpus, still, tmp_path)

    assert [e.train_loss for e in ours.evaluations] == pytest.approx(
        [np.mean(losses[:5]), np.mean(losses[5:])], rel=1e-4
    )
    theirs = {f"encoder.{n}": p for n, p in model.bert.named_parameters() if "pooler" not in n}
    theirs |= {f"pooler.{n}": p for n, p in model.bert.pooler.named_parameters()}
    theirs |= {f"head.{n}": p for n, p in model.classifier.named_parameters()}
    for name, parameter in theirs.items():
        assert torch.allclose(ours.weights[name], parameter, rtol=0, atol=1e-6), name
    moved = ours.weights["head.weight"] - start.head.weight
    assert moved.abs().mean() > 1e-3


def test_micro_batches_change_memory_alone(
    corpus: TokenisedCorpus, still: PretrainedEncoder, tmp_path: Path
) -> None:
    whole, micro = (
        Run(
            trial(**{"batch.micro_size": size, "head.dropout": 0.0, "optim.eps": EPS}),
            (70,),
            corpus,
            still,
            tmp_path / str(size),
        )
        for size in (100, 2)
    )
    assert [run.evaluations[0].micro_plan[-1][1] for run in (whole, micro)] == [7, 2]
    assert micro.evaluations[0].train_loss == pytest.approx(whole.evaluations[0].train_loss, 1e-5)
    for name, tensor in whole.weights.items():
        assert torch.allclose(micro.weights[name], tensor, rtol=0, atol=1e-6), name


def test_equal_trials_are_equal_and_leave_the_encoder_alone(
    run: Any, encoder: PretrainedEncoder
) -> None:
    before = {name: array.copy() for name, array in encoder.weights.items()}
    torch.manual_seed(1)
    first = run(trial(), (21,), folder="first")
    torch.manual_seed(2)
    second = run(trial(), (21,), folder="second")
    other = run(trial(seed=1), (21,), folder="other")

    assert first.evaluations == second.evaluations
    assert all(torch.equal(second.weights[name], w) for name, w in first.weights.items())
    assert not torch.equal(first.weights["head.weight"], other.weights["head.weight"])
    assert all(np.array_equal(encoder.weights[name], array) for name, array in before.items())


def test_parameter_groups(encoder: PretrainedEncoder) -> None:
    config = trial(**{"optim.weight_decay": 0.1, "optim.new_modules_lr": 5.0})
    model = PairClassifier(encoder, config.fusion, config.head)
    names = {parameter: name for name, parameter in model.named_parameters()}
    seen = []
    for group in adamw(model, config.optim).param_groups:
        for parameter in group["params"]:
            name = names[parameter]
            is_new = name.startswith(("fusion", "head"))
            # In a branch of AIF, 1 and 4 are the LayerNorms.
            decays = not name.endswith("bias") and not any(
                part in name for part in ("LayerNorm", "branch.1", "branch.4", "word_embeddings")
            )
            assert group["lr_multiplier"] == (5.0 if is_new else 1.0), name
            assert group["weight_decay"] == (0.1 if decays else 0.0), name
            seen.append(name)
    assert sorted(seen) == sorted(names.values())


def test_precision(encoder: PretrainedEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    large = replace(encoder, config={**encoder.config, "hidden_size": 256})
    for capabilities in ({"avx512_bf16": True}, {"amx_bf16": True}, {"avx2": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert computes_in_bf16("auto", CPU, large) is ("avx2" not in capabilities)
        assert not computes_in_bf16("auto", CPU, encoder)  # too small to gain
        assert computes_in_bf16("bf16", CPU, encoder)
        assert not computes_in_bf16("fp32", CPU, large)


def test_bf16_is_near_fp32(run: Any) -> None:
    fp32 = run(trial(precision="fp32"), (35,), folder="fp32").evaluations[0]
    bf16 = run(trial(precision="bf16"), (35,), folder="bf16").evaluations[0]
    assert bf16.train_loss != fp32.train_loss
    assert bf16.train_loss == pytest.approx(fp32.train_loss, abs=0.02)
