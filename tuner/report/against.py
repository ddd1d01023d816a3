"""`tuner report --against`: metrics by the values of one setting, as a table and a figure."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tuner.journal.records import OBJECTIVE, StudyRecord, is_share
from tuner.report.figure import draw
from tuner.report.leaderboard import percent, shown
from tuner.report.seeds import Group, curves, selected
from tuner.storage.folders import Place


def show_against(
    study: StudyRecord, setting: str, metrics: list[str], folder: Place, console: Console
) -> None:
    """Print means and deviations over seeds, and write the figure into `folder`.

    Args:
        study: the study's record.
        setting: dotted name of a setting in which trials differ.
        metrics: names of the metrics to show; the objective if empty.
        folder: the folder to write the figure into.
        console: the console to print the table on.

    Raises:
        UserError: there is nothing to compare.
    """
    path = folder / f"{'--'.join([setting, *metrics]).replace('/', '-')}.svg"
    metrics = metrics or [OBJECTIVE]
    found = curves(study, setting, metrics)
    alone = len(found) == 1  # then the other settings take one line, not columns
    columns = [] if alone else list(found[0].settings)
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (*columns, setting, "seeds"):
        grid.add_column(name.replace(".", ".\n"), justify="right", no_wrap=True)
    for metric in metrics:
        grid.add_column(metric.replace("/", "/\n"), justify="right")  # long names fold; none is cut
    for curve in found:
        for value, group in curve.points.items():
            cells = [*(curve.settings[name] for name in columns), value, group.seeds]
            scores = [_mean_and_deviation(group, metric) for metric in metrics]
            grid.add_row(*map(shown, cells), *scores)
    console.print(f"{study.name}, unconfirmed: mean ± sample standard deviation over seeds")
    if alone and found[0].settings:
        others = ", ".join(f"{name} {shown(v)}" for name, v in found[0].settings.items())
        console.print(f"the others at {others}", highlight=False)
    console.print(grid)
    if selected(study):
        told = "ASHA stopped other trials early: the complete ones are not a fair sample"
        console.print(told, style="yellow", highlight=False)
    console.print(study.facts.claim, highlight=False)
    draw(study, setting, metrics, found, path)
    console.print(f"\nfigure: {path}", highlight=False, soft_wrap=True)


def _mean_and_deviation(group: Group, metric: str) -> str:
    deviation = group.deviation(metric)
    if not is_share(metric):
        spread = "" if deviation is None else f" ± {deviation:.3g}"
        return f"{group.mean(metric):.4g}{spread}"
    spread = "" if deviation is None else f" ± {percent(deviation)}"
    return f"{percent(group.mean(metric))}{spread}"
