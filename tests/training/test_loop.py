from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

from tests.training.examples import CPU, EPS, NEVER, PROTOCOL, Run, trial
from tuner.data.batches import HybridBatches
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.arrays import text_as_bits
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder, load_encoder, load_tokenizer
from tuner.model.packing import PaddedPairs
from tuner.study.data import NanoData
from tuner.study.parts import EncoderConfig, LanguagesConfig, ProtocolConfig
from tuner.study.protocol import EvaluationProtocol
from tuner.study.trial import TrialConfig
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.inputs import TrialInputs
from tuner.training.loop import (
    Begun,
    Step,
    adamw,
    computes_in_bf16,
    train,
)
from tuner.training.losses import NonFiniteLoss, read_losses


@pytest.fixture
def run(corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path) -> Any:
    """`run(config, rungs, folder="...", every_seconds=..., steps=...)`."""

    def start(
        config: TrialConfig, rungs: tuple[int, ...], folder: str = "trial", **settings: Any
    ) -> Run:
        return Run(config, rungs, corpus, encoder, tmp_path / folder, **settings)

    return start


def test_rungs_are_evaluated_at_the_first_step_at_or_past_them(run: Any) -> None:
    done = run(trial(), (10, 28, 33))
    assert [(e.rung, e.pairs_seen, e.step) for e in done.evaluations] == [
        (10, 14, 2),
        (28, 28, 4),
        (33, 35, 5),
    ]
    assert done.steps == [Step(n, 7 * n) for n in range(1, 6)]  # and it ends there


def test_rungs_passed_by_one_step_share_an_evaluation(run: Any) -> None:
    done = run(trial(**{"batch.effective_size": 32}), (5, 20, 33))
    assert [(e.rung, e.pairs_seen) for e in done.evaluations] == [(5, 32), (20, 32), (33, 64)]
    first, second, _ = done.evaluations
    assert second == first.model_copy(update={"rung": 20})


def test_answers_are_kept_at_the_full_budget_alone(run: Any, corpus: TokenisedCorpus) -> None:
    """Also where the step that reaches it passes a lower rung."""
    done = run(trial(**{"batch.effective_size": 32}), (20, 40, 60))
    assert [(e.rung, e.step, bool(e.answers)) for e in done.evaluations] == [
        (20, 1, False),
        (40, 2, False),
        (60, 2, True),
    ]
    last = done.evaluations[-1]
    assert last.answers.keys() == {"en", "de", "fr", "ja"}
    for language, text in last.answers.items():
        scores = (last.select | last.oracle)[language]
        assert text_as_bits(text, scores.pairs).mean() == pytest.approx(scores.accuracy)
    assert last.metrics().keys() == done.evaluations[0].metrics().keys()
    assert Evaluation.model_validate_json(last.model_dump_json()) == last


@pytest.mark.parametrize("every_seconds", [0.0, NEVER], ids=["each-step", "rungs-alone"])
@pytest.mark.parametrize("interrupted_at", [1, 2, 5, 9, 10, 11])
def test_resumed_is_bit_equal(interrupted_at: int, every_seconds: float, run: Any) -> None:
    rungs = (14, 40, 70)
    whole = run(trial(), rungs, folder="whole")

    part = run(trial(), rungs, every_seconds=every_seconds, steps=interrupted_at)
    rest = run(trial(), rungs, every_seconds=every_seconds)

    saved = max(s for s in ((0, 2, 6, 10) if every_seconds else range(11)) if s < interrupted_at)
    assert [step.step for step in rest.steps] == list(range(saved + 1, 11))
    assert rest.evaluations == whole.evaluations  # those of before are yielded again
    assert part.evaluations == whole.evaluations[: len(part.evaluations)]
    assert rest.weights.keys() == whole.weights.keys()
    for name, tensor in whole.weights.items():
        assert torch.equal(rest.weights[name], tensor), name


MOMENTS: dict[str, tuple[Callable[[Any], bool], int]] = {
    "nothing done": (lambda event: isinstance(event, Begun), 0),
    "after a step": (lambda event: isinstance(event, Step) and event.step == 1, 1),
    "at a rung": (lambda event: isinstance(event, Step) and event.step == 2, 2),
    "in an evaluation": (lambda event: isinstance(event, Evaluating) and event.pairs_done > 0, 2),
    "in the last evaluation": (lambda event: isinstance(event, Evaluating), 4),
    "after an evaluation": (lambda event: isinstance(event, Evaluation), 2),
}


