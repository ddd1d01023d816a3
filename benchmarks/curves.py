"""Learning curves of nano, none of them stopped: a table on which searches are simulated.

Every β × B × fusion × learning rate of a grid over nano's space is trained to its full budget with
the same seeds, and evaluated at seven levels of it on every set that some permitted criterion could
read. At the end it is evaluated on the targets, too. `schedulers.py` searches in the table, and
nothing is trained there.

    OMP_NUM_THREADS=1 python benchmarks/curves.py    # about 15 s a run on a core: 40 minutes on two

What is done is kept in `studies/curves`: started again, it goes on. The targets are there to say
what a choice would have been worth. Nothing in this tool may be chosen by them.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pool import Kept, Silent, returned
from writing import RESULTS, command_line, machine, moment

from tuner.journal.records import Evaluation
from tuner.run.prepare import Prepared, prepare
from tuner.study import StudyConfig
from tuner.study.criteria import Criterion, EvaluationSet, Part
from tuner.study.file import load_study
from tuner.study.space import compose
from tuner.study.trial import TrialConfig
from tuner.training.evaluation import Predictions, predict
from tuner.training.forward import Forward
from tuner.training.loop import EVALUATION_MICRO_BATCHES, train

ROOT = RESULTS.parent.parent
BETAS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIZES = (8, 16, 32, 64, 128)
RATES = (1e-4, 2.7e-4, 7.4e-4, 2e-3)
LAYERS = (1, 3)
FUSIONS: tuple[dict[str, Any], ...] = (
    {"fusion.kind": "last"},
    *({"fusion.kind": "dlfa", "fusion.layer": layer} for layer in LAYERS),
)
SPACE = {
    "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.25},
    "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 128},
    "optim.lr": {"type": "float", "low": RATES[0], "high": RATES[-1], "log": True},
    "fusion.kind": ["last", "dlfa"],
    "fusion.layer": {
        "type": "int",
        "low": 1,
        "high": 3,
        "step": 2,
        "when": {"fusion.kind": ["dlfa"]},
    },
}
"""What is searched in the table; the grid has each of its values, and four learning rates."""
SEEDS = range(1)
LEVELS = (1, 2, 3, 6, 9, 18, 27)
"""Where a run is evaluated, in 27ths of its budget: thirds of thirds, and a value between them."""


def grid() -> list[dict[str, Any]]:
    """The configurations, all with the same seeds."""
    return [
        {"mix.cross_lingual": beta, "batch.effective_size": size, "optim.lr": lr, **fusion}
        for beta, size, lr, fusion in itertools.product(BETAS, SIZES, RATES, FUSIONS)
    ]


def levels(full: int) -> list[int]:
    """The budgets at which a run is evaluated, in pairs."""
    return [full * level // LEVELS[-1] for level in LEVELS]


def run(study: StudyConfig, prepared: Prepared, config: TrialConfig) -> dict[str, Any]:
    """Train one; score it at every level on permitted sets, and at the end on the targets."""
    inputs, cpu, kept = prepared.inputs, torch.device("cpu"), Kept()
    sources = inputs.protocol.train
    permitted = tuple(EvaluationSet(a, b) for a in sources for b in sources)
    targets = [EvaluationSet(each, each) for each in inputs.protocol.targets]
    # Its own evaluations are not needed: the smallest that there can be.
    first = permitted[:1]
    mean = Criterion("mean", (Part("mean", first),))
    one = replace(
        inputs.protocol, criteria={"mean": mean}, objective=mean, at_rungs=first, select=first,
        oracle=(),
    )  # fmt: skip
    inputs = replace(inputs, protocol=one)
    tokens = EVALUATION_MICRO_BATCHES * config.batch.micro_size * inputs.corpus.max_length
    seconds: list[float] = []
    scores: dict[str, list[float]] = {}

    def predicted(sets: Sequence[EvaluationSet]) -> list[Predictions]:
        assert kept.model is not None
        return returned(predict(Forward(kept.model, cpu), inputs.corpus, "dev", sets, tokens))

    for event in train(config, levels(study.budget.pairs_per_trial), inputs, cpu, kept):
        if not isinstance(event, Evaluation):
            continue
        seconds.append(round(event.train_seconds, 3))
        found = predicted(permitted)
        named = {each.name: p.right.mean() for each, p in zip(permitted, found, strict=True)}
        for name, value in {**named, "joint": joint(found)}.items():
            scores.setdefault(name, []).append(round(float(value), 5))
    on_targets = zip(targets, predicted(targets), strict=True)
    return {
        "seconds": seconds,
        "scores": scores,
        "target": {each.name: round(float(p.right.mean()), 5) for each, p in on_targets},
    }


def joint(permitted: Sequence[Predictions]) -> float:
    """The share of a class's ids that are right in every set; of the class where it is least."""
    assert all(np.array_equal(each.rows, permitted[0].rows) for each in permitted)
    right, labels = np.all([each.right for each in permitted], axis=0), permitted[0].labels
    return min(float(right[labels == label].mean()) for label in np.unique(labels))


