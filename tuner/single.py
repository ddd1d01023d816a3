"""One configuration, trained in this process: no cluster, no journal, no tracker."""

from __future__ import annotations

from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from tuner.errors import UserError
from tuner.prepare import prepare
from tuner.records import Evaluation
from tuner.space import compose
from tuner.study import StudyConfig
from tuner.terminal import say
from tuner.training.loop import train


def train_one(study: StudyConfig, console: Console) -> dict[str, Any]:
    """Train the YAML's `trial:` block to the full budget.

    Returns:
        The claim, the configuration and the evaluation at full budget, as plain values.

    Raises:
        UserError: the settings, the data or the encoder do not fit.
    """
    try:
        config = compose({}, study.trial, "the `trial:` block is no valid trial")
        study.check_mix(config)
    except ValueError as error:
        raise UserError(str(error), "Complete or correct it: --set trial.KEY=VALUE") from error
    inputs = prepare(study, lambda line: say(console, line, style="dim"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    events = train(config, study.rungs, inputs.protocol, inputs.corpus, inputs.encoder, device)
    columns = ("pairs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    evaluation: Evaluation | None = None
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("training", total=study.rungs[-1])
        for event in events:
            progress.update(bar, completed=event.pairs_seen)
            if isinstance(event, Evaluation):
                evaluation = event
                console.print(
                    f"at {event.rung:,} pairs: {inputs.protocol.objective_name} "
                    f"{event.objective:.2%}, {event.pairs_per_second:,.0f} pairs/s",
                    highlight=False,
                )
    assert evaluation is not None
    console.print(_scores(evaluation, inputs.protocol.claim))
    return {
        "claim": inputs.protocol.claim,
        "objective": inputs.protocol.objective_name,
        "config": config.model_dump(mode="json"),
        "evaluation": evaluation.model_dump(mode="json"),
    }


def _scores(evaluation: Evaluation, claim: str) -> Table:
    """Dev scores by language; target dev is shown under its own name, `oracle`."""
    grid = Table(title="dev", caption=claim, caption_justify="left", box=None)
    for column in ("", "accuracy %", "F1 %", "pairs"):
        grid.add_column(column, justify="right" if column else "left")
    for role, scores in (("select", evaluation.select), ("oracle", evaluation.oracle)):
        for name, score in scores.items():
            row = (f"{100 * score.accuracy:.2f}", f"{100 * score.f1:.2f}", f"{score.pairs:,}")
            grid.add_row(f"{role}/{name}", *row)
    return grid
