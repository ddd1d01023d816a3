"""What a worker imports before it has a trial: idle processes of a local Ray import this module.

While the driver reads its data, the other cores have nothing to do. At most one worker fewer than
there are cores imports at once: then the first one is ready when the driver is.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tuner.cluster.machine import cpus

LOOK_SECONDS = 0.05


@contextmanager
def turn(places: int) -> Iterator[None]:
    """Wait until fewer than so many other children of this process's parent are in the block.

    A place is a socket with a name of Linux's, which is free again when its process ends.
    """
    with socket.socket(socket.AF_UNIX) as place:
        while not any(
            _taken(place, f"\0tuner-{os.getppid()}-{number}") for number in range(places)
        ):
            time.sleep(LOOK_SECONDS)
        yield


def _taken(place: socket.socket, name: str) -> bool:
    try:
        place.bind(name)
    except OSError:  # another process has it
        return False
    return True


with turn(max(1, cpus().number - 1)):
    import tuner.run.trainable  # noqa: F401
