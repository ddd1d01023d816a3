"""The entry point of `python -m tuner`."""

import os
import sys
from contextlib import suppress

import tuner

# Python puts the current folder first, so a `random.py` there would shadow the standard library's.
with suppress(OSError):  # the folder no longer exists, so nothing can be imported from it
    if sys.path[0] == os.getcwd() != os.path.dirname(tuner.__path__[0]):
        del sys.path[0]

from tuner.cli import start

start()
