"""`tuner report --against`: metrics by the values of one setting, as a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.blocks import Block, Grid, Words
from tuner.journal.records import OBJECTIVE, StudyRecord, is_share
from tuner.report.figure import draw
from tuner.report.leaderboard import percent, shown
from tuner.report.seeds import SeedGroup, SettingCurve, curves, selected
from tuner.storage.folders import Place


def against(
    study: StudyRecord, setting: str, metrics: Sequence[str], folder: Place
) -> tuple[list[Block], Place]:
    """Return means and deviations over seeds, and write the figure into `folder`.

    Args:
        study: the study's record.
        setting: dotted name of a setting in which trials differ.
        metrics: names of the metrics to show; the objective if empty.
        folder: the folder to write the figure into.

    Returns:
        The blocks, and the figure's path.

    Raises:
        UserError: there is nothing to compare.
    """
    path = folder / f"{'--'.join([setting, *metrics]).replace('/', '-')}.svg"
    measured = list(metrics) or [OBJECTIVE]
    found = curves(study, setting, measured)
    draw(study, setting, measured, found, path)
    blocks: list[Block] = [_table(study, setting, measured, found)]
    if selected(study):
        message = "ASHA stopped other trials early: the complete ones are not a fair sample."
        blocks.append(Words(message, "warning"))
    return blocks, path


def _table(
    study: StudyRecord, setting: str, metrics: Sequence[str], found: Sequence[SettingCurve]
) -> Grid:
    alone = len(found) == 1  # then the other settings take a sentence, not columns
    columns = [] if alone else list(found[0].settings)
    rows = []
    for curve in found:
        for value, group in curve.points.items():
            cells = [*(curve.settings[name] for name in columns), value, group.seeds]
            scores = [_mean_and_deviation(group, metric) for metric in metrics]
            rows.append((*map(shown, cells), *scores))
    caption = f"{study.name}, unconfirmed: mean ± sample standard deviation over seeds."
    if alone and found[0].settings:
        others = ", ".join(f"{name} {shown(v)}" for name, v in found[0].settings.items())
        caption += f" The other settings: {others}."
    headings = (*columns, setting, "seeds", *metrics)
    return Grid(caption, study.claim, headings, tuple(rows), left=0)


def _mean_and_deviation(group: SeedGroup, metric: str) -> str:
    deviation = group.deviation(metric)
    if not is_share(metric):
        spread = "" if deviation is None else f" ± {deviation:.3g}"
        return f"{group.mean(metric):.4g}{spread}"
    spread = "" if deviation is None else f" ± {percent(deviation)}"
    return f"{percent(group.mean(metric))}{spread}"
