"""A clock that steps: imported first by every Python that has this folder in its PYTHONPATH.

The clock that a user, a daemon or a virtual machine sets is the real one and an offset. A file
holds it, in seconds: whoever writes there sets the clocks of all these processes at once.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

_now, _now_ns = time.time, time.time_ns
with open(os.environ["CHAOS_CLOCK"], "rb") as _file:
    _offset = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)


def _seconds() -> float:
    return float(struct.unpack("d", _offset)[0])


time.time = lambda: _now() + _seconds()
time.time_ns = lambda: _now_ns() + round(_seconds() * 1e9)