@pytest.mark.parametrize(("moment", "step"), MOMENTS.values(), ids=MOMENTS)
def test_what_was_kept_at_a_stop_is_not_done_again(
    moment: Callable[[Any], bool],
    step: int,
    run: Any,
    corpus: TokenisedCorpus,
    encoder: PretrainedEncoder,
    tmp_path: Path,
) -> None:
    """A stop may come between any two events: also in the course of an evaluation."""
    rungs = (14, 28)
    whole = run(trial(), rungs, folder="whole")
    checkpoints = Checkpoints(tmp_path / "trial", NEVER)
    done = 0
    for event in train(trial(), rungs, TrialInputs(PROTOCOL, corpus, encoder), CPU, checkpoints):
        done = event.step if isinstance(event, Step) else done
        if done == step and moment(event):
            break
    checkpoints.keep()

    rest = run(trial(), rungs)
    assert [step.step for step in rest.steps] == list(range(step + 1, 5))
    assert rest.evaluations == whole.evaluations
    for name, tensor in whole.weights.items():
        assert torch.equal(rest.weights[name], tensor), name


def test_nothing_is_written_where_nothing_is_new(
    run: Any, corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    """A checkpoint of mBERT is two gigabytes."""
    run(trial(), (14, 28))
    (saved, *_) = sorted((tmp_path / "trial").glob("step-*"), reverse=True)
    written = saved.stat().st_ino
    checkpoints = Checkpoints(tmp_path / "trial", NEVER)
    checkpoints.keep()  # no trial has begun
    for _ in train(trial(), (14, 28), TrialInputs(PROTOCOL, corpus, encoder), CPU, checkpoints):
        checkpoints.keep()
    assert saved.stat().st_ino == written


def test_resuming_keeps_the_micro_batches(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = trial(**{"batch.micro_size": 6})
    rungs = (14, 70)

    def too_large(module: PairClassifier, inputs: tuple[list[PaddedPairs]]) -> None:
        if module.training and sum(len(block.input_ids) for block in inputs[0]) > 3:
            raise torch.OutOfMemoryError("injected")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            too_large(module, inputs) if isinstance(module, PairClassifier) else None
        )
    )
    whole = run(config, rungs, folder="whole")
    run(config, rungs, every_seconds=0.0, steps=4)
    hook.remove()  # the rest of the trial has room, but repeats the plan
    rest = run(config, rungs)

    plans = [evaluation.micro_plan for evaluation in rest.evaluations]
    assert plans == [evaluation.micro_plan for evaluation in whole.evaluations]
    assert len(plans[0]) > 1, "less was tried than the configuration says"
    for name, tensor in whole.weights.items():
        assert torch.equal(rest.weights[name], tensor), name


