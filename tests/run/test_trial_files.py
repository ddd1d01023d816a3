"""Files that stay of trials, against real files: also after a death at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from tests.run.examples import (
    BEST_FILES,
    Make,
    after,
    best,
    record,
    trials_in,
)
from tuner.journal.records import Evaluation, TrialRecord
from tuner.model.classifier import PairClassifier
from tuner.run.prepare import prepare
from tuner.run.trial_files import TrialFiles
from tuner.storage import folders
from tuner.storage.folders import Place, names_in
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.terminal.progress import ConsoleProgress
from tuner.training.checkpoint import Checkpoints, sha256
from tuner.training.evaluation import evaluate_dev
from tuner.training.forward import Forward
from tuner.training.loop import train


def test_the_final_weights_of_the_best_stay_and_nothing_of_the_others(
    stored: StudyConfig, trial: Make
) -> None:
    """Told as the driver tells; ties go to the earlier trial, as in `ranked`."""
    files = TrialFiles(stored)
    files.study_started(record())
    told: list[TrialRecord] = []
    for number, state, score in (
        (0, "completed", 0.6),
        (1, "completed", 0.7),
        (2, "pruned", 0.9),
        (3, "completed", 0.7),
        (4, "completed", 0.7),
        (5, "failed", 0.99),
    ):
        told.append(trial(number, state, score, rungs=3 if state == "completed" else 1))
        files.trial_ended(told[-1])
    files.trial_ended(trial(6, "interrupted", 0.9, rungs=2))
    assert files.close() == []
    assert best(stored) == ["0001", "0003"]
    assert [t.number for t in record(*told).ranked()[:2]] == [1, 3]
    assert trials_in(stored) == ["0006"] and len(names_in(stored.trial_folder(6))) == 2

    facts = json.loads((stored.folder / "best" / "0003" / "trial.json").read_text())
    assert (facts["trial"], facts["score"], facts["claim"]) == (3, 0.7, "zero-shot")
    assert facts["encoder"] == {"name": "nano", "checksum": "e" * 64, "layers": 4}
    assert TrialConfig.model_validate(facts["config"]) == TrialConfig()
    with folders.fetched(stored.folder / "best" / "0003", BEST_FILES) as folder:
        assert facts["sha256"] == sha256(folder / "model.safetensors")
        weights = load_file(folder / "model.safetensors")["weight"]
    assert weights.tolist() == [[pytest.approx(3.112)] * 2], "those of the last step"


def test_nothing_stays_where_none_is_asked_for(stored: StudyConfig, trial: Make) -> None:
    done = trial(0, "completed", 0.6)
    assert after(stored, done) == [] and best(stored) == ["0000"]
    none = stored.model_copy(
        update={"checkpoint": stored.checkpoint.model_copy(update={"keep_best": 0})}
    )
    assert after(none, done) == [] and best(none) == []


class Died(BaseException):
    """Stands for SIGKILL."""


def die_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many changes of the disk pass."""
    left = iter(range(steps))

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise Died
            return function(*arguments, **options)

        return call

    for name in ("link", "replace", "unlink", "rmdir", "fsync", "mkdir"):
        patch.setattr(os, name, dying(getattr(os, name)))


@pytest.mark.parametrize("steps", range(30))
def test_dying_at_any_moment_costs_nothing(steps: int, study: StudyConfig, trial_of: Make) -> None:
    """Killed before the n-th thing that it does to the disk; the next driver finds it as it is."""
    trial = partial(trial_of, study)
    keep_one = {"checkpoint": study.checkpoint.model_copy(update={"keep_best": 1})}
    study = study.model_copy(update=keep_one)
    first = trial(0, "completed", 0.6)
    assert after(study, first) == [] and best(study) == ["0000"]
    second, pruned = trial(1, "completed", 0.7), trial(2, "pruned", 0.9, rungs=1)
    goes_on = trial(3, "interrupted", 0.9, rungs=2)

    with pytest.MonkeyPatch.context() as patch:
        die_after(steps, patch)
        try:
            after(study, first, second, pruned, goes_on)
            assert steps > 20, "it was to die in the middle"
        except Died:
            pass
    assert after(study, first, second, pruned, goes_on) == []
    assert best(study) == ["0001"]
    assert trials_in(study) == ["0003"] and len(names_in(study.trial_folder(3))) == 2


