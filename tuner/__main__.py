"""`python -m tuner`."""

import os
import sys
from contextlib import suppress

import tuner

# Python puts the current folder first, and a `random.py` there would be taken for its own.
with suppress(OSError):  # the folder is gone, and nothing can be imported from it
    if sys.path[0] == os.getcwd() != os.path.dirname(tuner.__path__[0]):
        del sys.path[0]

from tuner.cli import start

start()
