"""A plan as blocks: its facts, tables of rungs, batches and nodes, and warnings."""

from __future__ import annotations

from tuner.blocks import Block, Facts, Grid, Words
from tuner.plan.nodes import ClusterPlan
from tuner.plan.plan import OVERSHOOT, StudyPlan
from tuner.plan.rung_spread import nearest
from tuner.plan.warnings import warnings
from tuner.run.disk import DiskNeed, in_words
from tuner.study import StudyConfig
from tuner.study.design import CANDIDATES, CONTROLS, ConfirmDesign, ScalingDesign
from tuner.study.planned import sizes
from tuner.study.samplers import SAMPLERS
from tuner.wording import clock

MAX_ROWS = 12
"""The most batch sizes shown; if there are more, these are evenly spread and include both ends."""
NO_CLAIM = ""
"""A plan has no results, so its numbers carry no claim."""
SURVIVE = (
    "More trials survive a rung than the share that ASHA keeps: those that tie, those that come "
    "early, those that a sampler proposes once it has learnt, and the candidates for confirm."
)


def content(plan: StudyPlan, study: StudyConfig) -> list[Block]:
    """Return a plan: trials, space, rungs, batches, checkpoints, time and warnings."""
    blocks: list[Block] = [Facts(tuple(_facts(plan, study))), _rungs(plan)]
    if study.scheduler.kind == "asha":
        blocks.append(Words(SURVIVE, "note"))
    blocks.append(_batches(plan))
    if plan.cluster is not None:
        blocks.append(_nodes(plan.cluster))
    return [*blocks, *(Words(warning, "warning") for warning in warnings(plan, study))]


def _sets(plan: StudyPlan) -> str:
    if len(plan.rungs) == 1:
        return f"{plan.sets_at_full} dev sets at the full budget"
    return f"{plan.sets_at_rungs} dev sets at each rung, {plan.sets_at_full} at the full budget"


def _facts(plan: StudyPlan, study: StudyConfig) -> list[tuple[str, str]]:
    facts = _planned(plan, study) if study.design is not None else _searched(plan, study)
    facts.insert(1, ("at once", f"{plan.at_once:,}, {plan.at_once_since}"))
    for requirement, count in plan.infeasible.items():
        excluded = f"{count:,}" if plan.distinct else f"{count / 1000:.1%} of random points"
        facts.append(("excluded", f"{excluded} by {requirement}"))
    facts += [
        ("training", f"about {plan.pairs:,.0f} pairs in all trials together"),
        ("evaluation", f"{_sets(plan)}{_probed(study)}"),
    ]
    if plan.disk is not None:
        facts += _disk(plan.disk, study)
    if plan.time is not None:
        time = plan.time
        gpu = f", {time.gpu_hours:.1f} GPU-hours" if time.gpu_hours else ""
        span = f"{clock(time.low_seconds)} to {clock(time.high_seconds)}"
        facts += [
            (
                "time",
                f"about {clock(time.seconds)} ({span} in 8 of 10 simulations){gpu}, "
                f"without start-up",
            ),
            ("speed", time.source),
        ]
    if plan.cluster is not None and plan.cluster.cost is not None:
        cluster = plan.cluster
        cost = (
            f"about {cluster.cost:,.2f} {cluster.currency} for nodes, at prices of {cluster.as_of}"
        )
        facts.append(("cost", cost))
    return facts


def _probed(study: StudyConfig) -> str:
    pairs = study.diagnostics.probed_pairs
    return "" if pairs is None else f", then gradient noise on {pairs:,} pairs of each kind"


def _searched(plan: StudyPlan, study: StudyConfig) -> list[tuple[str, str]]:
    """Describe how a search proposes and stops its trials."""
    proposed = SAMPLERS[study.sampler.kind].trials
    if study.sampler.kind == "gp" and study.space.has_conditions:
        proposed = "proposed by TPE, since a Gaussian process cannot model the space's conditions"
    baseline = ", the baseline first" if study.baseline is not None else ""
    stops = f"; {_asha(study)}" if study.scheduler.kind == "asha" else ", each to the full budget"
    facts = [
        ("trials", f"{plan.trials:,}{baseline}, {proposed}{stops}"),
        ("configurations", f"{plan.distinct:,}" if plan.distinct else "unlimited"),
    ]
    if study.enqueue:
        facts.append(("enqueued", f"{len(study.enqueue)} points, right after the baseline"))
    if study.warm_start:
        facts.append(("warm start", f"the sampler learns from {', '.join(study.warm_start)}"))
    if study.scheduler.kind == "asha":
        kinds = " and one with ".join(" ".join(map(str, control)) for control in CONTROLS)
        facts.append(("completed", f"at least {CANDIDATES} for confirm; one with {kinds}"))
    if plan.other_pairs:
        others = ", ".join(
            f"about {pairs:,.0f} with {rung:,}" for rung, pairs in plan.other_pairs.items()
        )
        facts.append(("first rung", f"{plan.rungs[0]:,} pairs; training would be {others}"))
    if len(plan.rungs) > 1 and (seen := nearest(plan.spreads, plan.rungs[0])):
        facts.append(
            (
                "scores there",
                f"standard deviation {seen.spread:.1%} in {seen.study}, at {seen.rung:,} pairs; "
                f"one of them is uncertain by {seen.noise:.1%}",
            )
        )
    return facts


