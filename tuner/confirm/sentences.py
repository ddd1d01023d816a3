"""The conclusion of a confirmation in plain words; the numbers support every sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.confirm.arm import ArmResult, Difference
from tuner.confirm.result import COMPARED, DEV, Confirmed
from tuner.search.choices import dissenting, in_words
from tuner.statistics.variance import Estimate
from tuner.study.design import CONTROL, REFERENCE
from tuner.wording import between, count, p_value, points


def sentences(result: Confirmed) -> tuple[str, ...]:
    """Return the whole conclusion, the answer first."""
    said = list(conclusion(result))
    if not result.languages:
        said.append("The data has no test set, so no configuration was evaluated on test.")
    groups = _compared_groups(result)
    for group in groups[1:]:
        said += _on_test(result, group)
    for group in groups:
        said += _others(result, group)
    if "targets" in result.groups:
        where = "On the test mean over the targets, which was not used for selection"
        said += _tied(result, "targets", where, "Hsu's comparison with the best, 95 %")
    said += _optimism(result)
    said += _crossed(result)
    said += _trouble(result)
    return tuple(said)


def conclusion(result: Confirmed) -> tuple[str, ...]:
    """State the recommendation, its test accuracy with the uncertainty, and the claim."""
    on_dev = result.objective
    if result.worst:
        on_dev = f"dev of {result.compared_on}, where the mean over all configurations is lowest"
    said = [_recommended(result)]
    for group in _compared_groups(result)[:1]:
        said += _on_test(result, group)
    said += _tied(result, DEV, f"On {on_dev}", "Hsu's comparison with the best")
    if len(tied := result.tied(DEV)) > 1 and result.recommended in tied:
        luck = "The choice among them may be due to chance in these seeds"
        unaware = ". Each interval is for one configuration and does not account for that choice"
        said.append(f"{luck}{unaware if result.languages else ''}.")
    if collapsed := len(result.best.collapsed):
        said.append(
            f"{collapsed} of the {count(len(result.best.objectives), 'seed')} of "
            f"{in_a_sentence(result.recommended)} collapsed: no better on dev than always "
            "giving the most frequent label."
        )
    if dissenting(result.choices):
        said.append(in_words(result.choices))
    return (*said, f"Claim: {result.claim}.")


def _compared_groups(result: Confirmed) -> list[str]:
    """Return the means over languages that test has, the primary one first."""
    return [group for group in COMPARED if group in result.best.test]


def percent(share: float) -> str:
    """Format a share of 1, for example `82.10 %`."""
    return f"{100 * share:.2f} %"


def interval(found: Estimate) -> str:
    """Format the interval of a score in percent, clipped to 0 and 100: `81.00 to 83.20`."""
    return f"{100 * max(found.low, 0):.2f} to {100 * min(found.high, 1):.2f}"


def in_a_sentence(arm: str) -> str:
    """Name an arm within a sentence, for example `the control` or `trial 012`."""
    return f"the {arm}" if arm in (CONTROL, REFERENCE) else arm


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """List the settings that apply, for example `fusion.kind dlfa, fusion.layer 2`."""
    said = [
        f"{name} {format(value, '.3g') if isinstance(value, float) else value}"
        for name, value in settings.items()
        if value is not None
    ]
    return ", ".join(said) or "the default settings"


def group_in_words(result: Confirmed, group: str) -> str:
    """Describe a mean over languages, for example `mean over the targets (es, ja)`."""
    return f"mean over the {group} ({', '.join(result.groups[group])})"


def difference(found: Difference) -> str:
    """Format the estimate of a difference in points, for example `+1.20`."""
    return points(100 * found.estimate.value)


def difference_interval(found: Difference) -> str:
    """Format the interval of a difference in points, for example `+0.40 to +2.00`."""
    return between(100 * found.estimate.low, 100 * found.estimate.high)


def _recommended(result: Confirmed) -> str:
    best, seeds = result.best, f"{len(result.seeds)} fresh seeds"
    assert best.objective is not None
    score = f"{percent(best.objective)} in {result.objective}, averaged over {seeds}"
    if best.name == REFERENCE:
        if best.dev is not None:  # dev chose nothing for the reference
            score += f" (95 % CI {interval(best.dev)} %)"
        targets = ", ".join(result.groups.get("targets", ()))
        return (
            f"The external reference scores {score}. It was trained on English alone by XTREME's "
            "recipe, except for the choice of the checkpoint. Its targets are all other languages "
            f"({targets}): compare it with a study of more training languages one language at a "
            "time, not by its mean."
        )
    compared = [arm for arm in result.arms if not arm.failed]
    equal = [arm.name for arm in compared if arm is not best and arm.objective == best.objective]
    so_have = f" (tied with {', '.join(equal)}; the first is taken)" if equal else ""
    named = f"{in_a_sentence(best.name)} ({settings_in_words(best.settings)})"
    return (
        f"Recommended before test was read: {named}. It scores {score}, the highest of the "
        f"{len(compared)} configurations whose seeds are all complete{so_have}."
    )


def _on_test(result: Confirmed, group: str) -> list[str]:
    """Report the recommended arm's mean over languages on test, and compare it with the control."""
    found = result.best.test.get(group)
    if found is None:
        return []
    over = group_in_words(result, group)
    said = [
        f"On test, {in_a_sentence(result.recommended)} has an accuracy of {percent(found.value)}, "
        f"{over} (95 % CI {interval(found)} %)."
    ]
    control = result.control
    if group in result.best.against_control and control is not None:
        said.append(_difference(result, group, control))
    elif control is not None and result.recommended != CONTROL:
        said.append(f"It cannot be compared with the control on the {group}: trials are missing.")
    return said


