"""Taking turns: the processes of one parent do something that keeps a core busy, some at a time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.05


@contextmanager
def turn(places: int) -> Iterator[None]:
    """Wait until fewer than so many other children of this process's parent are in the block.

    A place is a socket with an abstract name (Linux), which is free again when its process ends.
    """
    names = [f"\0tuner-{os.getppid()}-{number}" for number in range(places)]
    with socket.socket(socket.AF_UNIX) as place:
        while not any(_taken(place, name) for name in names):
            time.sleep(LOOK_SECONDS)
        yield


def _taken(place: socket.socket, name: str) -> bool:
    try:
        place.bind(name)
    except OSError:  # another process has it
        return False
    return True
