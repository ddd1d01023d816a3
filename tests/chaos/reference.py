"""The scores of trials when nothing disturbs them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from rich.console import Console

from tests.chaos.study import PAIRS_A_STEP, SETTINGS, SMOKE
from tuner.journal.records import Evaluation
from tuner.run.prepare import prepare
from tuner.study import StudyConfig
from tuner.study.file import load_study
from tuner.study.trial import TrialConfig
from tuner.terminal.progress import ConsoleProgress
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train

Score = tuple[int, float, float]
"""Rung in pairs, objective, training loss."""


class Undisturbed:
    """Trains each configuration once, here and to the full budget, when it is first asked for."""

    def __init__(self) -> None:
        self._known: dict[str, list[Score]] = {}

    def wrong(self, events: list[dict[str, Any]]) -> list[str]:
        """Evaluations of a journal that differ, in any bit, from the undisturbed ones."""
        configs = {e["number"]: e["config"] for e in events if e["event"] == "trial_created"}
        found = []
        for event in events:
            if event["event"] == "evaluated":
                told = event["evaluation"]
                score = (told["rung"], told["objective"], told["train_loss"])
                if score not in self._scores(configs[event["number"]]):
                    found.append(f"trial {event['number']}: {score} is not what it should be")
        return found

    def _scores(self, values: dict[str, Any]) -> list[Score]:
        config = TrialConfig.model_validate(values)
        assert config.batch.effective_size == PAIRS_A_STEP
        key = config.model_dump_json()
        if key not in self._known:
            events = train(config, self._study.rungs, self._inputs, torch.device("cpu"))
            self._known[key] = [
                (event.rung, event.objective, event.train_loss)
                for event in events
                if isinstance(event, Evaluation)
            ]
        return self._known[key]

    @cached_property
    def _study(self) -> StudyConfig:
        return load_study(SMOKE, list(SETTINGS))

    @cached_property
    def _inputs(self) -> TrialInputs:
        torch.set_num_threads(1)  # as a worker: other sums of the same numbers differ in bits
        return prepare(self._study, ConsoleProgress(Console(quiet=True))).inputs
