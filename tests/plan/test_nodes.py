"""A plan for a cluster: nodes, hours and cost, by hand; what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tuner.blocks.console import show_blocks
from tuner.cluster.capacity import Capacity, NodeType
from tuner.errors import UserError
from tuner.plan.command import plan_study
from tuner.plan.content import content
from tuner.plan.pace import Pace
from tuner.plan.plan import StudyPlan, make_plan
from tuner.plan.prices import Prices, load_prices
from tuner.study import StudyConfig
from tuner.study.file import validate_study
from tuner.terminal.progress import ConsoleProgress

HEAD = NodeType("head", cpus=2, gpus=0, alive=1, most=1)
GPU = NodeType("gpu-spot", cpus=8, gpus=1, alive=0, most=2, grows=True)
CLUSTER = Capacity((HEAD, GPU), most_growing=2, idle_seconds=60)
PRICES = Prices(currency="USD", as_of="2026-11", per_hour={"gpu-spot": 3.6, "head": 0.36})
BOOTED = {"startup": 30.0, "between": 1.0, "source": "recorded by earlier", "boot": 20.0}
PACE = Pace(0.1, 0.0, {"last": 1.0}, 0.0, ramp=5.0, **BOOTED)


@pytest.fixture
def on_gpus(study: StudyConfig) -> StudyConfig:
    """Three trials of 90 s each, one a GPU."""
    settings = study.model_dump(mode="json") | {
        "budget": {"trials": 3, "pairs_per_trial": 900},
        "scheduler": {"kind": "none"},
        "space": {"batch.effective_size": 10, "seed": {"type": "int", "low": 0, "high": 99}},
        "baseline": {"batch.effective_size": 10},
        "resources": {"cpus_per_trial": 4, "gpus_per_trial": 1},
    }
    return validate_study(settings, "the fixture")


def printed(plan: StudyPlan, study: StudyConfig) -> str:
    console = Console(width=80, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        show_blocks(content(plan, study), console)
    return console.export_text()


def test_hours_and_cost_are_those_of_the_study_played_through(on_gpus: StudyConfig) -> None:
    """Nodes come after 30 and 35 s; the first of them runs a second trial, from 121 s to 211 s."""
    plan = make_plan(on_gpus, PACE, None, CLUSTER, PRICES)
    assert (plan.at_once, plan.at_once_since) == (2, "as many as the cluster holds at its maximum")
    assert plan.time is not None and plan.cluster is not None
    assert plan.time.seconds == pytest.approx(30 + 90 + 1 + 90)
    assert plan.time.gpu_hours == pytest.approx(270 / 3600)
    gpu, head = plan.cluster.nodes
    assert (gpu.type, gpu.nodes, gpu.alive, gpu.trials) == ("gpu-spot", 2, 0, 1)
    assert gpu.hours == pytest.approx((211 + 125 + 2 * 60) / 3600)
    assert (head.type, head.nodes, head.trials) == ("head", 1, 0)
    assert head.hours == pytest.approx(211 / 3600)
    assert plan.cluster.cost == pytest.approx(456 / 1000 + 211 / 10000)


def test_nodes_that_are_there_need_no_boot(on_gpus: StudyConfig) -> None:
    warm = Capacity((HEAD, NodeType("gpu-spot", 8, 1, alive=2, most=2, grows=True)), 2)
    plan = make_plan(on_gpus, PACE, None, warm)
    assert plan.time is not None and plan.cluster is not None
    assert plan.time.seconds == pytest.approx(10 + 90 + 1 + 90)
    assert plan.cluster.growing == 0 and plan.cluster.cost is None


def test_a_trial_of_several_workers_holds_several_nodes(on_gpus: StudyConfig) -> None:
    settings = on_gpus.model_dump(mode="json")
    settings["resources"] |= {"workers": 2, "gpus_per_trial": 2, "cpus_per_trial": 8}
    plan = make_plan(validate_study(settings, "here"), PACE, None, CLUSTER, PRICES)
    assert plan.at_once == 1 and plan.cluster is not None
    gpu = plan.cluster.nodes[0]
    assert (gpu.nodes, gpu.trials) == (2, 0.5)
    assert gpu.hours == pytest.approx(2 * (30 + 3 * 90 + 2 + 60) / 3600)


def test_it_is_shown_at_80_columns(on_gpus: StudyConfig) -> None:
    told = printed(make_plan(on_gpus, PACE, None, CLUSTER, PRICES), on_gpus)
    assert max(map(len, told.splitlines())) <= 80
    words = " ".join(told.split())
    assert "at once 2, as many as the cluster holds at its maximum" in words
    assert "0.1 GPU-hours" in words
    assert "cost about 0.48 USD for nodes, at prices of 2026-11" in words
    assert "gpu-spot 8 1 0 2 1 0.13 0.46" in words
    assert "head 2 0 1 1 – 0.06 0.02" in words
    assert "have to boot" not in words and "no price" not in words


def test_what_is_not_known_is_said(on_gpus: StudyConfig) -> None:
    unbooted = Pace(0.1, 0.0, {"last": 1.0}, 0.0, **BOOTED | {"boot": 0.0})
    other = Prices(currency="EUR", as_of="2026-10", per_hour={"gpu-spot": 3.6})
    words = " ".join(printed(make_plan(on_gpus, unbooted, None, CLUSTER, other), on_gpus).split())
    assert "nodes have to boot first (2 of them), and no earlier study has shown" in words
    assert "no price is given for head" in words
    words = " ".join(printed(make_plan(on_gpus, None, None, CLUSTER), on_gpus).split())
    assert "gpu-spot 8 1 0 2 1 ?" in words and "cost" not in words
    assert "--set name=pilot --set budget.trials=4" in words and "--calibrate" not in words


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("currency: USD\nas_of: 2026-11\nper_hour: {a: cheap}", "per_hour.a"),
        ("currency: USD\nper_hour: {a: 1}", "as_of"),
        ("- 1", "the file"),
        ("currency: USD\nas_of: soon\nper_hour: {a: 1}", "as_of"),
        ("currency: USD\nas_of: 2026-11\nper_hour: {a: 1}\nper_day: {}", "per_day"),
    ],
)
def test_a_table_of_prices_is_checked(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"not a price table: {complaint}"):
        load_prices(path)


def test_a_table_of_prices_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("currency: USD\nas_of: 2026-11\nper_hour: {gpu-spot: 3.6, head: 0.36}")
    assert load_prices(path) == PRICES


def test_prices_need_a_cluster(study: StudyConfig) -> None:
    quiet: Any = ConsoleProgress(Console(quiet=True))
    with pytest.raises(UserError, match="this plan is for this machine"):
        plan_study(study, False, quiet, PRICES)
