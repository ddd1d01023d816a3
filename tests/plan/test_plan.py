"""Plans: what each batch size makes of the rungs, space, time, and what they warn of."""

from __future__ import annotations

import dataclasses
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from tests.plan.examples import SHAPE, printed
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.errors import UserError
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.shape import describe_encoder
from tuner.plan.command import plan_study
from tuner.plan.content import warnings
from tuner.plan.pace import Pace
from tuner.plan.plan import calibrated, make_plan
from tuner.run.checked import check_study
from tuner.run.disk import used_bytes
from tuner.study import StudyConfig
from tuner.study.file import validate_study
from tuner.study.protocol import EvaluationProtocol
from tuner.study.trial import TrialConfig
from tuner.terminal.progress import ConsoleProgress
from tuner.training.checkpoint import Checkpoints
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train

PACE = Pace(1e-3, 8e-3, {"last": 1.0, "dlfa": 1.5}, 0.5, 7.0, 1.0, "recorded by earlier: 3 trials")


def changed(study: StudyConfig, **settings: Any) -> StudyConfig:
    return validate_study(study.model_dump(mode="json") | settings, "the fixture")


def test_batches_and_their_overshoot(study: StudyConfig) -> None:
    plan = make_plan(study, PACE, encoder=None)
    assert [batch.effective_size for batch in plan.batches] == [8, 16, 32, 64]
    largest = plan.batches[-1]
    assert largest.steps == 15  # 15 x 64 = 960 pairs
    assert largest.pairs_seen == (128, 320, 960)
    assert (largest.overshoot, largest.at_rung) == (pytest.approx(0.28), 100)
    assert plan.batches[0].pairs_per_second == pytest.approx(1 / 2e-3)
    assert (plan.sets_at_rungs, plan.sets_at_full) == (4, 6)
    assert plan.trials == 9 and plan.distinct == 12
    assert plan.disk is None


def test_time_is_that_of_the_study_played_through(study: StudyConfig) -> None:
    """One configuration, nothing stopped: nine trials of 1.6 s training and 3 s evaluation."""
    fixed = changed(
        study,
        space={"batch.effective_size": 10, "seed": {"type": "int", "low": 0, "high": 99}},
        baseline={"batch.effective_size": 10},
        scheduler={"kind": "none"},
        resources={"max_concurrent_trials": 3},
    )
    plan = make_plan(fixed, PACE, encoder=None)
    assert plan.at_once == 3
    assert plan.time is not None
    trial = 900 * 1e-3 + 90 * 8e-3 + 6 * 0.5
    assert plan.time.trial_seconds == pytest.approx(9 * trial)
    assert plan.time.seconds == pytest.approx(7 + 3 * trial + 2 * 1.0)
    assert plan.time.low_seconds == pytest.approx(plan.time.high_seconds)
    assert plan.pairs == 8100 and plan.reached == (9,)


def test_a_study_too_large_for_this_machine_is_told_before_it_starts(study: StudyConfig) -> None:
    """Search refuses it; its plan is made all the same, for it may be meant for a cluster."""
    assert make_plan(study, PACE, encoder=None).too_small is None
    large = changed(study, resources={"cpus_per_trial": 5000, "max_concurrent_trials": 4})
    plan = make_plan(large, PACE, encoder=None)
    assert plan.at_once == 4 and plan.too_small is not None
    assert "--set resources.cpus_per_trial=" in plan.too_small
    (warning,) = (each for each in warnings(plan, large) if "refuse" in each)
    assert plan.too_small in warning


