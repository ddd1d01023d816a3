"""A hundred wrong inputs and surroundings, and how each command ends.

    python -m tests.robustness.hundred            # all; some minutes on two idle cores
    python -m tests.robustness.hundred yaml home  # those whose names have one of these words

Exit code 0 where no case broke a promise, else 1: no traceback, no hang, nothing left behind, the
right exit code, and a message that says why.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.robustness.hundred.run import Ended, run
from tests.robustness.hundred.table import CASES


def libraries() -> None:
    """Load what commands load, once for all of them; no thread may have been started."""
    import tuner.blocks.console
    import tuner.confirm.command
    import tuner.doctor.command
    import tuner.plan.command
    import tuner.plan.content
    import tuner.report.compare
    import tuner.report.page.write
    import tuner.run.prepare
    import tuner.run.replay
    import tuner.run.single  # noqa: F401

    gc.collect()
    gc.freeze()


def main() -> int:
    """Run them and print a line for each; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("words", nargs="*", help="of names of cases")
    parser.add_argument("--json", type=Path, help="also write how each ended there")
    parser.add_argument("--verbose", action="store_true", help="print what each printed")
    asked = parser.parse_args()
    chosen = [c for c in CASES if not asked.words or any(word in c.name for word in asked.words)]
    with tempfile.TemporaryDirectory(prefix="hundred-") as folder:
        os.environ.setdefault("MPLCONFIGDIR", f"{folder}/matplotlib")
        os.environ.setdefault("LANG", "C.UTF-8")
        from tests.robustness.studies import sound_study

        sound = sound_study(Path(folder) / "studies")
        smoke = Path(__file__).parents[3] / "search_spaces" / "smoke.yaml"
        text = smoke.read_text(encoding="utf-8").replace("name: smoke", "name: mine")
        (sound.parent / "study.yaml").write_text(text, encoding="utf-8")
        libraries()
        found = []
        for case in chosen:
            found.append(ended := run(case, sound))
            told = ended.skipped or "; ".join(ended.wrong) or "ok"
            print(f"{ended.seconds:6.2f} s  {ended.case}: {told}", flush=True)
            if asked.verbose or ended.wrong:
                print("    " + "\n    ".join(ended.said.strip().splitlines()[-12:]))
    print(in_words(found))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(ended) for ended in found]), encoding="utf-8")
    return int(any(ended.wrong for ended in found))


def in_words(found: list[Ended]) -> str:
    """The sum of it."""
    longest = max(found, key=lambda ended: ended.seconds)
    wrong = [ended.case for ended in found if ended.wrong]
    skipped = [ended.case for ended in found if ended.skipped]
    return (
        f"{len(found)} cases, {len(wrong)} broke a promise, {len(skipped)} skipped; "
        f"the longest took {longest.seconds:.1f} s: {longest.case}"
    )


sys.exit(main())
