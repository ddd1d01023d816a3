"""Libraries for workers without a trial: idle processes of a local Ray import this module.

While the driver reads its data, the other cores have nothing to do. One worker fewer than there are
cores imports at once: then the first one is ready when the driver is.
"""

from tuner.cluster.machine import cpus
from tuner.run.turn import turn

with turn(max(1, cpus().number - 1)):
    import tuner.run.trainable  # noqa: F401
