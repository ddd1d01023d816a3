"""Actors that train nothing: they say at once, or after as long a sleep, what a trial would."""

from __future__ import annotations

import json
import time
from typing import Any

import ray
from ray import tune

from tuner.journal.records import Evaluation
from tuner.run import engine
from tuner.run.worker import NUMBER
from tuner.study import StudyConfig
from tuner.study.scores import Scores


def idle_actor(
    study: StudyConfig, pairs_per_second: float = 0.0, evaluation_seconds: float = 0.0
) -> type[tune.Trainable]:
    """An actor whose trials sleep at such a pace, or not at all; each is better than those before.

    Its process imports no torch: everything it needs is handed to it.
    """
    names = [*study.languages.source, "sources"]
    rungs = study.rungs
    scores = Scores(accuracy=0.0, f1=0.0, pairs=100)
    template = Evaluation(
        time=0.0, rung=1, pairs_seen=1, step=1, objective=0.0,
        select=dict.fromkeys(names, scores), oracle={}, train_loss=0.5, pairs_per_second=100.0,
        train_seconds=1.0, evaluation_seconds=0.1, peak_memory_mb=10.0, micro_plan=((0, 8),),
        workers=1, precision="fp32",
    ).model_dump(mode="json")  # fmt: skip
    numbered = NUMBER
    keys = (engine.EVALUATION, engine.PAIRS_SEEN, engine.BEGUN, engine.NODES)

    class Idle(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.number, self.at = new_config.get(numbered, 0), -1
            return True

        def step(self) -> dict[str, Any]:
            self.at += 1
            evaluation, pairs_seen, begun, nodes = keys
            if self.at == 0:
                return {begun: True, nodes: [ray.get_runtime_context().get_node_id()],
                        pairs_seen: 0, "score": 0.0}  # fmt: skip
            if self.at > len(rungs):
                return {pairs_seen: rungs[-1], "score": 0.0, "done": True}
            rung, score = rungs[self.at - 1], self.number / 1e6 + self.at / 1e9
            if pairs_per_second:
                trained = rung - (rungs[self.at - 2] if self.at > 1 else 0)
                time.sleep(trained / pairs_per_second + evaluation_seconds)
            told = {**template, "time": time.time(), "rung": rung, "pairs_seen": rung}
            told |= {"step": rung, "objective": score}
            return {evaluation: json.dumps(told), pairs_seen: rung, "score": score}

    return Idle