@pytest.mark.parametrize("steps", range(3))
def test_weights_that_are_half_removed_are_none(
    steps: int, study: StudyConfig, trial_of: Make
) -> None:
    """Killed while they were dropped; then more are asked for, and they would be among them."""
    keep_one = study.model_copy(
        update={"checkpoint": study.checkpoint.model_copy(update={"keep_best": 1})}
    )
    first = trial_of(study, 0, "completed", 0.6)
    assert after(study, first) == []
    second = trial_of(study, 1, "completed", 0.7)
    with pytest.MonkeyPatch.context() as patch:
        die_after(steps, patch)
        with pytest.raises(Died):
            after(keep_one, first, second)
    told = after(study, first, second)
    assert [line[:25] for line in told] == ["the weights of trial 000 "] * bool(steps)
    assert best(study) == (["0001"] if steps else ["0000", "0001"])


def test_what_a_killed_driver_left_is_removed_when_the_study_goes_on(
    stored: StudyConfig, trial: Make
) -> None:
    """Its workers' halves, and the folder of a trial whose record was torn."""
    goes_on, unknown = trial(3, "interrupted", 0.9, rungs=2), trial(4, "interrupted", 0.9, rungs=1)
    del unknown
    half = stored.trial_folder(3) / ".partial"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    incomplete = stored.trial_folder(3) / "step-000000112"
    incomplete.mkdir(parents=True)
    (incomplete / "model.safetensors").write_bytes(b"without a manifest")
    assert after(stored, goes_on) == []
    assert trials_in(stored) == ["0003"]
    assert names_in(stored.trial_folder(3)) == ["step-000000012", "step-000000037"]


def test_a_trial_that_began_since_keeps_its_folder(stored: StudyConfig, trial: Make) -> None:
    """Only when a study starts is a folder that nobody knows left from before."""
    files = TrialFiles(stored)
    files.study_started(record())
    trial(1, "running", 0.5, rungs=1)
    files.trial_ended(trial(0, "pruned", 0.5, rungs=1))
    assert files.close() == [] and trials_in(stored) == ["0000", "0001"], "0 may be a candidate"


def test_a_trial_that_rests_keeps_its_latest_checkpoint_while_it_may_continue(
    stored: StudyConfig, trial: Make
) -> None:
    """A paused one always; one that ASHA stopped while too few others complete."""

    def other(record: TrialRecord) -> TrialRecord:
        """The trial with a learning rate of its own."""
        config = TrialConfig.from_flat({"optim.lr": 1e-3 * (record.number + 1)})
        return record.model_copy(update={"config": config})

    resting = [other(trial(n, "pruned", 0.1 * n, rungs=2)) for n in range(3)]
    paused = trial(3, "paused", 0.4, rungs=2)
    assert len(names_in(stored.trial_folder(3))) == 2
    assert after(stored, *resting, paused) == []
    assert trials_in(stored) == ["0000", "0001", "0002", "0003"]
    assert [len(names_in(stored.trial_folder(n))) for n in range(4)] == [1] * 4
    done = [other(trial(n, "completed", 0.5 + 0.01 * n)) for n in range(4, 9)]
    assert after(stored, *resting, paused, *done) == []
    assert trials_in(stored) == ["0003"]


def test_weights_outlive_a_torn_record_of_their_trials_end(
    stored: StudyConfig, trial: Make
) -> None:
    """The driver concludes the trial again from its evaluations: its checkpoints have gone."""
    done = trial(0, "completed", 0.6)
    assert after(stored, done) == []
    files = TrialFiles(stored)
    files.study_started(record(done.model_copy(update={"state": "interrupted"})))
    files.trial_ended(done)
    assert files.close() == [] and best(stored) == ["0000"]


def damaged(folder: Place) -> None:
    (folder / "model.safetensors").write_bytes(b"torn")