class MemoryFor3:
    """From a forward pass of training on, so many done, a device holds three pairs, not more."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, module: torch.nn.Module, inputs: tuple[list[PaddedPairs]]) -> None:
        if not (isinstance(module, PairClassifier) and module.training):
            return
        self._left -= 1
        if self._left < 0 and sum(len(block.input_ids) for block in inputs[0]) > 3:
            raise torch.OutOfMemoryError("injected")


@pytest.mark.parametrize("after", [0, 2])
def test_a_recorded_plan_is_followed_exactly(
    after: int, corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    """With dropout, on a machine with room; memory ran out at first, or right after a rung."""
    config, rungs = trial(**{"batch.micro_size": 6}), (14, 35)

    def run(folder: str, steps: int | None = None, **settings: Any) -> Run:
        return Run(config, rungs, corpus, encoder, tmp_path / folder, 0.0, steps, **settings)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(MemoryFor3(after))
    try:
        whole = run("whole")
    finally:
        hook.remove()
    plan = whole.evaluations[-1].micro_plan
    assert len(plan) > 1 and plan[1][0] == after

    again = run("again", micro_plan=plan)
    run("interrupted", steps=2, micro_plan=plan)
    resumed = run("interrupted", micro_plan=plan)
    for rerun in (again, resumed):
        assert rerun.evaluations == whole.evaluations
        assert all(torch.equal(rerun.weights[name], w) for name, w in whole.weights.items())
    other = run("other")
    assert not torch.equal(other.weights["head.weight"], whole.weights["head.weight"])


def test_a_checkpoint_of_another_trial_is_refused(run: Any) -> None:
    run(trial(), (14,))
    with pytest.raises(ValueError, match="another configuration"):
        run(trial(seed=1), (14,))
    with pytest.raises(ValueError, match="another configuration"):
        run(trial(), (14, 28))


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


def test_a_diverging_trial_stops_before_it_reports_or_saves(run: Any, tmp_path: Path) -> None:
    config = trial(**{"optim.lr": 1e30, "optim.warmup_ratio": 0.0})
    with pytest.raises(NonFiniteLoss, match="diverged at step 2") as stopped:
        run(config, (14, 70), every_seconds=0.0)
    assert stopped.value.step == 2
    assert [path.name for path in (tmp_path / "trial").iterdir()] == ["step-000000001"]


@pytest.mark.parametrize("bad", [(float("nan"), 1.0), (1.0, float("inf"))])
def test_the_first_bad_step_is_named(bad: tuple[float, float]) -> None:
    values = [(0.5, 1.0), (0.25, 1.0), bad, bad]
    unread = [(torch.tensor(loss), torch.tensor(norm)) for loss, norm in values]
    assert read_losses(unread[:2], step=12) == [0.5, 0.25]
    with pytest.raises(NonFiniteLoss) as stopped:
        read_losses(unread, step=14)
    assert stopped.value.step == 13


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


def test_costs_are_measured(corpus: TokenisedCorpus, encoder: PretrainedEncoder) -> None:
    events = list(train(trial(), (14, 70), TrialInputs(PROTOCOL, corpus, encoder), CPU))
    first, second = (event for event in events if isinstance(event, Evaluation))
    assert 0 < first.train_seconds < second.train_seconds
    assert first.pairs_per_second == pytest.approx(14 / first.train_seconds)
    expected = (70 - 14) / (second.train_seconds - first.train_seconds)
    assert second.pairs_per_second == pytest.approx(expected)
    assert second.evaluation_seconds > 0
    assert 50 < second.peak_memory_mb < 100_000
    assert second.time > first.time > 1.7e9
    assert second.objective == PROTOCOL.objective(second.select)


def test_an_evaluation_says_how_far_it_is(
    corpus: TokenisedCorpus, encoder: PretrainedEncoder
) -> None:
    """Between the step that reached the rung and its evaluation, over all sets together."""
    begun, *events = train(trial(), (14, 21), TrialInputs(PROTOCOL, corpus, encoder), CPU)
    assert begun == Begun(0)
    assert [type(event) for event in events[:3]] == [Step, Step, Evaluating]
    first = events.index(next(event for event in events if isinstance(event, Evaluation)))
    told = [event for event in events[:first] if isinstance(event, Evaluating)]
    last = events[first]
    assert isinstance(last, Evaluation)
    pairs = sum(last.select[name].pairs for name in ("en", "de", "fr")) + last.oracle["ja"].pairs
    done = [event.pairs_done for event in told]
    assert {event.pairs_total for event in told} == {pairs}
    assert done[0] == 0 and done[-1] == pairs and done == sorted(set(done)) and len(done) > 4


@pytest.mark.takes_long("tokenises and trains on the built-in languages")
def test_nano_learns() -> None:
    config = EncoderConfig(name="nano", max_length=32)
    languages = LanguagesConfig(source=("en", "de"), target=())
    text = load_corpus(NanoData(source="nano"), ["en", "de"], ["en", "de"])
    tokens = tokenise(text, load_tokenizer(config), config.max_length)
    protocol = EvaluationProtocol.of(languages, ProtocolConfig(), text.machine_translated)
    settings = TrialConfig.from_flat({"optim.lr": 5e-4, "mix.cross_lingual": 0.25})

    events = train(settings, (32, 1280), TrialInputs(protocol, tokens, load_encoder(config)), CPU)
    before, after = (event for event in events if isinstance(event, Evaluation))

    assert before.objective < 0.65
    assert after.objective > 0.75
    assert after.train_loss < before.train_loss


@pytest.mark.integration
def test_training_needs_no_other_framework() -> None:
    code = (
        "import sys\n"
        "for name in ('ray', 'mlflow', 'optuna', 'datasets'): sys.modules[name] = None\n"
        "import tuner.training.loop\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
