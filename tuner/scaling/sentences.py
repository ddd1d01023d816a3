"""The conclusion of a scaling study in plain words: what the data support, and what they do not.

Every sentence follows from a `Scaled`, and a reader can check it by hand against the scores of its
seeds. `tuner.scaling.findings` writes the sentences about effects.
"""

from __future__ import annotations

from collections.abc import Iterable

from tuner.scaling.design import Cell, levels
from tuner.scaling.findings import main_findings, other_findings
from tuner.scaling.result import Scaled
from tuner.search.rates import TunedRate
from tuner.study.trial import REFERENCE_BATCH
from tuner.wording import count, listed, number, points

CLOSE = 0.1
"""The lead of one rate over another, in points of the objective, that is reported as close."""


def sentences(result: Scaled) -> tuple[str, ...]:
    """Return the conclusion, sentence by sentence: design, rates, trials, effects, limits, claim.

    If there are no effects, `tuner.scaling.conclusion` gives the reason.
    """
    sentences = [_design(result), _held(result), *_rates(result), *_trials(result)]
    if result.fits:
        sentences += main_findings(result, result.primary)
        for response in result.fits:
            if response != result.primary:
                sentences.append(other_findings(result, response))
    return tuple([*sentences, *_limits(result)])


def _design(result: Scaled) -> str:
    cells = result.planned
    varied = [
        f"effective batch size B {listed(levels(cells, 'effective_size'))}",
        f"share of cross-lingual batches β {listed(levels(cells, 'cross_lingual'))}",
        f"layers {listed(levels(cells, 'layer'), _layer)}",
        f"granularity {listed(levels(cells, 'granularity'))}",
    ]
    return (
        f"{count(len(cells), 'configuration')} {_were(len(cells))} planned, each with seeds "
        f"{listed(result.design.seeds)}: {'; '.join(varied)}."
    )


def _held(result: Scaled) -> str:
    pairs = result.study.budget.pairs_per_trial
    if result.design.hold == "pairs":
        what = f"{pairs:,} pairs, whatever its B: a larger B takes fewer steps"
    else:
        what = f"{-(-pairs // REFERENCE_BATCH):,} steps, whatever its B: a larger B sees more pairs"
    return f"Every trial has a budget of {what}. No trial was stopped early."


def _rates(result: Scaled) -> list[str]:
    tuning, sentences = result.design.tuning, []
    chosen = [
        f"{choice.lr:g} at B = {size}{_close(choice)}" for size, choice in result.choices.items()
    ]
    if chosen:
        left = any(each.diverged or each.failed for each in result.choices.values())
        of = f"the {'eligible ' if left else ''}one of {listed(tuning.lr, number)}"
        at = ", ".join(f"{name} {value}" for name, value in tuning.at.items())
        sentences.append(
            f"The learning rate of each B is {of} with the highest "
            f"{result.objective}, over seeds {listed(tuning.seeds)}, which are not "
            f"compared{f', at {at}' if at else ''}: {', '.join(chosen)}. At other settings "
            f"another rate may be the best."
        )
    for size, choice in result.choices.items():
        sentences += _ineligible(size, choice)
        if choice.at_edge:
            sentences.append(
                f"At B = {size} the chosen rate, {number(choice.lr)}, is the {choice.end}, and a "
                f"better one may lie beyond it. B = {size} is excluded from all effects and means "
                f"below."
            )
    for size in result.without_rate:
        sentences.append(
            f"At B = {size} every rate failed with at least one seed, so no trial is compared."
        )
    return sentences


def _ineligible(size: int, choice: TunedRate) -> list[str]:
    """List the learning rates that were not eligible, with reasons."""
    why = {
        "training diverged with at least one seed": choice.diverged,
        "at least one seed failed": choice.failed,
    }
    return [
        f"At B = {size}, {listed(rates, number)} {_were(len(rates))} not eligible: {what}."
        for what, rates in why.items()
        if rates
    ]


def _close(choice: TunedRate) -> str:
    """Describe the lead over the second best rate, if it is at most `CLOSE`."""
    behind = {lr: choice.means[choice.lr] - mean for lr, mean in choice.means.items()}
    del behind[choice.lr]
    second = min(behind, key=lambda lr: behind[lr], default=choice.lr)
    if second == choice.lr or 100 * behind[second] > CLOSE:
        return ""
    if behind[second] == 0:
        return f" (tied with {second:g}; the lower rate is taken)"
    return f" ({points(100 * behind[second]).removeprefix('+')} points above {second:g})"


def _trials(result: Scaled) -> list[str]:
    sentences = []
    if not result.tuned:
        sentences.append("Not all trials used to choose learning rates have ended.")
    elif result.left:
        verb = "has" if result.left == 1 else "have"
        sentences.append(f"{count(result.left, 'compared trial')} of the plan {verb} not ended.")
    if result.failed:
        sentences.append(
            f"{count(len(result.failed), 'compared trial')} failed "
            f"({listed(result.failed, '{:03d}'.format)}). A seed that is not complete in all "
            f"fitted configurations is excluded from all of them. Failed trials may differ from "
            f"the others."
        )
    if result.empty:
        sentences.append(f"Excluded, because every seed failed: {_cells(result.empty)}.")
    if result.collapsed:
        sentences.append(
            f"{count(len(result.collapsed), 'compared trial')} collapsed "
            f"({listed(result.collapsed, '{:03d}'.format)}), at or below the "
            f"{result.majority:.2%} of always giving the most frequent label. Collapsed trials "
            f"are included like the others."
        )
    if result.fits:
        sentences.append(
            f"The effects below are estimated from {count(len(result.fitted), 'configuration')} "
            f"with seeds {listed(result.paired)}."
        )
    return sentences


def _limits(result: Scaled) -> list[str]:
    sentences = []
    if "targets" not in result.languages:
        sentences.append(
            "Dev scores of the targets were not recorded, so nothing can be said about transfer."
        )
    elif result.chose:
        sentences.append(
            f"Dev scores of {listed(result.chose)} are the response, and they also helped to "
            f"choose the learning rates."
        )
    else:
        sentences.append(
            "Dev scores of the targets are the response. They were not used to choose anything."
        )
    sentences.append("Test was not read.")
    data = result.study.data.source
    sentences.append(
        "All findings are for nano's artificial languages and say nothing about natural ones."
        if data == "nano"
        else "All findings are for this encoder, these data and these levels only."
    )
    sentences.append(f"Claim: {result.claim}.")
    return sentences


def _cells(cells: Iterable[Cell]) -> str:
    return "; ".join(map(str, cells))


def _were(how_many: int) -> str:
    return "was" if how_many == 1 else "were"


def _layer(level: object) -> str:
    return "the last alone" if level is None else f"k = {level} fused with the last"
