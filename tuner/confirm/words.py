"""The words for a confirmation's arms, settings and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.confirm.arm import Contrast
from tuner.confirm.result import COMPARED, Confirmed
from tuner.statistics.variance import Estimate
from tuner.study.design import CONTROL, REFERENCE
from tuner.wording import between, count, points


def compared_groups(result: Confirmed) -> list[str]:
    """Return the means over languages that test has, the primary one first."""
    return [group for group in COMPARED if group in result.best.test]


def percent(share: float) -> str:
    """Format a share of 1, for example `82.10 %`."""
    return f"{100 * share:.2f} %"


def interval(found: Estimate) -> str:
    """Format the interval of a score in percent, clipped to 0 and 100: `81.00 to 83.20`."""
    return f"{100 * max(found.low, 0):.2f} to {100 * min(found.high, 1):.2f}"


def in_a_sentence(arm: str) -> str:
    """Name an arm within a sentence, for example `the control` or `trial 012`."""
    return f"the {arm}" if arm in (CONTROL, REFERENCE) else arm


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """List the settings that apply, for example `fusion.kind dlfa, fusion.layer 2`."""
    said = [
        f"{name} {format(value, '.3g') if isinstance(value, float) else value}"
        for name, value in settings.items()
        if value is not None
    ]
    return ", ".join(said) or "the default settings"


def group_in_words(result: Confirmed, group: str) -> str:
    """Describe a mean over languages, for example `mean over the targets (es, ja)`."""
    return f"mean over the {group} ({', '.join(result.groups[group])})"


def difference(found: Contrast) -> str:
    """Format the estimate of a difference in points, for example `+1.20`."""
    return points(100 * found.estimate.value)


def difference_interval(found: Contrast) -> str:
    """Format the interval of a difference in points, for example `+0.40 to +2.00`."""
    return between(100 * found.estimate.low, 100 * found.estimate.high)


def control_in_words(result: Confirmed, name: str) -> str:
    """Describe a control, for example `trial 012, the best of 7 trials with fusion.kind last`."""
    kinds = result.kinds(name)
    if not kinds:
        return in_a_sentence(name)
    best = " and ".join(f"the best of {count(c.of, 'trial')} with {c.kind}" for c in kinds)
    return f"{in_a_sentence(name)}, {best}"
