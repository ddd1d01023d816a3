"""The default trial on nano, through the real loop: learnable, in seconds, with its claim."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tuner.errors import UserError
from tuner.journal.records import Evaluation
from tuner.run.single import train_one
from tuner.study.file import load_study
from tuner.study.planned import single_config

NANO = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"


@pytest.mark.slow
def test_the_default_trial_learns_nano() -> None:
    """80% on the source languages; about 6 s of training and evaluation on 2 idle cores."""
    study = load_study(NANO)
    console = Console(file=io.StringIO(), width=80)
    result = train_one(study, console)
    evaluation = Evaluation.model_validate(result["evaluation"])
    assert result["claim"].startswith("zero-shot for es, zh, ja, ko; trained on en, de, fr")
    assert evaluation.rung == study.budget.pairs_per_trial
    assert evaluation.objective == evaluation.criteria["balanced"]
    assert evaluation.select["sources"].accuracy >= 0.8
    near, far = evaluation.oracle["es"].accuracy, evaluation.oracle["rest"].accuracy
    assert near - far >= 0.05
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "zero-shot for es, zh, ja, ko" in printed and "oracle/ja" in printed


@pytest.mark.integration
def test_gradient_noise_is_told_where_it_is_asked_for() -> None:
    overrides = ["budget.pairs_per_trial=64", "scheduler.kind=none", "languages.target=[]"]
    asked = ["diagnostics.gradient_noise=true", "diagnostics.noise_pairs=48"]
    console = Console(file=io.StringIO(), width=100)
    result = train_one(load_study(NANO, [*overrides, *asked]), console)
    noise = Evaluation.model_validate(result["evaluation"]).noise
    assert {kind: each.pairs for kind, each in noise.items()} == {
        "monolingual": 48,
        "cross_lingual": 48,
    }
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a diagnostic, not a critical batch size" in printed
    assert f"{noise['cross_lingual'].within:.3g}" in printed


def test_of_a_design_its_first_configuration_is_trained() -> None:
    """The first scored trial of a scaling study is at the grid's middle rate; it does not tune."""
    ours = [
        "baseline=null",
        "sampler={}",
        "scheduler={kind: none}",
        "budget={pairs_per_trial: 640}",
        "trial={}",
    ]
    tuning = "{lr: [1.0e-4, 3.0e-4, 1.0e-3], seeds: [7]}"
    scaling = [
        *ours,
        "space={batch.effective_size: [16, 64], mix.cross_lingual: [0.5, 1.0]}",
        f"design={{kind: scaling, hold: steps, seeds: [3, 4], tuning: {tuning}}}",
    ]
    study = load_study(NANO, scaling)
    config = single_config(study)
    assert (config.seed, config.optim.lr) == (3, 3e-4)
    assert (config.batch.effective_size, config.mix.cross_lingual) == (16, 0.5)
    assert study.rungs_of(config) == (320,), "20 steps, as 640 pairs give at 32 a step"


def test_a_trial_that_breaks_a_requirement_is_refused() -> None:
    overrides = ["trial.optim.lr=2e-3", "baseline.optim.lr=1e-3", "space.seed=[0, 1]"]
    overrides += ["require=['optim.lr <= 1e-3 or seed == 1']"]
    study = load_study(NANO, overrides)
    with pytest.raises(UserError, match=r"does not hold: optim\.lr is 0\.002, seed is 0"):
        train_one(study, Console(file=io.StringIO()))
