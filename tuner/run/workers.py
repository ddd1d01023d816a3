"""A trial of several workers: actors that train together, and the one that leads them.

Ray Tune knows the leader alone. It sits in the trial's placement group without resources of its
own, beside a bundle for each worker, and advances all of them by the same number of events: what
it reports is what the first one says. The workers are its own: they end where it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import ray
from ray import ObjectRef, tune
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from tuner.cluster.capacity import share_of
from tuner.cluster.environment import meet_through
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.encoder import PretrainedEncoder
from tuner.run.trainable import PAIRS_SEEN, REASON, TrialActor, this_node
from tuner.run.worker import Event, Failed, Worker
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig
from tuner.study.protocol import Protocol
from tuner.training.group import Disconnected, meeting_place
from tuner.training.loop import Begun, Step

BURST_SECONDS = 1.0
"""How long the workers are left alone, about: a stop takes effect between two bursts."""
GRACE_SECONDS = 5.0
"""How long others are waited for where one has failed: they may fail alike, or be found lost."""


def bundles(resources: ResourcesConfig) -> tune.PlacementGroupFactory:
    """What a trial asks for: nothing for the leader, its share for each worker, on few nodes."""
    cpus, gpus = share_of(resources)
    each = {"CPU": cpus, "GPU": gpus}
    return tune.PlacementGroupFactory([{}, *[each] * resources.workers], strategy="PACK")


class Member:
    """A worker of a trial, as an actor."""

    def __init__(
        self,
        rank: int,
        study: StudyConfig,
        protocol: Protocol,
        corpus: TokenisedCorpus,
        encoder: PretrainedEncoder,
    ) -> None:
        self._rank = rank
        self._worker = Worker(study, protocol, corpus, encoder)
        self._events: Iterator[Event] = iter(())
        self._pairs_seen = 0

    def node(self) -> str:
        """Ray's id of the node it is on."""
        return this_node()

    def invite(self) -> tuple[str, int]:
        """Open the meeting place; returns its address and port."""
        address = _address()
        self._place = meeting_place(address)
        return address, self._place.port

    def join(self, address: str, port: int, on_one_node: bool) -> None:
        """Meet the others there; returns when all have come."""
        if not on_one_node or is_loopback(address):
            meet_through(_address())
        self._worker.join(self._rank, address, port)

    def begin(self, trial: dict[str, Any]) -> None:
        """Take a trial; the one before is let go of, with the memory it held."""
        self._events = iter(())
        self._pairs_seen = 0
        self._worker.release()
        self._events = self._worker.train(trial)

    def advance(self, most: int) -> list[Event]:
        """Go on by so many events, or to the next one that the driver decides upon."""
        said: list[Event] = []
        for event in self._events:
            said.append(event)
            if isinstance(event, Begun | Step):
                self._pairs_seen = event.pairs_seen
            if len(said) == most or isinstance(event, Begun | Evaluation | Failed):
                break
        return said

    def keep(self) -> dict[str, Any]:
        """As of `TrialActor`; of the first worker, which alone saves."""
        return {PAIRS_SEEN: self._pairs_seen, REASON: self._worker.keep()}


class Members:
    """The workers of one leader, in the bundles of its placement group.

    Args:
        study: with `resources.workers` of them.
        inputs: references to protocol, corpus and encoder, which move once a node.

    Raises:
        RayActorError: from every method, where one is lost; then all are ended.
        Disconnected: likewise, where only the others have noticed.
    """

    def __init__(self, study: StudyConfig, inputs: Sequence[ObjectRef[Any]]) -> None:
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
            .remote(rank, study, *inputs)
            for rank, bundle in enumerate(bundles(study.resources).bundles)
        ]
        self.nodes: list[str] = self._ask(self._actors, "node")
        ((address, port),) = self._ask(self._actors[:1], "invite")
        self._ask(self._actors, "join", address, port, len(set(self.nodes)) == 1)

    @property
    def sound(self) -> bool:
        """Whether they can take another trial."""
        return bool(self._actors)

    def train(self, trial: dict[str, Any]) -> Iterator[Event]:
        """Train a trial together; yields what the first worker says, and so all of them."""
        self._ask(self._actors, "begin", trial)
        most = 1
        while True:
            began = time.monotonic()
            events: list[Event] = self._ask(self._actors, "advance", most)[0]
            yield from events
            if not events or isinstance(events[-1], Failed):
                return
            pace = len(events) / (time.monotonic() - began)
            most = max(1, min(2 * most, round(BURST_SECONDS * pace)))

    def keep(self) -> dict[str, Any]:
        """Save what is done of their trial, as of `TrialActor`."""
        (kept,) = self._ask(self._actors[:1], "keep")
        return dict(kept)

    def end(self) -> None:
        """End them all at once, whatever they do or wait for."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _ask(self, actors: list[Any], method: str, *arguments: Any) -> list[Any]:
        """What each answers; where one has failed and others wait for it in vain, all are ended."""
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
    """What all answer; or what one does that has failed, and for which others wait in vain."""
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
                ray.get(call)  # Ray may know more: what became of the one that has gone
        raise
    return list(ray.get(calls))


def _in_time(calls: list[ObjectRef[Any]]) -> list[ObjectRef[Any]]:
    """Those that end soon."""
    return ray.wait(calls, num_returns=len(calls), timeout=GRACE_SECONDS)[0] if calls else []


class Leader(TrialActor):
    """A trial of several workers as Ray Tune knows it."""

    def setup(  # type: ignore[override]  # tune.with_parameters adds the others
        self, config: dict[str, Any], study: StudyConfig, inputs: Sequence[ObjectRef[Any]]
    ) -> None:
        self._study = study
        self._inputs = inputs
        self._members: Members | None = None
        self._begin(config)

    def keep(self) -> dict[str, Any]:
        """Save what is done of the trial; the workers may be ahead of what was told of them."""
        if self._members is None or not self._members.sound:
            return {PAIRS_SEEN: self._pairs_seen, REASON: ""}
        return self._members.keep()

    def cleanup(self) -> None:
        """Let go of the trial, and of the workers: no other comes."""
        self._leave()
        if self._members is not None:
            self._members.end()

    def _train(self, trial: dict[str, Any]) -> Iterator[Event]:
        if self._members is None or not self._members.sound:
            self._members = Members(self._study, self._inputs)
        yield from self._members.train(trial)

    def _leave(self) -> None:
        self._events = iter(())  # the workers let go of theirs when the next one comes

    def _nodes(self) -> list[str]:
        assert self._members is not None
        return self._members.nodes


def is_loopback(address: str) -> bool:
    """Whether it is this machine's alone; a node may have been started with a name for it."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _address() -> str:
    """This node's in the cluster."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
