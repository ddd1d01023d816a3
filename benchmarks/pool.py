"""A pool of real nano runs that the statistics are calibrated on: 18 configurations x 50 seeds.

Every β × B × k of a small grid is trained with the same seeds, and what each run got right is kept,
item by item, on dev and on test in all seven languages. Calibration draws its studies from it: the
pool's own means are the truth then, the noise is that of real training. Test belongs to `confirm`
elsewhere; here it is one more set of items to calibrate on, and nothing is chosen by it, neither a
setting nor a default of this tool.

    OMP_NUM_THREADS=1 python benchmarks/pool.py     # about 2 s a run on two idle cores: 30 minutes

Fifty seeds, since few are no population: a study that draws five of ten draws the same ones again,
and then even exact methods err (`exact_t` in resampled.py). What is done is kept in `studies/pool`:
started again, it goes on.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch.optim import Optimizer
from writing import RESULTS, command_line, machine, moment

from tuner.data.corpus import Corpus
from tuner.data.sources import load_corpus
from tuner.model.classifier import PairClassifier
from tuner.progress import Advance
from tuner.run.prepare import Prepared, prepare
from tuner.study import StudyConfig
from tuner.study.criteria import EvaluationSet
from tuner.study.data import Split
from tuner.study.file import load_study
from tuner.study.space import compose
from tuner.study.trial import TrialConfig
from tuner.training.checkpoint import Checkpoint, Checkpoints, TrialProgress
from tuner.training.evaluation import Evaluating, Predictions, predict
from tuner.training.forward import Forward
from tuner.training.loop import EVALUATION_MICRO_BATCHES, train

ROOT = RESULTS.parent.parent
POOL = RESULTS / "pool.npz"
SPLITS: tuple[Split, ...] = ("dev", "test")
BETAS = (0.0, 0.5, 1.0)
SIZES = (8, 32, 128)
FUSIONS: tuple[dict[str, Any], ...] = (
    {"fusion.kind": "last"},
    {"fusion.kind": "dlfa", "fusion.layer": 2},
)
SEEDS = range(50)
SETTINGS = (
    "budget.pairs_per_trial=4800",
    "scheduler.min_pairs=4800",
    "protocol.record_oracle=false",
)
"""One rung; in training only source dev is evaluated, what is kept is predicted after it."""
FIXED = {"optim.lr_scaling": "sqrt"}


@dataclass(frozen=True)
class Pool:
    """What the runs got right.

    Attributes:
        configurations: their settings that differ, by dotted name.
        languages: codes, the sources first.
        sources: how many of them are trained on.
        right: by split: whether each item was classified correctly.
        components: by split: the number of each item's component, from 0. Items that share a
            sentence in any language are in one; languages have the same items in the same order.
    """

    configurations: list[dict[str, Any]]
    languages: list[str]
    sources: int
    right: dict[Split, Bool[np.ndarray, "configurations seeds languages items"]]
    components: dict[Split, Int[np.ndarray, " items"]]


def read(path: Path = POOL) -> Pool:
    """The pool as it was written."""
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(str(arrays["about"]))
        components = {split: arrays[f"components_{split}"].astype(int) for split in SPLITS}
        right = {
            split: np.unpackbits(
                arrays[f"right_{split}"], axis=-1, count=len(components[split])
            ).astype(bool)
            for split in SPLITS
        }
    return Pool(about["configurations"], about["languages"], about["sources"], right, components)


def grid() -> list[dict[str, Any]]:
    """The configurations, all with the same seeds."""
    return [
        {"mix.cross_lingual": beta, "batch.effective_size": size, **fusion}
        for beta, size, fusion in itertools.product(BETAS, SIZES, FUSIONS)
    ]


class Kept(Checkpoints):
    """Holds on to the model of a run where others write it down."""

    def __init__(self) -> None:
        super().__init__(Path(), math.inf)
        self.model: PairClassifier | None = None

    def save(self, model: Any, optimizer: Optimizer, progress: TrialProgress) -> None:
        """Keep it: the run ends with this."""
        self.model = model

    def latest(self, fingerprint: str) -> Checkpoint | None:
        """Nothing to go on from."""
        return None


class Silent:
    """Progress that nobody reads."""

    def tell(self, line: str) -> None:
        """Say nothing."""

    def task(self, name: str, unit: str = "") -> AbstractContextManager[Advance]:
        """Show nothing."""
        return nullcontext(lambda done, total: None)


def run(study: StudyConfig, prepared: Prepared, config: TrialConfig) -> dict[str, np.ndarray]:
    """Train one and classify every item of both splits in all languages; packed bits by split."""
    cpu, kept = torch.device("cpu"), Kept()
    for _ in train(config, study.rungs, prepared.inputs, cpu, kept):
        pass
    assert kept.model is not None
    forward = Forward(kept.model, cpu)
    bits: dict[str, np.ndarray] = {}
    for split, corpus in zip(SPLITS, (prepared.inputs.corpus, prepared.test), strict=True):
        sets = [EvaluationSet(language, language) for language in corpus.languages]
        tokens = EVALUATION_MICRO_BATCHES * config.batch.micro_size * corpus.max_length
        found = returned(predict(forward, corpus, split, sets, tokens))
        ids = len(corpus.splits[split].labels)
        assert all(np.array_equal(each.rows, np.arange(ids)) for each in found)
        right = np.stack([each.predicted == each.labels for each in found])
        bits[split] = np.packbits(right, axis=-1)
    return bits


def returned(events: Any) -> list[Predictions]:
    """What `predict` ends with."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            predictions: list[Predictions] = end.value
            return predictions
        assert isinstance(event, Evaluating)


