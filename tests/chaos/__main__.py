"""Chaos: studies are ended, torn and misled at random moments, and what they lost is counted.

    python -m tests.chaos                         # everything, some 20 minutes on two idle cores
    python -m tests.chaos --only worker --seed 3  # one kind of fault, other moments

Exit code 0 where nothing was repeated, lost, doubled or stuck, else 1. The moments are a function
of the seed; where a driver is at a moment is the machine's business, so no two runs are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from tests.chaos.clock import StepClock
from tests.chaos.endings import KillHead, StopDriver, StopGroup
from tests.chaos.faults import KillDriver, KillWorker, Kind, TearNewest
from tests.chaos.play import KindOutcome, outcome, seeded
from tests.chaos.reference import Undisturbed
from tests.chaos.server import KillServer
from tests.chaos.study import Place
from tests.chaos.tally import Tally
from tuner.run.prepare import environment

FAULTS = {
    "driver": 16,
    "stop": 4,
    "group": 6,
    "head": 6,
    "worker": 14,
    "server": 6,
    "tear": 8,
    "clock": 4,
}
ZEROS = (
    "repeated",
    "lost",
    "over_interval",
    "runs_duplicate",
    "runs_stuck",
    "points_wrong",
    "scores_wrong",
    "left_over",
    "gave_up",
)
COLUMNS = {
    "faults": "faults",
    "expected": "trials\nexpected",
    "finished": "\nfinished",
    "repeated": "\nrepeated",
    "lost": "\nlost",
    "retrained": "pairs\nre-trained",
    "over_interval": "over an\ninterval",
    "runs_expected": "runs\nexpected",
    "runs_duplicate": "\nduplicate",
    "runs_stuck": "\nstuck",
    "points_wrong": "points\nwrong",
    "scores_wrong": "scores\nwrong",
    "left_over": "left\nover",
    "gave_up": "gave\nup",
}


def kind_of(name: str, rng: Random, place: Place) -> Kind:
    """A kind of fault by its short name."""
    match name:
        case "driver":
            return KillDriver(rng)
        case "stop":
            return StopDriver(rng)
        case "group":
            return StopGroup(rng)
        case "head":
            return KillHead(rng)
        case "worker":
            return KillWorker(rng)
        case "server":
            return KillServer(rng, place)
        case "tear":
            return TearNewest(rng)
        case "clock":
            return StepClock(rng, place)
    raise AssertionError(name)


def sound(tally: Tally) -> bool:
    """True if every count that should be zero is."""
    return tally.expected == tally.finished and not any(getattr(tally, name) for name in ZEROS)


def show_outcomes(outcomes: list[KindOutcome], console: Console) -> None:
    """The table, and under it what is not zero and should be."""
    table = Table(box=None, pad_edge=False)
    table.add_column("\nfault", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for of_kind in outcomes:
        cells = [f"{getattr(of_kind.total, name):,}" for name in COLUMNS]
        table.add_row(of_kind.kind, *cells)
    console.print(table)
    interval = max(of_kind.total.interval for of_kind in outcomes)
    console.print(f"re-trained: at most; a checkpoint interval is up to {interval:,} pairs")
    for of_kind in outcomes:
        for what in of_kind.total.wrong:
            console.print(f"{of_kind.kind}: {what}", highlight=False, soft_wrap=True, style="red")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="see above")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FAULTS, action="append", help="repeatable")
    parser.add_argument("--faults", type=int, help="of each kind; default: as in the table")
    parser.add_argument("--keep", action="store_true", help="keep what the studies wrote")
    parser.add_argument("--json", type=Path, help="where the result is written")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
    started, place, undisturbed = time.monotonic(), Place(), Undisturbed()
    outcomes: list[KindOutcome] = []

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    machine = {**environment().versions, "cores": len(os.sched_getaffinity(0))}
    tell(f"seed {options.seed}; everything is written to {place.folder}")
    try:
        for name in options.only or FAULTS:
            kind = kind_of(name, seeded(options.seed, name), place)
            count = options.faults or FAULTS[name]
            outcomes.append(outcome(kind, count, place, undisturbed, tell))
        clean = all(sound(of_kind.total) for of_kind in outcomes)
    except BaseException:
        clean = False
        raise
    finally:
        place.close(keep=options.keep or not clean)
    show_outcomes(outcomes, Console(width=140))
    seconds = round(time.monotonic() - started)
    print(f"{'all zeros' if clean else 'NOT all zeros: see above'}; {seconds} s")
    if options.json:
        result = {
            "seed": options.seed,
            "seconds": seconds,
            "kinds": {
                of_kind.kind: {"total": asdict(of_kind.total), "studies": of_kind.studies}
                for of_kind in outcomes
            },
            "environment": machine,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