_study: StudyConfig
_prepared: Prepared


def _start(study: StudyConfig) -> None:
    """In every process, once."""
    global _study, _prepared
    torch.set_num_threads(1)
    _study, _prepared = study, prepare(study, Silent())


def _work(task: tuple[Path, TrialConfig]) -> None:
    path, config = task
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(run(_study, _prepared, config)), encoding="utf-8")
    partial.replace(path)


def main() -> None:
    """Train what is missing, then write the table."""
    parser = command_line(__doc__, "curves.json.gz")
    parser.add_argument("--keep", type=Path, default=ROOT / "studies" / "curves", help="runs done")
    parser.add_argument("--processes", type=int, default=2, help="one thread each")
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    study = load_study(
        ROOT / "search_spaces" / "nano.yaml",
        ["scheduler.kind=none", "protocol.record_oracle=false"],  # all sets are scored here
    )
    prepared = prepare(study, Silent())
    made_from = [prepared.facts.data.checksum, prepared.inputs.encoder.checksum]
    tasks = []
    for seed, params in itertools.product(SEEDS, grid()):
        config = compose({**study.trial, "seed": seed}, params, "the table's run")
        parts = json.dumps([made_from, config.flat(), LEVELS], sort_keys=True)
        name = hashlib.sha256(parts.encode()).hexdigest()[:24]
        tasks.append((asked.keep / f"{name}.json", config))
    waiting = [task for task in tasks if not task[0].exists()]
    print(f"{len(tasks)} runs, {len(tasks) - len(waiting)} of them done", flush=True)
    started = time.perf_counter()
    spawning = multiprocessing.get_context("spawn")
    with spawning.Pool(asked.processes, _start, (study,)) as processes:
        for done, _ in enumerate(processes.imap_unordered(_work, waiting), 1):
            if done % 20 == 0:
                minutes = (time.perf_counter() - started) / 60
                print(f"{done}/{len(waiting)}; {minutes:.1f} min", flush=True)
    write_table(asked.out, study, prepared, [path for path, _ in tasks])


def write_table(out: Path, study: StudyConfig, prepared: Prepared, paths: Sequence[Path]) -> None:
    """Put the runs together, seeds outermost in `paths`, in the format of `curve_table.py`."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    table = {
        "about": {
            "what": "nano's space on a grid, every run trained to its end",
            "fixed": study.trial,
            "data": prepared.facts.data.model_dump(mode="json"),
            "encoder": prepared.facts.encoder.model_dump(mode="json"),
            **machine("torch", "transformers", "numpy"),
            **moment(),
        },
        "space": SPACE,
        "levels": levels(study.budget.pairs_per_trial),
        "objective": list(prepared.inputs.protocol.train),
        "warmup": study.trial["optim.warmup_ratio"],
        "min_pairs": study.scheduler.min_pairs,
        "runs": [
            {"params": params, "seed": seed, **found}
            for (seed, params), found in zip(itertools.product(SEEDS, grid()), runs, strict=True)
        ],
    }
    text = json.dumps(table, separators=(",", ":"))
    out.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"written to {out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
