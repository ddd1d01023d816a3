"""The messages between the driver and the workers of trials, all typed.

Ray Tune passes a dict to a worker and a dict back. Each holds one message, under a key of its own:
`START` a `TrialStart`, `REPORT` one kind of `Report`. Messages exist only between processes of the
same code; none is read from a disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.journal.records import Evaluation, FailureKind
from tuner.progress import Phase
from tuner.study.trial import TrialConfig

START = "start"
"""The key of a `TrialStart` in Ray Tune's config of a trial."""
REPORT = "report"
"""The key of a `Report` in a result of Ray Tune."""


@dataclass(frozen=True)
class TrialStart:
    """The message that starts a trial on a worker, for the first time or again.

    Attributes:
        number: the trial's number.
        config: the trial's configuration.
        micro_size: most pairs of a forward pass.
    """

    number: int
    config: TrialConfig
    micro_size: int


@dataclass(frozen=True)
class Started:
    """The report that training is about to begin, or to resume from a checkpoint.

    Attributes:
        pairs_seen: pairs seen up to that checkpoint; 0 without one.
        nodes: Ray's id of each worker's node.
    """

    pairs_seen: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Heartbeat:
    """The report that a trial is under way between two rungs."""

    pairs_seen: int
    phase: Phase


@dataclass(frozen=True)
class AtRung:
    """The report that a trial was evaluated at a rung."""

    evaluation: Evaluation


@dataclass(frozen=True)
class Failed:
    """The report that a trial failed although its worker is healthy.

    Attributes:
        kind: the kind of failure.
        reason: the reason in words.
        pairs_seen: pairs seen when it failed.
    """

    kind: FailureKind
    reason: str
    pairs_seen: int


@dataclass(frozen=True)
class Finished:
    """The report that a trial has passed its last rung."""


Report = Started | Heartbeat | AtRung | Failed | Finished


@dataclass(frozen=True)
class Kept:
    """The answer to the request to save a trial's progress, since the study is being stopped.

    Attributes:
        pairs_seen: pairs seen so far.
        complaint: why the trial could not be saved, in words; empty if it was.
    """

    pairs_seen: int
    complaint: str


def start_in(config: Mapping[str, Any]) -> TrialStart:
    """Return the message in Ray Tune's config of a trial."""
    start = config[START]
    assert isinstance(start, TrialStart)
    return start
