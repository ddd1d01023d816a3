"""What a study costs as it grows: journals of 100 to 50,000 trials, without any training.

    python benchmarks/large.py
    python benchmarks/large.py --trials 100 1000     # the small ones

A study of nano's space is written as its driver would have written it. Then it is measured:

- replay: reading the journal, as `tuner resume` and `tuner report` do, in this process.
- proposal: the next trial of a driver that goes on with it, TPE with its journalled fact.
- report: a report at a rung to that driver, with its decision.
- memory: what this process holds more after the driver has been built.
- status, list: the commands, as a user would wait for them; `list` of 20 such studies.
  The first `status` of a journal reads it all, and the next ones what is new.
- report command: with all its sections, and the size of its page.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from writing import command_line, write

from tuner.blocks import HTML
from tuner.journal.events import (
    DriverStarted,
    Evaluated,
    Event,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialPlaced,
    TrialStarted,
)
from tuner.journal.file import FILE
from tuner.journal.format import encode
from tuner.journal.journal import Journal, read_history
from tuner.journal.records import Evaluation
from tuner.run.prepare import prepare
from tuner.search.asha import Asha
from tuner.search.driver import Driver
from tuner.search.observations import Observations
from tuner.search.sampler import sampler_of
from tuner.search.supply import RULES
from tuner.study import StudyConfig
from tuner.study.file import load_study
from tuner.study.scores import Scores
from tuner.terminal.progress import ConsoleProgress

NANO = Path(__file__).parent.parent / "search_spaces" / "nano.yaml"
TRIALS = (100, 1_000, 10_000, 50_000)
LISTED, MOST_LISTED = 20, 10_000
"""Studies that `list` shows, and the most trials of each."""
MEASURED = 40
"""Proposals and reports that are timed."""
BEGAN = 1.7e9


def study_of(storage: Path, trials: int) -> StudyConfig:
    """Return the settings of a study with so many trials, and with a few more to come."""
    changes = {"name": "large", "storage": storage, "budget.trials": trials + 2 * MEASURED}
    return load_study(NANO, [f"{name}={value}" for name, value in changes.items()])


def facts_of(storage: Path) -> Any:
    """Return the facts about nano's data and encoder."""
    console = Console(file=sys.stderr, quiet=True)
    return prepare(study_of(storage, 100), ConsoleProgress(console)).facts


def events(study: StudyConfig, trials: int, facts: Any) -> Iterator[Event]:
    """Return what a driver would have journalled; one trial runs after another."""
    now = BEGAN
    yield StudyCreated(
        time=now, name=study.name, id="large", settings=study.model_dump(mode="json"),
        facts=facts, rungs=study.rungs, rules=RULES,
    )  # fmt: skip
    yield DriverStarted(time=now)
    chance = random.Random(0)
    asha = Asha(study.rungs, study.scheduler.reduction_factor)
    draw = sampler_of(study.feasible, study.sampler.model_copy(update={"kind": "random"}))
    for number in range(trials):
        params = draw.next_point(number, Observations(), lambda point: True)
        assert params is not None
        config = study.space.trial_config(study.trial, params)
        budget = study.rungs[-1]
        yield TrialCreated(
            time=now, number=number, origin="sampler", params=params, config=config, budget=budget
        )
        yield TrialStarted(time=now, number=number, cpus=1.0)
        yield TrialPlaced(time=now, number=number, nodes=("a",))
        quality = chance.random()
        for rung in study.rungs:
            now += 1.0
            score = 0.5 + 0.4 * quality * rung / budget + 0.02 * chance.random()
            yield Evaluated(time=now, number=number, evaluation=evaluation(study, rung, score, now))
            asha.arrived(number, rung, score)
            if asha.decision(number) == "stop":
                state, reason = ("completed", "full budget") if rung == budget else ("pruned", "")
                yield TrialEnded(time=now, number=number, state=state, reason=reason)
                break


