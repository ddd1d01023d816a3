"""Warnings about a plan, which the user reads before the study starts."""

from __future__ import annotations

from tuner.plan.nodes import ClusterPlan
from tuner.plan.plan import OVERSHOOT, StudyPlan, TimePlan
from tuner.plan.rung_spread import nearest
from tuner.run.disk import shortage
from tuner.study import StudyConfig


def warnings(plan: StudyPlan, study: StudyConfig) -> list[str]:
    """Return warnings about the plan for the user to read before the study starts."""
    sentences = []
    if plan.too_small is not None:
        sentences.append(f"search will refuse to start here: {plan.too_small}")
    late = [batch for batch in plan.batches if batch.overshoot > OVERSHOOT]
    if late:
        worst = max(late, key=lambda batch: (batch.overshoot, batch.effective_size))
        sizes = ", ".join(str(batch.effective_size) for batch in late)
        sentences.append(
            f"evaluations are late by more than {OVERSHOOT:.0%} of a rung at B = {sizes}; the "
            f"worst is B = {worst.effective_size}, {worst.overshoot:.1%} past "
            f"{worst.at_rung:,} pairs. Rungs that are multiples of B avoid this: choose "
            f"{_rung_settings(study)} as multiples of "
            f"{max(batch.effective_size for batch in late)}."
        )
    if study.scheduler.kind == "asha" and (unclear := _unclear(plan)):
        sentences.append(unclear)
    if plan.time is None and plan.cluster is not None and study.design is not None:
        sentences.append(
            "no time is predicted: no earlier study here had this encoder, data and resources."
        )
    elif plan.time is None:
        measured = (
            "A short study on the cluster shows how fast its nodes are: --set name=pilot --set "
            f"budget.trials={2 * plan.at_once}"
            if plan.cluster is not None
            else "--calibrate times a few steps on this machine."
        )
        sentences.append(
            "no time is predicted: no earlier study here had this encoder, data and resources. "
            + measured
        )
    if plan.cluster is not None:
        sentences += _of_cluster(plan.cluster, plan.time)
    if plan.disk is not None and (lacking := shortage(plan.disk, study.storage)):
        sentences.append(f"{lacking.problem}: search will refuse. {lacking.remedy}.")
    asked = study.budget.trials
    if study.design is None and asked is not None and plan.trials < asked:
        sentences.append(
            f"the space holds {plan.distinct:,} configurations, so the study ends after "
            f"{plan.trials:,} of {asked:,} trials. For replicates make seed an axis: "
            f"--set space.seed='[0, 1, 2]'"
        )
    return sentences


def _unclear(plan: StudyPlan) -> str:
    """Return a warning if scores at the first rung differ as chance has it; empty if not."""
    first = nearest(plan.spreads, plan.rungs[0])
    if first is None or first.clear or len(plan.rungs) < 2:
        return ""
    clear = next((each.rung for each in plan.spreads if each.clear), None)
    return (
        f"the first rung may stop trials by chance: in {first.study}, scores at {first.rung:,} "
        f"pairs have a standard deviation of {first.spread:.1%}, and one of them is uncertain by "
        f"{first.noise:.1%}. "
        + (
            f"From {clear:,} pairs on they differ clearly: --set scheduler.min_pairs={clear}"
            if clear
            else "They differ no more clearly at its later rungs."
        )
    )


def _rung_settings(study: StudyConfig) -> str:
    full = "budget.pairs_per_trial"
    return full if study.scheduler.kind == "none" else f"scheduler.min_pairs and {full}"


def _of_cluster(cluster: ClusterPlan, time: TimePlan | None) -> list[str]:
    sentences = []
    if cluster.growing and time is not None and time.boot_seconds == 0:
        sentences.append(
            f"nodes have to boot first ({cluster.growing} of them), and no earlier study has shown "
            "how long that takes: add a few minutes to the time in clouds."
        )
    unpriced = [node.type for node in cluster.nodes if node.per_hour is None]
    if cluster.currency is not None and unpriced:
        sentences.append(
            f"no price is given for {', '.join(unpriced)}: the cost does not include them. Add "
            "them to per_hour in the price table."
        )
    return sentences
