"""What a worker tells the driver: rungs, and heartbeats between them. No cluster."""

from __future__ import annotations

import pytest
from rich.console import Console

from tuner.config import TrialConfig
from tuner.prepare import prepare
from tuner.records import Evaluation
from tuner.study import StudyConfig
from tuner.terminal.progress import ConsoleProgress

pytestmark = pytest.mark.integration


def test_heartbeats_say_how_far_a_trial_is_and_at_what(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the course of an evaluation, so that a stop takes effect there."""
    from tuner.search import trainable

    monkeypatch.setattr(trainable, "HEARTBEAT_SECONDS", 0.0)
    inputs = prepare(study, ConsoleProgress(Console(quiet=True)))
    config = TrialConfig.from_flat({"batch.effective_size": 64, "optim.lr": 1e-3})
    actor = object.__new__(trainable.TrialActor)  # as Ray makes it, but for a logger's folder
    actor.setup(
        {trainable.NUMBER: 0, trainable.CONFIG: config.model_dump(mode="json")},
        study=study,
        protocol=inputs.protocol,
        corpus=inputs.corpus,
        encoder=inputs.encoder,
    )
    told = []
    while not (result := actor.step()).get("done"):
        told.append(result)
    actor.cleanup()
    beats = [result for result in told if trainable.PHASE in result]
    pairs = [result[trainable.PAIRS_SEEN] for result in told]
    assert pairs == sorted(pairs) and pairs[-1] == 960
    assert {beat[trainable.PAIRS_SEEN] for beat in beats if beat["phase"] == "training"} == {
        64 * step for step in range(1, 16)
    }
    evaluating = {b[trainable.PAIRS_SEEN] for b in beats if b["phase"] == "evaluating"}
    assert evaluating == {128, 320, 960}
    reported = [result[trainable.EVALUATION] for result in told if trainable.EVALUATION in result]
    assert [Evaluation.model_validate_json(text).rung for text in reported] == [100, 300, 900]
    assert all(trainable.PHASE not in r for r in told if trainable.EVALUATION in r)
