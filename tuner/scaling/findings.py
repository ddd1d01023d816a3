"""The findings about a response, as sentences, and the notation for effects.

An effect is shown if its p-value, adjusted for all effects of the response, is below 5 %. If its
interval contains 0, or its adjusted p-value is 5 % or more, it "was not shown". That does not mean
that there is no effect.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.scaling.design import Factor, Level, levels
from tuner.scaling.model import Effect, Fit
from tuner.scaling.result import Scaled
from tuner.statistics.variance import Estimate
from tuner.wording import between, count, listed, number, p_value, points

LEVEL = 0.05
"""The significance level: an effect with a smaller adjusted p-value is shown."""
TOGETHER = "all effects considered together"
"""The meaning of an adjusted p-value."""
ALIKE = "the combinations of the other settings that have every level"
"""The basis of means where cells are missing, so that means are comparable."""
STRAIGHT: Mapping[str, tuple[Factor, str]] = {
    "β": ("cross_lingual", "β"),
    "log₂ B": ("effective_size", "B"),
}
"""The factor of each linear effect, and the symbol of its levels."""


def main_findings(result: Scaled, response: str) -> list[str]:
    """Return all sentences about the primary response."""
    fit = result.fits[response]
    by_name = {effect.name: effect for effect in fit.effects}
    told = [
        f"Response: mean dev accuracy on the {named(result, response)}; "
        f"intervals are over seeds and pairs of the dev sets, each of one effect alone; p-values "
        f"are adjusted for {count(len(fit.effects), 'effect')} (Holm); every effect is at the "
        f"average of the other settings' levels."
    ]
    for name, (factor, symbol) in STRAIGHT.items():
        if name in by_name:
            means = _means(symbol, {} if fit.missing else fit.means.get(factor, {}))
            told.append(f"{_verdict(by_name[name])}{means}.")
            if bent := by_name.get(f"curvature of {name}"):
                told.append(f"{_verdict(bent)}.")
    told += [f"{_verdict(e)}." for e in fit.effects if e.name.startswith("k = ") and is_main(e)]
    told += _interactions(fit)
    told += _control(result, fit)
    told += _plateau(result, fit)
    told += _misfit(fit)
    return told


def _verdict(effect: Effect) -> str:
    """Return the verdict on one effect, without a full stop."""
    estimate = effect.estimate
    p = p_value(effect.adjusted)
    what = f"{effect.name}, {effect.unit}"
    if shown(effect):
        return f"An effect was shown of {what}: {interval(estimate)}, {p}"
    if estimate.low <= 0 <= estimate.high:
        return f"An effect was not shown of {what}: {interval(estimate)}"
    return f"An effect was not shown of {what}, {TOGETHER}: {interval(estimate)}, {p}"


def _means(symbol: str, means: Mapping[Level, Estimate]) -> str:
    each = [
        f"{estimate.value:.2f} % at {symbol} = {number(level)}" for level, estimate in means.items()
    ]
    return f"; means {', '.join(each)}" if each else ""


def _interactions(fit: Fit) -> list[str]:
    crossed = [effect for effect in fit.effects if "×" in effect.name]
    told = []
    if found := [effect for effect in crossed if shown(effect)]:
        each = "; ".join(
            f"{e.name} ({e.unit}) {interval(e.estimate)}, {p_value(e.adjusted)}" for e in found
        )
        told.append(f"What one setting does was shown to depend on another: {each}.")
    if missed := [effect for effect in crossed if not shown(effect)]:
        each = "; ".join(map(_missed, missed))
        told.append(f"Interactions that were not shown, {TOGETHER}: {each}.")
    return told


def _control(result: Scaled, fit: Fit) -> list[str]:
    """Report the effect of granularity, which separates batch composition from the data mix."""
    reference, *others = levels(result.fitted, "granularity")
    if not others:
        return [
            f"Granularity was {reference} throughout: whether it matters how pairs are put into "
            f"batches, beside which pairs they are, is not asked here."
        ]
    told = []
    for level in others:
        effect = next(each for each in fit.effects if each.name == f"granularity {level}")
        estimate = effect.estimate
        what = (
            f"Control, granularity {level} against {reference}, the same data batched otherwise: "
            f"{interval(estimate)}"
        )
        if shown(effect):
            better = level if estimate.value > 0 else reference
            told.append(
                f"{what}, {p_value(effect.adjusted)}; how pairs are put into batches was shown to "
                f"matter, beside which pairs they are, and {better} was the better."
            )
        else:
            bound = max(abs(estimate.low), abs(estimate.high))
            told.append(
                f"{what}, {p_value(effect.adjusted)}; a difference was not shown, {TOGETHER}, so "
                f"that nothing here speaks for how pairs are put into batches rather than for the "
                f"cross-lingual data in them; the interval leaves room for {bound:.2f} points."
            )
    return told


def _plateau(result: Scaled, fit: Fit) -> list[str]:
    plateau = fit.plateau
    if plateau is None:
        return []
    compared = {cell.effective_size for cell in result.fitted}
    largest = max(compared)
    up_to = f"at equal {result.design.hold} and up to B = {largest}"
    if fit.missing:
        up_to += f", over {ALIKE}"
    margin = f"{plateau.margin:g} points"
    since = plateau.size or min(compared)
    skipped = [size for size in result.sizes if since < size < largest and size not in compared]
    aside = f", B = {listed(skipped)} left out," if skipped else ""
    other = "other larger B" if skipped else "larger B"
    if plateau.size is not None:
        smaller = _no_worse(plateau.size, fit.means["effective_size"])
        bound = plateau.bounds[plateau.size]
        if bound < 0:
            return [
                f"Beyond B = {plateau.size}{aside} nothing is gained: {up_to}, every {other} is "
                f"lower, by at least {points(-bound).removeprefix('+')} points (all such bounds "
                f"together 95 %){smaller}."
            ]
        return [
            f"Beyond B = {plateau.size}{aside} nothing is gained that counts: {up_to}, the gain of "
            f"any {other} over it is at most {points(bound)} points, and less than {margin} counts "
            f"as nothing (all such bounds together 95 %){smaller}."
        ]
    each = ", ".join(
        f"{points(bound)} over B = {size} (estimated {points(plateau.gains[size])})"
        for size, bound in plateau.bounds.items()
    )
    return [
        f"A B beyond which nothing is gained was not shown: {up_to}{aside or ','} a larger B may "
        f"gain up to {each} (all bounds together 95 %), and only less than {margin} counts as "
        f"nothing."
    ]


def _no_worse(size: int, means: Mapping[Level, Estimate]) -> str:
    """Return a clause if a smaller B has a higher mean; empty otherwise."""
    smaller = {level: mean.value for level, mean in means.items() if int(str(level)) < size}
    best = max(smaller, key=lambda level: smaller[level], default=size)
    if means[best].value <= means[size].value:
        return ""
    highest = means[best].value == max(mean.value for mean in means.values())
    what = "the highest mean" if highest else f"the highest mean up to B = {size}"
    return f"; a smaller one did no worse: {what} is that of B = {best}"


def _misfit(fit: Fit) -> list[str]:
    told = [f"{refused}." for refused in fit.refused]
    if fit.missing:
        told.append(
            f"{count(len(fit.missing), 'combination')} of the levels "
            f"{'was' if len(fit.missing) == 1 else 'were'} not fitted: what is fitted is no full "
            f"factorial. Effects are of all that is, means by level of {ALIKE}."
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
    """Summarise another response: all effects that are shown, and main effects that are not."""
    fit = result.fits[response]
    found = [f"{e.name} ({e.unit}) {interval(e.estimate)}" for e in fit.effects if shown(e)]
    missed = [_missed(effect) for effect in fit.effects if is_main(effect) and not shown(effect)]
    told = [f"shown: {'; '.join(found)}" if found else "no effect was shown"]
    if missed:
        told.append(f"of the main effects not shown, {TOGETHER}: {'; '.join(missed)}")
    there = f"On the {named(result, response)}"
    return " ".join(f"{there}, {each}." for each in told)


def _missed(effect: Effect) -> str:
    """Describe an effect that is not shown; add the p-value if its interval excludes 0."""
    alone = effect.estimate.low <= 0 <= effect.estimate.high
    return f"{effect.name} {interval(effect.estimate)}" + (
        "" if alone else f", {p_value(effect.adjusted)}"
    )


def shown(effect: Effect) -> bool:
    """Return whether an effect is significant after adjustment for all effects of its response."""
    return effect.adjusted < LEVEL


def ends(estimate: Estimate) -> str:
    """Format the ends of an interval, as `+0.40 to +2.00`."""
    return between(estimate.low, estimate.high)


def interval(estimate: Estimate) -> str:
    """Format an estimate, as `+1.20 points (95 % interval +0.40 to +2.00)`."""
    return f"{points(estimate.value)} points (95 % interval {ends(estimate)})"


def is_main(effect: Effect) -> bool:
    """Return whether an effect is a main effect: neither an interaction nor a curvature."""
    return "×" not in effect.name and not effect.name.startswith("curvature")


def named(result: Scaled, response: str) -> str:
    """Describe a response in words, with its languages."""
    words = {"enf": "targets akin to English", "rest": "other targets"}
    return f"{words.get(response, response)} ({listed(result.languages[response])})"
