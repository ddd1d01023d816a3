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
from tuner.run.prepare import Inputs, prepare
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.terminal.progress import ConsoleProgress

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def inputs() -> dict[int, Inputs]:
    """Inputs of the small study, made by the first test."""
    return {}


@pytest.fixture
def worker(study: StudyConfig, inputs: dict[int, Inputs], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a worker as Ray does, but for a logger's folder, and runs it to its last word."""
    from tuner.run import trainable
    from tuner.run import worker as keys

    monkeypatch.setattr(trainable, "this_node", lambda: "here")
    if not inputs:
        inputs[0] = prepare(study, ConsoleProgress(Console(quiet=True)))

    def begun(
        number: int = 0, micro_size: int = 32, of: StudyConfig = study, **settings: Any
    ) -> Any:
        flat = {"batch.effective_size": 64, "optim.lr": 1e-3, **settings}
        actor = object.__new__(trainable.TrialActor)
        sent = {
            keys.NUMBER: number,
            keys.CONFIG: TrialConfig.from_flat(flat).model_dump(mode="json"),
            keys.MICRO_SIZE: micro_size,
        }
        made = inputs[0]
        actor.setup(
            sent, study=of, protocol=made.protocol, corpus=made.corpus, encoder=made.encoder
        )
        return actor

    def run(*arguments: Any, **settings: Any) -> list[dict[str, Any]]:
        actor = begun(*arguments, **settings)
        told = [actor.step()]
        while not told[-1].get("done"):
            told.append(actor.step())
        actor.cleanup()
        return told

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


def evaluations(told: list[dict[str, Any]]) -> list[Evaluation]:
    """Those that were reported."""
    return [Evaluation.model_validate_json(t["evaluation"]) for t in told if "evaluation" in t]


def test_heartbeats_say_how_far_a_trial_is_and_at_what(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the course of an evaluation, so that a stop takes effect there."""
    from tuner.run import trainable

    monkeypatch.setattr(trainable, "HEARTBEAT_SECONDS", 0.0)
    *told, last = worker()
    assert last == {"pairs_seen": 960, "done": True}
    assert told[0] == {"begun": True, "nodes": ["here"], "pairs_seen": 0}
    beats = [result for result in told if "phase" in result]
    pairs = [result["pairs_seen"] for result in told]
    assert pairs == sorted(pairs) and pairs[-1] == 960
    assert {beat["pairs_seen"] for beat in beats if beat["phase"] == "training"} == {
        64 * step for step in range(1, 16)
    }
    evaluating = {b["pairs_seen"] for b in beats if b["phase"] == "evaluating"}
    assert evaluating == {128, 320, 960}
    assert [evaluation.rung for evaluation in evaluations(told)] == [100, 300, 900]
    assert all("phase" not in r for r in told if "evaluation" in r)


def test_a_loss_that_is_no_number_is_told(worker: Any) -> None:
    last = worker(**{"optim.lr": 1e30})[-1]
    assert last["failure"] == "non_finite" and "diverged at step" in last["reason"]
    assert last["done"]


def test_what_fits_in_no_memory_is_told(worker: Any) -> None:
    with memory_for(0, training=True):
        last = worker()[-1]
    assert last["failure"] == "infeasible" and "a training step of one pair" in last["reason"]
    with memory_for(0, training=False):
        last = worker(number=1)[-1]
    assert last["failure"] == "infeasible" and "an evaluation of one pair" in last["reason"]
    assert last["pairs_seen"] == 128, "the step is done, and counted"


def test_out_of_memory_costs_time_and_nothing_else(worker: Any) -> None:
    """The micro-batch is halved, B is not: no failure is told, the plan of sizes is."""
    with memory_for(300, training=True):
        told = worker()
    assert all("failure" not in result for result in told)
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
    last = worker(**{"optim.lr": 2e-3})[-1]
    assert last["failure"] == "user_error" and "another configuration" in last["reason"]


def test_an_attempt_begins_where_its_checkpoint_was_written(worker: Any) -> None:
    """And tells again what it carries."""
    told = worker()
    again = worker()
    assert again[0] == {"begun": True, "nodes": ["here"], "pairs_seen": 960}
    assert evaluations(again) == evaluations(told)


def test_a_stop_saves_what_is_done(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the course of an evaluation, as at any other moment; the next attempt begins there."""
    from tuner.run import trainable

    with monkeypatch.context() as patched:
        patched.setattr(trainable, "HEARTBEAT_SECONDS", 0.0)
        actor, told = worker.begun(), dict[str, Any]()
        while told.get("phase") != "evaluating":
            told = actor.step()
        assert actor.keep() == {"pairs_seen": 128, "reason": ""}
        actor.cleanup()
    whole, again = worker(number=1), worker()
    assert again[0] == {"begun": True, "nodes": ["here"], "pairs_seen": 128}
    assert [without_clock(e) for e in evaluations(again)] == [
        without_clock(e) for e in evaluations(whole)
    ]


def test_what_cannot_be_saved_is_told(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And raises nothing: the study stops all the same."""
    from tuner.errors import StorageFull
    from tuner.training.checkpoint import Checkpoints

    actor = worker.begun()
    assert actor.step()["begun"]
    while "evaluation" not in actor.step():  # heartbeats, on a slow machine
        pass

    def full(self: Checkpoints) -> None:
        raise StorageFull(self.folder)

    monkeypatch.setattr(Checkpoints, "keep", full)
    kept = actor.keep()
    assert kept["pairs_seen"] == 128 and kept["reason"].startswith("no space is left for")
    actor.cleanup()
