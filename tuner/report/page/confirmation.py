"""The page of a confirmation: the recommendation, intervals, ties, and the raw scores of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from tuner.blocks import Block, Figure, Grid, Points, Section, SideBySide, Words
from tuner.confirm.arm import ArmResult, Contrast
from tuner.confirm.result import COMPARED, DEV, Confirmed
from tuner.confirm.sentences import conclusion, sentences
from tuner.confirm.words import (
    control_in_words,
    difference,
    difference_interval,
    settings_in_words,
)
from tuner.report.leaderboard import percent
from tuner.report.page.drawing.intervals import Interval, forest
from tuner.report.page.languages import crossed, language_figure, ranked, with_interval
from tuner.wording import between, p_alone, points


def conclusion_blocks(result: Confirmed) -> list[Block]:
    """Return the conclusion, the recommendation first."""
    recommended, *how_good = conclusion(result)
    details = sentences(result)[1 + len(how_good) :]
    return [Words(recommended, "answer"), *map(Words, how_good), Points(details)]


def sections(result: Confirmed) -> list[Section]:
    """Return the sections that follow a confirmation's answer."""
    made = [Section("Confirmed leaderboard", tuple(_leaderboard(result)), brief=True)]
    differences = _differences(result)
    if differences:
        made.append(Section("Differences from the controls", tuple(differences), brief=True))
    if result.languages and any(arm.test for arm in result.arms):
        made.append(Section("By language", (language_figure(result, ()), *_by_language(result))))
    if len(result.languages) > 1 and result.best.pairs:
        made.append(Section("Pairs of languages", tuple(crossed(result))))
    made.append(Section("Scores of the seeds", (_seeds(result),)))
    return made


def _leaderboard(result: Confirmed) -> list[Block]:
    groups = [group for group in COMPARED if group in result.groups]
    arms = ranked(result)
    rows = tuple(
        (
            _named(result, arm),
            with_interval(arm.dev),
            *(with_interval(arm.test.get(group)) for group in groups),
            _tied(arm),
        )
        for arm in arms
    )
    dev, lowest = result.objective, ""
    if result.in_parts:
        dev = f"dev accuracy on {result.compared_on}"
        named = ", ".join(f"{arm.dev_set} of {arm.name}" for arm in arms if arm.dev)
        lowest = f" Dev is that part of it where the mean over seeds is lowest: {named}."
    chosen = "Each is for one configuration and does not account for the choice."
    if result.apart:
        chosen = (
            f"Dev is over the {len(result.seeds)} seeds that chose, test over "
            f"{len(result.estimating)} others, which only the recommended configuration and the "
            "controls have."
        )
    board = Grid(
        f"Ordered by {dev}, which was used to choose; test was not.{lowest} ± is half of the 95 % "
        f"interval over seeds and groups of pairs that share sentences. {chosen} May be best: not "
        "distinguished from the best by Hsu's comparison, 95 %.",
        result.claim,
        ("configuration", "dev, %", *(f"test {group}, %" for group in groups), "may be best on"),
        rows,
        strong=frozenset(n for n, arm in enumerate(arms) if arm.name == result.recommended),
    )
    settings = Grid(
        "The settings of each configuration, and its score in the search. Optimism: the search's "
        "score minus the mean of fresh seeds on the same dev sets, in points.",
        result.claim,
        ("configuration", "settings", "seeds", "collapsed", "search, %", "optimism"),
        tuple(
            (
                arm.name,
                settings_in_words(arm.settings),
                f"{len(arm.runs)} of {len(arm.runs) + len(arm.failed)}",
                str(len(arm.collapsed)),
                "–" if arm.search_score is None else percent(arm.search_score),
                "–" if arm.optimism is None else points(100 * arm.optimism),
            )
            for arm in arms
        ),
        left=2,
    )
    line = Words(f"Always giving the most frequent label: {_majority(result)}.", "note")
    return [line, board, settings]


def _named(result: Confirmed, arm: ArmResult) -> str:
    """Name an arm with its roles."""
    roles = ["recommended"] if arm.name == result.recommended else []
    roles += [f"best of {control.of} with {control.kind}" for control in result.kinds(arm.name)]
    return f"{arm.name} ({'; '.join(roles)})" if roles else arm.name


