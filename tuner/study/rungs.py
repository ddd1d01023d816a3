"""The rungs of a search: the budgets at which trials are compared, and the default first one."""

from __future__ import annotations

import math
from itertools import takewhile

SMALLEST = 27
"""The default first rung is about the full budget divided by this: thirds of thirds."""
ROUNDED = 0.1
"""The share by which the default first rung may grow to be a multiple of the largest batch."""


def rungs_from(first: int, eta: int, full: int) -> tuple[int, ...]:
    """Return `first`, and its products with powers of eta below the full budget, and that one."""
    lower = takewhile(lambda rung: rung < full, (first * eta**k for k in range(64)))
    return (*lower, full)


def default_first(full: int, eta: int, warmup: float, largest: int) -> int:
    """Return the first rung of a search that gives none.

    It is the full budget divided by a power of eta: about 1/27, or more if a trial would still be
    warming up there. It is a multiple of the largest batch if that changes it little, since then no
    step passes a rung.

    Args:
        full: the full budget, in pairs.
        eta: the reduction factor.
        warmup: the largest share of a trial that its warm-up takes.
        largest: the largest effective batch size, in pairs.
    """
    power = round(math.log(SMALLEST, eta))
    while power > 0 and full / eta**power < warmup * full:
        power -= 1
    first = math.ceil(full / eta**power)
    even: int = math.ceil(first / largest) * largest
    return even if even <= min(full, first * (1 + ROUNDED)) else first
