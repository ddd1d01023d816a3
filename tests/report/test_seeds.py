"""The effect of one setting over seeds: groups, the table, the figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.records import facts, settings, with_settings
from tuner.blocks.console import show_blocks
from tuner.errors import UserError
from tuner.journal.records import OBJECTIVE, Evaluation, StudyRecord, TrialRecord, TrialState
from tuner.report.against import against
from tuner.report.seeds import compared, curves, selected
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

FAR = "oracle/accuracy/ja"


def trial(number: int, score: float, state: TrialState = "completed", **settings: Any) -> Any:
    """A trial of 100 pairs with this score in English, and half of it in Japanese."""
    params = {name.replace("_", ".", 1): value for name, value in settings.items()}
    evaluation = Evaluation(
        time=0,
        rung=100,
        pairs_seen=100,
        step=10,
        objective=score,
        select={"en": Scores(accuracy=score, f1=score, pairs=5)},
        oracle={"ja": Scores(accuracy=score / 2, f1=0, pairs=5)},
        train_loss=0.1,
        pairs_per_second=1,
        train_seconds=1,
        evaluation_seconds=1,
        peak_memory_mb=1,
        micro_plan=((0, 1),),
        precision="fp32",
    )
    return TrialRecord(
        number=number,
        origin="sampler",
        params=params,
        config=TrialConfig.from_flat(params),
        budget=100,
        state=state,
        evaluations=(evaluation,),
    )


def study_of(*trials: TrialRecord) -> StudyRecord:
    return StudyRecord(
        name="small",
        id="x",
        created=0,
        settings=settings(space={"fusion.kind": ["last", "sum"]}),
        facts=facts(claim="zero-shot for ja; trained on en"),
        rungs=(100,),
        state="completed",
        trials=trials,
    )


@pytest.fixture
def layers() -> StudyRecord:
    """`last` and two layers of `sum`, two seeds each; a pruned trial that must not count."""
    return study_of(
        trial(0, 0.70, seed=0, fusion_kind="sum", fusion_layer=2),
        trial(1, 0.80, seed=1, fusion_kind="sum", fusion_layer=2),
        trial(2, 0.60, seed=0, fusion_kind="sum", fusion_layer=0),
        trial(3, 0.64, seed=1, fusion_kind="sum", fusion_layer=0),
        trial(4, 0.90, seed=0),
        trial(5, 0.92, seed=1),
        trial(6, 0.10, "pruned", seed=2),
    )


def test_groups_are_what_differs_in_the_seed_alone(layers: StudyRecord) -> None:
    by_kind = {c.settings["fusion.kind"]: c for c in curves(layers, "fusion.layer", [OBJECTIVE])}
    assert list(by_kind) == ["last", "sum"], "as the space lists them"
    assert list(by_kind["sum"].points) == [0, 2]
    assert list(by_kind["last"].points) == [None]
    at_two = by_kind["sum"].points[2]
    assert at_two.metrics[OBJECTIVE] == (0.70, 0.80)
    assert at_two.mean(OBJECTIVE) == pytest.approx(0.75)
    assert at_two.deviation(OBJECTIVE) == pytest.approx(0.1 / math.sqrt(2))  # n - 1 = 1
    assert by_kind["last"].points[None].seeds == 2
    assert selected(layers)


def test_one_factor_at_a_time_gives_one_curve_an_axis() -> None:
    """The points of the other axis have a single value of this one, and say nothing about it."""
    study = study_of(
        trial(0, 0.5, optim_lr=1e-3, mix_cross_lingual=0.5),
        trial(1, 0.6, optim_lr=1e-2, mix_cross_lingual=0.5),
        trial(2, 0.7, optim_lr=1e-3, mix_cross_lingual=0.0),
        trial(3, 0.8, optim_lr=1e-3, mix_cross_lingual=1.0),
    )
    (by_lr,) = curves(study, "optim.lr", [OBJECTIVE])
    assert by_lr.settings == {"mix.cross_lingual": 0.5}
    (by_mix,) = curves(study, "mix.cross_lingual", [OBJECTIVE])
    assert list(by_mix.points) == [0.0, 0.5, 1.0]
    assert by_mix.points[0.5].deviation(OBJECTIVE) is None


@pytest.mark.parametrize(
    ("setting", "metric", "said"),
    [
        ("optim.lr", OBJECTIVE, "They differ in: fusion.kind, fusion.layer."),
        ("seed", OBJECTIVE, "do not differ in 'seed'"),
        ("fusion.layer", "oracle/accuracy/jp", "did you mean 'oracle/accuracy/ja'"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    layers: StudyRecord, setting: str, metric: str, said: str
) -> None:
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        curves(layers, setting, [metric])


def test_values_that_differ_in_other_settings_too_are_not_compared() -> None:
    """Each configuration of a search differs from the others in several settings."""
    study = study_of(
        trial(0, 0.5, optim_lr=1e-3, mix_cross_lingual=0.5),
        trial(1, 0.6, optim_lr=2e-3, mix_cross_lingual=0.0),
    )
    with pytest.raises(UserError, match=r"differ in mix\.cross_lingual alone(.|\n)*fusion_layers"):
        curves(study, "mix.cross_lingual", [OBJECTIVE])


def test_a_study_over_seeds_knows_what_it_compares(layers: StudyRecord) -> None:
    assert compared(layers) == ""
    space = {"seed": [0, 1], "fusion.kind": ["last", "sum"], "fusion.layer": [0, 2]}
    assert compared(with_settings(layers, space=space)) == "fusion.kind"


def test_a_study_without_complete_trials_is_refused() -> None:
    with pytest.raises(UserError, match="no trial of small has reached the full budget"):
        curves(study_of(trial(0, 0.5, "pruned")), "optim.lr", [OBJECTIVE])


def test_the_table_and_the_figure(layers: StudyRecord, tmp_path: Path) -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    blocks, path = against(layers, "fusion.layer", [OBJECTIVE, FAR], tmp_path / "figures")
    with console.file:
        show_blocks(blocks, console)
    printed = console.export_text()
    rows = [line.split() for line in printed.splitlines()]
    assert ["sum", "2", "2", "75.00", "±", "7.07", "37.50", "±", "3.54"] in rows
    assert ["last", "–", "2", "91.00", "±", "1.41", "45.50", "±", "0.71"] in rows
    assert "ASHA stopped other trials" in printed and "zero-shot for ja" in printed
    assert list((tmp_path / "figures").iterdir()) == [path]
    assert path.name == "fusion.layer--select-objective--oracle-accuracy-ja.svg"
    drawn = path.read_bytes()
    ElementTree.fromstring(drawn)
    against(layers, "fusion.layer", [OBJECTIVE, FAR], tmp_path / "figures")
    assert path.read_bytes() == drawn, "the same record gives the same file"
