"""Training one configuration in this process, without cluster, journal or tracker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from rich.console import Console

from tuner.blocks import Grid
from tuner.blocks.console import show_blocks
from tuner.journal.records import Evaluation
from tuner.progress import Advance, Progress
from tuner.run.prepare import prepare
from tuner.study import StudyConfig
from tuner.study.planned import first_planned, single_config
from tuner.terminal.progress import ConsoleProgress, say
from tuner.training.evaluation import Evaluating
from tuner.training.loop import Begun, Step, train


def train_one(study: StudyConfig, console: Console) -> dict[str, Any]:
    """Train one configuration of a study, its `single_config`, to the full budget.

    Returns:
        The claim, the objective, the configuration and the evaluation at full budget, as plain
        values.

    Raises:
        UserError: the settings, the data or the encoder do not fit.
    """
    config = single_config(study)
    progress = ConsoleProgress(console)
    if study.design is not None:
        params = first_planned(study)
        text = ", ".join(f"{name}={value}" for name, value in params.items())
        progress.tell(f"training the first configuration of the design: {text}")
    if study.resources.workers > 1:
        progress.tell(
            f"resources.workers is {study.resources.workers}, but this process trains alone: "
            "it takes the same steps, but needs more time"
        )
    inputs = prepare(study, progress).inputs
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rungs = study.rungs_of(config)
    events = train(config, rungs, inputs, device, noise_pairs=study.diagnostics.probed_pairs)
    last: Evaluation | None = None
    for last in watched(events, rungs[-1], progress):
        say(console, _in_words(last, inputs.protocol.objective.in_words))
    assert last is not None
    console.print()
    show_blocks(scores(last, inputs.protocol.claim), console)
    return {
        "claim": inputs.protocol.claim,
        "objective": inputs.protocol.objective.in_words,
        "config": config.model_dump(mode="json"),
        "evaluation": last.model_dump(mode="json"),
    }


def watched(
    events: Iterable[Begun | Step | Evaluating | Evaluation], pairs: int, progress: Progress
) -> Iterator[Evaluation]:
    """Run a trial's training and show its progress; yield its evaluations.

    Args:
        events: the events of `tuner.training.loop.train`, which trains as they are consumed.
        pairs: number of pairs that the trial is trained for.
        progress: shows its progress.
    """
    with progress.task("training", "pairs") as trained, ExitStack() as evaluation:
        evaluated: Advance
        for event in events:
            match event:
                case Step():
                    trained(min(event.pairs_seen, pairs), pairs)
                case Evaluating():
                    if event.pairs_done == 0:
                        evaluation.close()  # ends the dev sets' task before gradient noise
                        evaluated = evaluation.enter_context(progress.task("evaluating", "pairs"))
                    evaluated(event.pairs_done, event.pairs_total)
                case Evaluation():
                    evaluation.close()
                    yield event
                case Begun():
                    pass


def _in_words(evaluation: Evaluation, objective: str) -> str:
    return (
        f"at {evaluation.rung:,} pairs: {evaluation.objective:.2%} {objective} "
        f"({evaluation.pairs_per_second:,.0f} pairs/s)"
    )


def scores(evaluation: Evaluation, claim: str) -> list[Grid]:
    """Return dev scores by language, and the gradient noise by kind of batch if it was probed.

    Target dev has its own name, `oracle`. The estimates of noise are unbiased, so they may be
    negative.

    Args:
        evaluation: the evaluation of a trial.
        claim: the claim that its scores support.
    """
    rows = tuple(
        (
            f"{role}/{name}",
            f"{100 * score.accuracy:.2f}",
            f"{100 * score.f1:.2f}",
            f"{score.pairs:,}",
        )
        for role, by_name in (("select", evaluation.select), ("oracle", evaluation.oracle))
        for name, score in by_name.items()
    )
    grids = [
        Grid(
            f"Dev scores at {evaluation.rung:,} pairs.",
            claim,
            ("dev", "accuracy, %", "F1, %", "pairs"),
            rows,
        )
    ]
    if evaluation.noise:
        noisy = tuple(
            (
                kind,
                f"{noise.within:.3g}",
                "–" if noise.between is None else f"{noise.between:.3g}",
                f"{noise.mean_gradient_squared:.3g}",
                f"{noise.pairs:,}",
            )
            for kind, noise in evaluation.noise.items()
        )
        columns = ("batches", "within", "between", "mean gradient²", "pairs")
        title = "Gradient noise: a diagnostic, not a critical batch size."
        grids.append(Grid(title, claim, columns, noisy))
    return grids