def _differences(result: Confirmed) -> list[Block]:
    figures = [
        _difference_figure(result, group, found)
        for group, found in result.contrasts.items()
        if found
    ]
    return [SideBySide(tuple(figures))] if figures else []


def _difference_figure(result: Confirmed, group: str, found: Sequence[Contrast]) -> Figure:
    controls = list(dict.fromkeys(each.control for each in found))
    one = controls[0] if len(controls) == 1 else ""

    def label(each: Contrast) -> str:
        return each.arm if one else f"{each.arm} − {each.control}"

    rows = [
        Interval(
            label(each),
            100 * each.estimate.value,
            100 * each.estimate.low,
            100 * each.estimate.high,
            each.shown,
        )
        for each in found
    ]
    languages = ", ".join(result.groups[group])
    text = "; ".join(f"{r.label} {points(r.value)} ({between(r.low, r.high)})" for r in rows)
    alt = f"Differences from a control on the {group}, in points with 95 % intervals: {text}."
    against = f"that of {control_in_words(result, one)}" if one else "that of a control"
    what = (
        f"Test accuracy on the {group} ({languages}) minus {against}, paired by seed and by group "
        "of pairs that share sentences."
    )
    significant = "significant, that is the interval excludes 0 and p < 0.05 with Holm's correction"
    caption = f"{what} Filled: {significant}. Empty: not significant, which does not mean equal."
    numbers = Grid(
        f"{what} * {significant}. No mark: not significant, which does not mean equal.",
        result.claim,
        ("configuration", "control", "points", "95 % CI", "p, adjusted", ""),
        tuple(
            (
                each.arm,
                control_in_words(result, each.control),
                difference(each),
                difference_interval(each),
                p_alone(each.adjusted),
                "*" if each.shown else "",
            )
            for each in found
        ),
        left=2,
    )
    draw = partial(forest, rows, f"points on test {group}, configuration − control", alt)
    return Figure(draw, alt, caption, result.claim, numbers)


def _by_language(result: Confirmed) -> list[Block]:
    rows = tuple(
        (
            arm.name,
            *(
                percent(arm.test[language].value) if language in arm.test else "–"
                for language in result.languages
            ),
        )
        for arm in result.arms
        if arm.test
    )
    majority = tuple(
        percent(result.test_majority[language]) if language in result.test_majority else "–"
        for language in result.languages
    )
    grid = Grid(
        "Test accuracy in % by language, mean over seeds, both sentences in that language.",
        result.claim,
        ("configuration", *result.languages),
        (*rows, ("most frequent label", *majority)),
        folded="every configuration by language",
    )
    return [grid]


def _seeds(result: Confirmed) -> Grid:
    groups = [group for group in COMPARED if group in result.groups]
    rows = []
    for arm in result.arms:
        for seed in sorted({*arm.runs, *arm.failed}):
            tested = arm.tested.get(seed, {})
            state = "failed" if seed in arm.failed else ""
            state = "collapsed" if seed in arm.collapsed else state
            rows.append(
                (
                    arm.name,
                    str(seed),
                    percent(arm.runs[seed]) if seed in arm.runs else "–",
                    *(percent(tested[at]) if at in tested else "–" for at in groups),
                    *(percent(tested[at]) if at in tested else "–" for at in result.languages),
                    state,
                )
            )
    return Grid(
        f"The scores behind every number above, in %: {result.objective}, and test accuracy.",
        result.claim,
        (
            "configuration",
            "seed",
            "dev",
            *(f"test {group}" for group in groups),
            *(f"test {language}" for language in result.languages),
            "",
        ),
        tuple(rows),
        folded=f"{len(rows)} runs",
    )


def _majority(result: Confirmed) -> str:
    lines = [f"{percent(result.majority)} % on dev"]
    for group in COMPARED:
        languages = result.groups.get(group, ())
        shares = [result.test_majority[at] for at in languages if at in result.test_majority]
        if shares:
            lines.append(f"{percent(_mean(shares))} % on test {group}")
    return ", ".join(lines)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _tied(arm: ArmResult) -> str:
    """Return the means on which an arm may be the best."""
    if not arm.from_best:
        return "not compared"
    where = {DEV: "dev", "targets": "test"}
    tied = [name for on, name in where.items() if on in arm.from_best and arm.from_best[on].tied]
    return ", ".join(tied) or "neither"
