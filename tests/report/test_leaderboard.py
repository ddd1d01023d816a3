"""The leaderboard, from records alone."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from rich.console import Console

from tests.records import facts, settings, with_facts
from tuner.blocks import Words
from tuner.blocks.console import show_blocks
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.report.leaderboard import as_csv
from tuner.report.page.search import conclusion_blocks
from tuner.report.page.trials import leaderboard
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig


def trial(number: int, state: Any, *scores: float, **settings: Any) -> TrialRecord:
    """A trial with these scores at 100, 300, 900 pairs."""
    params = {"optim.lr": 1e-3 * (number + 1), "mix.cross_lingual": 0.5, **settings}
    evaluations = tuple(
        Evaluation(
            time=0,
            rung=rung,
            pairs_seen=rung,
            step=rung,
            objective=score,
            select={"en": Scores(accuracy=score, f1=score, pairs=5)},
            oracle={"ja": Scores(accuracy=0.99, f1=0.99, pairs=5)},
            train_loss=0.1,
            pairs_per_second=1,
            train_seconds=1,
            evaluation_seconds=1,
            peak_memory_mb=1,
            micro_plan=((0, 1),),
            precision="fp32",
        )
        for rung, score in zip((100, 300, 900), scores, strict=False)
    )
    return TrialRecord(
        number=number,
        origin="sampler",
        params=params,
        config=TrialConfig.from_flat(params),
        budget=900,
        state=state,
        evaluations=evaluations,
    )


@pytest.fixture
def study() -> StudyRecord:
    """The best score of all is that of a pruned trial at a low budget, and of a failed one."""
    return StudyRecord(
        name="small",
        id="x",
        created=0,
        settings=settings(space={"mix.cross_lingual": 0.5, "optim.lr": 1e-3}),
        facts=facts(
            claim="zero-shot for ja", objective="mean dev accuracy on en", majority_accuracy=0.55
        ),
        rungs=(100, 300, 900),
        state="completed",
        trials=(
            trial(0, "completed", 0.5, 0.6, 0.7),
            trial(1, "pruned", 0.95),
            trial(2, "completed", 0.5, 0.6, 0.8),
            trial(3, "failed", 0.9, 0.97),
            trial(4, "pruned", 0.5, 0.55),
        ),
    )


def test_best_is_complete_and_labelled_unconfirmed(study: StudyRecord) -> None:
    """Never a score at a lower budget, never a failed trial."""
    assert study.best is not None and study.best.number == 2
    words = said(study)
    assert "trial 002" in words and "Unconfirmed" in words
    assert "mean dev accuracy on en, 80.00 %" in words and "optim.lr 0.003" in words


@pytest.mark.parametrize(("majority", "nothing"), [(0.799, False), (0.8, True), (0.9, True)])
def test_a_score_at_the_majority_class_is_called_what_it_is(
    study: StudyRecord, majority: float, nothing: bool
) -> None:
    level = with_facts(study, majority_accuracy=majority)
    assert ("Nothing was learnt" in said(level)) is nothing
    best = level.best
    assert best is not None and level.collapsed(best) is nothing and level.learnt is not nothing
    assert not level.collapsed(best.model_copy(update={"evaluations": ()})), "no score is no level"


def said(study: StudyRecord) -> str:
    return " ".join(block.text for block in conclusion_blocks(study) if isinstance(block, Words))


def test_table_shows_what_varies_and_no_oracle(study: StudyRecord) -> None:
    """Complete trials first; target dev is not in a default view; it fits 80 columns."""
    console = Console(width=80, record=True, file=io.StringIO())
    show_blocks([leaderboard(study)], console)
    text = console.export_text()
    rows = [line.split()[0] for line in text.splitlines() if line[:3].isdigit()]
    assert rows == ["002", "000", "004", "001", "003"] and len(text.splitlines()[1]) <= 80
    assert "zero-shot for ja" in text and "99" not in text
    assert "optim.lr" in text and "mix." not in text  # 0.5 everywhere: it does not vary


def test_csv_holds_everything(study: StudyRecord) -> None:
    """Every setting and metric under its own name, with the claim."""
    rows = list(csv.DictReader(io.StringIO(as_csv(study))))
    assert [row["rank"] for row in rows] == ["1", "2", "", "", ""]
    first = rows[0]
    assert first["optim.lr"] == "0.003" and first["fusion.layer"] == ""
    assert float(first["select/objective"]) == 0.8 and float(first["oracle/accuracy/ja"]) == 0.99
    assert {row["claim"] for row in rows} == {"zero-shot for ja"}
