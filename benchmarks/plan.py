"""How near `tuner plan` comes: the time it predicts for nano against what the study then took.

Two predictions: one from a calibration, before any study; one from the first study's record, for a
second study with another seed of the sampler. Wall time inside the study, as `tuner plan` says it.

    python benchmarks/plan.py          # 2 cores: five minutes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from writing import command_line, write

NANO = Path(__file__).parents[1] / "search_spaces" / "nano.yaml"


def tuner(storage: str, command: str, *options: str) -> Any:
    """What a command prints with --json."""
    arguments = [sys.executable, "-m", "tuner", command, str(NANO), "--json", *options]
    said = subprocess.run(
        [*arguments, "--set", f"storage={storage}"], stdout=subprocess.PIPE, check=True
    )
    return json.loads(said.stdout)


def compare(storage: str, name: str, *options: str, seed: int) -> dict[str, Any]:
    """Plan a study, run it, and set both times side by side."""
    predicted = tuner(storage, "plan", *options)["time"]
    study = tuner(storage, "search", "--set", f"name={name}", "--set", f"sampler.seed={seed}")
    return {
        "speeds": predicted["source"],
        "predicted_seconds": round(predicted["seconds"], 1),
        "range_seconds": [round(predicted[key], 1) for key in ("low_seconds", "high_seconds")],
        "took_seconds": round(study["seconds"], 1),
        "predicted_by_took": round(predicted["seconds"] / study["seconds"], 3),
        "trials": len(study["trials"]),
    }


def main() -> None:
    """Compare and write down."""
    asked = command_line(__doc__, "plan.json").parse_args()
    with tempfile.TemporaryDirectory() as storage:
        found = [
            compare(storage, "calibrated", "--calibrate", seed=0),
            compare(storage, "recorded", seed=1),
            compare(storage, "recorded-twice", seed=2),
        ]
    write(asked.out, {"comparisons": found}, "ray", "torch", "transformers", "optuna", "mlflow")


if __name__ == "__main__":
    main()
