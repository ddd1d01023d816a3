"""Trials of several workers: actors that train together, and the actor that leads them.

Ray Tune knows only the leader. It sits in the trial's placement group without resources of its
own, beside a bundle for each worker. It advances all workers by the same number of events and
reports what the first one yields. It owns the workers: they end when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import ray
from ray import ObjectRef, tune
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from tuner.cluster.capacity import share_of
from tuner.cluster.environment import meet_through
from tuner.journal.records import Evaluation
from tuner.run.messages import Failed, Kept, TrialStart, start_in
from tuner.run.trainable import TrialActor, this_node
from tuner.run.worker import Event, Worker
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig
from tuner.training.group import Disconnected, meeting_place
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Begun

BURST_SECONDS = 1.0
"""Approximate length of a burst of events between two reports; a stop takes effect between two."""
GRACE_SECONDS = 5.0
"""Longest wait for the others if one worker fails: they may fail too, or turn out lost."""


def bundles(resources: ResourcesConfig) -> tune.PlacementGroupFactory:
    """Return a trial's bundles: an empty one for the leader, a share for each worker.

    Ray packs them onto as few nodes as possible.
    """
    cpus, gpus = share_of(resources)
    each = {"CPU": cpus, "GPU": gpus}
    return tune.PlacementGroupFactory([{}, *[each] * resources.workers], strategy="PACK")


class Member:
    """A worker of a trial, as an actor."""

    def __init__(self, rank: int, study: StudyConfig, inputs: TrialInputs) -> None:
        self._rank = rank
        self._worker = Worker(study, inputs)
        self._events: Iterator[Event] = iter(())

    def node(self) -> str:
        """Return Ray's id of the worker's node."""
        return this_node()

    def invite(self) -> tuple[str, int]:
        """Open the meeting place; return its address and port."""
        address = _address()
        self._place = meeting_place(address)
        return address, self._place.port

    def join(self, address: str, port: int, on_one_node: bool) -> None:
        """Join the others at the meeting place; return when all have joined."""
        if not on_one_node or is_loopback(address):
            meet_through(_address())
        self._worker.join(self._rank, address, port)

    def begin(self, start: TrialStart) -> None:
        """Take a trial; release the previous one and the memory it held."""
        self._events = iter(())
        self._worker.release()
        self._events = self._worker.train(start)

    def advance(self, most: int) -> list[Event]:
        """Train for up to `most` events; stop at an event that the driver must learn of at once."""
        said: list[Event] = []
        for event in self._events:
            said.append(event)
            if len(said) == most or isinstance(event, Begun | Evaluation | Failed):
                break
        return said

    def keep(self) -> Kept:
        """Save the trial, as `TrialActor.keep` does; only the first worker saves."""
        return self._worker.keep()


class Members:
    """The workers of one leader, in the bundles of its placement group.

    Args:
        study: the study's settings; `resources.workers` is the number of workers.
        inputs: a reference to the inputs of all trials, which move to a node once.

    Raises:
        RayActorError: from every method, if a worker is lost; all are ended then.
        Disconnected: from every method, if only the other workers have noticed the loss.
    """

    def __init__(self, study: StudyConfig, inputs: ObjectRef[TrialInputs]) -> None:
        group = get_current_placement_group()
        assert group is not None
        self._actors: list[Any] = [
            ray.remote(Member)
            .options(
                num_cpus=bundle.get("CPU", 0),
                num_gpus=bundle.get("GPU", 0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=rank
                ),
            )
            .remote(rank, study, inputs)
            for rank, bundle in enumerate(bundles(study.resources).bundles)
        ]
        self.nodes: list[str] = self._ask(self._actors, "node")
        ((address, port),) = self._ask(self._actors[:1], "invite")
        self._ask(self._actors, "join", address, port, len(set(self.nodes)) == 1)

    @property
    def sound(self) -> bool:
        """True while the workers can take another trial."""
        return bool(self._actors)

    def train(self, start: TrialStart) -> Iterator[Event]:
        """Train a trial together; yield the first worker's events, which all of them share."""
        self._ask(self._actors, "begin", start)
        most = 1
        while True:
            began = time.monotonic()
            events: list[Event] = self._ask(self._actors, "advance", most)[0]
            yield from events
            if not events or isinstance(events[-1], Failed):
                return
            pace = len(events) / (time.monotonic() - began)
            most = max(1, min(2 * most, round(BURST_SECONDS * pace)))

    def keep(self) -> Kept:
        """Save the trial's progress, as `TrialActor.keep` does."""
        kept: Kept
        (kept,) = self._ask(self._actors[:1], "keep")
        return kept

    def end(self) -> None:
        """Kill all workers at once, whatever they are doing."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _ask(self, actors: list[Any], method: str, *arguments: Any) -> list[Any]:
        """Call a method of each actor and return the answers.

        If one has failed and the others wait for it in vain, end all workers.
        """
        calls = [getattr(actor, method).remote(*arguments) for actor in actors]
        try:
            said = _answers(calls)
        except BaseException:
            self.end()
            raise
        if len(said) < len(calls):
            self.end()
        return said


def _answers(calls: list[ObjectRef[Any]]) -> list[Any]:
    """Return all answers, or only that of a failed worker for which the others wait in vain."""
    waiting = calls
    try:
        while waiting:
            (first,), waiting = ray.wait(waiting)
            answer = ray.get(first)
            failed = isinstance(answer, list) and answer and isinstance(answer[-1], Failed)
            if failed and _in_time(waiting) != waiting:
                return [answer]
    except Disconnected:
        for call in _in_time(waiting):
            with suppress(Disconnected):
                ray.get(call)  # raises Ray's own error if Ray knows why the worker has gone
        raise
    return list(ray.get(calls))


def _in_time(calls: list[ObjectRef[Any]]) -> list[ObjectRef[Any]]:
    """Return the calls that end within `GRACE_SECONDS`."""
    return ray.wait(calls, num_returns=len(calls), timeout=GRACE_SECONDS)[0] if calls else []


class Leader(TrialActor):
    """The Ray Tune trainable of a trial of several workers."""

    def setup(  # type: ignore[override]  # tune.with_parameters adds the others
        self, config: dict[str, Any], study: StudyConfig, inputs: tuple[ObjectRef[TrialInputs]]
    ) -> None:
        self._study = study
        (self._inputs,) = inputs  # in a tuple: Ray would fetch a bare reference, for the leader too
        self._members: Members | None = None
        self._begin(start_in(config))

    def keep(self) -> Kept:
        """Save the trial's progress; the workers may be ahead of the last report."""
        if self._members is None or not self._members.sound:
            return Kept(self._pairs_seen, "")
        return self._members.keep()

    def cleanup(self) -> None:
        """Release the last trial, and end the workers."""
        self._leave()
        if self._members is not None:
            self._members.end()

    def _train(self, start: TrialStart) -> Iterator[Event]:
        if self._members is None or not self._members.sound:
            self._members = Members(self._study, self._inputs)
        yield from self._members.train(start)

    def _leave(self) -> None:
        self._events = iter(())  # the workers release theirs when the next trial begins

    def _nodes(self) -> list[str]:
        assert self._members is not None
        return self._members.nodes


def is_loopback(address: str) -> bool:
    """Return whether an address is loopback; a node may have been started with a host name."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _address() -> str:
    """Return this node's address in the cluster."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
