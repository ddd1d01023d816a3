"""A whole small search, beside what people use today: time, overhead, memory, and what MLflow has.

The sides, in searches.py, take turns, each in a process and a folder of its own, with an MLflow
store whose tables are made beforehand. *Overhead* is what passes on a worker between the end of a
trial and the first step of the next; all that a side does within a trial counts as training.

    python benchmarks/search.py          # 2 cores: six minutes a repetition
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil  # type: ignore[import-untyped]
from mlflow import MlflowClient
from searches import EXPERIMENT, SIDES, TRIALS, WORKERS, Work
from workload import save
from writing import command_line, write

from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.study.file import load_study

HERE = Path(__file__).parent
NANO = HERE.parent / "search_spaces" / "nano.yaml"
PARAMS = {  # what each side calls the learning rate and the batch size
    "tuner": ("optim.lr", "batch.effective_size"),
    "trainer": ("learning_rate", "per_device_train_batch_size"),
    "ray-tune": ("lr", "size"),
    "optuna": ("lr", "size"),
}
METRICS = {
    "tuner": "train/pairs_seen", "trainer": "eval_accuracy", "ray-tune": "score", "optuna": "score"
}  # fmt: skip


def prepare(work: Work) -> None:
    """Nano's corpus and encoder, for those that are not us, and empty tables."""
    study = load_study(NANO)
    languages = [*study.languages.source, *study.languages.target]
    corpus = load_corpus(study.data, languages, study.languages.source)
    tokenizer = load_tokenizer(study.encoder)
    tokens = tokenise(corpus, tokenizer, study.encoder.max_length)
    save(tokens, work.folder / "tokens.npz")
    load_encoder(study.encoder).build().save_pretrained(work.encoder)
    MlflowClient(work.store).search_experiments()


def run(side: str) -> dict[str, Any]:
    """One search of one side, whole."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work = Work(folder)
        prepare(work)
        begun = time.time()
        with (work.folder / "log").open("w") as log:
            search = subprocess.Popen(
                [sys.executable, str(HERE / "searches.py"), side, folder], stdout=log, stderr=log
            )
            memory = 0.0
            while search.poll() is None:
                memory = max(memory, held(search.pid))
                time.sleep(0.5)
        seconds = time.time() - begun
        if search.returncode:
            sys.exit(f"{side} failed:\n{(work.folder / 'log').read_text()[-3000:]}")
        lines = (work.folder / "times.jsonl").read_text().splitlines()
        spans = spans_of([json.loads(line) for line in lines])
        gaps = gaps_of(spans)
        return {
            "seconds": round(seconds, 1),
            "trials_an_hour": round(3600 * TRIALS / seconds),
            "to_the_first_step": round(min(span[0] for span in spans.values()) - begun, 1),
            "overhead_a_trial": round(median(gaps), 3),
            "overheads": [round(gap, 2) for gap in gaps],
            "memory_mb": round(memory),
            "mlflow": tracked(side, work, spans),
        }


def held(pid: int) -> float:
    """MB that a process and all its children hold for themselves."""
    total = 0.0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_full_info().uss
            except psutil.Error:  # it has just ended
                continue
    except psutil.NoSuchProcess:
        return 0.0
    return total / 2**20


def spans_of(noted: list[dict[str, Any]]) -> dict[str, tuple[float, float, int]]:
    """Of each trial: its first step, its end, and how often it was evaluated.

    A side that kills a trial's process notes no end: it is the last evaluation then.
    """
    spans: dict[str, tuple[float, float, int]] = {}
    for note in noted:
        begun, ended, evaluations = spans.get(note["trial"], (note["time"], note["time"], 0))
        evaluations += note["what"] == "evaluated"
        spans[note["trial"]] = (min(begun, note["time"]), max(ended, note["time"]), evaluations)
    return spans


def gaps_of(spans: dict[str, tuple[float, float, int]]) -> list[float]:
    """Seconds from a trial's end to the first step of that which took its place."""
    ends = sorted(ended for _, ended, _ in spans.values())
    begins = sorted(begun for begun, _, _ in spans.values())[WORKERS:]
    return [begun - ended for ended, begun in zip(ends, begins, strict=False)]


def tracked(side: str, work: Work, spans: dict[str, tuple[float, float, int]]) -> dict[str, int]:
    """Runs in MLflow: those that there should be, those there are, and what is wrong with them."""
    client = MlflowClient(work.store)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    children = [
        run for run in runs if side != "tuner" or "mlflow.parentRunId" in run.data.tags
    ]  # ours has a run of the study above them
    points = [client.get_metric_history(run.info.run_id, METRICS[side]) for run in children]
    return {
        "trials": TRIALS,
        "runs": len(children),
        "left_running": sum(run.info.status == "RUNNING" for run in children),
        "without_parameters": sum(
            not {*PARAMS[side]} <= run.data.params.keys() for run in children
        ),
        "evaluations": sum(span[2] for span in spans.values()),
        "evaluations_there": sum(map(len, points)),
    }  # fmt: skip


def main() -> None:
    """All sides in turn, and write them down."""
    parser = command_line(__doc__, "search.json")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    asked = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in asked.sides}
    for _ in range(asked.repetitions):
        for side in asked.sides:
            runs[side].append(run(side))
            print(side, runs[side][-1], flush=True)
    measures = ("seconds", "trials_an_hour", "to_the_first_step", "overhead_a_trial", "memory_mb")
    found = {
        side: {**{name: median(one[name] for one in each) for name in measures}, "runs": each}
        for side, each in runs.items()
    }
    packages = ("ray", "torch", "transformers", "optuna", "optuna-integration", "mlflow")
    write(asked.out, {"trials": TRIALS, "workers": WORKERS, "found": found}, *packages)


if __name__ == "__main__":
    main()
