"""The small study, and whole studies in processes."""

from tests.examples import evaluation, place, study, tuner  # noqa: F401 (fixtures)
