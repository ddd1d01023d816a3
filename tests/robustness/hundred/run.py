"""Runs cases: forked from a process that has the libraries, or in processes of their own."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

from tests.robustness.commands import CONTROL, tree
from tests.robustness.hundred.case import Case
from tuner.cli import main

PROGRAM = str(Path(sys.executable).parent / "tuner")
HANGS = 60.0
"""Seconds after which a command is killed, and counts as one that hangs."""
TRACE = re.compile(r"Traceback \(most recent call last\)|Exception ignored in|Fatal Python error")
STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True)
class Ended:
    """The outcome of a case.

    Attributes:
        case: its name.
        code: the exit code, or minus the signal that ended it.
        seconds: from its start to its end.
        said: all that it printed.
        wrong: which promises it broke, in words; none where all is well.
        skipped: why it was not run; empty: it was.
    """

    case: str
    code: int = 0
    seconds: float = 0.0
    said: str = ""
    wrong: list[str] = field(default_factory=list)
    skipped: str = ""


def run(case: Case, sound: Path) -> Ended:
    """Make what is wrong, run the command, and see what it did.

    Args:
        case: what is run.
        sound: the folder of a sound study.
    """
    with tempfile.TemporaryDirectory(prefix="h-", ignore_cleanup_errors=True) as name:
        place = Path(name).resolve() / "p"
        for folder in ("home", "tmp"):
            (place / folder).mkdir(parents=True)
        shutil.copytree(sound, place / "studies" / "small", symlinks=True)
        shutil.copy(sound.parent / "study.yaml", place)
        allowed = [*_words(case.before, place), "true"]
        if case.before and subprocess.run(allowed, cwd=place, capture_output=True).returncode:
            return Ended(case.name, skipped=f"{case.before[0]} is not allowed here")
        case.make(place)
        environment = _environment(case, place)
        before = tree(place)
        arguments = _words(case.arguments, place)
        with (place.parent / "said").open("w+b") as said:
            began = time.monotonic()
            child = _start(case, place, arguments, environment, said.fileno())
            code = _wait(child, began + HANGS)
            seconds = time.monotonic() - began
            said.seek(0)
            text = said.read().decode(errors="replace")
        for path in place.rglob("*"):  # else what may not be read cannot be removed
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        left = _left(before, tree(place), case.keeps)
        wrong = list(_wrong(case, code, text, left))
        return Ended(case.name, code, seconds, text, wrong)


def _wrong(case: Case, code: int | None, text: str, left: list[str]) -> list[str]:
    found = []
    if code is None:
        return [f"it hangs: not at its end after {HANGS:g} s"]
    if code != case.code:
        found.append(f"exit code {code}, not {case.code}")
    if TRACE.search(text):
        found.append("a traceback")
    if CONTROL.search(text):
        found.append("control characters")
    if not re.search(case.told, text, re.DOTALL):
        found.append(f"it does not say {case.told!r}")
    if code == 2 and not text.strip() and "stdout" not in case.streams and case.streams != "none":
        found.append("nobody is told why")
    return found + ([f"left behind: {', '.join(left)}"] if left else [])


def _left(before: Mapping[str, object], after: Mapping[str, object], keeps: object) -> list[str]:
    """Paths that are new, changed or gone, but those that may be."""
    assert isinstance(keeps, tuple)
    may = (*keeps, "home/.cache*", "home/.config*")
    changed = {path for path in {*before, *after} if before.get(path, ()) != after.get(path, ())}
    return sorted(path for path in changed if not any(fnmatch(path, kept) for kept in may))


def _words(words: tuple[str, ...], place: Path) -> list[str]:
    return [word.replace("{place}", str(place)) for word in words]


def _environment(case: Case, place: Path) -> dict[str, str]:
    found = {name: os.environ[name] for name in ("PATH", "LANG", "MPLCONFIGDIR")}
    found |= {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "OMP_NUM_THREADS": "1"}
    found |= {"HF_HUB_OFFLINE": "1", "TUNER_COMMIT": "0ddba11"}
    for name, value in case.environment.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value.replace("{place}", str(place))
    return found


def _start(
    case: Case, place: Path, arguments: list[str], environment: dict[str, str], output: int
) -> int:
    """Start the command; its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.chdir(place / case.inside)
        _streams(case, output)
        if case.before or case.alone:
            command = [*_words(case.before, place), PROGRAM, *arguments]
            os.execvpe(command[0], command, environment)
        _become(arguments, environment)
    except BaseException as error:  # of this very file: the case could not be run
        os.write(2, f"Traceback (most recent call last): {error!r}".encode())
    finally:
        os._exit(99)


def _streams(case: Case, output: int) -> None:
    """Put the standard streams in their places."""
    stdin = "/dev/zero" if case.streams == "endless stdin" else os.devnull
    os.dup2(os.open(stdin, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    match case.streams:
        case "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        case "unread":
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.close(reader)
            os.close(writer)
        case "no stdin":
            os.close(0)
        case "no stdout":
            os.close(1)
        case "none":
            for descriptor in range(3):
                os.close(descriptor)
    os.closerange(3, 64)


def _become(arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Be `tuner` with these arguments, as if Python had just started."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    sys.argv = [PROGRAM, *arguments]
    encoding = environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    for descriptor, name in enumerate(STREAMS):
        stream = _stream(descriptor, encoding)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(
            number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler
        )
    code = 0
    try:
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _stream(descriptor: int, encoding: str) -> io.TextIOWrapper | None:
    """A standard stream as Python makes it; None where its descriptor is closed."""
    try:
        os.fstat(descriptor)
    except OSError:
        return None
    raw = io.FileIO(descriptor, "w" if descriptor else "r", closefd=False)
    buffer = io.BufferedWriter(raw) if descriptor else io.BufferedReader(raw)
    errors = "backslashreplace" if descriptor == 2 else "strict"
    return io.TextIOWrapper(buffer, encoding, errors, line_buffering=descriptor == 2)


def _wait(child: int, deadline: float) -> int | None:
    """The exit code of a process; None where it had to be killed, with all that it started."""
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
