"""Steps under way, in a terminal and in a log."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.waiting import PATIENCE, until
from tuner.terminal import progress
from tuner.terminal.progress import ConsoleProgress, say
from tuner.wording import clock


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SHOW_AFTER", 0.02), ("LOG_AFTER", 0.02), ("LOG_EVERY", 0.05)):
        monkeypatch.setattr(progress, name, seconds)
    monkeypatch.setattr(progress, "REFRESHES", 100)


def log() -> Console:
    return Console(file=io.StringIO(), width=40, force_terminal=False)


def terminal(width: int = 80) -> Console:
    return Console(
        file=io.StringIO(), width=width, force_terminal=True, force_interactive=True, no_color=True
    )


def printed(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_log_has_a_line_at_the_beginning_now_and_then_and_at_the_end() -> None:
    console = log()
    with ConsoleProgress(console).task("tokenising", "sentences") as advance:
        advance(1000, 40_000)
        until(lambda: "of 40,000 sentences" in printed(console))
    first, *between, last = printed(console).splitlines()
    assert first == "tokenising …"
    assert re.fullmatch(r"tokenising: done after \d+:\d\d:\d\d", last)
    told = r"tokenising: 1,000 of 40,000 sentences, about \d+:\d\d:\d\d left"
    assert between and re.fullmatch(told, between[0])


def test_a_log_says_how_long_where_there_is_no_count() -> None:
    console = log()
    with ConsoleProgress(console).task("loading the encoder"):
        until(lambda: " so far" in printed(console))
    assert re.search(r"loading the encoder: \d+:\d\d:\d\d so far", printed(console))


@pytest.mark.parametrize("make", [log, terminal])
def test_a_moment_is_not_worth_a_line(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(make)
    for name in ("SHOW_AFTER", "LOG_AFTER"):
        monkeypatch.setattr(progress, name, PATIENCE)  # the test waits in vain where the end waits
    console = make()
    with ConsoleProgress(console).task("loading the encoder"):
        pass
    assert printed(console) == ""


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_has_a_bar_that_goes_away(width: int) -> None:
    console = terminal(width)
    with ConsoleProgress(console).task("tokenising", "sentences") as advance:
        advance(10_000, 40_000)
        until(lambda: " left" in printed(console))
    text = printed(console)
    assert "10,000 of 40,000" in text and "━" in text and " left" in text
    assert ("sentences" in text) == (width >= 80)
    drawn = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", text).replace("\r", "\n").splitlines()
    assert max(map(cell_len, drawn)) <= width - 2  # where a ^C has room
    assert text.endswith("\x1b[1A\x1b[2K")  # up to its line, which is cleared
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is shown again


def test_facts_stay_above_the_bar_and_an_error_ends_it() -> None:
    console = terminal()
    progress = ConsoleProgress(console)

    def reading() -> None:
        with progress.task("reading", "tables") as advance:
            advance(1, 2)
            until(lambda: "1 of 2" in printed(console))
            progress.tell("a fact")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        reading()
    assert "a fact" in printed(console) and printed(console).endswith("\x1b[2K")


def test_steps_within_a_step() -> None:
    console = terminal()
    progress = ConsoleProgress(console)
    with progress.task("training", "pairs") as advance:
        advance(1, 4)
        until(lambda: "1 of 4 pairs" in printed(console))
        with progress.task("evaluating", "pairs") as evaluated:
            evaluated(2, 3)
            until(lambda: "2 of 3 pairs" in printed(console))
    text = printed(console)
    assert "1 of 4 pairs" in text and "2 of 3 pairs" in text


def test_a_terminal_without_control_codes_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    with ConsoleProgress(console).task("tokenising", "sentences") as advance:
        advance(1, 2)
        until(lambda: "tokenising …" in printed(console))
    assert "\x1b[?25l" not in printed(console) and "tokenising …" in printed(console)


def test_long_lines_are_indented_in_a_terminal_and_whole_in_a_log() -> None:
    line = "dev: " + "500 of 500 ids clean in all of en, de, fr; " * 3
    whole, wrapped = log(), terminal(60)
    say(whole, line)
    assert printed(whole) == line + "\n"
    say(wrapped, line)
    first, *others = printed(wrapped).splitlines()
    assert first.startswith("dev: 500") and others and all(o.startswith("  ") for o in others)
    assert max(map(cell_len, (first, *others))) <= 60
    assert " ".join(printed(wrapped).split()) == line.strip()


def test_clock() -> None:
    assert [clock(s) for s in (0, 65.9, 3600, 93_600)] == [
        "0:00:00",
        "0:01:05",
        "1:00:00",
        "26:00:00",
    ]