def components(corpus: Corpus, split: Split) -> Int[np.ndarray, " items"]:
    """Number the connected components of items that share a sentence in any language.

    Items are in the order of a tokenised corpus: ids by length, then by the alphabet.
    """
    ids = sorted(corpus.rows[split][corpus.languages[0]], key=lambda id_: (len(id_), id_))
    parent = list(range(len(ids)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for rows in corpus.rows[split].values():
        first: dict[str, int] = {}
        for item, id_ in enumerate(ids):
            for sentence in (rows[id_].sentence1, rows[id_].sentence2):
                parent[root(item)] = root(first.setdefault(sentence, item))
    return np.unique([root(item) for item in range(len(ids))], return_inverse=True)[1]


_study: StudyConfig
_prepared: Prepared


def _start(study: StudyConfig) -> None:
    """In every process, once."""
    global _study, _prepared
    torch.set_num_threads(1)
    _study, _prepared = study, prepare(study, Silent())


def _work(task: tuple[Path, TrialConfig]) -> tuple[Path, float]:
    path, config = task
    started = time.perf_counter()
    bits = run(_study, _prepared, config)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **bits)  # type: ignore[arg-type]
    partial.replace(path)
    return path, time.perf_counter() - started


def main() -> None:
    """Train what is missing, then write the pool."""
    parser = command_line(__doc__, POOL.name)
    parser.add_argument("--keep", type=Path, default=ROOT / "studies" / "pool", help="runs done")
    parser.add_argument("--processes", type=int, default=2, help="one thread each")
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    study = load_study(ROOT / "search_spaces" / "nano.yaml", list(SETTINGS))
    prepared = prepare(study, Silent())
    made_from = [prepared.facts.data.checksum, prepared.inputs.encoder.checksum]
    tasks = []
    for seed, settings in itertools.product(SEEDS, grid()):
        config = compose({**study.trial, **FIXED, "seed": seed}, settings, "the pool's run")
        parts = json.dumps([made_from, config.flat(), study.rungs], sort_keys=True)
        name = hashlib.sha256(parts.encode()).hexdigest()[:24]
        tasks.append((asked.keep / f"{name}.npz", config))
    waiting = [task for task in tasks if not task[0].exists()]
    print(f"{len(tasks)} runs, {len(tasks) - len(waiting)} of them done", flush=True)
    started = time.perf_counter()
    spawning = multiprocessing.get_context("spawn")
    with spawning.Pool(asked.processes, _start, (study,)) as processes:
        for number, (path, seconds) in enumerate(processes.imap_unordered(_work, waiting), 1):
            minutes = (time.perf_counter() - started) / 60
            print(
                f"{number}/{len(waiting)} {path.name} {seconds:.1f} s; {minutes:.1f} min",
                flush=True,
            )
    write_pool(asked.out, study, prepared, [path for path, _ in tasks])


def write_pool(out: Path, study: StudyConfig, prepared: Prepared, paths: Sequence[Path]) -> None:
    """Put the runs together, seeds outermost in `paths`, and say what they are."""
    inputs = prepared.inputs
    corpus = load_corpus(study.data, inputs.corpus.languages, inputs.protocol.train)
    arrays = {}
    for split in SPLITS:
        runs = np.stack(list(_bits(paths, split)))
        by_seed = runs.reshape(-1, len(grid()), *runs.shape[1:])
        arrays[f"right_{split}"] = by_seed.swapaxes(0, 1)
        arrays[f"components_{split}"] = components(corpus, split).astype(np.int32)
    about = {
        "what": "right_SPLIT: packed bits [configurations, seeds, languages, items]",
        "configurations": grid(),
        "seeds": list(SEEDS[: len(paths) // len(grid())]),
        "languages": list(inputs.corpus.languages),
        "sources": len(inputs.protocol.train),
        "fixed": {**study.trial, **FIXED},
        "pairs": study.rungs[-1],
        "data": prepared.facts.data.model_dump(mode="json"),
        "encoder": prepared.facts.encoder.model_dump(mode="json"),
        "environment": {**machine("torch", "transformers", "numpy"), **moment()},
    }
    np.savez_compressed(out, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    print(f"written to {out}: {out.stat().st_size / 1e6:.2f} MB")


def _bits(paths: Sequence[Path], split: str) -> Iterator[np.ndarray]:
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays[split]


if __name__ == "__main__":
    main()
