"""Files that nobody may read or write, limits of the process, disks that are full or read-only."""

from __future__ import annotations

from pathlib import Path

from tests.robustness.hundred.case import Case, Make, nothing
from tests.robustness.hundred.yaml_files import keys

ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--")
"""Who runs it may do what modes of files allow, also where that is root."""
NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def closed(*names: str) -> Make:
    """Files that nobody may read, folders that nobody may write to."""

    def make(place: Path) -> None:
        for name in names:
            (place / name).chmod(0o555 if (place / name).is_dir() else 0)

    return make


def hidden(name: str) -> Make:
    """A folder that nobody may look into."""
    return lambda place: (place / name).chmod(0)


def _mounted(options: str) -> tuple[str, ...]:
    """`studies` is a file system of its own."""
    return (*NAMESPACE, f'mount -t tmpfs -o {options} none "$0" && exec "$@"', "{place}/studies")


def _limited(what: str, value: int) -> tuple[str, ...]:
    return ("prlimit", f"--{what}={value}", "--")


GONE = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh")
SEARCH, REPORT, STATUS = ("search", "study.yaml"), ("report", "small"), ("status", "small")

CASES = [
    Case(f"permissions: {name}: {arguments[0]}", arguments, code, told, make, before=before)
    for name, arguments, code, told, make, before in (
        (
            "the file",
            ("plan", "study.yaml"),
            2,
            "(?i)permission denied|not readable",
            closed("study.yaml"),
            ORDINARY,
        ),
        ("the storage", SEARCH, 2, "studies", closed("studies"), ORDINARY),
        ("the storage is hidden", ("list",), 2, "studies", hidden("studies"), ORDINARY),
        ("the journal", STATUS, 2, "Permission", closed("studies/small/journal.jsonl"), ORDINARY),
        ("the study is hidden", STATUS, 2, "small", hidden("studies/small"), ORDINARY),
        ("one study of a list", ("list",), 0, "", hidden("studies/small"), ORDINARY),
        ("the study", REPORT, 2, "leaderboard.csv", closed("studies/small"), ORDINARY),
        ("the current folder", STATUS, 0, "", closed("."), ORDINARY),
        ("HOME and TMPDIR", STATUS, 0, "", closed("home", "tmp"), ORDINARY),
        ("HOME and TMPDIR", ("plan", "study.yaml"), 0, "", closed("home", "tmp"), ORDINARY),
        (
            "a folder of data",
            ("plan", "study.yaml"),
            2,
            "home",
            keys(data={"source": "directory", "path": "home"}),
            ORDINARY,
        ),
        ("the current folder is gone", STATUS, 2, "", nothing, GONE),
        ("the current folder is gone", ("plan", "study.yaml"), 2, "", nothing, GONE),
        ("few open files", STATUS, 0, "", nothing, _limited("nofile", 32)),
        ("a read-only disk", SEARCH, 2, "studies", nothing, _mounted("ro")),
        ("a small disk", SEARCH, 2, "MB are free", nothing, _mounted("size=256k")),
    )
]
