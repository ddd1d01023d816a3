"""The answer of a scaling study: one paragraph in plain words, placed before the details."""

from __future__ import annotations

from itertools import combinations

from tuner.scaling.design import levels
from tuner.scaling.findings import interval, is_main, response_label, shown
from tuner.scaling.model import Effect, Fit
from tuner.scaling.result import Scaled
from tuner.study.roles import MEANS
from tuner.wording import count, listed, number

WIDER = "Repeat with a wider grid, as a study with another name."
SEE_WHY = "Find out why those trials failed before you repeat the study."
SHARE = "the share of cross-lingual batches"
LAYER = "k = "
"""The prefix of the names of layer effects."""
DRAWN = {
    "kind": "batches of one kind, their languages drawn pair by pair",
    "pair": "kind and languages drawn pair by pair",
    "language": "whole batches of one kind and its languages",
}
"""A description of the batches of each granularity."""


def conclusion(result: Scaled) -> tuple[str, str]:
    """Say what the data support and what they do not, for the primary response.

    Returns:
        The first finding, about β where it varies; and the rest, which may be empty.
    """
    if not result.fits:
        return f"No effect was estimated: {result.unfitted}.", " ".join(_left_out(result))
    fit = result.fits[result.primary]
    effects = {effect.name: effect for effect in fit.effects}
    languages = listed(result.languages[result.primary])
    sentences = [*_mix(fit, effects), *_reversal(result)]
    sentences += _size(effects)
    sentences += _left_out(result)
    sentences += [
        _layer(result, effect)
        for effect in fit.effects
        if effect.name.startswith("k = ") and is_main(effect)
    ]
    sentences += _batches(result, effects)
    if result.primary == "targets" and "sources" in result.fits:
        sentences += _sources(result)
    where = f"At equal {result.design.hold}, on dev of the {result.primary} ({languages}):"
    return " ".join([*_unlearnt(result), where, *sentences[:1]]), " ".join(sentences[1:])


def _unlearnt(result: Scaled) -> list[str]:
    """Warn if at least half of the fitted models have learnt nothing."""
    fitted = [
        seed
        for cell in result.fitted
        for seed in result.seeds_of[cell]
        if seed.seed in result.paired
    ]
    collapsed = sum(seed.collapsed for seed in fitted)
    if 2 * collapsed < len(fitted):
        return []
    return [
        f"{collapsed} of {count(len(fitted), 'compared trial')} collapsed: they are no better than "
        "always giving the most frequent label. The findings say little about models that learn."
    ]


def _mix(fit: Fit, effects: dict[str, Effect]) -> list[str]:
    """Describe the effect of the share of cross-lingual batches."""
    if "β" not in effects:
        return []
    means = ", ".join(
        f"{estimate.value:.2f} % at β = {number(level)}"
        for level, estimate in fit.means.get("cross_lingual", {}).items()
        if not fit.missing  # with missing cells, means are based on fewer configurations
    )
    return [f"{_matters(SHARE, 'β', effects, f' ({means})' if means else '')}."]


def _reversal(result: Scaled) -> list[str]:
    """Report if β helps some targets and harms others, both significantly; their mean hides it."""
    found = {
        group: effect
        for group in result.fits
        if group not in MEANS
        for effect in result.fits[group].effects
        if effect.name == "β" and shown(effect)
    }
    said = []
    for first, second in combinations(found, 2):
        one, other = found[first], found[second]
        if (one.estimate.value > 0) == (other.estimate.value > 0):
            continue
        verbs = ("rises", "falls") if one.estimate.value > 0 else ("falls", "rises")
        said.append(
            f"{_capital(one.unit)}, accuracy {verbs[0]} on the {response_label(result, first)}, "
            f"{interval(one.estimate)}, and {verbs[1]} on the {response_label(result, second)}, "
            f"{interval(other.estimate)}; both effects are significant."
        )
    return said


