"""Figures of a confirmation's test accuracy by language and by ordered pair of languages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean

from tuner.blocks import Block, Figure, Grid, Section, SideBySide, Words
from tuner.confirm.arm import AREAS, ArmResult
from tuner.confirm.result import Confirmed
from tuner.report.leaderboard import percent
from tuner.report.page.drawing.bars import LanguageSeries, language_bars
from tuner.report.page.drawing.heat import heat
from tuner.report.page.published import Published
from tuner.statistics.variance import Estimate
from tuner.study.criteria import EvaluationSet

MAX_SERIES = 4
"""Most configurations whose bars stand side by side."""


def ranked(result: Confirmed) -> list[ArmResult]:
    """Return configurations by descending dev score; those without a score last."""
    return sorted(result.arms, key=lambda arm: -(arm.dev.value if arm.dev else -1.0))


def language_figure(result: Confirmed, figures: Sequence[Published]) -> Figure:
    """Draw bars of the recommended arm and its controls, with intervals.

    Args:
        result: the result of a confirmation or of the external reference.
        figures: published figures; only the external reference may be shown beside them.
    """
    series = [_language_series(arm, result) for arm in result.estimated[:MAX_SERIES]]
    marks = [LanguageSeries(each.label, each.accuracy, {}, published=True) for each in figures]
    languages = result.languages
    majority = 100 * fmean(result.test_majority.values()) if result.test_majority else 0.0
    trained = ", ".join(result.trained)
    text = "; ".join(
        f"{each.label}: " + ", ".join(f"{at} {value:.2f}" for at, value in each.heights.items())
        for each in series
    )
    alt = f"Test accuracy by language, in %: {text}."
    caption = (
        f"Test accuracy by language, mean over {len(result.estimating)} seeds with 95 % intervals; "
        f"trained on {trained}. The dotted line is always giving the most frequent label."
    )
    if figures:
        caption += (
            " Marks are published figures, without intervals: "
            + "; ".join(f"{each.label}: {each.source}" for each in figures)
            + "."
        )
    rows = [
        (
            each.label,
            language,
            f"{each.heights[language]:.2f}",
            *(f"{end:.2f}" for end in each.ends.get(language, ())),
        )
        for each in (*series, *marks)
        for language in languages
        if language in each.heights
    ]
    numbers = Grid(
        caption,
        result.claim,
        ("whose", "language", "accuracy, %", "from", "to"),
        tuple(row if len(row) == 5 else (*row, "–", "–") for row in rows),
        left=2,
    )
    draw = partial(language_bars, [*series, *marks], languages, majority, "test accuracy", alt)
    return Figure(draw, alt, caption, result.claim, numbers, wide=len(languages) > 5)


def crossed(result: Confirmed) -> list[Block]:
    """Return heat maps of the recommended arm and a control, and means over their parts."""
    arms = [arm for arm in result.estimated if arm.pairs][:2]
    rows = tuple(
        (arm.name, *(with_interval(arm.areas.get(at)) for at in AREAS))
        for arm in result.estimated
        if arm.pairs
    )
    named = "; ".join(f"{at}: {words}" for at, words in AREAS.items())
    areas = Grid(
        "Unweighted means over ordered pairs of languages, in %, mean over seeds; ± is half of the "
        f"95 % interval. {named}.",
        result.claim,
        ("configuration", *AREAS),
        rows,
    )
    note = (
        "Sentence 1 in one language, sentence 2 in another: the generalised setting of arXiv "
        "2104.08645. The table of each map has the 95 % interval of every pair."
    )
    return [Words(note, "note"), areas, SideBySide(tuple(_heat(result, arm) for arm in arms))]


def beside_published(result: Confirmed, figures: Sequence[Published]) -> Section:
    """Return the external reference by language, beside published figures if there are any."""
    words = (
        "The external reference was trained on English alone by XTREME's recipe, and is the only "
        "study here that can be compared with published figures. Its score is that of its last "
        "step, whereas XTREME took the checkpoint with the best score on English dev."
    )
    if figures:
        words += (
            " XTREME also scores the 154 test rows without a translation, whose text is NS and "
            "whose label is always 0, at most 54 in a language; they are left out here. Where 54 "
            "are, an accuracy of 85 % here is one between 82.7 and 85.4 % there, depending on "
            "their answers."
        )
    else:
        words += (
            " None are shown here: they are for the whole official PAWS-X test, and this test set "
            "is not that one."
        )
    return Section("External reference", (Words(words), language_figure(result, figures)))


def _heat(result: Confirmed, arm: ArmResult) -> Figure:
    languages = result.languages
    values = {
        (row, column): 100 * arm.pairs[name].value
        for row, first in enumerate(languages)
        for column, second in enumerate(languages)
        if (name := EvaluationSet(first, second).name) in arm.pairs
    }
    alt = (
        f"Heat map of {arm.name}: test accuracy over {len(values)} ordered pairs of languages, "
        f"from {min(values.values()):.1f} to {max(values.values()):.1f} %."
    )
    caption = (
        f"{arm.name}: test accuracy in %, sentence 1 down, sentence 2 across; trained on "
        f"{', '.join(result.trained)}. Shades run from its own lowest to its own highest value."
    )
    numbers = Grid(
        caption,
        result.claim,
        ("sentence 1", *languages),
        tuple(
            (
                first,
                *(
                    with_interval(arm.pairs.get(EvaluationSet(first, second).name))
                    for second in languages
                ),
            )
            for first in languages
        ),
    )
    draw = partial(heat, languages, languages, values, {}, "sentence 2", "sentence 1", alt)
    return Figure(draw, alt, caption, result.claim, numbers)


def with_interval(found: Estimate | None) -> str:
    """Format an estimate in percent with half of its interval; a dash if there is none."""
    if found is None:
        return "–"
    return f"{percent(found.value)} ± {percent((found.high - found.low) / 2)}"


def _language_series(arm: ArmResult, result: Confirmed) -> LanguageSeries:
    found = {at: arm.test[at] for at in result.languages if at in arm.test}
    return LanguageSeries(
        arm.name,
        {at: 100 * each.value for at, each in found.items()},
        {at: (max(100 * each.low, 0), min(100 * each.high, 100)) for at, each in found.items()},
    )
