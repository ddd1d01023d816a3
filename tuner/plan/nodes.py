"""A study's use of a cluster: the nodes, their hours and their cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from pydantic import Field

from tuner.cluster.capacity import Capacity, Used
from tuner.plan.prices import Prices
from tuner.plan.simulated import SimulatedStudy
from tuner.study import StudyConfig
from tuner.study.scores import Record


class NodePlan(Record):
    """The study's use of one type of node."""

    type: str
    cpus: float = Field(description="CPUs of one node")
    gpus: float = Field(description="GPUs of one node")
    alive: int = Field(description="number of nodes now")
    nodes: int = Field(description="largest number of nodes while the study runs")
    trials: float = Field(
        description="trials that a node runs at once; below 1 if a trial needs several"
    )
    hours: float | None = Field(description="total hours of all nodes; None: no time is predicted")
    per_hour: float | None = Field(description="price of one node; None: not in the price table")

    @property
    def cost(self) -> float | None:
        """The cost of all nodes of this type together."""
        if self.hours is None or self.per_hour is None:
            return None
        return self.hours * self.per_hour


class ClusterPlan(Record):
    """The study's use of the cluster, from its start until its nodes are gone."""

    nodes: tuple[NodePlan, ...]
    currency: str | None = Field(description="None: no prices were given")
    as_of: str | None
    cost: float | None = Field(
        description="cost of the nodes that have a price; None: no node has one"
    )

    @property
    def growing(self) -> int:
        """The number of nodes that have to boot first."""
        return sum(max(0, node.nodes - node.alive) for node in self.nodes)


def nodes_of(
    study: StudyConfig,
    capacity: Capacity,
    used: Sequence[Used],
    outcomes: Sequence[SimulatedStudy],
    prices: Prices | None,
) -> ClusterPlan:
    """Plan the nodes that trials need, and the nodes that run anyway, such as the head.

    The hours of a node that the autoscaler starts count from the study's start, when it is
    requested, until it has been idle for as long as the autoscaler waits.
    """
    workers = study.resources.workers
    idle = [type_ for type_ in capacity.types if type_.alive and not type_.grows]
    idle = [type_ for type_ in idle if all(type_ != taken.type for taken in used)]
    first, plans = 0, []
    for type_, nodes, places in (*used, *((type_, 0, 0) for type_ in idle)):
        hours = None
        if outcomes and type_.grows:
            until = [_last_ends(outcome, first, nodes, places, workers) for outcome in outcomes]
            hours = (fmean(map(sum, until)) + nodes * (capacity.idle_seconds or 0)) / 3600
        elif outcomes:
            hours = type_.alive * fmean(outcome.seconds for outcome in outcomes) / 3600
        plans.append(
            NodePlan(
                type=type_.name or "other",
                cpus=type_.cpus,
                gpus=type_.gpus,
                alive=type_.alive,
                nodes=nodes if type_.grows else type_.alive,
                trials=places / workers,
                hours=hours,
                per_hour=prices.per_hour.get(type_.name) if prices else None,
            )
        )
        first += nodes * places
    costs = [plan.cost for plan in plans if plan.cost is not None]
    return ClusterPlan(
        nodes=tuple(plans),
        currency=prices.currency if prices else None,
        as_of=prices.as_of if prices else None,
        cost=sum(costs) if costs else None,
    )


def _last_ends(
    outcome: SimulatedStudy, first: int, nodes: int, places: int, workers: int
) -> Iterator[float]:
    """Yield the seconds from the study's start to the last trial's end on each of some nodes.

    Args:
        outcome: the outcome, with the end of trials in each place.
        first: number of worker places on all earlier nodes.
        nodes: number of nodes.
        places: worker places on each node.
        workers: workers of a trial.
    """
    for node in range(nodes):
        begin = first + node * places
        trials = outcome.ended[begin // workers : -(-(begin + places) // workers)]
        yield max(trials, default=0.0)
