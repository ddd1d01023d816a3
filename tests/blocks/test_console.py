"""Blocks on a console: nothing is lost, cut or obeyed, whatever the width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tuner.blocks import (
    Block,
    Chart,
    Commands,
    Facts,
    Figure,
    Grid,
    Link,
    Page,
    Points,
    Section,
    SideBySide,
    Words,
)
from tuner.blocks.console import show_blocks, show_page

WIDE = Grid(
    "Scores.",
    "zero-shot for ja",
    ("configuration", "state", "mix.cross_lingual", "points, adjusted", "95 % CI"),
    (
        ("trial 007 (recommended)", "completed", "0.5", "+1.20", "+0.40 to +2.00"),
        ("the control, as the study's baseline has it", "failed", "0.25", "−0.45", "–"),
    ),
    left=2,
    strong=frozenset([0]),
)


def printed(*blocks: Block, width: int = 80, terminal: bool = False, whole: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    show_blocks(blocks, console, whole)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 36])
def test_no_number_is_lost_or_broken(width: int) -> None:
    text = printed(WIDE, width=width)
    for row in WIDE.rows:
        for number in row[2:]:
            assert number in text
    words = text.split()
    for word in " ".join(row[0] for row in WIDE.rows).split():
        assert word in words
    table = text.partition("Scores.\n")[2]
    assert max(map(len, table.splitlines())) <= width


def test_numbers_end_in_one_column_and_words_begin_in_one() -> None:
    head, first, second = printed(WIDE, width=120).splitlines()[1:4]
    assert head.index("state") == first.index("completed") == second.index("failed")
    for heading, one, other in (("mix.cross_lingual", "0.5 ", "0.25 "), ("95 % CI", "2.00", "–")):
        end = head.index(heading) + len(heading)
        assert f"{first} "[: end + 1].endswith(f"{one.strip()} ")
        assert f"{second} "[: end + 1].endswith(f"{other.strip()} ")


def test_headings_break_before_columns_move_to_another_table() -> None:
    lines = printed(WIDE, width=88).splitlines()
    assert sum("+1.20" in line and "+0.40 to +2.00" in line for line in lines) == 1
    assert not any("mix.cross_lingual" in line for line in lines)
    narrow = printed(WIDE, width=40)
    assert narrow.count("configuration") > 1, "each part begins with the first column"
    assert narrow.count("trial 007") == narrow.count("configuration")


def test_wide_characters_count_as_a_terminal_counts_them() -> None:
    grid = Grid("", "", ("name", "score"), (("日本語", "1.00"), ("en", "2.00")))
    _, first, second = printed(grid).splitlines()
    assert first == "日本語   1.00" and second == "en       2.00"


def test_a_claim_is_printed_once_unless_a_sentence_states_it() -> None:
    assert printed(WIDE, WIDE).count("zero-shot for ja") == 1
    stated = printed(WIDE, Points(("Claim: zero-shot for ja.",)))
    assert stated.count("zero-shot for ja") == 1 and "Claim" in stated


def test_a_figure_is_its_numbers() -> None:
    def drawn() -> str:
        raise AssertionError("a console draws nothing")

    numbers = Grid("The numbers.", "of en", ("at", "score"), (("en", "81.25"),))
    bare = Figure(drawn, "alt", "caption", "of en")
    text = printed(
        Words("above"), SideBySide((bare, Figure(drawn, "alt", "caption", "of en", numbers)))
    )
    assert "81.25" in text and "The numbers." in text and "caption" not in text
    assert printed(Words("above"), bare, Words("below")) == "above\nbelow\n"


def test_folded_rows_are_counted_or_printed() -> None:
    rows = tuple((f"{number:03d}", "1.00") for number in range(5))
    grid = Grid("", "", ("trial", "score"), rows, folded="3 more trials", first=2)
    text = printed(grid)
    assert "001" in text and "002" not in text and "… and 3 more trials" in text
    assert "004" in printed(grid, whole=True) and "…" not in printed(grid, whole=True)


def test_text_of_a_study_is_text() -> None:
    evil = "[bold]x[/bold] \x1b[31m :smile:"
    blocks = (
        Words(evil),
        Points((evil,)),
        Facts(((evil, evil),)),
        Chart((evil,), "chart"),
        Commands(evil, (evil,)),
        Link(evil, evil),
        Grid(evil, evil, (evil, "n"), ((evil, "1"),)),
    )
    text = printed(*blocks, width=200, terminal=True)
    assert "\x1b[31m" not in text and text.count(r"[bold]x[/bold] \x1b[31m :smile:") >= 10


def test_commands_can_be_copied_whole() -> None:
    line = "tuner confirm " + "x" * 100
    assert f"  {line}\n" in printed(Commands("Next:", (line,)), width=40, terminal=True)


def test_facts_wrap_beside_their_names_in_a_terminal_alone() -> None:
    facts = Facts((("trials", "word " * 20), ("at once", "2")))
    wrapped = printed(facts, width=40, terminal=True).splitlines()
    assert len(wrapped) > 3 and all(line.startswith(" " * 9) for line in wrapped[1:-1])
    assert len(printed(facts, width=40).splitlines()) == 2


def test_states_are_coloured_and_best_rows_bold() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard")
    show_blocks([WIDE], console)
    assert isinstance(console.file, io.StringIO)
    best, other = console.file.getvalue().splitlines()[2:4]
    assert "\x1b[1;32mcompleted" in best and "\x1b[31mfailed" in other
    assert best.startswith("\x1b[1mtrial 007") and not other.startswith("\x1b")


def test_of_a_page_the_brief_sections_are_shown_the_answer_last() -> None:
    page = Page(
        "small",
        "search",
        ("completed",),
        "",
        "zero-shot for ja",
        (
            Section("Answer, confirmed", (Words("It is so."),), brief=True),
            Section("Leaderboard", (WIDE,), brief=True),
            Section("Cost", (Words("Much."),)),
        ),
    )
    console = Console(file=io.StringIO(), width=100)
    show_page(page, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.startswith("small, search: completed\n") and "Much." not in text
    assert text.index("Leaderboard") < text.index("Answer, confirmed") < text.index("zero-shot")
    assert text.count("zero-shot for ja") == 1
