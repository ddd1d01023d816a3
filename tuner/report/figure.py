"""The figure of metrics against one setting, with mean and deviation over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tuner.journal.records import OBJECTIVE, StudyRecord, is_share
from tuner.report.leaderboard import shown
from tuner.report.seeds import SettingCurve, selected
from tuner.storage.access import write
from tuner.storage.folders import Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC = {"optim.lr": 10, "batch.effective_size": 2}
"""Settings drawn on a logarithmic axis, and the base of that axis."""
MAX_UPRIGHT = 6
"""Most values on an axis whose labels fit without rotation."""
SPREAD = 0.15
"""Share of the gap between two values on the axis that the curves at one value occupy."""


def draw(
    study: StudyRecord,
    setting: str,
    metrics: Sequence[str],
    found: Sequence[SettingCurve],
    path: Place,
) -> None:
    """Write an SVG: a panel for each metric, a line for each curve, a dot for each trial.

    Bars are one sample standard deviation over seeds. Where the setting does not apply (the last
    layer alone has no lower one), a horizontal band represents the curve.

    Args:
        study: the study, for the title, the claim and the majority-class line.
        setting: the setting on the horizontal axis.
        metrics: names of metrics; shares from 0 to 1 are drawn in %, others unscaled.
        found: the result of `tuner.report.seeds.curves`.
        path: the file to write.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # pyplot would look for a display

    figure = Figure(figsize=(1.0 + 4.2 * len(metrics), 4.2), layout="constrained")
    axes = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        _panel(axis, study, setting, metric, found)
    if axes[0].get_legend_handles_labels()[1]:
        title = ", ".join(found[0].settings) if len(found) > 1 else None
        axes[0].legend(frameon=False, fontsize=8, title=title, title_fontsize=8)
    note = "unconfirmed; bars: 1 standard deviation over seeds"
    if len(found) == 1:
        note += "".join(f"; {name} {shown(value)}" for name, value in found[0].settings.items())
    if selected(study):
        note += "; ASHA chose which trials are complete"
    figure.suptitle(f"{study.name}: {study.claim}\n{note}", fontsize=8, color="0.35")
    drawn = BytesIO()
    with rc_context({"svg.hashsalt": study.id}):  # equal records give equal files
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    write(path, drawn.getvalue())


def _panel(
    axis: Axes, study: StudyRecord, setting: str, metric: str, found: Sequence[SettingCurve]
) -> None:
    scale = 100 if is_share(metric) else 1
    values = sorted({x for curve in found for x in curve.points if x is not None})
    places = _places(axis, setting, values)
    gaps = [after - before for before, after in pairwise(sorted(places.values()))]
    beside = [curve for curve in found if any(x is not None for x in curve.points)]
    width = 0.0 if setting in LOGARITHMIC else SPREAD * min(gaps, default=0.0) / (len(beside) or 1)
    for number, curve in enumerate(found):
        label = ", ".join(map(shown, curve.settings.values())) if len(found) > 1 else None
        color = f"C{number}"
        shift = width * (beside.index(curve) - (len(beside) - 1) / 2) if curve in beside else 0.0
        reached = [x for x in curve.points if x is not None]
        means = [scale * curve.points[x].mean(metric) for x in reached]
        at = [places[x] + shift for x in reached]
        if reached:
            bars = [scale * (curve.points[x].deviation(metric) or 0.0) for x in reached]
            axis.errorbar(at, means, bars, color=color, capsize=3, label=label, marker="o", ms=4)
            for place, x in zip(at, reached, strict=True):
                dots = [scale * value for value in curve.points[x].metrics[metric]]
                axis.plot([place] * len(dots), dots, ".", color=color, alpha=0.3, ms=4)
        if None in curve.points:
            mean = scale * curve.points[None].mean(metric)
            deviation = scale * (curve.points[None].deviation(metric) or 0.0)
            axis.axhline(mean, color=color, ls="--", label=label)
            axis.axhspan(mean - deviation, mean + deviation, color=color, alpha=0.12, lw=0)
    if metric == OBJECTIVE:
        majority = scale * study.facts.majority_accuracy
        axis.axhline(majority, color="0.6", ls=":", lw=1, label="the most frequent label")
    axis.margins(x=0.08)  # the outermost values need room too
    axis.set_xlabel(setting)
    axis.set_title(f"{metric}{', %' if scale == 100 else ''}", fontsize=9)
    axis.grid(axis="y", color="0.9")
    axis.spines[["top", "right"]].set_visible(False)


def _places(axis: Axes, setting: str, values: Sequence[Any]) -> dict[Any, float]:
    """Return the position of each value: numbers at their value, words at 0, 1, …."""
    base = LOGARITHMIC.get(setting)
    if any(isinstance(value, str) for value in values):
        places = {value: float(place) for place, value in enumerate(values)}
    else:
        places = {value: float(value) for value in values}
    if base is not None:
        axis.set_xscale("log", base=base)
    crowded = len(values) > MAX_UPRIGHT
    axis.set_xticks(list(places.values()), map(shown, values), rotation=45 if crowded else 0)
    axis.minorticks_off()
    return places
