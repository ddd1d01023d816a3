"""The answer of a scaling study, before its details: one paragraph in plain words."""

from __future__ import annotations

from tuner.scaling.design import levels
from tuner.scaling.findings import interval, is_main, shown
from tuner.scaling.model import Effect, Fit
from tuner.scaling.result import Scaled
from tuner.wording import number

LAYER = "k = "
"""How names of effects of a fused layer begin."""
DRAWN = {
    "kind": "languages drawn pair by pair",
    "pair": "kind and languages drawn pair by pair",
    "language": "one kind and its languages",
}
"""What a batch of each granularity is, in words."""


def answer(result: Scaled) -> str:
    """What the data support and what they do not, of the response that the study is made for."""
    if not result.fits:
        return f"Nothing is concluded: {result.unfitted}."
    fit = result.fits[result.primary]
    effects = {effect.name: effect for effect in fit.effects}
    languages = ", ".join(result.languages[result.primary])
    told = [f"At equal {result.design.hold}, on dev of the {result.primary} ({languages}):"]
    told += _mix(fit, effects)
    told += _size(effects)
    told += [
        _layer(effect)
        for effect in fit.effects
        if effect.name.startswith("k = ") and is_main(effect)
    ]
    told += _batches(result, effects)
    if result.primary == "targets" and "sources" in result.fits:
        told += _sources(result.fits["sources"])
    return " ".join(told)


def _mix(fit: Fit, effects: dict[str, Effect]) -> list[str]:
    """What the share of cross-lingual batches does: it may bend, so either effect shows it."""
    effect, bent = effects.get("β"), effects.get("curvature of β")
    if effect is None:
        return []
    means = ", ".join(
        f"{estimate.value:.2f} % at β = {number(level)}"
        for level, estimate in fit.means.get("cross_lingual", {}).items()
    )
    means = f" ({means})" if means else ""
    if shown(effect) or (bent is not None and shown(bent)):
        return [f"the share of cross-lingual batches was shown to matter{means}."]
    return [
        f"that the share of cross-lingual batches matters was not shown{means}: "
        f"{interval(effect.estimate)} {effect.unit}."
    ]


def _size(effects: dict[str, Effect]) -> list[str]:
    """What B does, and whether what β does depends on it: how hybrid batches scale."""
    told = []
    if effect := effects.get("log₂ B"):
        bent = effects.get("curvature of log₂ B")
        if shown(effect) or (bent is not None and shown(bent)):
            told.append(
                f"The batch size was shown to matter: {interval(effect.estimate)} per doubling."
            )
        else:
            told.append(
                f"That the batch size matters was not shown: {interval(effect.estimate)} per "
                f"doubling."
            )
    if crossed := effects.get("β × log₂ B"):
        verb = "was shown" if shown(crossed) else "was not shown"
        told.append(
            f"That cross-lingual batches help more, or less, in larger batches {verb}: "
            f"{interval(crossed.estimate)} {crossed.unit}."
        )
    return told


def _layer(effect: Effect) -> str:
    verb = "was shown" if shown(effect) else "was not shown"
    layer = effect.name.removeprefix(LAYER)
    return f"That fusing layer {layer} with the last matters {verb}: {interval(effect.estimate)}."


def _batches(result: Scaled, effects: dict[str, Effect]) -> list[str]:
    """Whether it is the batches that are hybrid, or merely the data."""
    told = []
    for level in levels(result.fitted, "granularity")[1:]:
        effect = effects.get(f"granularity {level}")
        if effect is None:
            continue
        verb = "was shown" if shown(effect) else "was not shown"
        told.append(
            f"That it matters how the same pairs are put into batches ({DRAWN[str(level)]}, in "
            f"place of whole batches of one kind and its languages) {verb}: "
            f"{interval(effect.estimate)}."
        )
    return told


def _sources(fit: Fit) -> list[str]:
    """What the share of cross-lingual batches does where it was trained."""
    effect = next((each for each in fit.effects if each.name == "β"), None)
    if effect is None:
        return []
    verb = "was shown" if shown(effect) else "was not shown"
    return [
        f"On the sources, that the share of cross-lingual batches matters {verb}: "
        f"{interval(effect.estimate)} {effect.unit}."
    ]