def without_manifest(folder: Place) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [damaged, without_manifest])
def test_weights_that_are_damaged_are_told_and_not_kept(
    damage: Callable[[Place], None], stored: StudyConfig, trial: Make
) -> None:
    """Also where the checkpoint before is whole: its weights are others."""
    done = trial(0, "completed", 0.6)
    damage(stored.trial_folder(0) / "step-000000112")
    assert after(stored, done) == [
        "the weights of trial 000 could not be kept: its last checkpoint is gone or damaged"
    ]
    assert best(stored) == [] and trials_in(stored) == []


def test_what_cannot_be_done_is_told_and_tried_again(
    study: StudyConfig, trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that cannot be copied now keep their checkpoint; the study goes on."""
    done, pruned = trial_of(study, 0, "completed", 0.6), trial_of(study, 1, "pruned", 0.5)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        patch.setattr("os.replace", refuse)
        told = after(study, done, pruned)
    assert told == [
        "the weights of trial 000 could not be kept: [Errno 13] Permission denied",
        f"{study.trial_folder(1)} could not be removed: [Errno 13] Permission denied",
    ]
    assert trials_in(study) == ["0000", "0001"]
    assert after(study, done, pruned) == [] and best(study) == ["0000"] and not trials_in(study)


def test_the_weights_take_no_space_twice(study: StudyConfig, trial_of: Make) -> None:
    """They are the checkpoint's file under another name, where the file system has such."""
    done = trial_of(study, 0, "completed", 0.6)
    inode = (study.trial_folder(0) / "step-000000112" / "model.safetensors").stat().st_ino
    assert after(study, done) == []
    kept = study.folder / "best" / "0000" / "model.safetensors"
    assert (kept.stat().st_ino, kept.stat().st_nlink) == (inode, 1)


def test_without_hard_links_they_are_copied(
    study: StudyConfig, trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    assert after(study, trial_of(study, 0, "completed", 0.6)) == []
    assert best(study) == ["0000"]


def test_links_in_the_study_are_removed_and_not_followed(
    study: StudyConfig, trial_of: Make, tmp_path: Path
) -> None:
    done, elsewhere = trial_of(study, 0, "completed", 0.6), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    (study.folder / "best").mkdir()
    for link in ("best/0000", "best/0007", "trials/0001", "trials/0008"):
        (study.folder / link).symlink_to(elsewhere)
    assert after(study, done) == []
    assert best(study) == ["0000"] and trials_in(study) == []
    assert names_in(elsewhere) == ["precious"]


@pytest.mark.integration
def test_the_weights_that_stay_score_what_is_written_beside_them(study: StudyConfig) -> None:
    """A trial trained by the loop itself; its weights in a fresh model."""
    inputs = prepare(study, ConsoleProgress(Console(quiet=True))).inputs
    config, device = TrialConfig.from_flat({"optim.lr": 1e-3}), torch.device("cpu")
    checkpoints = Checkpoints(study.trial_folder(0), 60.0)
    events = train(config, [320, 960], inputs, device, checkpoints)
    evaluations = tuple(event for event in events if isinstance(event, Evaluation))
    done = TrialRecord(
        number=0,
        origin="sampler",
        params={},
        config=config,
        budget=960,
        state="completed",
        evaluations=evaluations,
    )
    assert after(study, done) == []

    folder = study.folder / "best" / "0000"
    facts = json.loads((folder / "trial.json").read_text())
    kept = TrialConfig.model_validate(facts["config"])
    model = PairClassifier(inputs.encoder, kept.fusion, kept.head, inputs.corpus.num_labels, 7)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    roles = inputs.protocol
    evaluation = evaluate_dev(Forward(model, device), inputs.corpus, roles, roles.sets, 4096)
    while True:
        try:
            next(evaluation)
        except StopIteration as end:
            criteria = end.value.criteria
            break
    assert criteria == evaluations[-1].criteria
    assert criteria[roles.objective.name] == facts["score"] == evaluations[-1].objective
    assert facts["score"] != evaluations[0].objective
