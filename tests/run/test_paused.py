"""With promotion: a trial that paused at every rung is bit-equal to one that never did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from tests.search.examples import create
from tuner.journal.records import Evaluation
from tuner.run.messages import TrialStart
from tuner.run.prepare import prepare
from tuner.run.worker import Worker
from tuner.search.driver import Driver
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress
from tuner.training.checkpoint import Checkpoints
from tuner.training.loop import train

pytestmark = pytest.mark.integration
SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"
CLOCKS = {
    "time",
    "pairs_per_second",
    "train_seconds",
    "evaluation_seconds",
    "noise_seconds",
    "peak_memory_mb",
}


def facts_of(evaluation: Evaluation) -> dict[str, object]:
    return evaluation.model_dump(exclude=CLOCKS)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(sorted(folder.iterdir())[-1] / "model.safetensors")


def test_a_promoted_trial_is_bit_equal_to_one_that_never_paused(tmp_path: Path) -> None:
    study = load_study(
        SMOKE,
        [
            "name=paused",
            f"storage={tmp_path}",
            "languages={source: [en, de]}",
            "scheduler={kind: asha, variant: promotion, min_pairs: 160, reduction_factor: 2}",
            "budget={trials: 4, pairs_per_trial: 640}",
            "trial.head.dropout=0.1",
        ],
    )
    inputs = prepare(study, ConsoleProgress(Console(quiet=True))).inputs
    worker, cpu = Worker(study, inputs), torch.device("cpu")
    pauses = 0
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        while (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            for event in worker.train(TrialStart(trial.number, trial.config, 32)):
                if isinstance(event, Evaluation) and not driver.evaluated(trial.number, event):
                    break
            worker.release()
            pauses += journal.history.trials[trial.number].state == "paused"
        record = driver.finish()
    assert pauses >= 2 and len(record.complete) == 4
    resumed = [trial for trial in record.complete if trial.attempts > 1]
    assert resumed
    for trial in resumed[:2]:
        whole = Checkpoints(tmp_path / f"whole-{trial.number}", 1e9)
        evaluations = [
            event
            for event in train(trial.config, study.rungs, inputs, cpu, whole, 32)
            if isinstance(event, Evaluation)
        ]
        assert list(map(facts_of, evaluations)) == list(map(facts_of, trial.evaluations))
        paused = weights_of(Path(str(study.trial_folder(trial.number))))
        undisturbed = weights_of(Path(str(whole.folder)))
        assert all(torch.equal(paused[name], weight) for name, weight in undisturbed.items())