def _difference(result: Confirmed, group: str, control: ArmResult) -> str:
    found = result.best.against_control[group]
    theirs = f"the control's {percent(control.test[group].value)}"
    numbers = _numbers(found, _compared(result, group))
    size = f"{difference(found)} points"
    if found.shown:
        better = "better" if found.estimate.value > 0 else "worse"
        return f"This is significantly {better} than {theirs}: {size} ({numbers})."
    return f"No significant difference from {theirs} on the {group} was found: {size} ({numbers})."


def _numbers(found: Difference, compared: int) -> str:
    corrected = f" with Holm's correction for {compared} comparisons" if compared > 1 else ""
    return f"95 % CI {difference_interval(found)}, {p_value(found.adjusted)}{corrected}"


def _compared(result: Confirmed, group: str) -> int:
    return sum(group in arm.against_control for arm in result.arms)


def _others(result: Confirmed, group: str) -> list[str]:
    """Report other arms that differ from the control on a mean over languages."""
    others = [
        arm
        for arm in result.arms
        if arm.name != result.recommended and group in arm.against_control
    ]
    shown = [arm for arm in others if arm.against_control[group].shown]
    if not others:
        return []
    if not shown:
        return [f"No other configuration differs significantly from the control on test {group}."]
    named = ", ".join(f"{arm.name} {difference(arm.against_control[group])}" for arm in shown)
    return [
        f"Other configurations that differ significantly from the control on test {group}: "
        f"{named} points."
    ]


def _tied(result: Confirmed, compared: str, where: str, how: str) -> list[str]:
    tied = result.tied(compared)
    among = sum(compared in arm.from_best for arm in result.arms)
    if not tied:
        return []
    if len(tied) == 1:
        return [f"{where}, {tied[0]} is the best of {among} configurations ({how})."]
    return [
        f"{where}, {len(tied)} of {among} configurations cannot be distinguished from the best: "
        f"{', '.join(tied)} ({how})."
    ]


def _optimism(result: Confirmed) -> list[str]:
    scored = [(arm.search_score, arm) for arm in result.arms if arm.search_score is not None]
    if not scored:
        return []
    score, arm = max(scored, key=lambda pair: pair[0])
    if arm.objective is None or arm.optimism is None:
        return []
    higher = "higher" if arm.optimism >= 0 else "lower"
    over = f"{len(arm.objectives)} fresh seeds"
    return [
        f"Of the configurations that the search sampled, {arm.name} scored highest, with "
        f"{percent(score)}. Over {over} it scores {percent(arm.objective)} on the same dev sets. "
        f"The search's score was {abs(100 * arm.optimism):.2f} points {higher}."
    ]


def _crossed(result: Confirmed) -> list[str]:
    best, pairs = result.best, len(result.best.pairs)
    named = {
        "mono": "both sentences in one language",
        "cross": "sentences in two languages",
        "seen": "both in training languages",
        "mixed": "one in a training language",
        "unseen": "neither in a training language",
    }
    if pairs < 2:
        return []
    parts = ", ".join(f"{named[at]} {percent(value)}" for at, value in best.areas.items())
    return [f"Mean accuracy over the {pairs} ordered pairs of languages: {parts}."]


def _trouble(result: Confirmed) -> list[str]:
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
        why = "their configurations were neither compared nor eligible for the recommendation"
        said.append(_seeds(result, why, failed, "Failed"))
    if result.detectable is not None:
        group = next(g for g in COMPARED if _compared(result, g))
        compared = count(_compared(result, group), "comparison")
        said.append(
            f"With {len(result.seeds)} seeds and {compared}, a true difference from the control of "
            f"{100 * result.detectable:.2f} points on the {group} is detected with a power of "
            "80 %. Smaller differences are missed more often."
        )
    if result.untested:
        said.append(f"Not evaluated on test: {count(result.untested, 'trial')}.")
    if result.earlier:
        said.append(
            f"Earlier confirmations of the same search ({', '.join(result.earlier)}) may have read "
            "test already, and their results may have influenced the decision to run this one."
        )
    return said


def _seeds(result: Confirmed, why: str, seeds: Mapping[str, Sequence[int]], what: str) -> str:
    named = [f"{len(own)} of {name}" for name, own in seeds.items() if own]
    total, every = sum(map(len, seeds.values())), len(result.seeds) * len(result.arms)
    of = f" ({', '.join(named)})" if named else ""
    return f"{what} seeds: {total} of {every}{of}; {why}."
