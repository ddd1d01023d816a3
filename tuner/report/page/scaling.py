"""The page of a scaling study: findings, effects, means, learning rates and scores of seeds."""

from __future__ import annotations

from functools import partial

from tuner.blocks import Block, Figure, Grid, Points, Section, SideBySide, Words
from tuner.report.leaderboard import percent
from tuner.report.page.drawing.heat import heat
from tuner.report.page.drawing.intervals import Course, Interval, courses, forest
from tuner.report.page.levels import ABSENT
from tuner.scaling.conclusion import conclusion
from tuner.scaling.findings import ALIKE, ends, is_main, main_findings, shown
from tuner.scaling.findings import response_label as label
from tuner.scaling.model import Fit
from tuner.scaling.result import Scaled
from tuner.scaling.sentences import sentences
from tuner.search.rates import TunedRate
from tuner.statistics.variance import Estimate
from tuner.wording import number, p_alone, points

UNFINISHED = "Under way: this page covers the trials that have ended, and may change."
FIXED = {"pairs": "at equal pairs", "steps": "at equal steps"}


def conclusion_blocks(result: Scaled) -> list[Block]:
    """Return the main findings, then the caveats and assumptions behind them."""
    every = sentences(result)
    found = main_findings(result, result.primary) if result.fits else []
    first = [each for each in every if each in found]
    rest = tuple(each for each in every if each not in found)
    under_way = [Words(UNFINISHED, "warning")] if result.left or not result.tuned else []
    main, others = conclusion(result)
    short = [Words(main, "answer"), *([Words(others)] if others else []), *under_way]
    if not first:
        return [*short, Points(rest)]
    return [
        *short,
        Words(first[0], "note"),
        Points(tuple(first[1:])),
        Words("Basis and limits of the findings:", "note"),
        Points(rest),
    ]


def sections(result: Scaled) -> list[Section]:
    """Return the sections that follow a scaling study's answer."""
    made = []
    if result.fits:
        order = sorted(result.fits, key=lambda response: response != result.primary)
        first, *others = (_effects(result, response) for response in order)
        made.append(Section("Effects", (first,), brief=True))
        if others:
            made.append(Section("Effects on other responses", (SideBySide(tuple(others)),)))
        drawn = [
            SideBySide(tuple(found)) for response in order if (found := _means(result, response))
        ]
        if drawn:
            made.append(Section("Means by B, β and k", tuple(drawn), brief=True))
    if result.choices:
        made.append(Section("Learning rates", (_rates(result), _chosen(result))))
    made.append(Section("Scores of the seeds", (_seeds(result),)))
    return made


def _effects(result: Scaled, response: str) -> Figure:
    fit = result.fits[response]
    rows = [
        Interval(
            effect.name,
            effect.estimate.value,
            effect.estimate.low,
            effect.estimate.high,
            shown(effect),
        )
        for effect in fit.effects
    ]
    what = f"dev accuracy of the {label(result, response)}"
    claim = result.claim
    text = "; ".join(
        f"{effect.name} {points(effect.estimate.value)} ({ends(effect.estimate)})"
        for effect in fit.effects
    )
    alt = f"Effects on {what}, in points with 95 % intervals: {text}."
    units = "; ".join(f"{e.name} {e.unit}" for e in fit.effects if is_main(e))
    basis = f"Effects on {what}, {FIXED[result.design.hold]}, from designed and unpruned trials"
    significant = "significant, that is p < 0.05 adjusted for all effects (Holm)"
    otherwise = "not significant, which does not mean that there is no effect"
    caption = f"{basis}. Units: {units}. Filled: {significant}. Empty: {otherwise}."
    numbers = Grid(
        f"{basis}. * {significant}. No mark: {otherwise}.",
        claim,
        ("effect", "unit", "points", "95 % CI", "p, adjusted", ""),
        tuple(
            (
                effect.name,
                effect.unit,
                points(effect.estimate.value),
                ends(effect.estimate),
                p_alone(effect.adjusted),
                "*" if shown(effect) else "",
            )
            for effect in fit.effects
        ),
        left=2,
        strong=frozenset(at for at, effect in enumerate(fit.effects) if shown(effect)),
    )
    unit = f"points of dev accuracy, {response}"
    draw = partial(forest, rows, unit, alt)
    return Figure(draw, alt, caption, claim, numbers)


def _means(result: Scaled, response: str) -> list[Figure]:
    """Draw accuracy against B for each β, against k, and as a heat map of β and B."""
    fit = result.fits[response]
    figures = []
    if fit.surface:
        figures.append(_against_size(result, response, fit))
    if "layer" in fit.means:
        figures.append(_against_layer(result, response, fit))
    if fit.surface:
        figures.append(_heat(result, response, fit))
    return figures


def _against_size(result: Scaled, response: str, fit: Fit) -> Figure:
    sizes = sorted({size for size, _ in fit.surface})
    shares = sorted({share for _, share in fit.surface})
    series = [
        Course(
            number(share),
            {
                place: _ends(fit.surface[size, share])
                for place, size in enumerate(sizes)
                if (size, share) in fit.surface
            },
        )
        for share in shares
    ]
    what = f"dev accuracy of the {label(result, response)}"
    basis = ALIKE if fit.missing else "k and granularity"
    alt = f"Mean {what} against B for each β."
    caption = (
        f"Mean {what} against B for each β, {FIXED[result.design.hold]}, with 95 % intervals, "
        f"over {basis}.{_left_out(result)}"
    )
    rows = tuple(
        (str(size), *(_mean(fit.surface.get((size, share))) for share in shares)) for size in sizes
    )
    headings = ("B", *(f"β = {number(share)}" for share in shares))
    grid = Grid(_of_means(what, "B and β", basis), result.claim, headings, rows, left=0)
    ticks = {place: str(size) for place, size in enumerate(sizes)}
    draw = partial(courses, series, ticks, "B", "β", _majority(result), f"{response}, %", alt)
    return Figure(draw, alt, caption, result.claim, grid)


