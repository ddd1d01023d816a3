"""MLflow: a view of a study, made from its records; never a truth, and rebuilt at any time."""

from tuner.tracking.background import BackgroundTracker
from tuner.tracking.server import serve
from tuner.tracking.store import default_uri, reach, store_of
from tuner.tracking.tracker import Tracker

__all__ = ["BackgroundTracker", "Tracker", "default_uri", "reach", "serve", "store_of"]
