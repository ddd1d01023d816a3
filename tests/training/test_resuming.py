"""A trial that resumes from a checkpoint is the trial that never stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.examples import CPU, NEVER, PROTOCOL, Run, trial
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.inputs import TrialInputs
from tuner.training.loop import (
    Begun,
    Step,
    train,
)


@pytest.mark.parametrize("every_seconds", [0.0, NEVER], ids=["each-step", "rungs-alone"])
@pytest.mark.parametrize("interrupted_at", [1, 2, 5, 9, 10, 11])
def test_resumed_is_bit_equal(interrupted_at: int, every_seconds: float, run: Any) -> None:
    rungs = (14, 40, 70)
    whole = run(trial(), rungs, folder="whole")

    part = run(trial(), rungs, every_seconds=every_seconds, steps=interrupted_at)
    rest = run(trial(), rungs, every_seconds=every_seconds)

    saved = max(s for s in ((0, 2, 6, 10) if every_seconds else range(11)) if s < interrupted_at)
    assert [step.step for step in rest.steps] == list(range(saved + 1, 11))
    assert rest.evaluations == whole.evaluations  # those of before are yielded again
    assert part.evaluations == whole.evaluations[: len(part.evaluations)]
    assert rest.weights.keys() == whole.weights.keys()
    for name, tensor in whole.weights.items():
        assert torch.equal(rest.weights[name], tensor), name


MOMENTS: dict[str, tuple[Callable[[Any], bool], int]] = {
    "nothing done": (lambda event: isinstance(event, Begun), 0),
    "after a step": (lambda event: isinstance(event, Step) and event.step == 1, 1),
    "at a rung": (lambda event: isinstance(event, Step) and event.step == 2, 2),
    "in an evaluation": (lambda event: isinstance(event, Evaluating) and event.pairs_done > 0, 2),
    "in the last evaluation": (lambda event: isinstance(event, Evaluating), 4),
    "after an evaluation": (lambda event: isinstance(event, Evaluation), 2),
}


@pytest.mark.parametrize(("moment", "step"), MOMENTS.values(), ids=MOMENTS)
def test_what_was_kept_at_a_stop_is_not_done_again(
    moment: Callable[[Any], bool],
    step: int,
    run: Any,
    corpus: TokenisedCorpus,
    encoder: PretrainedEncoder,
    tmp_path: Path,
) -> None:
    """A stop may come between any two events: also in the course of an evaluation."""
    rungs = (14, 28)
    whole = run(trial(), rungs, folder="whole")
    checkpoints = Checkpoints(tmp_path / "trial", NEVER)
    done = 0
    for event in train(trial(), rungs, TrialInputs(PROTOCOL, corpus, encoder), CPU, checkpoints):
        done = event.step if isinstance(event, Step) else done
        if done == step and moment(event):
            break
    checkpoints.keep()

    rest = run(trial(), rungs)
    assert [step.step for step in rest.steps] == list(range(step + 1, 5))
    assert rest.evaluations == whole.evaluations
    for name, tensor in whole.weights.items():
        assert torch.equal(rest.weights[name], tensor), name


def test_nothing_is_written_where_nothing_is_new(
    run: Any, corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    """A checkpoint of mBERT is two gigabytes."""
    run(trial(), (14, 28))
    (saved, *_) = sorted((tmp_path / "trial").glob("step-*"), reverse=True)
    written = saved.stat().st_ino
    checkpoints = Checkpoints(tmp_path / "trial", NEVER)
    checkpoints.keep()  # no trial has begun
    for _ in train(trial(), (14, 28), TrialInputs(PROTOCOL, corpus, encoder), CPU, checkpoints):
        checkpoints.keep()
    assert saved.stat().st_ino == written


def test_resuming_keeps_the_micro_batches(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = trial(**{"batch.micro_size": 6})
    rungs = (14, 70)

    def too_large(module: PairClassifier, inputs: tuple[list[PaddedPairs]]) -> None:
        if module.training and sum(len(block.input_ids) for block in inputs[0]) > 3:
            raise torch.OutOfMemoryError("injected")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            too_large(module, inputs) if isinstance(module, PairClassifier) else None
        )
    )
    whole = run(config, rungs, folder="whole")
    run(config, rungs, every_seconds=0.0, steps=4)
    hook.remove()  # the rest of the trial has room, but repeats the plan
    rest = run(config, rungs)

    plans = [evaluation.micro_plan for evaluation in rest.evaluations]
    assert plans == [evaluation.micro_plan for evaluation in whole.evaluations]
    assert len(plans[0]) > 1, "less was tried than the configuration says"
    for name, tensor in whole.weights.items():
        assert torch.equal(rest.weights[name], tensor), name


class MemoryFor3:
    """From a forward pass of training on, so many done, a device holds three pairs, not more."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, module: torch.nn.Module, inputs: tuple[list[PaddedPairs]]) -> None:
        if not (isinstance(module, PairClassifier) and module.training):
            return
        self._left -= 1
        if self._left < 0 and sum(len(block.input_ids) for block in inputs[0]) > 3:
            raise torch.OutOfMemoryError("injected")


@pytest.mark.parametrize("after", [0, 2])
def test_a_recorded_plan_is_followed_exactly(
    after: int, corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    """With dropout, on a machine with room; memory ran out at first, or right after a rung."""
    config, rungs = trial(**{"batch.micro_size": 6}), (14, 35)

    def run(folder: str, steps: int | None = None, **settings: Any) -> Run:
        return Run(config, rungs, corpus, encoder, tmp_path / folder, 0.0, steps, **settings)

    hook = torch.nn.modules.module.register_module_forward_pre_hook(MemoryFor3(after))
    try:
        whole = run("whole")
    finally:
        hook.remove()
    plan = whole.evaluations[-1].micro_plan
    assert len(plan) > 1 and plan[1][0] == after

    again = run("again", micro_plan=plan)
    run("interrupted", steps=2, micro_plan=plan)
    resumed = run("interrupted", micro_plan=plan)
    for rerun in (again, resumed):
        assert rerun.evaluations == whole.evaluations
        assert all(torch.equal(rerun.weights[name], w) for name, w in whole.weights.items())
    other = run("other")
    assert not torch.equal(other.weights["head.weight"], whole.weights["head.weight"])


def test_a_checkpoint_of_another_trial_is_refused(run: Any) -> None:
    run(trial(), (14,))
    with pytest.raises(ValueError, match="another configuration"):
        run(trial(seed=1), (14,))
    with pytest.raises(ValueError, match="another configuration"):
        run(trial(), (14, 28))
