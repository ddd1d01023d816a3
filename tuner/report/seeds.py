"""Means and deviations over seeds: trials grouped by configuration, along one setting.

Only trials at full budget count. Where ASHA stopped other trials, the complete ones are a biased
sample: `selected` returns True, and a caller that shows these numbers must say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from tuner.errors import UserError, nearest
from tuner.journal.records import STOPPED, StudyRecord, TrialRecord
from tuner.study.space.distributions import Choice

SEED = "seed"


@dataclass(frozen=True)
class SeedGroup:
    """The trials of one configuration, over all seeds.

    Attributes:
        metrics: the values of each metric, in the order of trials.
    """

    metrics: Mapping[str, tuple[float, ...]]

    @property
    def seeds(self) -> int:
        """The number of trials, one for each seed."""
        return len(next(iter(self.metrics.values())))

    def mean(self, metric: str) -> float:
        """Return the mean over seeds; a collapsed seed counts like the others."""
        return fmean(self.metrics[metric])

    def deviation(self, metric: str) -> float | None:
        """Return the sample standard deviation over seeds; None for a single seed."""
        values = self.metrics[metric]
        return stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class SettingCurve:
    """Groups along one setting, with all other settings fixed.

    Attributes:
        settings: values of the other settings in which the study's trials differ, except the seed.
        points: groups by the value of the setting, ascending; the key None means that the setting
            does not apply.
    """

    settings: Mapping[str, Any]
    points: Mapping[Any, SeedGroup]


def curves(study: StudyRecord, setting: str, metrics: list[str]) -> list[SettingCurve]:
    """Return a curve of `metrics` along `setting` for every combination of the other settings.

    Combinations that were tried with a single value of `setting` are left out.

    Args:
        study: the study's record.
        setting: dotted name of a setting in which trials differ.
        metrics: names of metrics, such as `select/objective`.

    Raises:
        UserError: no trials differ in the setting alone, none has the metric, or none is complete.
    """
    complete = [trial for trial in study.complete if trial.origin != "tuning"]
    if not complete:
        raise UserError(f"no trial of {study.name} has reached the full budget", "Let it continue.")
    named = [dict(t.last.metrics()) if t.last else {} for t in complete]
    for metric in metrics:
        if metric not in named[0]:
            raise UserError(
                f"unknown metric {metric!r}: {nearest(metric, list(named[0]))}",
                "Name one of them with --metric.",
            )
    varied = [name for name in complete[0].config.flat() if _values(complete, name) > 1]
    if setting not in varied or setting == SEED:
        differ = ", ".join(name for name in varied if name != SEED)
        raise UserError(
            f"the complete trials of {study.name} do not differ in {setting!r}",
            f"They differ in: {differ or 'nothing'}.",
        )
    others = [name for name in varied if name not in (SEED, setting)]
    collected: dict[tuple[Any, ...], dict[Any, list[dict[str, float]]]] = {}
    for trial, values in sorted(zip(complete, named, strict=True), key=lambda pair: pair[0].number):
        flat = trial.config.flat()
        points = collected.setdefault(tuple(flat[name] for name in others), {})
        points.setdefault(flat[setting], []).append(values)
    found = [
        SettingCurve(
            dict(zip(others, combination, strict=True)),
            {x: _group(points[x], metrics) for x in sorted(points, key=_order)},
        )
        for combination, points in sorted(
            collected.items(),
            key=lambda item: [_place(study, *pair) for pair in zip(others, item[0], strict=True)],
        )
        if len(points) > 1 or None in points
    ]
    if not any(len(curve.points) > 1 for curve in found):
        raise UserError(
            f"no two complete trials of {study.name} differ in {setting} alone (apart from seeds)",
            "To see its effect, run a study that varies it with all else equal: "
            "sampler.kind grid and scheduler.kind none, as in search_spaces/fusion_layers.yaml.",
        )
    return found


def compared(study: StudyRecord) -> str:
    """Return the first setting of a space that varies the seed too; "" if none varies."""
    varied = list(study.settings.space.root)
    settings = [name for name in varied if name != SEED]
    return settings[0] if SEED in varied and settings else ""


def selected(study: StudyRecord) -> bool:
    """Return whether a scheduler stopped some trials, so that it selected the complete ones."""
    return any(trial.state in STOPPED for trial in study.trials)


def _group(values: list[dict[str, float]], metrics: list[str]) -> SeedGroup:
    return SeedGroup({metric: tuple(named[metric] for named in values) for metric in metrics})


def _values(trials: list[TrialRecord], name: str) -> int:
    return len({trial.config.value(name) for trial in trials})


def _place(study: StudyRecord, name: str, value: Any) -> tuple[int, tuple[bool, bool, Any]]:
    """Return a sort key for a setting's value: the order of the space, then `_order`."""
    distribution = study.settings.space.root.get(name)
    listed = distribution.values if isinstance(distribution, Choice) else []
    return listed.index(value) if value in listed else len(listed), _order(value)


def _order(value: Any) -> tuple[bool, bool, Any]:
    """Return a sort key: None first, then numbers ascending, then words alphabetically."""
    return value is not None, isinstance(value, str), value if value is not None else 0
