"""The number of trials that a cluster holds, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tuner.cluster.capacity import Capacity, NodeType
from tuner.errors import UserError
from tuner.study.parts import ResourcesConfig

HEAD = NodeType("head", cpus=0, gpus=0, alive=1, most=1)
SPOT = NodeType("spot", cpus=8, gpus=1, alive=0, most=8, grows=True, priority=10)
ON_DEMAND = NodeType("on-demand", cpus=8, gpus=1, alive=0, most=8, grows=True, priority=0)


def asks(cpus: float, gpus: float = 0, **others: Any) -> ResourcesConfig:
    return ResourcesConfig(cpus_per_trial=cpus, gpus_per_trial=gpus, **others)


def nodes(cpus: float, gpus: float, count: int) -> NodeType:
    return NodeType("", cpus, gpus, alive=count, most=count)


@pytest.mark.parametrize(
    ("node", "trial", "fits"),
    [
        (nodes(3, 0, 2), asks(2), 2),  # one core of each is left over: three would fit into a sum
        (nodes(8, 2, 1), asks(1, 1), 2),
        (nodes(1, 4, 1), asks(1, 1), 1),
        (nodes(8, 2, 1), asks(1, 0.25), 8),
        (nodes(8, 2, 1), asks(1, 0.6), 2),  # a share is of one GPU: what is left of two makes none
        (nodes(0.3, 0, 1), asks(0.1), 3),  # 0.3 / 0.1 is less than 3 in floating point
        (nodes(3, 1, 3), asks(4, 2, workers=2), 1),  # its workers spread over two nodes
        (nodes(2, 1, 4), asks(4, 2, workers=2), 2),
        (nodes(5, 0, 1), asks(4, 0, workers=2), 1),
    ],
)
def test_whole_trials_are_packed(node: NodeType, trial: ResourcesConfig, fits: int) -> None:
    assert Capacity((HEAD, node)).trials_at_once(trial) == fits


def test_a_cluster_holds_what_it_can_grow_to() -> None:
    """Spot and on-demand nodes share the maximum of all; the head, without CPUs, holds none."""
    grows = Capacity((HEAD, SPOT, ON_DEMAND), most_growing=8)
    assert grows.trials_at_once(asks(4, 1)) == 8
    assert grows.trials_at_once(asks(4, 1, max_concurrent_trials=3)) == 3
    assert grows.trials_at_once(asks(4)) == 16
    mixed = Capacity((nodes(4, 0, 1), SPOT, ON_DEMAND), most_growing=9)
    assert mixed.trials_at_once(asks(4)) == 1 + 2 * 9


def test_the_largest_nodes_are_counted_first() -> None:
    small = NodeType("small", 2, 0, alive=0, most=5, grows=True)
    large = NodeType("large", 16, 0, alive=0, most=2, grows=True)
    assert Capacity((HEAD, small, large), most_growing=3).trials_at_once(asks(2)) == 8 + 8 + 1


def test_trials_take_the_nodes_that_are_there_and_then_as_the_autoscaler_would() -> None:
    cpu = NodeType("cpu", 8, 0, alive=0, most=2, grows=True)
    cluster = Capacity((HEAD, nodes(4, 0, 1), ON_DEMAND, SPOT, cpu), most_growing=20)
    used = [(taken.type.name, taken.nodes, taken.places) for taken in cluster.used_by(asks(4), 9)]
    assert used == [("", 1, 1), ("spot", 4, 2)]
    no_priority = Capacity((HEAD, ON_DEMAND, cpu), most_growing=20)
    used = [(taken.type.name, taken.nodes) for taken in no_priority.used_by(asks(4), 6)]
    assert used == [("cpu", 2), ("on-demand", 1)]  # GPUs are not kept idle where others would do


@pytest.mark.parametrize(
    ("trial", "problem", "remedy"),
    [
        (asks(16, 1), "16 CPU and 1 GPU on one node, but the largest is spot", "cpus_per_trial=8;"),
        (
            asks(48, 4, workers=4),
            "each of a trial's 4 workers asks for 12 CPU and 1 GPU on one node",
            "cpus_per_trial=32;",
        ),
        (asks(9, 9, workers=9), "9 workers of 1 CPU and 1 GPU each", "resources.workers=8;"),
    ],
)
def test_what_can_never_be_held_is_refused(
    trial: ResourcesConfig, problem: str, remedy: str
) -> None:
    cluster = Capacity((HEAD, SPOT, ON_DEMAND), most_growing=8)
    with pytest.raises(UserError) as caught:
        cluster.trials_at_once(trial)
    assert problem in caught.value.problem and remedy in caught.value.remedy


def test_a_cluster_without_gpus_says_so() -> None:
    with pytest.raises(UserError, match=r"the largest is a node \(4 CPU, 0 GPU\)") as caught:
        Capacity((HEAD, nodes(4, 0, 2))).trials_at_once(asks(1, 0.5))
    assert "--set resources.gpus_per_trial=0;" in caught.value.remedy


def test_a_head_alone_holds_none() -> None:
    with pytest.raises(UserError, match="no node of the cluster has CPUs for trials"):
        Capacity((HEAD,)).trials_at_once(asks(1))
