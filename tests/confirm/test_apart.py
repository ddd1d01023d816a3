"""Test is read in one place, after the recommendation: nothing else is even handed it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.confirm.examples import facts as all_facts
from tests.confirm.examples import on_test, settings, trial
from tuner.errors import UserError
from tuner.journal import events
from tuner.journal.events import Event, Recommended, StudyCreated, TrialCreated
from tuner.journal.format import decode, encode
from tuner.journal.records import Recommendation
from tuner.run.prepare import prepare
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress

ROOT = Path(__file__).parents[2]
RIGHT = {"en": 4, "de": 4, "es": 4, "ja": 4}


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for path in ROOT.glob("tuner/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield path.relative_to(ROOT).as_posix(), node


@pytest.mark.takes_long("loads the built-in encoder and all its pairs")
def test_what_trains_and_chooses_is_handed_no_test() -> None:
    study = load_study(ROOT / "search_spaces" / "smoke.yaml")
    prepared = prepare(study, ConsoleProgress(Console(quiet=True)))
    corpus, test = prepared.inputs.corpus, prepared.test
    assert set(corpus.splits) == {"train", "dev"} and set(test.splits) == {"test"}
    with pytest.raises(UserError, match="the corpus has no test split"):
        corpus.rows("test", ["en"])
    assert test.vocabulary_size == corpus.vocabulary_size


def test_one_module_asks_for_it_and_one_reads_it() -> None:
    asks = {
        path
        for path, node in nodes(ast.Attribute)
        if isinstance(node, ast.Attribute)
        and node.attr == "test"
        and isinstance(node.value, ast.Name)
        and node.value.id == "prepared"
    }
    assert asks == {"tuner/run/study.py"}
    splits = {
        (path, node.args[2].value if isinstance(node.args[2], ast.Constant) else "?")
        for path, node in nodes(ast.Call)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "predict"
    }
    assert splits == {("tuner/training/evaluation.py", "dev"), ("tuner/run/testing.py", "test")}


def test_a_journal_in_which_test_was_read_before_a_recommendation_is_refused(
    tmp_path: Path,
) -> None:
    facts = all_facts()
    plain = settings("small-confirm", budget={"pairs_per_trial": 800, "trials": 1})
    created = StudyCreated(
        time=1.0, name="small-confirm", id="i", settings=plain, facts=facts, rungs=(800,)
    )
    made = trial(0, "control", 1000, None)
    planned = TrialCreated(
        time=2.0,
        number=0,
        origin="design",
        arm="control",
        params={},
        config=made.config,
        budget=800,
    )
    chosen = Recommendation(time=3.0, arm="control", objective={"control": 0.6})
    recommended = Recommended(time=3.0, recommendation=chosen)
    tested = events.Tested(time=4.0, number=0, on_test=on_test(RIGHT))

    def read(*written: Event) -> int:
        records = [encode(number, event) for number, event in enumerate(written)]
        return decode(records, tmp_path / "small-confirm")[1]

    assert read(created, planned, recommended, tested) == 4
    with pytest.raises(UserError, match="test was read before"):
        read(created, planned, tested)
    with pytest.raises(UserError, match="a second recommendation"):
        read(created, planned, recommended, recommended)
