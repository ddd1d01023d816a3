"""The small study, and whole studies in processes."""

from tests.examples import evaluation, place, study, tuner  # noqa: F401 (fixtures)
from tests.run.examples import optimizer, stored, trial, trial_of  # noqa: F401 (fixtures)
