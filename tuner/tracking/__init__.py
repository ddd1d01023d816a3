"""MLflow tracking: a view of studies, written from their records, that can always be rebuilt."""

from tuner.tracking.addresses import default_uri, store_of
from tuner.tracking.attachments import attach
from tuner.tracking.background import BackgroundTracker
from tuner.tracking.server import serve
from tuner.tracking.tracker import Synced, Tracker

__all__ = [
    "BackgroundTracker",
    "Synced",
    "Tracker",
    "attach",
    "default_uri",
    "serve",
    "store_of",
]
