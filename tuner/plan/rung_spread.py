"""The spread of scores at rungs beside the uncertainty of one: can a first rung tell them apart?"""

from __future__ import annotations

from collections.abc import Iterable
from math import log, sqrt
from statistics import fmean, stdev

from pydantic import Field

from tuner.journal.records import StudyRecord
from tuner.study import StudyConfig
from tuner.study.scores import Record

LEAST = 8
"""The fewest scores at a rung whose spread is told."""
CLEAR = 2.0
"""Scores are told apart where they spread by so many times the uncertainty of one of them."""
NEAR = 2.0
"""An earlier study's rung stands for one that is at most so many times as large or small."""


class RungSpread(Record):
    """Scores at one rung of an earlier search of the same question."""

    study: str = Field(description="the earlier search")
    rung: int = Field(description="in pairs")
    scores: int = Field(description="how many trials were scored there")
    spread: float = Field(description="standard deviation of their objective, 0 to 1")
    noise: float = Field(description="standard error of one of them, from its number of dev pairs")

    @property
    def clear(self) -> bool:
        """True if the scores differ by clearly more than chance."""
        return self.spread >= CLEAR * self.noise


def rung_spreads(study: StudyConfig, records: Iterable[StudyRecord]) -> tuple[RungSpread, ...]:
    """Return the spreads at the rungs of the newest earlier search that is comparable.

    It had the same data, languages, protocol, encoder and budget. The result is empty without one.
    """
    alike = [record for record in records if _asks_the_same(record, study)]
    for record in sorted(alike, key=lambda each: -each.created):
        found = [_spread(record, rung) for rung in record.rungs]
        known = tuple(each for each in found if each is not None)
        if known:
            return known
    return ()


def nearest(spreads: Iterable[RungSpread], rung: int) -> RungSpread | None:
    """Return the spread that stands for a rung; None if none is near enough."""
    apart = [(abs(log(each.rung / rung)), each) for each in spreads]
    near = [pair for pair in apart if pair[0] <= log(NEAR)]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _asks_the_same(record: StudyRecord, study: StudyConfig) -> bool:
    was = record.settings
    return (
        not record.designed
        and was.data == study.data
        and was.encoder == study.encoder
        and was.languages == study.languages
        and was.protocol == study.protocol
        and was.budget.pairs_per_trial == study.budget.pairs_per_trial
    )


def _spread(record: StudyRecord, rung: int) -> RungSpread | None:
    at = [each for trial in record.trials for each in trial.evaluations if each.rung == rung]
    if len(at) < LEAST:
        return None
    mean = fmean(each.objective for each in at)
    pairs = min((score.pairs for each in at for score in each.select.values()), default=0)
    return RungSpread(
        study=record.name,
        rung=rung,
        scores=len(at),
        spread=stdev(each.objective for each in at),
        noise=sqrt(mean * (1 - mean) / pairs) if pairs and 0 < mean < 1 else 0.0,
    )