def _size(effects: dict[str, Effect]) -> list[str]:
    """Describe the effect of B, and its interaction with β: how hybrid batches scale."""
    sentences = []
    if "log₂ B" in effects:
        sentences.append(_capital(f"{_matters('the batch size', 'log₂ B', effects)}."))
    if crossed := effects.get("β × log₂ B"):
        sentences.append(
            (
                "The effect of cross-lingual batches changes significantly with the batch size: "
                if shown(crossed)
                else "No significant interaction of cross-lingual batches with B was found: "
            )
            + f"{interval(crossed.estimate)} {crossed.unit}."
        )
    return sentences


def _matters(what: str, name: str, effects: dict[str, Effect], means: str = "") -> str:
    """Say whether a setting has an effect: its linear effect or its curvature may show it."""
    straight, bent = effects[name], effects.get(f"curvature of {name}")
    found = f"{interval(straight.estimate)} {straight.unit}"
    if bent is not None and shown(bent):
        alone = "" if shown(straight) else " (not significant by itself)"
        curved = f"a curvature ({bent.unit}) of {interval(bent.estimate)}"
        return f"{what} has a significant effect{means}: {found}{alone}, and {curved}"
    if shown(straight):
        return f"{what} has a significant effect{means}: {found}"
    return f"no significant effect of {what} was found{means}: {found}"


def _left_out(result: Scaled) -> list[str]:
    """List each B without a conclusion, with reasons and remedies; note if only one B is left."""
    left = levels(result.fitted, "effective_size")
    sentences, remedies = [], []
    for size in result.sizes:
        if size in result.at_edge:
            choice = result.choices[size]
            why = f"its best learning rate is the {choice.end}"
            remedies += [SEE_WHY] * choice.hidden + [WIDER] * choice.outside
        elif size in result.without_rate:
            why = "every learning rate failed with at least one tuning seed"
            remedies.append(SEE_WHY)
        elif result.fits and size not in left:
            why = "all of its compared trials failed"
            remedies.append(SEE_WHY)
        else:
            continue
        sentences.append(f"B = {size} is excluded: {why}.")
    sentences += dict.fromkeys(remedies)
    if result.fits and len(left) == 1:
        sentences.append(
            f"All findings are for B = {left[0]}: no effect of batch size was estimated."
        )
    return sentences


def _layer(result: Scaled, effect: Effect) -> str:
    reference, *_ = levels(result.fitted, "layer")
    instead = "" if reference is None else f" instead of layer {reference}"
    what = f"fusing layer {effect.name.removeprefix(LAYER)} with the last{instead}"
    if shown(effect):
        return f"{_capital(what)} has a significant effect: {interval(effect.estimate)}."
    return f"No significant effect of {what} was found: {interval(effect.estimate)}."


def _batches(result: Scaled, effects: dict[str, Effect]) -> list[str]:
    """Say whether batch composition matters, beyond the mix of pairs in the data."""
    sentences = []
    reference, *others = levels(result.fitted, "granularity")
    for level in others:
        effect = effects.get(f"granularity {level}")
        if effect is None:
            continue
        verb = "has a" if shown(effect) else "has no"
        sentences.append(
            f"How the same pairs are put into batches ({DRAWN[str(level)]}, instead of "
            f"{DRAWN[str(reference)]}) {verb} significant effect: {interval(effect.estimate)}."
        )
    return sentences


def _sources(result: Scaled) -> list[str]:
    """Describe the effect of β on the source languages, and that of B if significant."""
    effects = {effect.name: effect for effect in result.fits["sources"].effects}
    sentences = [_matters(SHARE, "β", effects)] if "β" in effects else []
    sizes = [effects[name] for name in ("log₂ B", "curvature of log₂ B") if name in effects]
    if any(map(shown, sizes)):
        sentences.append(_matters("the batch size", "log₂ B", effects))
    return (
        [f"On the {response_label(result, 'sources')}, {'; '.join(sentences)}."]
        if sentences
        else []
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
