"""Pairs a second of one trial: this tool beside Hugging Face's Trainer and a plain loop.

Every run is a process of its own (see sides.py); sides alternate, one repetition after another, and
what is compared is the median of each side. On a CPU each side has one thread, as a trial has.

    python benchmarks/workload.py PAWSX-FOLDER MBERT-VOCAB-FOLDER tokens.npz    # once
    python benchmarks/throughput.py tokens.npz                                  # 2 cores: an hour
    python benchmarks/throughput.py tokens.npz --shape 4x256 --sizes 32 128     # a part of it

The second needs torch, transformers and accelerate, but not ray, mlflow, optuna or datasets. Prints
a table as it goes, and writes benchmarks/results/throughput.json (on a GPU throughput-gpu.json).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from writing import command_line, machine, moment

HERE = Path(__file__).parent
SIDES = ("ours", "trainer", "trainer-grouped", "plain")
SIZES = {"4x256": (16, 32, 128, 512), "mbert": (32,)}
PAIRS = {"4x256": 1024, "mbert": 192}
"""Of a run on a CPU, but at least `STEPS` steps; on a GPU `GPU_FACTOR` times as many."""
STEPS, GPU_FACTOR = 6, 100


def run(side: str, tokens: Path, shape: str, size: int, gpu: bool) -> dict[str, float]:
    """One process of one side."""
    pairs = max(PAIRS[shape] * (GPU_FACTOR if gpu else 1), STEPS * size)
    command = [
        sys.executable,
        HERE / "sides.py",
        side,
        tokens,
        shape,
        size,
        pairs // size * size,
        1,
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        list(map(str, command)), env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(tokens: Path, shape: str, size: int, repetitions: int, gpu: bool) -> dict[str, Any]:
    """All sides, alternating: their medians, and ours by each."""
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(repetitions):
        for side in SIDES:
            runs[side].append(run(side, tokens, shape, size, gpu))
    sides: dict[str, dict[str, Any]] = {
        side: {key: median(one[key] for one in found) for key in found[0]}
        | {"runs": [round(one["pairs_per_second"], 2) for one in found]}
        for side, found in runs.items()
    }
    ours = sides["ours"]
    for side, found in sides.items():
        found["ours_by_this"] = round(ours["pairs_per_second"] / found["pairs_per_second"], 3)
        found["memory_ours_by_this"] = round(ours["peak_memory_mb"] / found["peak_memory_mb"], 3)
        print(
            f"{shape:>6} B={size:<4} {side:<16} {found['pairs_per_second']:8.1f} pairs/s"
            f"  ours {found['ours_by_this']:.2f}x  {found['peak_memory_mb']:7.0f} MB"
            f"  ours {found['memory_ours_by_this']:.2f}x"
            f"  {found['tflops']:6.2f} TFLOP/s, {found['share_of_peak']:.0%} of a large product's",
            flush=True,
        )
    return {"shape": shape, "effective_batch_size": size, **moment(), "sides": sides}


def environment(gpu: bool) -> dict[str, Any]:
    """What the figures depend on."""
    device = torch.cuda.get_device_name() if gpu else "cpu"
    here = machine("torch", "transformers", "accelerate", "numpy")
    return {**here, "device": device, "threads": 1}


def main() -> None:
    """Compare and write down."""
    gpu = torch.cuda.is_available()
    parser = command_line(__doc__, "throughput-gpu.json" if gpu else "throughput.json")
    parser.add_argument("tokens", type=Path, help="what workload.py wrote")
    parser.add_argument("--shape", choices=SIZES, action="append", help="default: all")
    parser.add_argument("--sizes", type=int, nargs="+", help="effective batch sizes")
    parser.add_argument("--repetitions", type=int, default=3)
    chosen = parser.parse_args()
    found = [
        compare(chosen.tokens, shape, size, chosen.repetitions, gpu)
        for shape in chosen.shape or SIZES
        for size in chosen.sizes or SIZES[shape]
    ]
    out, here = chosen.out, environment(gpu)
    before = json.loads(out.read_text()) if out.exists() else {}
    if before.get("environment") == here:  # a part was run anew: the others stay
        anew = [(one["shape"], one["effective_batch_size"]) for one in found]
        found += [
            one
            for one in before["comparisons"]
            if (one["shape"], one["effective_batch_size"]) not in anew
        ]
    found.sort(key=lambda one: (one["shape"], one["effective_batch_size"]))
    out.write_text(json.dumps({"environment": here, "comparisons": found}, indent=2) + "\n")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
