"""Requirements: against SQLite, whose NULLs they follow; and what is refused."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.study.space.requirements import LENGTH, parse
from tuner.study.trial import TrialConfig

VALUES = {
    "fusion.layer": st.sampled_from([None, 0.0, 1.0, 2.0]),
    "mix.cross_lingual": st.sampled_from([0.0, 0.5, 1.0]),
    "optim.lr": st.sampled_from([0.5, 2.0]),
    "fusion.kind": st.sampled_from(["last", "sum", "dlfa"]),
}

# Every strategy draws a pair: how a requirement writes it, and how SQL does.
Pair = tuple[str, str]


def same(text: str) -> Pair:
    return text, text


NUMBERS: st.SearchStrategy[Pair] = st.recursive(
    st.sampled_from(
        [same("0.0"), same("1.0"), same("2.5")]
        + [(name, f'"{name}"') for name in VALUES if name != "fusion.kind"]
    ),
    lambda inner: (
        st.builds(
            lambda a, op, b: (f"({a[0]} {op} {b[0]})", f"({a[1]} {op} {b[1]})"),
            inner,
            st.sampled_from("+-*/"),
            inner,
        )
        | inner.map(lambda a: (f"(-{a[0]})", f"(-{a[1]})"))
    ),
    max_leaves=4,
)
COMPARE = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def chain(a: Pair, op1: str, b: Pair, op2: str, c: Pair) -> Pair:
    return (
        f"({a[0]} {op1} {b[0]} {op2} {c[0]})",
        f"({a[1]} {op1} {b[1]} and {b[1]} {op2} {c[1]})",
    )


def is_in(a: Pair, word: str, elements: list[Pair]) -> Pair:
    ours, theirs = (", ".join(element[i] for element in elements) for i in (0, 1))
    return f"({a[0]} {word} [{ours}])", f"({a[1]} {word} ({theirs}))"


IN = st.sampled_from(["in", "not in"])
KIND: st.SearchStrategy[Pair] = st.just(("fusion.kind", '"fusion.kind"'))
WORDS = st.lists(st.sampled_from([same("'last'"), same("'dlfa'")]), min_size=1, max_size=2)
CONDITIONS: st.SearchStrategy[Pair] = st.recursive(
    st.sampled_from([same("true"), same("false")])
    | st.builds(
        lambda a, op, b: (f"({a[0]} {op} {b[0]})", f"({a[1]} {op} {b[1]})"),
        NUMBERS,
        COMPARE,
        NUMBERS,
    )
    | st.builds(chain, NUMBERS, COMPARE, NUMBERS, COMPARE, NUMBERS)
    | st.builds(is_in, NUMBERS, IN, st.lists(NUMBERS, min_size=1, max_size=2))
    | st.builds(is_in, KIND, IN, WORDS),
    lambda inner: (
        st.builds(
            lambda a, op, b: (f"({a[0]} {op} {b[0]})", f"({a[1]} {op} {b[1]})"),
            inner,
            st.sampled_from(["and", "or"]),
            inner,
        )
        | inner.map(lambda a: (f"(not {a[0]})", f"(not {a[1]})"))
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


@settings(max_examples=200)
@given(condition=CONDITIONS, values=st.fixed_dictionaries(VALUES))
def test_three_values_are_those_of_sql(
    database: sqlite3.Connection, condition: Pair, values: dict[str, Any]
) -> None:
    """True, false and unknown, told apart by a requirement and its negation."""
    ours, theirs = condition
    columns = ", ".join(f'? as "{name}"' for name in values)
    query = f"select {theirs} from (select {columns})"
    (expected,) = database.execute(query, tuple(values.values())).fetchone()
    requirement, negation = parse(ours), parse(f"not {ours}")
    assert requirement.broken_by(values) == (expected == 0)
    assert negation.broken_by(values) == (expected == 1)


@pytest.mark.parametrize(
    ("text", "breaks", "keeps"),
    [
        ("batch.effective_size >= batch.micro_size", {"batch.effective_size": 16}, {}),
        (
            'not (fusion.kind == "dlfa" and fusion.reduction > 8)',
            {"fusion.kind": "dlfa", "fusion.layer": 1, "fusion.reduction": 9},
            {"fusion.reduction": 9},
        ),
        ("optim.lr * batch.effective_size <= 0.05", {"optim.lr": 2e-3}, {"optim.lr": 1e-3}),
        ("fusion.layer in [1, 3]", {"fusion.kind": "sum", "fusion.layer": 2}, {}),
        ("1 <= fusion.layer < 3", {"fusion.kind": "sum", "fusion.layer": 3}, {}),
        ("-seed > -3", {"seed": 3}, {"seed": 2}),
        ("1 / mix.cross_lingual < 4", {"mix.cross_lingual": 0.25}, {"mix.cross_lingual": 0}),
        ("seed * 1e300 * 1e300 < 1", {}, {"seed": 5}),  # no float, so no value
    ],
)
def test_whole_configurations(text: str, breaks: dict[str, Any], keeps: dict[str, Any]) -> None:
    """Sampled, fixed and default settings alike."""
    requirement = parse(text)
    if breaks:
        assert requirement.broken_by(TrialConfig.from_flat(breaks).flat())
    assert not requirement.broken_by(TrialConfig.from_flat(keeps).flat())


def test_names_are_those_that_are_read() -> None:
    assert parse("optim.lr < 1 and seed in [1, batch.micro_size]").names == (
        "optim.lr",
        "seed",
        "batch.micro_size",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('fusion.knd == "dlfa"', "unknown setting 'fusion.knd': did you mean 'fusion.kind'?"),
        ('fusion.kind == "dlaf"', "fusion.kind is never 'dlaf': did you mean 'dlfa'?"),
        ('fusion.kind in ["last", "sun"]', "never 'sun': did you mean 'sum'?"),
        ("fusion.kind < 3", r"cannot compare fusion.kind \(a string\) with 3 \(a number\)"),
        ('fusion.kind < "last"', "only numbers have an order"),
        ("seed == true", r"cannot compare seed \(a number\) with true \(a boolean\)"),
        ("seed > 1 > 'a'", "cannot compare 1 .a number. with 'a'"),
        ("seed", "is a number, not a condition"),
        ("not seed", "seed is a number, but not takes a boolean"),
        ("seed and true", "seed is a number, but and takes a boolean"),
        ("-fusion.kind > 1", "fusion.kind is a string, but - takes a number"),
        ("seed in 1", "takes a list"),
        ("seed in []", "takes a list"),
        ("seed > 1e999", "too large"),
        ("seed > " + 400 * "9", "too large"),
        ("seed >", "is not an expression"),
        ("seed = 1", "equality is written =="),
        ("", "is not an expression"),
        ('fusion.kind == "\\d"', "is not an expression"),
        ("seed > 0 # " + LENGTH * "x", f"longer than {LENGTH} characters"),
        ("not " * 40 + "true", "nested too deep"),
        ("(" * 300, "is not an expression"),
        ("-" * 490 + "1 > 2", "nested too deep"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)
    assert text[:40] in str(caught.value).replace("\\\\", "\\"), "says which requirement"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "print(seed) == 1",
        "seed.real > 1",
        "seed.__class__ == 1",
        "(lambda: 1)() > 0",
        "[s for s in [1]] == 1",
        "seed ** 9 > 1",
        "seed // 2 > 1",
        "seed % 2 == 1",
        "seed << 2 > 1",
        "seed & 1 > 0",
        "~seed > 0",
        "(x := 1) > 0",
        "1 if seed > 1 else 2",
        "seed is 1",
        "f'{seed}' == 'a'",
        "seed > None",
        "fusion.kind == b'last'",
        "seed > 1j",
        "{'a': 1} == 1",
        "{1} == 1",
        "(1, 2) == 1",
        "[1] == [1]",
        "seed in (1, 2)",
        "seed[0] > 1",
        "... == 1",
        "import os",
        "seed > 0; seed",
        "seed > (yield)",
        "await seed > 0",
        "*seed > 1",
        "os > 1",
        "True.real > 1",
        "(seed).real > 1",
    ],
)
def test_nothing_else_is_allowed(text: str) -> None:
    """No calls, no attributes, no powers: only what the language has."""
    with pytest.raises(
        ValueError, match=r"not allowed|is not an expression|unknown setting|takes a list"
    ):
        parse(text)
