"""Runs commands, each in a fork of this process, which has loaded neither torch nor Ray.

Reads lines of JSON, [folder, arguments], and answers each with [code, stdout, stderr, loaded]: what
was about to be loaded or started when the command was ended for it, or "". A process of its own
that lives long, so that the imports are paid for once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

HEAVY = {"datasets", "mlflow", "ray", "torch", "transformers"}
SECONDS, LOADED = 20, 97


class Stopped(BaseException):
    """Something heavy is about to be loaded."""


class Guard:
    """Ends what imports something heavy."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in HEAVY or (spec := PathFinder.find_spec(name)) is None:
            return None
        spec.loader = self  # type: ignore[assignment]
        return spec  # whoever only asks where it is, is told

    def create_module(self, spec: ModuleSpec) -> NoReturn:
        raise Stopped(spec.name)

    def exec_module(self, module: ModuleType) -> NoReturn:
        raise AssertionError("it was not created")


def started(event: str, arguments: tuple[Any, ...]) -> None:
    """Hears of each new process: another Python would load in our place."""
    if event == "subprocess.Popen" and arguments[0] == sys.executable:
        raise Stopped("a process")


def run(folder: str, arguments: list[str], out: int, err: int, told: Path) -> NoReturn:
    """In the fork: the command, and this process ends."""
    os.chdir(folder)
    os.dup2(out, 1)
    os.dup2(err, 2)
    signal.alarm(SECONDS)
    sys.meta_path.insert(0, Guard())  # type: ignore[arg-type]
    sys.addaudithook(started)
    sys.argv = ["tuner", *arguments]
    code: Any = 0
    try:
        main()
    except SystemExit as left:
        code = left.code
    except Stopped as stopped:
        told.write_text(str(stopped))
        code = LOADED
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    import tuner.confirm.command
    import tuner.doctor.command
    import tuner.jobs.submit
    import tuner.plan.command
    import tuner.run.checked
    import tuner.run.study  # noqa: F401
    from tuner.cli import main

    assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
    for line in sys.stdin:
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            tempfile.NamedTemporaryFile() as told,
        ):
            if not (child := os.fork()):
                run(*json.loads(line), out.fileno(), err.fileno(), Path(told.name))
            _, status = os.waitpid(child, 0)
            out.seek(0)
            err.seek(0)
            texts = [file.read().decode() for file in (out, err, told)]
            said = [os.waitstatus_to_exitcode(status), *texts]
        print(json.dumps(said), flush=True)
