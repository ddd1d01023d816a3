"""How long one waits: for help, for a plan, and from `tuner search` to nano's first training step.

Beside each, in turn, what of it is not ours: importing torch and transformers, and a Ray on this
machine with one actor that imports them.

    python benchmarks/startup.py          # 2 cores: three minutes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil  # type: ignore[import-untyped]
from writing import command_line, write

HERE = Path(__file__).parent
NANO = HERE.parent / "search_spaces" / "nano.yaml"
GOALS = {"tuner --help": 0.5, "tuner plan": 3.0, "tuner search, to the first step": 15.0}
LIBRARIES = "import torch\nfrom transformers import AutoModel, AutoTokenizer"
RAY = f"""
import ray
ray.init(address="local", include_dashboard=False, log_to_driver=False)
@ray.remote
def load():
    {"; ".join(LIBRARIES.splitlines())}
ray.get(load.remote())
"""
TUNER = [sys.executable, "-m", "tuner"]


def whole(command: list[str]) -> float:
    """Seconds of a command, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def to_the_first_step() -> float:
    """Seconds from `tuner search` to where a worker has the first trial and begins to train it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as storage:
        begun = time.time()
        search = subprocess.Popen(
            [*TUNER, "search", str(NANO), "--set", f"storage={storage}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        journal = Path(storage) / "nano" / "journal.jsonl"
        try:
            while True:
                assert search.poll() is None
                lines = journal.read_text().splitlines() if journal.exists() else []
                events = [json.loads(line) for line in lines if line.endswith("}")]
                for event in events:
                    if event.get("event") == "trial_placed":
                        return float(event["time"]) - begun
                time.sleep(0.1)
        finally:
            everyone = psutil.Process(search.pid).children(recursive=True)
            for process in (search, *everyone):  # what is left would slow the next one down
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            search.wait()
            psutil.wait_procs(everyone, timeout=10)


def main() -> None:
    """Measure and write down."""
    parser = command_line(__doc__, "startup.json")
    parser.add_argument("--repetitions", type=int, default=5)
    asked = parser.parse_args()
    python = [sys.executable, "-c"]
    measured: dict[str, Callable[[], float]] = {
        "tuner --help": lambda: whole([*TUNER, "--help"]),
        "python, and nothing else": lambda: whole([*python, ""]),
        "tuner plan": lambda: whole([*TUNER, "plan", str(NANO)]),
        "importing torch and transformers": lambda: whole([*python, LIBRARIES]),
        "tuner search, to the first step": to_the_first_step,
        "Ray, and an actor that imports them": lambda: whole([*python, RAY]),
    }
    for measure in measured.values():
        measure()  # once to have the files in memory
    runs: dict[str, list[float]] = defaultdict(list)
    for _ in range(asked.repetitions):
        for name, measure in measured.items():
            runs[name].append(measure())
    found: dict[str, Any] = {}
    for name, seconds in runs.items():
        found[name] = {"seconds": round(median(seconds), 2), "goal": GOALS.get(name)}
        found[name]["runs"] = [round(each, 2) for each in seconds]
        goal = f"  (goal {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name:<38}{median(seconds):6.2f} s{goal}")
    write(asked.out, {"found": found}, "ray", "torch", "transformers")


if __name__ == "__main__":
    main()
