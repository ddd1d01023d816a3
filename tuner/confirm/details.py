"""The details after a confirmation's answer: other arms, optimism, language pairs, troubles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from tuner.confirm.arm import AREAS
from tuner.confirm.result import COMPARED, Confirmed
from tuner.confirm.words import difference, interval, percent
from tuner.wording import count

FEW_GROUPS = 30
"""Effective groups of pairs in test below which intervals hold less often than they claim
(`benchmarks/calibrate.py`)."""


def others(result: Confirmed, group: str) -> list[str]:
    """Report other arms that differ from the search's baseline on a mean over languages."""
    others = [each for each in result.contrasts.get(group, ()) if each.arm != result.recommended]
    shown = [each for each in others if each.shown]
    if not others:
        return []
    if not shown:
        return [f"No other configuration differs significantly from the control on test {group}."]
    named = ", ".join(f"{each.arm} {difference(each)}" for each in shown)
    return [
        f"Other configurations that differ significantly from the control on test {group}: "
        f"{named} points."
    ]


def optimism(result: Confirmed) -> list[str]:
    """Report by how much the search's best score was too high."""
    scored = [(arm.search_score, arm) for arm in result.arms if arm.search_score is not None]
    if not scored:
        return []
    score, arm = max(scored, key=lambda pair: pair[0])
    if arm.optimism is None:
        return []
    higher = "higher" if arm.optimism >= 0 else "lower"
    fresh = fmean(arm.fresh.values())
    return [
        f"Of the configurations that the search sampled, {arm.name} scored highest, with "
        f"{percent(score)}. Over {count(len(arm.fresh), 'fresh seed')} it scores {percent(fresh)} "
        "on the same dev sets. "
        f"The search's score was {abs(100 * arm.optimism):.2f} points {higher}."
    ]


def crossed(result: Confirmed) -> list[str]:
    """Report the recommended arm's accuracy over the ordered pairs of languages."""
    best, pairs = result.best, len(result.best.pairs)
    if pairs < 2:
        return []
    parts = ", ".join(
        f"{AREAS[at]} {percent(found.value)} (95 % CI {interval(found)} %)"
        for at, found in best.areas.items()
    )
    return [f"Mean accuracy over the {pairs} ordered pairs of languages: {parts}."]


def trouble(result: Confirmed) -> list[str]:
    """Report collapsed and failed seeds, the detectable difference, and other caveats."""
    said = [
        _seeds(
            result,
            "a collapsed seed has at most the objective of always giving the most frequent "
            f"label ({percent(result.majority)}), and is included like the others",
            {arm.name: arm.collapsed for arm in result.arms},
            "Collapsed",
        )
    ]
    failed = {arm.name: arm.failed for arm in result.arms}
    if any(failed.values()):
        why = (
            "a failed seed that chooses costs its configuration or that seed of all, whichever "
            "loses fewer runs; one that estimates costs that seed of its differences"
        )
        said.append(_seeds(result, why, failed, "Failed"))
    if result.detectable is not None:
        group = next(g for g in COMPARED if result.contrasts.get(g))
        compared = count(len(result.contrasts[group]), "comparison")
        said.append(
            f"With {len(result.estimating)} seeds and {compared}, a true difference from a control "
            f"of {100 * result.detectable:.2f} points on the {group} is detected with a power of "
            "80 %. Smaller differences are missed more often."
        )
    if result.groups_tested is not None and result.groups_tested < FEW_GROUPS:
        said.append(
            f"Test has {result.groups_tested:.0f} effective groups of pairs that share sentences. "
            "With so few, intervals hold in up to 2 % fewer cases than they claim."
        )
    if result.untested:
        said.append(f"Not evaluated on test: {count(result.untested, 'trial')}.")
    if result.read_before:
        said.append(
            f"This test was read before, by {', '.join(result.read_before)}. What was seen then "
            "may have influenced this study."
        )
    elif result.earlier:
        said.append(
            f"Earlier confirmations of the same search ({', '.join(result.earlier)}) may have read "
            "test already, and their results may have influenced the decision to run this one."
        )
    return said


def _seeds(result: Confirmed, why: str, seeds: Mapping[str, Sequence[int]], what: str) -> str:
    named = [f"{len(own)} of {name}" for name, own in seeds.items() if own]
    total = sum(map(len, seeds.values()))
    every = sum(len(arm.runs) + len(arm.failed) for arm in result.arms)
    of = f" ({', '.join(named)})" if named else ""
    return f"{what} seeds: {total} of {every}{of}; {why}."
