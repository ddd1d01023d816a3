"""The recorded gradient noise of a trial at a rung: a diagnostic."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class NoiseRecord(BaseModel):
    """The gradient's noise in batches of one kind: a diagnostic, not a critical batch size.

    The variance of the gradient of B pairs of one language (or ordered pair of languages) is
    estimated as within / B + between. The estimates are squared norms of gradients over all
    parameters, with dropout off; see `tuner.training.gradient_noise`. The three estimates are
    unbiased, so they may be negative if the true value is small.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    within: float = Field(description="variance of one pair's gradient, given its languages")
    between: float | None = Field(
        description="variance of the mean gradient over languages, or ordered pairs of them; None "
        "if there is only one"
    )
    mean_gradient_squared: float = Field(description="squared norm of the mean over languages")
    groups: int = Field(description="languages, or ordered pairs of them")
    small: int = Field(description="pairs of the smaller batches that were compared")
    large: int = Field(description="pairs of the larger batches: all pairs of each group")
    pairs: int = Field(description="pairs used, over all groups")

    @property
    def equal_parts_size(self) -> float | None:
        """The B at which both parts are equal: within / between; None unless it is positive."""
        return _positive_ratio(self.within, self.between)

    @property
    def simple_noise_scale(self) -> float | None:
        """The simple noise scale tr(Σ) / |G|² of arXiv 1812.06162, in pairs; None unless positive.

        tr(Σ) is the variance of one pair whose languages are drawn too: within + between.
        """
        return _positive_ratio(self.within + (self.between or 0.0), self.mean_gradient_squared)

    @classmethod
    def averaged(cls, records: Sequence[Self]) -> Self:
        """Average the estimates over draws (rungs, seeds, trials), so ratios are of means.

        Args:
            records: at least one, all with the same kind, number of groups and batch sizes.
        """
        first = records[0]
        assert len({(record.groups, record.small, record.large) for record in records}) == 1
        between = [record.between for record in records if record.between is not None]
        return first.model_copy(
            update={
                "within": fmean(record.within for record in records),
                "between": fmean(between) if between else None,
                "mean_gradient_squared": fmean(r.mean_gradient_squared for r in records),
                "pairs": sum(record.pairs for record in records),
            }
        )

    def metrics(self) -> dict[str, float]:
        """Return the values by name; undefined ones are absent."""
        named = {
            "within": self.within,
            "between": self.between,
            "mean_gradient_squared": self.mean_gradient_squared,
            "equal_parts_size": self.equal_parts_size,
            "simple_noise_scale": self.simple_noise_scale,
            "pairs": float(self.pairs),
        }
        return {name: value for name, value in named.items() if value is not None}


def _positive_ratio(numerator: float, denominator: float | None) -> float | None:
    if denominator is None or denominator <= 0 or numerator <= 0:
        return None
    ratio = numerator / denominator
    return ratio if isfinite(ratio) else None