def test_warnings_name_the_cause_and_the_remedy(study: StudyConfig) -> None:
    told = " ".join(printed(study, None).split())
    assert "B = 8, 16, 32, 64; the worst is B = 64, 28.0% past 100 pairs" in told
    assert "multiples of 64" in told
    assert "--calibrate times a few steps" in told
    small = printed(changed(study, space={"batch.effective_size": [8, 16, 32]}), None)
    assert "3 configurations, so the study ends after 3 of 9 trials" in " ".join(small.split())
    even = changed(
        study,
        budget={"trials": 9, "pairs_per_trial": 5760},
        scheduler={"kind": "asha", "min_pairs": 640, "reduction_factor": 3},
        space={
            "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
            "optim.lr": {"type": "float", "low": 1e-5, "high": 1e-3},
        },
    )
    told = printed(even, PACE)
    assert (
        "evaluations are late" not in told
        and "--calibrate" not in told
        and "configurations, so the study ends" not in told
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_longer_than_the_terminal(study: StudyConfig, width: int) -> None:
    required = changed(study, require=["batch.effective_size <= 32"])
    lines = printed(required, PACE, width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("excluded" in line and "3 by batch" in line for line in lines)


def test_what_is_timed_covers_sizes_and_kinds(study: StudyConfig) -> None:
    space = {
        "batch.effective_size": [8, 16, 64],
        "fusion.kind": ["last", "dlfa"],
        "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["dlfa"]}},
    }
    chosen = calibrated(changed(study, space=space))
    sizes = {config.batch.effective_size for config in chosen}
    assert {8, 64} <= sizes and {c.fusion.kind for c in chosen} == {"last", "dlfa"}
    assert len(chosen) <= 4


@pytest.mark.takes_long("tokenises the built-in corpus and saves a trial")
def test_the_files_of_a_trial_take_what_is_planned(
    study: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at before each checkpoint comes into place: two are whole, and one is written."""
    encoder = load_encoder(study.encoder)
    corpus = load_corpus(study.data, ["en", "de"], ["en"])
    tokens = tokenise(corpus, load_tokenizer(study.encoder), 32)
    protocol = EvaluationProtocol.of(study.languages, study.protocol, False)
    protocol = dataclasses.replace(protocol, train=("en",), oracle=())
    config = TrialConfig.from_flat({"fusion.kind": "dlfa", "fusion.layer": 1})
    taken: list[int] = []
    replace = os.replace

    def look_and_replace(source: Path, target: Path) -> None:
        taken.append(used_bytes(tmp_path))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look_and_replace)
    checkpoints = Checkpoints(tmp_path, 1e9)
    inputs = TrialInputs(protocol, tokens, encoder)
    for _ in train(config, [32, 64, 96, 128], inputs, torch.device("cpu"), checkpoints):
        pass
    layered = changed(study, trial={"fusion.kind": "dlfa", "fusion.layer": 1})
    need = plan_study(layered, False, ConsoleProgress(Console(quiet=True))).disk
    assert need is not None
    sizes = [count * need.checkpoint_bytes for count in (1, 2, 3, 3)]
    assert taken == [pytest.approx(size, rel=0.02) for size in sizes]
    weights = (tmp_path / "step-000000004" / "model.safetensors").stat().st_size
    assert need.weights_bytes == pytest.approx(weights, rel=0.02)


def test_the_disk_space_is_shown(study: StudyConfig) -> None:
    told = " ".join(printed(study, PACE).split())
    assert "12.0 MB each (1.0 M parameters and Adam's moments)" in told
    assert "the best 3 weights of 4.0 MB" in told and "are free" in told
    assert "search will refuse" not in told


def test_a_lack_of_disk_space_is_told(study: StudyConfig) -> None:
    plan = make_plan(study, PACE, SHAPE)
    assert plan.disk is not None
    disk = plan.disk.model_copy(update={"peak_bytes": 9 * 10**9, "free_bytes": 2 * 10**9})
    told = " ".join(warnings(plan.model_copy(update={"disk": disk}), study))
    assert f"may need 9.0 GB at once in {study.storage}, but 2.0 GB are free there" in told
    assert "search will refuse. Free some" in told


def test_an_encoders_shape_is_read_without_its_weights(study: StudyConfig) -> None:
    shape, encoder = describe_encoder(study.encoder), load_encoder(study.encoder)
    weights = sum(array.size for array in encoder.weights.values())
    assert (shape.num_layers, shape.hidden_size) == (encoder.num_layers, encoder.hidden_size)
    assert shape.parameters == pytest.approx(weights, rel=0.02)


def test_a_layer_that_the_encoder_lacks_is_refused_as_by_search(study: StudyConfig) -> None:
    deep = changed(
        study, trial={"fusion.kind": "sum"}, space={"fusion.layer": [1, 4]}, baseline=None
    )
    with pytest.raises(UserError, match=r"fusion\.layer must be 0 \.\.\. 3"):
        plan_study(deep, False, ConsoleProgress(Console(quiet=True)))


def test_pairs_longer_than_the_encoder_takes_are_refused_as_by_search(study: StudyConfig) -> None:
    longer = study.encoder.model_copy(update={"max_length": 33})
    study = study.model_copy(update={"encoder": longer})
    with pytest.raises(UserError, match="must be at most 32, the positions of 'nano', got 33"):
        plan_study(study, False, ConsoleProgress(Console(quiet=True)))


@pytest.mark.parametrize(
    ("resources", "lower"),
    [
        ({"cpus_per_trial": 4096.0}, "resources.cpus_per_trial="),
        ({"gpus_per_trial": 1}, "resources.gpus_per_trial=0"),
    ],
)
def test_measuring_needs_what_a_trial_needs(
    resources: dict[str, float],
    lower: str,
    study: StudyConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    large = changed(study, resources=resources)
    with pytest.raises(UserError, match="--calibrate measures on this machine: a trial") as told:
        plan_study(large, True, ConsoleProgress(Console(quiet=True)))
    assert told.value.remedy.startswith(f"Lower it: --set {lower}")


def test_an_encoder_that_only_the_hub_could_show_is_planned_for_without(
    study: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a search is refused."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    on_hub = changed(study, encoder={"name": "org/none"})
    console = Console(width=200, record=True, file=StringIO())
    assert plan_study(on_hub, False, ConsoleProgress(console)).disk is None
    assert "layers and disk space were not checked" in console.export_text()
    with pytest.raises(UserError, match="hub cannot be reached"):
        check_study(on_hub)


def test_the_datas_head_is_read(study: StudyConfig) -> None:
    other = changed(study, languages={"source": ["en", "xx"]})
    with pytest.raises(UserError, match="nano has no language xx"):
        plan_study(other, False, ConsoleProgress(Console(quiet=True)))


@pytest.mark.integration
def test_a_calibration_times_every_size_of_batch(study: StudyConfig) -> None:
    """benchmarks/plan.py measures how near it comes to the time of training."""
    alone = changed(study, resources={"max_concurrent_trials": 1})
    plan = plan_study(alone, True, ConsoleProgress(Console(quiet=True)))
    assert plan.time is not None and "measured now" in plan.time.source
    assert [batch.effective_size for batch in plan.batches] == [8, 16, 32, 64]
    assert all(batch.pairs_per_second for batch in plan.batches)
