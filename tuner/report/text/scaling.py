"""A scaling study's result in the terminal: effects, means by B and β, and the conclusion."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tuner.scaling.answer import answer
from tuner.scaling.findings import ALIKE, ends, shown
from tuner.scaling.model import Fit
from tuner.scaling.result import Scaled
from tuner.scaling.sentences import sentences
from tuner.wording import number, p_alone, points


def show(result: Scaled, console: Console) -> None:
    """Print the fits of a scaling study if there are any, the answer and the conclusion."""
    name = result.study.name
    if result.fits:
        primary = result.fits[result.primary]
        languages = ", ".join(result.languages[result.primary])
        title = f"{name}: effects on dev accuracy of the {result.primary} ({languages}), in points"
        console.print(title, highlight=False)
        console.print(_effects(primary))
        console.print("* significant: p < 0.05, adjusted for all effects (Holm)\n", highlight=False)
    for response, fit in result.fits.items():
        if fit.surface:
            languages = ", ".join(result.languages[response])
            title = f"mean dev accuracy of {response} ({languages}), in %, by B and β"
            title += f", over {ALIKE}" if fit.missing else ""
            console.print(title, highlight=False)
            console.print(_surface(fit))
            console.print()
    first, rest = answer(result)
    console.print(first, style="bold", highlight=False, markup=False)
    console.print(f"{rest}\n" if rest else "", highlight=False, markup=False)
    console.print(" ".join(sentences(result)), highlight=False, markup=False)


def _effects(fit: Fit) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("effect")
    table.add_column("unit", overflow="fold")
    for heading in ("points", "95 % CI", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for effect in fit.effects:
        table.add_row(
            effect.name,
            effect.unit,
            points(effect.estimate.value),
            ends(effect.estimate),
            p_alone(effect.adjusted) + ("*" if shown(effect) else " "),
        )
    return table


def _surface(fit: Fit) -> Table:
    """Return a table of means ± half the width of their intervals, with a row for each B."""
    sizes = list(dict.fromkeys(size for size, _ in fit.surface))
    shares = list(dict.fromkeys(share for _, share in fit.surface))
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("B", justify="right")
    for share in shares:
        table.add_column(f"β = {number(share)}", justify="right", no_wrap=True)
    for size in sizes:
        means = [fit.surface[size, share] for share in shares]
        cells = (f"{mean.value:.2f} ± {(mean.high - mean.low) / 2:.2f}" for mean in means)
        table.add_row(str(size), *cells)
    return table
