"""The output of findings for a terminal, for a log and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from tuner.doctor.findings import Finding, worst
from tuner.shown import printable, without_secrets
from tuner.terminal.progress import MARGIN

LABEL_WIDTH = len("shared memory")
"""Length of the longest name of a check."""
STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def show_findings(findings: Iterable[Finding], console: Console) -> list[Finding]:
    """Print each finding as it comes, with its remedy, then a summary; wrap only in a terminal.

    Returns:
        All findings.
    """
    margin = len("pass  ") + LABEL_WIDTH + 2
    shown = []
    for finding in findings:
        shown.append(finding)
        lines = [Text(_clean(finding.found))]
        if finding.remedy and finding.level != "pass":
            lines.append(Text(f"→ {_clean(finding.remedy)}", style="cyan"))
        if console.is_terminal:
            width = console.width - MARGIN - margin
            lines = [part for line in lines for part in line.wrap(console, width)]
        level = Text(finding.level, style=STYLES[finding.level])
        first = Text.assemble(level, "  ", finding.check.ljust(LABEL_WIDTH), "  ", lines[0])
        rest = [Text(" " * margin) + line for line in lines[1:]]
        for line in (first, *rest):
            console.print(line, soft_wrap=True, highlight=False)
    console.print()
    console.print(in_words(shown), style=STYLES[worst(shown)], highlight=False)
    return shown


def in_words(findings: Sequence[Finding]) -> str:
    """Return the counts of findings by level on one line."""
    levels = [finding.level for finding in findings]
    failed, warned = levels.count("fail"), levels.count("warn")
    if not failed and not warned:
        return f"all {len(levels)} checks pass"
    counts = [f"{count} {word}" for count, word in ((failed, "fail"), (warned, "warn")) if count]
    counts += [f"{levels.count('pass')} pass"]
    return ", ".join(counts) + ("" if failed else ": nothing stands in the way")


def findings_as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as plain values that JSON can hold."""
    return {
        "level": worst(findings),
        "checks": [
            {name: _clean(text) for name, text in asdict(finding).items()} for finding in findings
        ],
    }


def _clean(text: str) -> str:
    return printable(without_secrets(text))
