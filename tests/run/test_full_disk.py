"""A whole study on a disk that gets full while it runs, and gets space again."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.processes import SMOKE

pytestmark = pytest.mark.integration

CODE = f"""
    import json, os, subprocess, sys, tempfile, time
    from contextlib import suppress
    from pathlib import Path

    def tuner(*arguments):
        command = [sys.executable, "-m", "tuner", *arguments]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen(command, **pipes)

    def ended(process):
        printed, _ = process.communicate(timeout=900)
        return process.returncode, printed

    def evaluated():
        return journal.exists() and journal.read_text().count('"event": "evaluated"')

    journal = Path("studies/smoke/journal.jsonl")
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as ray:
        os.environ["RAY_TMPDIR"] = os.environ["HOME"] = ray
        search = tuner("search", {str(SMOKE)!r}, "--set", "budget.pairs_per_trial=12800",
                       "--set", "budget.trials=2", "--set", "resources.max_concurrent_trials=2")
        while search.poll() is None and not evaluated():
            time.sleep(0.05)
        with open("other", "wb", buffering=0) as other, suppress(OSError):
            while True:
                other.write(bytes(2**12))
        code, printed = ended(search)
        before = journal.read_text()
        kept = [path.name for path in Path("studies/smoke/trials").glob("*/*")]
        os.unlink("other")
        resumed, told = ended(tuner("resume", "smoke"))
    print(json.dumps([code, printed, before, kept, resumed, told, journal.read_text()]))
"""


@pytest.mark.slow
def test_it_pauses_and_goes_on_with_all_that_was_written(
    small_disk: Callable[[str, str], str],
) -> None:
    code, printed, before, kept, resumed, told, journal = json.loads(small_disk("48m", CODE))
    assert code == 2 and "error: no space is left for" in printed, printed
    assert "Traceback" not in printed
    assert kept and all(name.startswith("step-") for name in kept), "nothing half-written"
    assert resumed == 0, told
    assert journal.startswith(before) or journal.startswith(before.rpartition("\n")[0])
    events = [json.loads(line) for line in journal.splitlines()]
    rungs = [(e["number"], e["evaluation"]["rung"]) for e in events if e["event"] == "evaluated"]
    assert (0, 12800) in rungs and len(rungs) == len(set(rungs)), "none is evaluated twice"
