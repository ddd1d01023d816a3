"""What a report costs in the driver: 1,000 trials of 10 evaluations that train nothing.

Ours is a whole `tuner search` with everything on: journal, TPE, ASHA, live view, MLflow in SQLite;
only the actor is another, which imports no torch and reports at once. Beside it Ray Tune alone,
with the same actor and its own ASHA, and with nothing logged.

    python benchmarks/control_plane.py          # 2 cores: five minutes
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from actors import SCORE, idle_actor, idle_trials
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from rich.console import Console
from writing import command_line, write

from tuner.journal.records import Evaluation
from tuner.run import engine, messages
from tuner.run.study import begin
from tuner.search.driver import Driver
from tuner.study.file import load_study

HERE = Path(__file__).parent
NANO = HERE.parent / "search_spaces" / "nano.yaml"
RUNGS = 10
WORKERS = 4
"""Actors that report: enough that the driver never waits for one."""


def ours(trials: int) -> dict[str, Any]:
    """A study; its cost after every tenth of it."""
    marks: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as storage:
        settings = {
            "name": "control-plane", "storage": storage, "budget.trials": trials,
            "budget.pairs_per_trial": 2 ** (RUNGS - 1), "scheduler.min_pairs": 1,
            "scheduler.reduction_factor": 2, "resources.max_concurrent_trials": WORKERS,
            "checkpoint.keep_best": 0,
        }  # fmt: skip
        study = load_study(NANO, [f"{name}={value}" for name, value in settings.items()])
        assert len(study.rungs) == RUNGS
        evaluated, next_trial = Driver.evaluated, Driver.next_trial
        reports, tenth, proposals = 0, trials * RUNGS // 10, 0.0

        def timed(self: Driver) -> Any:
            nonlocal proposals
            begun = time.thread_time()
            proposal = next_trial(self)
            proposals += time.thread_time() - begun
            return proposal

        def counted(self: Driver, number: int, evaluation: Evaluation) -> bool:
            nonlocal reports
            goes_on = evaluated(self, number, evaluation)
            reports += 1
            if reports % tenth == 0:
                spent = {"proposals_seconds": proposals, "journal_mb": size(study.folder)}
                marks.append({"reports": reports, **cost(), **spent})
            return goes_on

        Driver.evaluated = counted  # type: ignore[method-assign]
        Driver.next_trial = timed  # type: ignore[method-assign]
        engine._trainable = lambda *inputs: tune.with_resources(idle_actor(study), {"CPU": 1})
        record = begin(study, Console(file=io.StringIO(), width=80))
        states = [trial.state for trial in record.trials]
        # Scores rise with the number; a few that overtake one another at the start are stopped.
        stopped = len(states) - states.count("completed")
        assert len(states) == trials and stopped <= max(WORKERS, trials // 100)
    return {"marks": marks, **between(marks)}


def ray_alone(trials: int) -> dict[str, Any]:
    """The same reports, to nobody."""
    marks: list[dict[str, float]] = []
    study = load_study(NANO, [f"budget.pairs_per_trial={2 ** (RUNGS - 1)}", "scheduler.min_pairs=1",
                              "scheduler.reduction_factor=2"])  # fmt: skip
    reports, tenth = 0, trials * RUNGS // 10

    class Counting(tune.Callback):
        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            nonlocal reports
            if isinstance(result[messages.REPORT], messages.AtRung):
                reports += 1
                if reports % tenth == 0:
                    marks.append({"reports": reports, **cost()})

    ray.init(
        num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    with tempfile.TemporaryDirectory() as storage:
        tune.Tuner(
            tune.with_resources(idle_actor(study), {"CPU": 1}),
            param_space=idle_trials(trials),
            tune_config=tune.TuneConfig(
                metric=SCORE, mode="max", reuse_actors=True, max_concurrent_trials=WORKERS,
                scheduler=AsyncHyperBandScheduler(max_t=1000, grace_period=1, reduction_factor=2),
            ),
            run_config=tune.RunConfig(
                storage_path=storage, callbacks=[Counting()], verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()  # fmt: skip
    ray.shutdown()
    return {"marks": marks, **between(marks)}


def cost() -> dict[str, float]:
    """Of this process so far, all its threads; and of the calling one, which drives the study."""
    status = Path("/proc/self/status").read_text()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.perf_counter(),
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "driver_seconds": time.thread_time(),
        "memory_mb": int(status.split("VmRSS:")[1].split()[0]) / 2**10,
    }


def size(folder: Any) -> float:
    """Of what a study has written, in MB."""
    return float(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20)


def between(marks: list[dict[str, float]]) -> dict[str, float]:
    """A report's cost from the first mark to the last, and how costs have grown."""
    first, last = marks[0], marks[-1]
    reports = last["reports"] - first["reports"]

    def share(key: str, begin: dict[str, float], end: dict[str, float]) -> float:
        return 1000 * (end[key] - begin[key]) / (end["reports"] - begin["reports"])

    proposals = {}
    if "proposals_seconds" in last:
        proposals = {"of_it_proposals": round(share("proposals_seconds", first, last), 2)}
    return {
        "reports": reports,
        "ms_a_report": round(share("seconds", first, last), 2),
        "cpu_ms_a_report": round(share("cpu_seconds", first, last), 2),
        "driver_cpu_ms_a_report": round(share("driver_seconds", first, last), 2),
        **proposals,
        "driver_cpu_ms_in_the_first_tenth": round(share("driver_seconds", *marks[:2]), 2),
        "driver_cpu_ms_in_the_last_tenth": round(share("driver_seconds", *marks[-2:]), 2),
        "ms_a_report_in_the_first_tenth": round(share("seconds", *marks[:2]), 2),
        "ms_a_report_in_the_last_tenth": round(share("seconds", *marks[-2:]), 2),
        "memory_mb_at_a_tenth": round(first["memory_mb"], 1),
        "memory_mb_at_the_end": round(last["memory_mb"], 1),
    }


def main() -> None:
    """Both sides, and write them down."""
    parser = command_line(__doc__, "control_plane.json")
    parser.add_argument("--trials", type=int, default=1000)
    asked = parser.parse_args()
    trials = asked.trials
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    found = {"trials": trials, "evaluations": RUNGS, "workers": WORKERS}
    os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({"CPU": WORKERS})
    found["ray_alone"] = ray_alone(trials)
    found["ours"] = ours(trials)
    for side in ("ray_alone", "ours"):
        print(side, {key: value for key, value in found[side].items() if key != "marks"})
    write(asked.out, found, "ray", "optuna", "mlflow")


if __name__ == "__main__":
    main()