def _asha(study: StudyConfig) -> str:
    best = f"the best 1 in {study.scheduler.reduction_factor}"
    if study.scheduler.variant == "promotion":
        return f"ASHA pauses all at each rung and goes on with {best} so far"
    return f"ASHA stops those below {best} so far"


def _planned(plan: StudyPlan, study: StudyConfig) -> list[tuple[str, str]]:
    """Describe the trials of a design."""
    trials = f"{plan.trials:,}, planned, each to its full budget"
    match study.design:
        case ConfirmDesign(arms=arms, seeds=seeds, estimating=estimating):
            chosen = f"{len(arms)} configurations x {len(seeds)} seeds"
            rest = f"{plan.trials - len(arms) * len(seeds)} at most, {len(estimating)} seeds each"
            return [("trials", trials), ("choose", chosen), ("estimate", rest)]
        case ScalingDesign(seeds=seeds, tuning=tuning, hold=hold):
            of, rates, own = len(sizes(study)), len(tuning.lr), len(tuning.seeds)
            tuned = of * rates * own
            equal = (
                f"{study.budget.pairs_per_trial:,} pairs per trial"
                if hold == "pairs"
                else f"{plan.batches[0].steps:,} steps per trial; pairs are proportional to B"
            )
            return [
                ("trials", trials),
                ("first", f"{tuned:,} choose learning rates: {of} B x {rates} x {own} seeds"),
                (
                    "compared",
                    f"{plan.trials - tuned:,}: {plan.distinct:,} configurations x "
                    f"{len(seeds)} seeds",
                ),
                ("held equal", equal),
            ]
        case None:
            raise AssertionError("the study has no design")


def _disk(need: DiskNeed, study: StudyConfig) -> list[tuple[str, str]]:
    checkpoints = f"{need.checkpoints_at_once * need.at_once + need.resting} checkpoints"
    if need.resting:
        paused = study.scheduler.variant == "promotion"
        rest = "that have paused" if paused else "that may still go on"
        checkpoints += f" ({need.resting} of trials {rest})"
    free = "" if need.free_bytes is None else f"; {in_words(need.free_bytes)} are free"
    best = f", the best {need.keep_best} weights of {in_words(need.weights_bytes)}"
    return [
        (
            "checkpoints",
            f"{in_words(need.checkpoint_bytes)} each ({need.parameters / 1e6:.1f} M parameters "
            f"and Adam's moments)",
        ),
        (
            "disk",
            f"at most {in_words(need.peak_bytes)} at once, for {checkpoints}"
            f"{best if need.keep_best else ''} and the journal, in {study.storage}{free}",
        ),
    ]


def _rungs(plan: StudyPlan) -> Grid:
    rows = tuple(
        (f"{rung:,}", f"{reached:.0f}")
        for rung, reached in zip(plan.rungs, plan.reached, strict=True)
    )
    return Grid(
        "Trials expected to reach each rung.",
        NO_CLAIM,
        ("rung, pairs", "expected trials"),
        rows,
        left=0,
    )


def _nodes(cluster: ClusterPlan) -> Grid:
    columns = ["node type", "CPU", "GPU", "now", "at most", "trials each", "node-hours"]
    rows = []
    for node in cluster.nodes:
        row = [node.type, f"{node.cpus:g}", f"{node.gpus:g}", str(node.alive), str(node.nodes)]
        row.append("–" if node.trials == 0 else f"{node.trials:.3g}")
        row.append("?" if node.hours is None else f"{node.hours:,.2f}")
        if cluster.currency is not None:
            row.append(f"{node.cost:,.2f}" if node.cost is not None else "?")
        rows.append(tuple(row))
    priced = [cluster.currency] if cluster.currency else []
    return Grid("Nodes that the study needs.", NO_CLAIM, (*columns, *priced), tuple(rows))


def _batches(plan: StudyPlan) -> Grid:
    columns = ("B", "steps", "pairs seen", "largest overshoot")
    timed = plan.time is not None
    last = len(plan.batches) - 1
    places = sorted({round(last * row / (MAX_ROWS - 1)) for row in range(MAX_ROWS)})
    rows = []
    for batch in (plan.batches[place] for place in places):
        late = f"{batch.overshoot:.1%}" + (" !" if batch.overshoot > OVERSHOOT else "")
        row = [f"{batch.effective_size:,}", f"{batch.steps:,}", f"{batch.pairs_seen[-1]:,}", late]
        if timed:
            row.append(f"{batch.pairs_per_second:,.0f}")
        rows.append(tuple(row))
    speed = ("pairs/s",) if timed else ()
    caption = "Trials by batch size B. Overshoot: the delay of an evaluation, in % of its rung."
    return Grid(caption, NO_CLAIM, (*columns, *speed), tuple(rows), left=0)
