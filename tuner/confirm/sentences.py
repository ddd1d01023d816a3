"""The conclusion of a confirmation in plain words; the numbers support every sentence."""

from __future__ import annotations

from tuner.confirm.arm import Contrast
from tuner.confirm.details import crossed, optimism, others, trouble
from tuner.confirm.result import DEV, Confirmed
from tuner.confirm.words import (
    compared_groups,
    control_in_words,
    difference,
    difference_interval,
    group_in_words,
    in_a_sentence,
    interval,
    percent,
    settings_in_words,
)
from tuner.search.choices import dissenting, in_words
from tuner.statistics.collapse import collapse_bound
from tuner.study.design import CONTROL, REFERENCE
from tuner.wording import count, p_value


def sentences(result: Confirmed) -> tuple[str, ...]:
    """Return the whole conclusion, the answer first."""
    said = list(conclusion(result))
    if not result.languages:
        said.append("The data has no test set, so no configuration was evaluated on test.")
    groups = compared_groups(result)
    for group in groups[1:]:
        said += _on_test(result, group)
    for group in groups:
        said += others(result, group)
    if "targets" in result.groups:
        where = "On the test mean over the targets, which was not used for selection"
        said += _tied(result, "targets", where, "Hsu's comparison with the best, 95 %")
    said += optimism(result)
    said += crossed(result)
    said += trouble(result)
    return tuple(said)


def conclusion(result: Confirmed) -> tuple[str, ...]:
    """State the recommendation, its test accuracy with the uncertainty, and the claim."""
    on_dev = result.objective
    if result.in_parts:
        on_dev = f"dev of {result.compared_on}, where the mean over all configurations is lowest"
    said = [_recommended(result)]
    for group in compared_groups(result)[:1]:
        said += _on_test(result, group)
    if result.apart and result.languages and not result.best.tested:
        said.append("Test has not been read yet: the runs that estimate have not ended.")
    said += _tied(result, DEV, f"On {on_dev}", "Hsu's comparison with the best")
    if len(tied := result.tied(DEV)) > 1 and result.recommended in tied:
        luck = "The choice among them may be due to chance in these seeds"
        if result.languages and not result.apart:
            luck += ". Each interval is for one configuration and does not account for that choice"
        elif result.languages:
            luck += "; the estimates on test are not, since their seeds chose nothing"
        said.append(f"{luck}.")
    said += _collapsed(result)
    if dissenting(result.choices):
        said.append(in_words(result.choices))
    return (*said, f"Claim: {result.claim}.")


def _collapsed(result: Confirmed) -> list[str]:
    """Report how many seeds of the recommended arm collapsed, and how many may."""
    best = result.best
    collapsed, seeds = len(best.collapsed), len(best.runs)
    if not seeds:
        return []
    upper = collapse_bound(collapsed, seeds)
    return [
        f"{collapsed} of the {count(seeds, 'seed')} of {in_a_sentence(best.name)} collapsed: no "
        f"better on dev than always giving the most frequent label. Up to {100 * upper:.0f} % of "
        "other seeds may (95 % bound), and no interval accounts for that."
    ]


def _recommended(result: Confirmed) -> str:
    best = result.best
    assert best.objective is not None
    seeds = count(len(best.choosing), "fresh seed")
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
    compared = [arm for arm in result.arms if arm.name in result.compared]
    equal = [arm.name for arm in compared if arm is not best and arm.objective == best.objective]
    so_have = f" (tied with {', '.join(equal)}; the first is taken)" if equal else ""
    named = f"{in_a_sentence(best.name)} ({settings_in_words(best.settings)})"
    return (
        f"Recommended before test was read: {named}. It scores {score}, the highest of the "
        f"{len(compared)} configurations that were compared{so_have}."
    )


def _on_test(result: Confirmed, group: str) -> list[str]:
    """Report the recommended arm's mean over languages on test, and compare it with controls."""
    found = result.best.test.get(group)
    if found is None:
        return []
    over = group_in_words(result, group)
    seeds = len(result.best.tested)
    fresh = f", over {count(seeds, 'other seed')} that chose nothing" if result.apart else ""
    said = [
        f"On test{fresh}, {in_a_sentence(result.recommended)} has an accuracy of "
        f"{percent(found.value)}, {over} (95 % CI {interval(found)} %)."
    ]
    for name in dict.fromkeys(control.arm for control in result.controls) or [CONTROL]:
        known = any(arm.name == name for arm in result.arms)
        if name == result.recommended:
            kinds = " and ".join(control.kind for control in result.kinds(name))
            said += [f"It is itself the best configuration with {kinds}."] if kinds else []
        elif (contrast := result.contrast(group, result.recommended, name)) is not None:
            said.append(_difference(result, group, contrast))
        elif known:
            said.append(
                f"It cannot be compared with {control_in_words(result, name)} on the {group}: "
                "trials are missing."
            )
    against = {contrast.control for contrast in result.contrasts.get(group, ())}
    fewest = [control.of for control in result.controls if control.arm in against]
    if fewest and 2 * min(fewest) < result.completed and group == compared_groups(result)[0]:
        said.append(
            f"The recommended configuration was chosen from {result.completed} completed trials. A "
            "control that was chosen from far fewer is tuned less, and part of its difference may "
            "be due to that."
        )
    return said


def _difference(result: Confirmed, group: str, found: Contrast) -> str:
    control = result.arm(found.control)
    theirs = (
        f"the {percent(control.test[group].value)} of {control_in_words(result, found.control)}"
    )
    numbers = _numbers(found, len(result.contrasts[group]))
    size = f"{difference(found)} points"
    if found.shown:
        better = "better" if found.estimate.value > 0 else "worse"
        return f"This is significantly {better} than {theirs}: {size} ({numbers})."
    return f"No significant difference from {theirs} on the {group} was found: {size} ({numbers})."


def _numbers(found: Contrast, compared: int) -> str:
    corrected = f" with Holm's correction for {compared} comparisons" if compared > 1 else ""
    return f"95 % CI {difference_interval(found)}, {p_value(found.adjusted)}{corrected}"


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
