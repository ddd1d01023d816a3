"""The findings about a response, as sentences, and the notation for effects.

An effect is shown if its p-value, adjusted for all effects of the response, is below 5 %. If its
interval contains 0, or its adjusted p-value is 5 % or more, no significant effect was found. That
does not mean that there is no effect.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.scaling.design import Factor, Level, levels
from tuner.scaling.model import Effect, Fit
from tuner.scaling.result import Scaled
from tuner.statistics.variance import Estimate
from tuner.study.roles import MEANS
from tuner.wording import between, count, listed, number, p_value, points

LEVEL = 0.05
"""The significance level: an effect with a smaller adjusted p-value is shown."""
TOGETHER = "after adjustment for all effects"
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
    sentences = [
        f"Response: mean dev accuracy on the {response_label(result, response)}. "
        f"Intervals account for seeds and dev pairs; each is for one effect alone. p-values are "
        f"adjusted for {count(len(fit.effects), 'effect')} (Holm). Each effect holds at the "
        f"average of the other settings' levels."
    ]
    for name, (factor, symbol) in STRAIGHT.items():
        if name in by_name:
            means = _means(symbol, {} if fit.missing else fit.means.get(factor, {}))
            sentences.append(f"{_verdict(by_name[name])}{means}.")
            if bent := by_name.get(f"curvature of {name}"):
                sentences.append(f"{_verdict(bent)}.")
    sentences += [
        f"{_verdict(e)}." for e in fit.effects if e.name.startswith("k = ") and is_main(e)
    ]
    sentences += _interactions(fit)
    sentences += _control(result, fit)
    sentences += _plateau(result, fit)
    sentences += _misfit(fit)
    return sentences


def _verdict(effect: Effect) -> str:
    """Return the verdict on one effect, without a full stop."""
    estimate = effect.estimate
    p = p_value(effect.adjusted)
    kind = "" if effect.name.startswith("curvature") else "effect of "
    what = f"{kind}{effect.name} ({effect.unit})"
    if shown(effect):
        return f"A significant {what} was found: {interval(estimate)}, {p}"
    if estimate.low <= 0 <= estimate.high:
        return f"No {what} was found: {interval(estimate)}"
    return f"No significant {what} was found {TOGETHER}: {interval(estimate)}, {p}"


def _means(symbol: str, means: Mapping[Level, Estimate]) -> str:
    each = [
        f"{estimate.value:.2f} % at {symbol} = {number(level)}" for level, estimate in means.items()
    ]
    return f"; means {', '.join(each)}" if each else ""


def _interactions(fit: Fit) -> list[str]:
    crossed = [effect for effect in fit.effects if "×" in effect.name]
    sentences = []
    if found := [effect for effect in crossed if shown(effect)]:
        each = "; ".join(
            f"{e.name} ({e.unit}) {interval(e.estimate)}, {p_value(e.adjusted)}" for e in found
        )
        sentences.append(f"Significant interactions: {each}.")
    if missed := [effect for effect in crossed if not shown(effect)]:
        each = "; ".join(map(_missed, missed))
        sentences.append(f"Interactions that are not significant {TOGETHER}: {each}.")
    return sentences


def _control(result: Scaled, fit: Fit) -> list[str]:
    """Report the effect of granularity, which separates batch composition from the data mix."""
    reference, *others = levels(result.fitted, "granularity")
    if not others:
        return [
            f"Granularity was {reference} throughout, so this study does not separate the effect "
            f"of how pairs are put into batches from the effect of which pairs they are."
        ]
    sentences = []
    for level in others:
        effect = next(each for each in fit.effects if each.name == f"granularity {level}")
        estimate = effect.estimate
        what = (
            f"Control, granularity {level} against {reference}, the same data in other batches: "
            f"{interval(estimate)}"
        )
        if shown(effect):
            better = level if estimate.value > 0 else reference
            sentences.append(
                f"{what}, {p_value(effect.adjusted)}. How pairs are put into batches has an "
                f"effect of its own: {better} is significantly better."
            )
        else:
            bound = max(abs(estimate.low), abs(estimate.high))
            sentences.append(
                f"{what}, {p_value(effect.adjusted)}. No significant difference was found "
                f"{TOGETHER}, so there is no evidence for an effect of how pairs are put into "
                f"batches, apart from that of the cross-lingual data in them. The interval does "
                f"not exclude a difference of {bound:.2f} points."
            )
    return sentences


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
    aside = f", excluding B = {listed(skipped)}," if skipped else ""
    other = "other larger B" if skipped else "larger B"
    if plateau.size is not None:
        smaller = _no_worse(plateau.size, fit.means["effective_size"])
        bound = plateau.bounds[plateau.size]
        if bound < 0:
            return [
                f"Beyond B = {plateau.size}{aside} there is no gain: {up_to}, accuracy at every "
                f"{other} is lower by at least {points(-bound).removeprefix('+')} points "
                f"(simultaneous 95 % bounds){smaller}."
            ]
        return [
            f"Beyond B = {plateau.size}{aside} there is no relevant gain: {up_to}, the gain of any "
            f"{other} over it is at most {points(bound)} points (simultaneous 95 % bounds), and a "
            f"gain below {margin} is not relevant{smaller}."
        ]
    each = ", ".join(
        f"{points(bound)} over B = {size} (estimated {points(plateau.gains[size])})"
        for size, bound in plateau.bounds.items()
    )
    return [
        f"No B was found beyond which there is no relevant gain: {up_to}{aside or ','} a larger B "
        f"may gain up to {each} (simultaneous 95 % bounds). Only a gain below {margin} is not "
        f"relevant."
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
    sentences = [f"{refused}." for refused in fit.refused]
    if fit.missing:
        sentences.append(
            f"{count(len(fit.missing), 'combination')} of the levels "
            f"{'was' if len(fit.missing) == 1 else 'were'} not fitted, so the fitted design is not "
            f"a full factorial. Effects are over all fitted configurations; means by level are "
            f"over {ALIKE}."
        )
    if fit.lack is None:
        sentences.append(
            "There are as many effects as configurations, so lack of fit cannot be tested."
        )
    elif fit.lack.p < LEVEL:
        sentences.append(
            f"The configurations depart significantly from the fitted model "
            f"({p_value(fit.lack.p)}; about {fit.departure:.2f} points, root mean square). The "
            f"effects are therefore averages; the means by B and β say more."
        )
    else:
        sentences.append(
            f"No significant departure of the configurations from the fitted model was found "
            f"({p_value(fit.lack.p)})."
        )
    return sentences


def other_findings(result: Scaled, response: str) -> str:
    """Summarise another response: all effects that are shown, and main effects that are not."""
    fit = result.fits[response]
    found = [f"{e.name} ({e.unit}) {interval(e.estimate)}" for e in fit.effects if shown(e)]
    missed = [_missed(effect) for effect in fit.effects if is_main(effect) and not shown(effect)]
    sentences = [
        f"significant effects are {'; '.join(found)}" if found else "no effect is significant"
    ]
    if missed:
        sentences.append(f"main effects not significant {TOGETHER} are {'; '.join(missed)}")
    there = f"On the {response_label(result, response)}"
    return " ".join(f"{there}, {each}." for each in sentences)


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
    """Format the ends of an interval, for example `+0.40 to +2.00`."""
    return between(estimate.low, estimate.high)


def interval(estimate: Estimate) -> str:
    """Format an estimate, for example `+1.20 points (95 % CI +0.40 to +2.00)`."""
    return f"{points(estimate.value)} points (95 % CI {ends(estimate)})"


def is_main(effect: Effect) -> bool:
    """Return whether an effect is a main effect: neither an interaction nor a curvature."""
    return "×" not in effect.name and not effect.name.startswith("curvature")


def response_label(result: Scaled, response: str) -> str:
    """Describe a response in words, with its languages."""
    named = response if response in MEANS else f"targets in group {response}"
    words = {"enf": "targets akin to English", "rest": "other targets"}.get(response, named)
    return f"{words} ({listed(result.languages[response])})"
