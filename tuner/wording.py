"""Number formats shared by all sentences and tables.

Accuracy is in percent and its differences in percentage points, with two decimals, so that readers
can reproduce them from the scores of the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def points(difference: float) -> str:
    """Format a difference in percentage points with its sign: `+1.20`, `−0.45`.

    If two decimals would hide the sign, a third is shown: `−0.004`.
    """
    text = f"{difference:+.2f}"
    if float(text) == 0:
        text = f"{difference:+.3f}"
    return ("0.00" if float(text) == 0 else text).replace("-", "−")


def between(low: float, high: float) -> str:
    """Format an interval in percentage points: `+0.40 to +2.00`."""
    return f"{points(low)} to {points(high)}"


def p_value(p: float) -> str:
    """Format a p-value: `p = 0.012`, or `p < 0.001`."""
    return f"p {p_alone(p)}" if p < 0.001 else f"p = {p_alone(p)}"


def p_alone(p: float) -> str:
    """Format a p-value for a table column: `0.012`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: object) -> str:
    """Format a number without trailing zeros; return text unchanged."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(values: Sequence[object], said: Callable[..., str] = number) -> str:
    """Join values with commas."""
    return ", ".join(said(value) for value in values)


def count(how_many: int, what: str) -> str:
    """Format a count with its noun: `1 trial`, `2 trials`, `1,200 trials`."""
    return f"{how_many:,} {what}{'' if how_many == 1 else 's'}"


def clock(seconds: float) -> str:
    """Format a duration, for example as `0:01:05` or `26:00:00`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