def _against_layer(result: Scaled, response: str, fit: Fit) -> Figure:
    means = fit.means["layer"]
    names = [ABSENT["fusion.layer"] if level is None else str(level) for level in means]
    points_at = {place: _ends(found) for place, found in enumerate(means.values())}
    what = f"dev accuracy of the {label(result, response)}"
    basis = ALIKE if fit.missing else "B, β and granularity"
    alt = f"Mean {what} against k."
    caption = (
        f"Mean {what} against k, the layer fused with the last one, with 95 % intervals, over "
        f"{basis}.{_left_out(result)}"
    )
    rows = tuple((name, _mean(found)) for name, found in zip(names, means.values(), strict=True))
    by = "k, the layer fused with the last one"
    grid = Grid(_of_means(what, by, basis), result.claim, ("k", "mean, %"), rows)
    ticks = dict(enumerate(names))
    series = [Course("mean", points_at)]
    draw = partial(courses, series, ticks, "k", "", _majority(result), f"{response}, %", alt)
    return Figure(draw, alt, caption, result.claim, grid)


def _heat(result: Scaled, response: str, fit: Fit) -> Figure:
    sizes = sorted({size for size, _ in fit.surface})
    shares = sorted({share for _, share in fit.surface})
    values = {
        (shares.index(share), sizes.index(size)): found.value
        for (size, share), found in fit.surface.items()
    }
    what = f"dev accuracy of the {label(result, response)}"
    alt = f"Heat map of mean {what}, β down and B across."
    caption = (
        f"Mean {what}, in %, β down and B across. Shades run from the lowest to the "
        "highest value of this map. Intervals are in the figure of B."
    )
    draw = partial(
        heat, [number(s) for s in shares], [str(s) for s in sizes], values, {}, "B", "β", alt
    )
    return Figure(draw, alt, caption, result.claim)


def _rates(result: Scaled) -> Figure:
    grid = result.design.tuning.lr
    places = {lr: place for place, lr in enumerate(grid)}
    series, flagged = [], {}
    for at, (size, choice) in enumerate(result.choices.items()):
        found = {places[lr]: (100 * mean,) * 3 for lr, mean in choice.means.items()}
        series.append(Course(str(size), found))
        if choice.at_edge:
            flagged[at] = places[choice.lr]
    alt = "Objective against the learning rate for each B: " + "; ".join(
        f"B = {size} best at {choice.lr:g}{' (edge)' * choice.at_edge}"
        for size, choice in result.choices.items()
    )
    caption = (
        f"{result.objective}, in %, mean over the tuning seeds, which are not compared. The best "
        "rate of each B was chosen here. Ringed: at the edge of the grid, or of the rates in it "
        "that did not fail, so that B is excluded from every effect and mean above."
    )
    numbers = Grid(
        caption,
        result.claim,
        ("B", *(f"{lr:g}" for lr in grid)),
        tuple(
            (
                str(size),
                *(percent(choice.means[lr]) if lr in choice.means else "–" for lr in grid),
            )
            for size, choice in result.choices.items()
        ),
    )
    ticks = {place: f"{lr:g}" for lr, place in places.items()}
    measure = f"{result.objective}, %"
    draw = partial(
        courses, series, ticks, "optim.lr", "B", _majority(result), measure, alt, flagged
    )
    return Figure(draw, alt, caption, result.claim, numbers)


def _chosen(result: Scaled) -> Grid:
    def verdict(choice: TunedRate) -> str:
        return "at the edge: excluded" if choice.at_edge else "inside the grid"

    return Grid(
        "The learning rate of each B in the compared trials.",
        result.claim,
        ("B", "optim.lr", ""),
        tuple(
            (str(size), f"{choice.lr:g}", verdict(choice))
            for size, choice in result.choices.items()
        ),
        left=0,
    )


def _seeds(result: Scaled) -> Grid:
    responses = [name for name in result.fits] or list(result.languages)
    rows = tuple(
        (
            f"{seed.trial:03d}",
            str(cell),
            str(seed.seed),
            *(percent(seed.accuracy[response]) for response in responses),
            "collapsed" if seed.collapsed else "",
        )
        for cell in result.planned
        for seed in result.seeds_of[cell]
    )
    return Grid(
        "The scores behind every number above: dev accuracy in % of each compared trial that "
        "reached its full budget.",
        result.claim,
        ("trial", "configuration", "seed", *responses, ""),
        rows,
        left=2,
        folded=f"{len(rows)} runs",
    )


def _left_out(result: Scaled) -> str:
    if not result.at_edge:
        return ""
    sizes = ", ".join(map(str, result.at_edge))
    return f" Excluded, because a better learning rate may lie beyond theirs: B = {sizes}."


def _majority(result: Scaled) -> float:
    return 100 * result.majority


def _of_means(what: str, by: str, basis: str) -> str:
    """Return the caption of a table of means."""
    return f"Mean {what}, in % ± half of the 95 % interval, by {by}, over {basis}."


def _mean(found: Estimate | None) -> str:
    return "–" if found is None else f"{found.value:.2f} ± {(found.high - found.low) / 2:.2f}"


def _ends(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.low, found.high
