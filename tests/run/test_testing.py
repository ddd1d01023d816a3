"""A trial on test, against its model asked pair by pair; the whole command, interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from tests.confirm.canary import corpus, settings
from tests.confirm.canary import run as run_here
from tests.processes import SMOKE, Command, record, runs_in_mlflow, wait_for
from tuner.confirm.result import Confirmed
from tuner.data.nano.pairs import PAIRS
from tuner.journal.arrays import text_as_bits
from tuner.journal.journal import FILE
from tuner.journal.records import Evaluation, OnTest, StudyRecord, TrialRecord
from tuner.model.classifier import PairClassifier
from tuner.model.packing import PaddedPairs
from tuner.run.prepare import prepare
from tuner.run.testing import NotTested, crossed, evaluate_on_test
from tuner.run.trial_files import TrialFiles
from tuner.search.recommend import estimating
from tuner.study.file import load_study, validate_study
from tuner.terminal.progress import ConsoleProgress
from tuner.training.checkpoint import Checkpoints
from tuner.training.loop import train

pytestmark = pytest.mark.integration
NAME = "smoke-confirm"


def test_a_trial_on_test_is_its_model_asked_pair_by_pair(tmp_path: Path) -> None:
    overrides = ["budget.pairs_per_trial=1600", "scheduler.kind=none", f"storage={tmp_path}"]
    study = load_study(SMOKE, [*overrides, "space={}"])
    prepared = prepare(study, ConsoleProgress(Console(quiet=True)))
    inputs, test = prepared.inputs, prepared.test
    config = study.baseline_config()
    saved = Checkpoints(study.trial_folder(0), 60.0)
    events = list(train(config, (1600,), inputs, torch.device("cpu"), saved))
    evaluation = events[-1]
    assert isinstance(evaluation, Evaluation)
    trial = TrialRecord(
        number=0,
        origin="design",
        arm="control",
        params={},
        config=config,
        budget=1600,
        state="completed",
        evaluations=(evaluation,),
    )
    arms = [{"name": "control", "settings": {}}]
    design = {"kind": "confirm", "study": "s", "arms": arms, "seeds": [0]}
    made = StudyRecord(
        name="smoke",
        id="i",
        created=1.0,
        settings={**study.model_dump(mode="json"), "design": design},
        facts=prepared.facts,
        rungs=(1600,),
        trials=(trial,),
    )
    files = TrialFiles(study)
    files.study_started(made)
    files.wait()
    assert files.close() == []
    folder = study.folder / "best" / "0000"
    arguments = (study.resources, folder, trial, replace(inputs, corpus=test))
    found = evaluate_on_test(*arguments)
    assert isinstance(found, OnTest), found

    languages = test.languages
    assert [each.name for each in crossed(test)][:2] == ["en", "en-de"]
    assert len(found.answers) == len(languages) ** 2 == 16
    model = PairClassifier(inputs.encoder, config.fusion, config.head, 2, 99)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.eval()
    for name, (first, second) in {"es": (2, 2), "en-ja": (0, 3), "ja-en": (3, 0)}.items():
        rows = test.rows("test", [languages[first], languages[second]])
        right = text_as_bits(found.answers[name], len(rows))
        assert right.mean() == pytest.approx(found.scores[name].accuracy)
        for place in range(0, len(rows), 29):
            row = rows[place : place + 1]
            pair = test.assemble("test", row, np.full_like(row, first), np.full_like(row, second))
            assert pair.token_type_ids is not None
            tensors = (pair.input_ids, pair.attention_mask, pair.token_type_ids)
            with torch.inference_mode():
                logits = model([PaddedPairs(*(torch.from_numpy(each) for each in tensors))])
            assert bool(logits.argmax() == pair.labels[0]) == right[place]
    both = [found.scores[language].accuracy for language in ("es", "ja")]
    assert found.scores["targets"].accuracy == pytest.approx(sum(both) / 2)
    assert found.majority["en"] == pytest.approx(0.5, abs=0.05)

    (folder / "model.safetensors").write_bytes(b"not what was kept")
    damaged = evaluate_on_test(*arguments)
    assert isinstance(damaged, NotTested) and "is damaged" in damaged.reason


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    printed, _ = process.communicate(timeout=900)
    return process.returncode, printed


@pytest.mark.slow
def test_searched_confirmed_interrupted_and_once_more(tuner: Command, place: Path) -> None:
    """Interrupted while reading test: nothing is read twice. Again, and the reference."""
    code, printed = ended(tuner("search", str(SMOKE)))
    assert code == 0 and "tuner confirm smoke" in printed, printed

    asked = ("confirm", "smoke", "--top", "1", "--seeds", "1+2")
    first = tuner(*asked)
    wait_for(place, lambda s: any(t.tests for t in s.trials), first, NAME, 600)
    first.send_signal(signal.SIGINT)
    code, printed = ended(first)
    assert code == 130 and "confirm smoke" in printed, printed
    stopped = record(place, NAME)
    assert stopped.state == "interrupted" and stopped.recommendation is not None
    tested = {trial.number: trial.tests for trial in stopped.trials if trial.tests}
    assert 0 < len(tested) < len(estimating(stopped))

    code, printed = ended(tuner(*asked, "--json"))
    assert code == 0, printed
    study = record(place, NAME)
    assert study.state == "completed" and study.recommendation == stopped.recommendation
    assert all(trial.state == "completed" for trial in study.trials)
    estimated = estimating(study)
    assert [t.number for t in study.trials if t.tests] == [t.number for t in estimated]
    assert len(estimated) >= 2 and len(study.trials) > len(estimated)
    for trial in estimated:
        assert len(trial.tests) == 1 and len(trial.tests[0].answers) == 16
        assert tested.get(trial.number, trial.tests) == trial.tests
    result = Confirmed.of(study)
    assert "before test was read" in printed and study.facts.claim in printed
    (told,) = json.loads(printed[printed.index('[{"name"') :].splitlines()[0])
    assert told["result"]["recommended"] == result.recommended and told["state"] == "completed"
    journal = (place / "studies" / NAME / FILE).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["event"] for line in journal]
    assert events.count("recommended") == 1 and events.count("tested") == len(estimated)
    assert max(n for n, e in enumerate(events) if e == "evaluated") < events.index("tested")
    kept = sorted(path.name for path in (place / "studies" / NAME / "best").iterdir())
    assert kept == [f"{t.number:04d}" for t in estimated if t.arm == result.recommended]

    parent, children = runs_in_mlflow(place, NAME)
    assert parent.data.tags["tuner.recommendation"] == result.recommended
    for trial, run in zip(study.trials, children, strict=True):
        assert run.data.tags["tuner.arm"] == trial.arm
        assert run.data.tags["tuner.claim"] == study.facts.claim
        assert ("tuner.test_read" in run.data.tags) == (trial in estimated)
        if trial not in estimated:
            continue
        scored = trial.tests[0].scores
        assert run.data.metrics["test/accuracy/es-ja"] == pytest.approx(scored["es-ja"].accuracy)
    searched, its_trials = runs_in_mlflow(place)
    logged = [name for run in (searched, *its_trials) for name in run.data.metrics]
    assert logged and not any(name.startswith("test/") for name in logged)

    once_more = ("--again", "--top", "1", "--seeds", "1+2", "--reference", "--json")
    code, printed = ended(tuner("confirm", "smoke", *once_more))
    assert code == 0, printed
    fresh, alone = record(place, f"{NAME}-2"), record(place, "smoke-reference-2")
    assert {t.config.seed for t in fresh.trials}.isdisjoint({t.config.seed for t in study.trials})
    result = Confirmed.of(fresh)
    assert fresh.read_before is not None and [each.split()[0] for each in fresh.read_before] == [
        NAME
    ]
    assert study.read_before == () and fresh.claim.endswith("; this test was read 1 time before")
    assert "this test was read 1 time before: smoke-confirm on" in printed
    assert alone.read_before is not None and len(alone.read_before) == 2
    assert result.earlier == (NAME,) and {arm.name for arm in result.arms} > {"control"}
    assert alone.state == "completed" and len(alone.trials) == 2
    for trial in alone.trials:
        assert trial.last is not None and trial.last.pairs_seen == 5 * PAIRS["train"]
        assert trial.tests and trial.config.mix.cross_lingual == 0
    assert alone.facts.claim.startswith("zero-shot for de, es, ja; trained on en")
    told = json.loads(printed[printed.index('[{"name"') :].splitlines()[0])
    assert [each["name"] for each in told] == [f"{NAME}-2", "smoke-reference-2"]
    assert "trial" not in Confirmed.of(alone).recommended
    assert {t.config.seed for t in alone.trials} == {t.config.seed for t in estimating(fresh)}

    code, printed = ended(tuner("resume", "smoke"))
    assert code == 0 and "has read test" not in printed, "nothing is left to add"
    adding = tuner("resume", "smoke", "--trials", "+1")
    assert adding.stdout is not None
    for name, line in zip((NAME, f"{NAME}-2"), adding.stdout, strict=False):
        assert f"{name} has read test: its results may influence what is added to smoke" in line
    adding.send_signal(signal.SIGINT)
    assert ended(adding)[0] == 130


@pytest.mark.slow
def test_a_confirmation_on_other_data_begins_nothing(
    tuner: Command, place: Path, tmp_path: Path
) -> None:
    """A search in files; then test loses some pairs."""
    data, studies = corpus(tmp_path / "data", turned=False), place / "studies"
    study = validate_study(settings(data, storage=str(studies)), "the test")
    run_here(study, prepare(study, ConsoleProgress(Console(quiet=True))))
    test = data / "es" / "test_2k.tsv"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[:-50]), encoding="utf-8")
    code, printed = ended(tuner("confirm", "canary", "--top", "1", "--seeds", "1+2"))
    assert code == 2 and "the data (test) has changed since the search began" in printed, printed
    assert not (studies / "canary-confirm").exists()
