"""Examination of this machine, without Ray."""

from __future__ import annotations

import uuid
from dataclasses import replace

from tuner.doctor.checks import EVERYWHERE, ON_HEAD
from tuner.doctor.findings import Node
from tuner.doctor.node import Probe

PACKAGES = [*EVERYWHERE, *ON_HEAD]


def examine_here(storage: str | None) -> list[Node]:
    """Examine this machine alone, without starting Ray.

    Args:
        storage: the folder of the studies, or its URL; None to skip the storage.
    """
    probe = Probe(storage)
    found = Node("this machine", facts=probe.facts(PACKAGES, gpus=True))
    if storage is None:
        return [found]
    name = file_name()
    wrote = probe.write(name)
    unread = {} if wrote else probe.read([name])
    probe.remove(name)
    probe.leave()
    return [replace(found, wrote=wrote, unread=unread, storage=probe.space())]


def file_name() -> str:
    """Return a file name that is unique within a storage."""
    return f".doctor-{uuid.uuid4().hex[:12]}"
