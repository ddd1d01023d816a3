"""What is found of a response, in sentences; and how effects are written.

An effect is shown where its p-value, adjusted for all effects of the response, is below 5 %. Where
its interval holds 0, or the adjustment leaves it at 5 % or more, it "was not shown", which does not
mean that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tuner.scaling.design import GRANULARITIES, Factor, Level, levels
from tuner.scaling.model import Effect, Fit
from tuner.scaling.result import Scaled
from tuner.statistics.variance import Estimate

LEVEL = 0.05
"""Below it an adjusted p-value shows an effect."""
STRAIGHT: Mapping[str, tuple[Factor, str]] = {
    "β": ("cross_lingual", "β"),
    "log₂ B": ("effective_size", "B"),
}
"""By name of a straight effect: its factor, and the symbol of its levels."""


def main_findings(result: Scaled, response: str) -> list[str]:
    """All that is said of the response that the study is made for."""
    fit = result.fits[response]
    by_name = {effect.name: effect for effect in fit.effects}
    over = "pairs of the dev sets" if fit.seeds == 1 else "seeds and pairs of the dev sets"
    told = [
        f"Response: mean dev accuracy on the {_named(result, response)}; "
        f"intervals are over {over}, p-values adjusted for all {len(fit.effects)} effects (Holm); "
        f"every effect is at the average of the other settings' levels."
    ]
    means = {"β": "cross_lingual", "log₂ B": "effective_size"}
    for name in MAINS:
        if name in by_name:
            level_means = fit.means.get(means[name], {})  # type: ignore[call-overload]
            told.append(f"{_verdict(by_name[name])}{_means(name, level_means)}.")
            if bent := by_name.get(f"curvature of {name}"):
                told.append(f"{_verdict(bent)}.")
    told += [f"{_verdict(e)}." for e in fit.effects if e.name.startswith("k = ") and is_main(e)]
    told += _interactions(fit)
    told += _control(result, fit)
    told += _plateau(result, fit)
    told += _misfit(fit)
    return told


def _verdict(effect: Effect) -> str:
    """Without a full stop."""
    estimate = effect.estimate
    p = p_value(effect.adjusted)
    what = f"{effect.name}, {effect.unit}"
    if shown(effect):
        return f"An effect was shown of {what}: {interval(estimate)}, {p}"
    if estimate.low <= 0 <= estimate.high:
        return f"An effect was not shown of {what}: {interval(estimate)}"
    return (
        f"An effect was not shown of {what}, all effects considered together: "
        f"{interval(estimate)}, {p}"
    )


def _means(name: str, means: dict[Level, Estimate]) -> str:
    symbol = name.removeprefix("log₂ ")
    each = [f"{estimate.value:.2f} % at {symbol} = {level:g}" for level, estimate in means.items()]  # type: ignore[str-format]
    return f"; means {', '.join(each)}" if each else ""


def _interactions(fit: Fit) -> list[str]:
    crossed = [effect for effect in fit.effects if not is_main(effect)]
    told = []
    if found := [effect for effect in crossed if shown(effect)]:
        each = "; ".join(
            f"{e.name} ({e.unit}) {interval(e.estimate)}, {p_value(e.adjusted)}" for e in found
        )
        told.append(f"What one setting does was shown to depend on another: {each}.")
    if missed := [effect for effect in crossed if not shown(effect)]:
        each = "; ".join(f"{e.name} {interval(e.estimate)}" for e in missed)
        told.append(f"Interactions that were not shown: {each}.")
    return told


def _control(result: Scaled, fit: Fit) -> list[str]:
    """Granularity: the batches that are hybrid, or merely the cross-lingual data?"""
    there = levels(result.fitted, "granularity")
    if len(there) == 1:
        return [
            f"Granularity was {there[0]} throughout: whether it matters how pairs are put into "
            f"batches, beside which pairs they are, is not asked here."
        ]
    reference = there[0]
    told = []
    for level in GRANULARITIES:
        effect = next((e for e in fit.effects if e.name == f"granularity {level}"), None)
        if effect is None:
            continue
        estimate = effect.estimate
        what = f"Control: granularity {level} against {reference}, the same data batched otherwise"
        if shown(effect):
            better = level if estimate.value > 0 else reference
            told.append(
                f"{what}, {interval(estimate)}, {p_value(effect.adjusted)}: how pairs are put into "
                f"batches was shown to matter, beside which pairs they are, and {better} was the "
                f"better."
            )
            continue
        bound = max(abs(estimate.low), abs(estimate.high))
        told.append(
            f"{what}, {interval(estimate)}: a difference was not shown, so that nothing shown here "
            f"is due to hybrid batches rather than to the cross-lingual data in them; the interval "
            f"leaves room for {bound:.2f} points."
        )
    return told


def _plateau(result: Scaled, fit: Fit) -> list[str]:
    plateau = fit.plateau
    if plateau is None:
        return []
    largest = max(levels(result.fitted, "effective_size"))  # type: ignore[type-var]
    margin = f"{plateau.margin:g} points"
    held = "pairs" if result.design.hold == "pairs" else "steps"
    if plateau.size is not None:
        return [
            f"At equal {held}, no B from {plateau.size} up to {largest} gains {margin} or more over "
            f"B = {plateau.size} (the bound is {points(plateau.bounds[plateau.size])}, all bounds "
            f"together 95 %): beyond B = {plateau.size} nothing of that size is gained."
        ]
    each = ", ".join(
        f"{points(bound)} over B = {size} (estimated {points(plateau.gains[size])})"
        for size, bound in plateau.bounds.items()
    )
    return [
        f"A B beyond which nothing is gained was not shown: at equal {held} and up to B = "
        f"{largest}, larger ones may gain up to {each} (all bounds together 95 %), where less than "
        f"{margin} would count as nothing."
    ]


def _misfit(fit: Fit) -> list[str]:
    told = [f"{refused}." for refused in fit.refused]
    if fit.missing:
        told.append(
            f"{count(len(fit.missing), 'combination')} of the levels were not fitted: the design "
            f"is not a full factorial."
        )
    if fit.lack is None:
        told.append("There are as many effects as configurations: a misfit cannot be seen.")
    elif fit.lack.p < LEVEL:
        told.append(
            f"The configurations depart from the fitted form ({p_value(fit.lack.p)}; about "
            f"{fit.departure:.2f} points, root mean square): the effects are averages, and the "
            f"means by B and β say more."
        )
    else:
        told.append(
            f"A departure of the configurations from the fitted form was not shown "
            f"({p_value(fit.lack.p)})."
        )
    return told


def other_findings(result: Scaled, response: str) -> str:
    fit = result.fits[response]
    mains = [effect for effect in fit.effects if is_main(effect)]
    found = [f"{e.name} ({e.unit}) {interval(e.estimate)}" for e in mains if shown(e)]
    missed = [f"{e.name} {interval(e.estimate)}" for e in mains if not shown(e)]
    told = [f"shown {'; '.join(found)}"] if found else []
    told += [f"not shown {'; '.join(missed)}"] if missed else []
    return f"On the {_named(result, response)}: {'. '.join(told)}."


def shown(effect: Effect) -> bool:
    """Whether an effect is shown, all effects of its response considered."""
    return effect.adjusted < LEVEL


def points(value: float) -> str:
    """A difference in points, with its sign, to two decimals."""
    text = f"{value:+.2f}"
    return ("0.00" if float(text) == 0 else text).replace("-", "−")


def interval(estimate: Estimate) -> str:
    """`+1.20 points (95 % interval +0.40 to +2.00)`."""
    ends = f"{points(estimate.low)} to {points(estimate.high)}"
    return f"{points(estimate.value)} points (95 % interval {ends})"


def is_main(effect: Effect) -> bool:
    return "×" not in effect.name and not effect.name.startswith("curvature")


def _named(result: Scaled, response: str) -> str:
    words = {"enf": "targets akin to English", "rest": "other targets"}
    return f"{words.get(response, response)} ({', '.join(result.languages[response])})"


def number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(values: Sequence[object], shown_as: Callable[..., str] = number) -> str:
    return ", ".join(shown_as(value) for value in values)


def count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
