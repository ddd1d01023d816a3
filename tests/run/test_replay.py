"""A trial trained again from its journal: bit for bit as it was; what does not agree, or cannot."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace as changed
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tuner.blocks.console import show_blocks
from tuner.cli import main
from tuner.errors import UserError
from tuner.journal.events import Evaluated, StudyCreated, TrialCreated, TrialPlaced, TrialStarted
from tuner.journal.facts import Environment, StudyFacts
from tuner.journal.journal import Journal, read_history
from tuner.journal.records import OBJECTIVE, Evaluation, StudyRecord
from tuner.report.replay import sentences, verdict
from tuner.run.prepare import Prepared, prepare
from tuner.run.replay import Replay, replay
from tuner.search.driver import Driver
from tuner.study import StudyConfig
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress
from tuner.training.loop import train

pytestmark = pytest.mark.integration
QUIET = ConsoleProgress(Console(quiet=True))
SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"
HALVED = ((0, 16), (7, 8))
"""A micro-batch plan: memory ran out at step 7."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, Prepared]:
    """Two trials, trained here: the baseline to its end, the other one pruned at 320 pairs."""
    settings = {
        "name": "done",
        "storage": tmp_path_factory.mktemp("studies"),
        "languages": "{source: [en, de], target: [es]}",
        "budget.trials": 2,
        "budget.pairs_per_trial": 640,
        "scheduler.min_pairs": 320,
        "space": "{optim.lr: {type: float, low: 1.0e-9, high: 2.0e-9}}",
        "trial": "{optim.lr: 1.0e-3, mix.cross_lingual: 0.5}",
        "baseline": "{fusion.kind: dlfa, fusion.layer: 1}",
    }
    study = load_study(SMOKE, [f"{name}={value}" for name, value in settings.items()])
    prepared, cpu = prepare(study, QUIET), torch.device("cpu")
    with Journal.create(study.folder, created(study, prepared.facts)) as journal:
        driver = Driver(study, journal, [])
        driver.start()
        for _ in range(study.trials):
            trial = driver.next_trial()
            assert trial is not None
            driver.trial_started(trial.number)
            driver.note(TrialPlaced(time=time.time(), number=trial.number, nodes=("here",)))
            for event in train(trial.config, study.rungs, prepared.inputs, cpu, micro_plan=HALVED):
                if isinstance(event, Evaluation) and not driver.evaluated(trial.number, event):
                    break
        driver.finish()
    return study, prepared


def created(study: StudyConfig, facts: StudyFacts) -> StudyCreated:
    return StudyCreated(
        time=time.time(),
        name=study.name,
        id="abc",
        settings=study.model_dump(mode="json"),
        facts=facts,
        rungs=study.rungs,
    )


def copied(
    study: StudyConfig, to: Path, facts: StudyFacts, evaluations: Sequence[Evaluation]
) -> Path:
    """A study of the same settings elsewhere, of its first trial, with other facts and scores."""
    trial = read_history(study.folder).record().trials[0]
    known = trial.model_dump(include={"number", "origin", "params", "config", "budget"})
    with Journal.create(to / study.name, created(study, facts)) as journal:
        journal.append(TrialCreated(time=1, **known))
        journal.append(TrialStarted(time=2, number=0, cpus=1))
        for evaluation in evaluations:
            journal.append(Evaluated(time=3, number=0, evaluation=evaluation))
    return to / study.name


def recorded(study: StudyConfig) -> StudyRecord:
    return read_history(study.folder).record()


def test_a_trial_agrees_bit_for_bit_its_halved_micro_batches_included(
    done: tuple[StudyConfig, Prepared],
) -> None:
    """With dropout: other micro-batches would have other masks."""
    study, _ = done
    trial = recorded(study).trials[0]
    assert trial.last is not None and trial.last.micro_plan == HALVED
    assert trial.config.head.dropout > 0
    found = replay(study.folder, 0, QUIET)
    assert found.agrees and found.elsewhere == () and found.differing == ()
    assert (found.pairs, found.budget) == (640, 640)
    metrics = {(number.rung, number.metric) for number in found.numbers}
    assert metrics >= {
        (rung, metric)
        for rung in (320, 640)
        for metric in (OBJECTIVE, "select/accuracy/en", "train/loss")
    } | {(640, "oracle/accuracy/es"), (640, "select/criterion/joint")}
    assert (320, "oracle/accuracy/es") not in metrics, "the objective does not read it"
    assert found.answers == dict.fromkeys(("en", "de", "en-de", "de-en", "es"), 0)
    assert "and so do all answers on dev." in " ".join(sentences(found))


