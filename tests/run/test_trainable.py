"""Reports of a worker to the driver: rungs, heartbeats between them, failures. No cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from rich.console import Console

from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.run.messages import (
    REPORT,
    START,
    AtRung,
    Failed,
    Finished,
    Heartbeat,
    Kept,
    Report,
    Started,
    TrialStart,
)
from tuner.run.prepare import prepare
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.terminal.progress import ConsoleProgress
from tuner.training.inputs import TrialInputs

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def inputs() -> dict[int, TrialInputs]:
    """Inputs of the small study, made by the first test."""
    return {}


@pytest.fixture
def worker(
    study: StudyConfig, inputs: dict[int, TrialInputs], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Makes a worker as Ray does, but for a logger's folder, and runs it to its last word."""
    from tuner.run import trainable

    monkeypatch.setattr(trainable, "this_node", lambda: "here")
    if not inputs:
        inputs[0] = prepare(study, ConsoleProgress(Console(quiet=True))).inputs

    def begun(
        number: int = 0, micro_size: int = 32, of: StudyConfig = study, **settings: Any
    ) -> Any:
        flat = {"batch.effective_size": 64, "optim.lr": 1e-3, **settings}
        actor = object.__new__(trainable.TrialActor)
        start = TrialStart(number, TrialConfig.from_flat(flat), micro_size)
        actor.setup({START: start}, study=of, inputs=inputs[0])
        return actor

    def run(*arguments: Any, **settings: Any) -> list[Report]:
        actor = begun(*arguments, **settings)
        results = [actor.step()]
        while not results[-1]["done"]:
            results.append(actor.step())
        actor.cleanup()
        return [result[REPORT] for result in results]

    run.begun = begun  # type: ignore[attr-defined]
    return run


@contextmanager
def memory_for(tokens: int, training: bool) -> Iterator[None]:
    """A device whose memory holds so many tokens at once, padding included."""

    def check(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        here = isinstance(module, PairClassifier) and module.training is training
        if here and sum(block.input_ids.numel() for block in inputs[0]) > tokens:
            raise torch.OutOfMemoryError("injected")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()


def without_clock(evaluation: Evaluation) -> Evaluation:
    clocks = ("time", "pairs_per_second", "train_seconds", "evaluation_seconds", "peak_memory_mb")
    return evaluation.model_copy(update=dict.fromkeys(clocks, 0.0))


def evaluations(reports: list[Report]) -> list[Evaluation]:
    """Those that were reported."""
    return [report.evaluation for report in reports if isinstance(report, AtRung)]


def failure(reports: list[Report]) -> Failed:
    """The failure that a trial ended with."""
    last = reports[-1]
    assert isinstance(last, Failed), last
    return last


def test_heartbeats_say_how_far_a_trial_is_and_at_what(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the course of an evaluation, so that a stop takes effect there."""
    from tuner.run import trainable

    monkeypatch.setattr(trainable, "HEARTBEAT_SECONDS", 0.0)
    first, *told, last = worker()
    assert first == Started(0, ("here",)) and last == Finished()
    beats = [report for report in told if isinstance(report, Heartbeat)]
    pairs = [beat.pairs_seen for beat in beats]
    assert pairs == sorted(pairs) and pairs[-1] == 960
    assert {beat.pairs_seen for beat in beats if beat.phase == "training"} == {
        64 * step for step in range(1, 16)
    }
    evaluating = {beat.pairs_seen for beat in beats if beat.phase == "evaluating"}
    assert evaluating == {128, 320, 960}
    assert [evaluation.rung for evaluation in evaluations(told)] == [100, 300, 900]


def test_a_loss_that_is_no_number_is_told(worker: Any) -> None:
    last = failure(worker(**{"optim.lr": 1e30}))
    assert last.kind == "non_finite" and "diverged at step" in last.reason


def test_what_fits_in_no_memory_is_told(worker: Any) -> None:
    with memory_for(0, training=True):
        last = failure(worker())
    assert last.kind == "infeasible" and "a training step of one pair" in last.reason
    with memory_for(0, training=False):
        last = failure(worker(number=1))
    assert last.kind == "infeasible" and "an evaluation of one pair" in last.reason
    assert last.pairs_seen == 128, "the step is done, and counted"


def test_out_of_memory_costs_time_and_nothing_else(worker: Any) -> None:
    """The micro-batch is halved, B is not: no failure is told, the plan of sizes is."""
    with memory_for(300, training=True):
        told = worker()
    assert told[-1] == Finished()
    last = evaluations(told)[-1]
    assert [size for _, size in last.micro_plan] == [32, 16, 8]
    assert last.pairs_seen == 960 and last.step == 15, "of 64 pairs each"


def test_a_smaller_micro_batch_is_asked_for_from_outside(worker: Any) -> None:
    """The host's memory ran out before; the steps are the same ones."""
    last = evaluations(worker(micro_size=4))[-1]
    assert [size for _, size in last.micro_plan] == [32, 4] and last.step == 15


def test_gradient_noise_is_probed_where_the_study_asks(worker: Any, study: StudyConfig) -> None:
    assert all(not each.noise for each in evaluations(worker()))
    asked = study.diagnostics.model_copy(update={"gradient_noise": True, "noise_pairs": 32})
    probing = study.model_copy(update={"diagnostics": asked})
    told = evaluations(worker(number=1, of=probing))
    assert [each.rung for each in told] == [100, 300, 900]
    for each in told:
        assert {kind: noise.pairs for kind, noise in each.noise.items()} == {
            "monolingual": 32,
            "cross_lingual": 32,
        }


def test_what_the_user_can_put_right_is_told(worker: Any) -> None:
    """The folder holds another trial's checkpoint."""
    worker()
    last = failure(worker(**{"optim.lr": 2e-3}))
    assert last.kind == "user_error" and "another configuration" in last.reason


def test_an_attempt_begins_where_its_checkpoint_was_written(worker: Any) -> None:
    """And tells again what it carries."""
    told = worker()
    again = worker()
    assert again[0] == Started(960, ("here",))
    assert evaluations(again) == evaluations(told)


def test_a_stop_saves_what_is_done(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the course of an evaluation, as at any other moment; the next attempt begins there."""
    from tuner.run import trainable

    with monkeypatch.context() as patched:
        patched.setattr(trainable, "HEARTBEAT_SECONDS", 0.0)
        actor = worker.begun()
        while actor.step()[REPORT] != Heartbeat(128, "evaluating"):
            pass
        assert actor.keep() == Kept(128, "")
        actor.cleanup()
    whole, again = worker(number=1), worker()
    assert again[0] == Started(128, ("here",))
    assert [without_clock(e) for e in evaluations(again)] == [
        without_clock(e) for e in evaluations(whole)
    ]


def test_what_cannot_be_saved_is_told(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And raises nothing: the study stops all the same."""
    from tuner.errors import StorageFull
    from tuner.training.checkpoint import Checkpoints

    actor = worker.begun()
    assert isinstance(actor.step()[REPORT], Started)
    while not isinstance(actor.step()[REPORT], AtRung):  # heartbeats, on a slow machine
        pass

    def full(self: Checkpoints) -> None:
        raise StorageFull(self.folder)

    monkeypatch.setattr(Checkpoints, "keep", full)
    kept = actor.keep()
    assert kept.pairs_seen == 128 and kept.complaint.startswith("no space is left for")
    actor.cleanup()