def evaluation(study: StudyConfig, rung: int, score: float, now: float) -> Evaluation:
    """Return an evaluation as nano's trials have it."""
    sources = study.languages.source
    names = [*sources, *(f"{a}-{b}" for a in sources for b in sources if a != b), "sources"]
    scores = Scores(accuracy=score, f1=score, pairs=250)
    return Evaluation(
        time=now, rung=rung, pairs_seen=rung, step=rung // 8, objective=score,
        select=dict.fromkeys(names, scores), train_loss=0.5, pairs_per_second=100.0,
        train_seconds=1.0, evaluation_seconds=0.1, peak_memory_mb=10.0, micro_plan=((0, 8),),
        workers=1, precision="fp32",
    )  # fmt: skip


def measured(trials: int, facts: Any) -> dict[str, Any]:
    """Make a study, and measure everything."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as storage:
        study = study_of(Path(storage), trials)
        assert isinstance(study.folder, Path)
        created, *others = events(study, trials, facts)
        journal = b"".join(encode(number, event) for number, event in enumerate(others, 1))
        lay(study.folder, created, journal)
        found["journal_mb"] = round(len(journal) / 2**20, 1)
        found |= commands(study.folder)
        if trials <= MOST_LISTED:
            found |= listing(created, journal)
        found["replay_s"] = round(timed(lambda: read_history(study.folder)), 2)
        found |= driving(study, trials)
    return found


def listing(created: Event, others: bytes) -> dict[str, float]:
    """Time a list of many such studies, the first time and then again."""
    with tempfile.TemporaryDirectory() as storage:
        for number in range(LISTED):
            name = f"large-{number}"
            lay(Path(storage) / name, created.model_copy(update={"name": name}), others)
        return {
            "first_list_s": round(timed(lambda: tuner(Path(storage), "list")), 2),
            "list_s": round(timed(lambda: tuner(Path(storage), "list")), 2),
        }


def driving(study: StudyConfig, trials: int) -> dict[str, float]:
    """Go on with a study: the costs of its driver."""
    gc.collect()
    before = memory_mb()
    with Journal(study.folder) as journal:
        driver = Driver(study, journal)
        driver.start()
        proposals, reports = [], []
        for number in range(trials, trials + MEASURED):
            proposals.append(timed(driver.next_trial))
            driver.trial_started(number)
            rung = study.rungs[0]
            each = evaluation(study, rung, 0.5 + number * 1e-9, time.time())
            reports.append(timed(lambda n=number, e=each: driver.evaluated(n, e)))  # type: ignore[misc]
        gc.collect()
        held = memory_mb() - before
    return {
        "proposal_ms": round(1000 * median(proposals), 1),
        "report_ms": round(1000 * median(reports), 2),
        "memory_mb": round(held, 1),
    }


def lay(folder: Path, created: Event, others: bytes) -> None:
    """Write a study's journal: its first event, and the other records."""
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(encode(0, created) + others)


def commands(folder: Path) -> dict[str, float]:
    """Time what a user types about one study."""
    storage, name = folder.parent, folder.name
    found = {
        "first_status_s": round(timed(lambda: tuner(storage, "status", name)), 2),
        "status_s": round(timed(lambda: tuner(storage, "status", name)), 2),
        "report_command_s": round(timed(lambda: tuner(storage, "report", name)), 2),
    }
    page = folder / HTML
    found["page_mb"] = round(page.stat().st_size / 2**20, 2)
    return found


def tuner(storage: Path, *arguments: str) -> None:
    """Run a command on a storage."""
    command = [sys.executable, "-m", "tuner", *arguments, "--storage", str(storage)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def memory_mb() -> float:
    """Return the memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure all sizes, and write them down."""
    parser = command_line(__doc__, "large.json")
    parser.add_argument("--trials", type=int, nargs="*", default=TRIALS)
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as storage:
        facts = facts_of(Path(storage))
    for trials in asked.trials:
        found[str(trials)] = measured(trials, facts)
        print(trials, found[str(trials)], flush=True)
    write(asked.out, {"trials": found}, "optuna", "pydantic", "rich")


if __name__ == "__main__":
    main()