def test_a_pruned_trial_is_trained_on_its_whole_schedule_as_far_as_it_came(
    done: tuple[StudyConfig, Prepared],
) -> None:
    study, _ = done
    assert recorded(study).trials[1].state == "pruned"
    found = replay(study.folder, 1, QUIET)
    assert found.agrees and (found.pairs, found.budget) == (320, 640)
    assert found.answers == {}, "they are kept at the full budget alone"
    assert "It trained to 320 of 640 pairs, as the trial did." in sentences(found)


def test_scores_that_do_not_agree_are_told_with_what_differs(
    done: tuple[StudyConfig, Prepared],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The journal has another plan and another torch: other dropout comes out, and exit code 1."""
    study, prepared = done
    older = {**prepared.facts.environment.versions, "torch": "1.0"}
    environment = Environment.model_validate(older)
    evaluations = [
        evaluation.model_copy(update={"micro_plan": ((0, 32),), "processor": "abacus"})
        for evaluation in recorded(study).trials[0].evaluations
    ]
    facts = prepared.facts.model_copy(update={"environment": environment})
    copied(study, tmp_path, facts, evaluations)
    monkeypatch.setattr(
        sys, "argv", ["tuner", "replay", "done", "0", f"--storage={tmp_path}", "--json"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1 and told["agrees"] is False
    differing = {n["metric"] for n in told["numbers"] if n["recorded"] != n["replayed"]}
    assert "train/loss" in differing and "train/step" not in differing
    assert ["torch", "1.0", version("torch")] in told["elsewhere"]
    assert any(name == "processor" and was == "abacus" for name, was, _ in told["elsewhere"])


def test_the_verdict_names_the_largest_differences(done: tuple[StudyConfig, Prepared]) -> None:
    """One accuracy is off by two points, one by one, a loss by a half."""
    found = replay(done[0].folder, 1, QUIET)
    off = {"select/accuracy/en": 0.02, OBJECTIVE: 0.01, "train/loss": 0.5}
    numbers = tuple(
        changed(n, replayed=(n.recorded or 0.0) + off.get(n.metric, 0.0)) for n in found.numbers
    )
    other: Replay = changed(
        found, numbers=numbers, answers={"en": 3}, elsewhere=(("torch", "1", "2"),)
    )
    told = sentences(other)
    assert f"3 of {len(numbers)} numbers differ." in told
    assert "select/accuracy/en differs most: by 2 percentage points at 320 pairs." in told
    assert "train/loss differs most: by 0.5 at 320 pairs." in told
    assert "3 answers on dev differ at the full budget." in told
    assert "Known to differ: torch 1, now 2." in told
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        show_blocks(verdict(other), console)
    printed = console.export_text()
    assert f"3 of {len(numbers)}" in printed and other.claim in printed


def test_changed_data_is_refused(done: tuple[StudyConfig, Prepared], tmp_path: Path) -> None:
    study, prepared = done
    data = prepared.facts.data.model_copy(update={"checksum": "0" * 64})
    facts = prepared.facts.model_copy(update={"data": data})
    evaluations = recorded(study).trials[0].evaluations
    folder = copied(study, tmp_path, facts, evaluations)
    with pytest.raises(UserError, match="the data has changed since the study began"):
        replay(folder, 0, QUIET)


def test_what_cannot_be_replayed_is_told_before_anything_is_loaded(
    done: tuple[StudyConfig, Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, prepared = done
    monkeypatch.setattr("tuner.run.replay.prepare", None)
    with pytest.raises(UserError, match="there is no trial 007"):
        replay(study.folder, 7, QUIET)
    bare = copied(study, tmp_path / "bare", prepared.facts, [])
    with pytest.raises(UserError, match="trial 000 was never evaluated"):
        replay(bare, 0, QUIET)
    evaluations = recorded(study).trials[0].evaluations
    by_two = [evaluation.model_copy(update={"workers": 2}) for evaluation in evaluations]
    with pytest.raises(UserError, match=r"trained by 2 workers, whose dropout"):
        replay(copied(study, tmp_path / "two", prepared.facts, by_two), 0, QUIET)
