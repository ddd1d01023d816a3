"""The training loop: evaluations at rungs, divergence, costs and progress."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from tests.examples import objective_of
from tests.training.examples import CPU, PROTOCOL, trial
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.arrays import text_as_bits
from tuner.journal.records import Evaluation
from tuner.model.encoder import PretrainedEncoder, load_encoder, load_tokenizer
from tuner.study.data import NanoData
from tuner.study.parts import EncoderConfig
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.trial import TrialConfig
from tuner.training.evaluation import Evaluating
from tuner.training.inputs import TrialInputs
from tuner.training.loop import (
    Begun,
    Step,
    train,
)
from tuner.training.losses import NonFiniteLoss, read_losses


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
    sources = ("en", "de", "fr")
    crossed = {f"{a}-{b}" for a in sources for b in sources if a != b}
    assert last.answers.keys() == {*sources, *crossed, "ja"}
    for name, text in last.answers.items():
        scores = (last.select | last.oracle)[name]
        assert text_as_bits(text, scores.pairs).mean() == pytest.approx(scores.accuracy)
    assert Evaluation.model_validate_json(last.model_dump_json()) == last


def test_rungs_evaluate_what_the_objective_reads_and_the_full_budget_every_permitted_set(
    run: Any,
) -> None:
    first, last = run(trial(), (14, 70)).evaluations
    assert first.select.keys() == {"en", "de", "fr", "sources"} and not first.oracle
    assert first.criteria == {} and first.objective == first.select["sources"].accuracy
    assert last.oracle.keys() == {"ja", "targets", "rest"}
    own, of = last.select["sources"].accuracy, last.criteria
    crossed = fmean(score.accuracy for name, score in last.select.items() if "-" in name)
    assert of["mean"] == pytest.approx(own) and of["cross_lingual"] == pytest.approx(crossed)
    assert of["balanced"] == pytest.approx(min(own, crossed))
    assert of["worst"] == min(last.select[name].accuracy for name in ("en", "de", "fr"))
    assert list(of) == ["mean", "worst", "cross_lingual", "balanced", "joint"]
    assert last.objective == of["mean"]


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
    assert second.objective == objective_of(PROTOCOL, second.select)


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
    assert last.select.keys() == {"en", "de", "fr", "sources"} and not last.oracle
    pairs = sum(last.select[name].pairs for name in ("en", "de", "fr"))
    done = [event.pairs_done for event in told]
    assert {event.pairs_total for event in told} == {pairs}
    assert done[0] == 0 and done[-1] == pairs and done == sorted(set(done)) and len(done) > 3


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
