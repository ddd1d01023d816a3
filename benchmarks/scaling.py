"""Whether twice the workers train twice the trials: 1 to 8, on a real Ray of this machine.

Trials sleep as long as nano's take to train and evaluate on one core, so that eight workers fit on
two cores; everything around them is a whole `tuner search`. Beside it Ray Tune alone with the same
actor. There are six trials a worker; time counts from the first trial's begin to the last one's
end, idle tail included, and efficiency is the share of it that workers slept.

    python benchmarks/scaling.py          # 2 cores: eight minutes
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ray
from actors import PAIRS_SEEN, SCORE, idle_actor, idle_trials
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from rich.console import Console
from writing import command_line, write

from tuner.run import engine, messages
from tuner.run.study import begin
from tuner.study.file import load_study

HERE = Path(__file__).parent
NANO = HERE.parent / "search_spaces" / "nano.yaml"
WORKERS = (1, 2, 4, 8)
TRIALS_A_WORKER = 6
PACE, EVALUATION = 1450.0, 0.55
"""Pairs a second, and seconds an evaluation, of nano's trials at B = 32 on one core."""


def slept(rungs: tuple[int, ...], reports: int) -> float:
    """Seconds that a trial of so many evaluations sleeps."""
    return rungs[reports - 1] / PACE + reports * EVALUATION if reports else 0.0


def ours(workers: int) -> dict[str, float]:
    """A study with everything on."""
    with tempfile.TemporaryDirectory() as storage:
        settings = {
            "name": "scaling",
            "storage": storage,
            "budget.trials": workers * TRIALS_A_WORKER,
            "resources.max_concurrent_trials": workers,
            "checkpoint.keep_best": 0,
        }
        study = load_study(NANO, [f"{name}={value}" for name, value in settings.items()])
        engine._trainable = lambda *inputs: tune.with_resources(
            idle_actor(study, PACE, EVALUATION), {"CPU": 1}
        )
        record = begin(study, Console(quiet=True))
    begun = min(trial.placed[0].placed for trial in record.trials)
    ended = max(trial.ended for trial in record.trials if trial.ended is not None)
    busy = sum(slept(study.rungs, len(trial.evaluations)) for trial in record.trials)
    return shares(workers, busy, ended - begun)


def ray_alone(workers: int) -> dict[str, float]:
    """Its own ASHA over as many trials, nothing logged."""
    study = load_study(NANO)
    at: dict[str, list[float]] = {"begun": [], "ended": []}
    reports: dict[str, int] = {}

    class Watching(tune.Callback):
        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            report = result[messages.REPORT]
            at["begun" if isinstance(report, messages.Started) else "ended"].append(time.time())
            evaluated = isinstance(report, messages.AtRung)
            reports[trial.trial_id] = reports.get(trial.trial_id, 0) + evaluated

    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as storage:
        tune.Tuner(
            tune.with_resources(idle_actor(study, PACE, EVALUATION), {"CPU": 1}),
            param_space=idle_trials(workers * TRIALS_A_WORKER),
            tune_config=tune.TuneConfig(
                metric=SCORE,
                mode="max",
                reuse_actors=True,
                scheduler=AsyncHyperBandScheduler(
                    time_attr=PAIRS_SEEN,
                    max_t=study.rungs[-1] + 1,
                    grace_period=study.rungs[0],
                    reduction_factor=study.scheduler.reduction_factor,
                ),
            ),
            run_config=tune.RunConfig(
                storage_path=storage,
                callbacks=[Watching()],
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    ray.shutdown()
    busy = sum(slept(study.rungs, number) for number in reports.values())
    return shares(workers, busy, max(at["ended"]) - min(at["begun"]))


def apart(side: Callable[[int], dict[str, float]], workers: int) -> dict[str, float]:
    """Measure a side in a process of its own, since Ray keeps the token of a process's cluster."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(side, workers).result()


def shares(workers: int, busy: float, seconds: float) -> dict[str, float]:
    """Of the workers' time: slept, and idle."""
    efficiency = busy / (workers * seconds)
    return {
        "seconds": round(seconds, 1),
        "efficiency": round(efficiency, 4),
        "idle_share": round(1 - efficiency, 4),
    }


def main() -> None:
    """All sizes, both sides, and write them down."""
    parser = command_line(__doc__, "scaling.json")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    asked = parser.parse_args()
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    found = []
    for workers in asked.workers:
        os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({"CPU": workers})
        alone = apart(ray_alone, workers)
        found.append({"workers": workers, "ours": apart(ours, workers), "ray_alone": alone})
        print(found[-1], flush=True)
    write(asked.out, {"found": found}, "ray", "optuna", "mlflow")


if __name__ == "__main__":
    main()
