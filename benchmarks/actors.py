"""Actors that train nothing: they say at once, or after as long a sleep, what a trial would."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray import tune
from ray.tune.result import DONE

from tuner.journal.records import Evaluation
from tuner.run import messages
from tuner.study import StudyConfig
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

PAIRS_SEEN, SCORE = "pairs_seen", "score"
"""The keys of a result that Ray's own ASHA reads; our driver reads the report alone."""


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
    )  # fmt: skip

    class Idle(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.number, self.at = messages.start_in(new_config).number, -1
            return True

        def step(self) -> dict[str, Any]:
            self.at += 1
            if self.at == 0:
                node = ray.get_runtime_context().get_node_id()
                return self._result(messages.Started(0, (node,)), 0)
            if self.at > len(rungs):
                return {**self._result(messages.Finished(), rungs[-1]), DONE: True}
            rung, score = rungs[self.at - 1], self.number / 1e6 + self.at / 1e9
            if pairs_per_second:
                trained = rung - (rungs[self.at - 2] if self.at > 1 else 0)
                time.sleep(trained / pairs_per_second + evaluation_seconds)
            changes = {"time": time.time(), "rung": rung, "pairs_seen": rung, "step": rung}
            evaluation = template.model_copy(update={**changes, "objective": score})
            return self._result(messages.AtRung(evaluation), rung, score)

        def keep(self) -> messages.Kept:
            """Answer that there is nothing to save, when the study is being stopped."""
            return messages.Kept(rungs[self.at - 1] if self.at > 0 else 0, "")

        def _result(
            self, report: messages.Report, pairs_seen: int, score: float = 0.0
        ) -> dict[str, Any]:
            """Return a report for our driver, beside what Ray's own ASHA reads."""
            return {messages.REPORT: report, PAIRS_SEEN: pairs_seen, SCORE: score}

    return Idle


def idle_trials(number: int) -> dict[str, Any]:
    """Return the search space of so many trials for Ray Tune alone: the message that starts each.

    Our engine sends the same message.
    """
    config = TrialConfig()
    starts = [messages.TrialStart(each, config, config.batch.micro_size) for each in range(number)]
    return {messages.START: tune.grid_search(starts)}
