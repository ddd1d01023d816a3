"""What the benchmarks share: a command line, and results that say where and of what they are.

Needs nothing but Python: the training benchmark runs where little else is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def command_line(doc: str, result: str) -> argparse.ArgumentParser:
    """Options that every benchmark has.

    Args:
        doc: the script's own.
        result: name of the file that it writes in `results/`, where it is told no other.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS / result,
        help=f"what is written, in place of what was there; default: benchmarks/results/{result}",
    )
    return parser


def write(out: Path, found: dict[str, Any], *packages: str) -> None:
    """Write what was found and what it depends on: machine, versions, commit, date."""
    written = {**found, "environment": {**machine(*packages), **moment()}}
    out.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")


def machine(*packages: str) -> dict[str, Any]:
    """What figures depend on, as long as the code is the same."""
    return {
        **{name: version(name) for name in packages},
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
    }


def moment() -> dict[str, str]:
    """The day, and the commit at work; `+` where the tree was changed."""
    git = ["git", "-C", str(RESULTS)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True)
    commit = head.stdout.strip() + "+" * bool(changed.stdout)
    return {"commit": commit or "unknown", "date": datetime.now(UTC).date().isoformat()}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
