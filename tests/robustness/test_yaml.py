"""A study's YAML, whatever is in it: taken, or refused at once in few lines that name the key."""

from __future__ import annotations

import copy
import os
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.robustness.commands import CONTROL, LONGEST, examples, in_time, tree, tuner
from tuner.errors import UserError
from tuner.study import StudyConfig
from tuner.study.file import load_study
from tuner.study.plain_yaml import read

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
STUDIES = [read(path) for path in SPACES]
NANO = next(path for path in SPACES if path.name == "nano.yaml").read_text(encoding="utf-8")
KEYS = sorted(
    {*StudyConfig.model_fields, "optim.lr", "fusion.layer", "kind", "type", "low", "high"}
)
KEYS += [
    "when",
    "step",
    "log",
    "values",
    "source",
    "path",
    "uri",
    "wall",
    "n\u0430me",
    "\uff4eame",
    "",
    "1",
]

numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**63, 10**30, 1e308, -1e308, 5e-324, 1e15])
)
WORDS = ["last", "dlfa", "grid", "none", "tpe", "hub", "files", "pivot", "oracle", "held_out", "en"]
WORDS += [
    "../x",
    "/",
    "~no-such-user/x",
    "s3://b",
    "s3://bucket/x",
    "file:///x",
    "{language}",
    "90m",
]
WORDS += ["9" * 400 + "d", "http://[", "sqlite:///x", "x" * 3000, "seed > 2", "(" * 90, "1e999"]
texts = st.text(max_size=20) | st.sampled_from(WORDS)
ranges = st.fixed_dictionaries(
    {"type": st.sampled_from(["float", "int", "power_of_two", "choice", "fixed"])},
    optional={
        "low": numbers,
        "high": numbers,
        "step": numbers,
        "log": st.booleans(),
        "values": st.lists(st.one_of(numbers, texts), max_size=3),
        "value": numbers,
        "when": st.dictionaries(st.sampled_from(KEYS), st.lists(texts, max_size=2), max_size=1),
    },
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, ranges),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=4,
)
PIECES = ["\t", "\0", "\x1b", "!!int ", "&a ", "*a", "!!python/object:os.system ", "? ", "- ", ": "]
PIECES += [
    "{",
    "[",
    "'",
    '"',
    "\n",
    "|",
    "%",
    "<<: ",
    "---\n",
    "\ufeff",
    "\u2028",
    "#",
    "é",
    ".nan",
]


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of everything inside."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    found = []
    for key, part in value.items() if isinstance(value, dict) else ():
        found += [(*place, key), *places(part, (*place, key))]
    return found


def mutate(data: st.DataObject, study: dict[str, Any]) -> None:
    """A value is another one, a key has gone, has another name, or is there too much."""
    *path, key = data.draw(st.sampled_from(places(study)))
    block: Any = study
    for part in path:
        block = block[part]
    match data.draw(st.sampled_from(["value", "value", "drop", "rename", "add"])):
        case "value":
            block[key] = data.draw(values)
        case "drop":
            del block[key]
        case "rename" if isinstance(block, dict):
            block[data.draw(st.sampled_from(KEYS))] = block.pop(key)
        case "add" if isinstance(block, dict):
            block[data.draw(st.sampled_from(KEYS))] = data.draw(values)


def taken_or_refused(content: bytes) -> UserError | None:
    """Load it; a message is short, can be printed, and says what to do."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_bytes(content)
        before = tree(Path(folder))
        refused = None
        try:
            with in_time():
                study = load_study(path)
                assert study.model_validate(study.model_dump(mode="json")) == study
        except UserError as error:
            refused = error
        assert tree(Path(folder)) == before
        if refused is not None:
            assert refused.problem.startswith((str(path), f"cannot read {path}"))
            assert refused.remedy and len(str(refused)) < 8000
            assert len(str(refused).splitlines()) <= LONGEST
        return refused


@examples(25)
@given(data=st.data())
def test_other_values_and_keys(data: st.DataObject) -> None:
    study = copy.deepcopy(data.draw(st.sampled_from(STUDIES)))
    for _ in range(data.draw(st.integers(1, 3))):
        if places(study):
            mutate(data, study)
    taken_or_refused(yaml.safe_dump(study, allow_unicode=True).encode())


@examples(40)
@given(data=st.data())
def test_other_characters(data: st.DataObject) -> None:
    content = NANO
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 10))
        content = content[:at] + data.draw(st.sampled_from(PIECES)) + content[at + cut :]
    taken_or_refused(content.encode())


@examples(20)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    assert taken_or_refused(content) is not None


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("added", "told"),
    [
        (BOMB + "require: *a8\n", "line .*: more than 10,000 values, aliases included"),
        (MERGES, "line .*: more than 10,000 values, aliases included"),
        ("require: &a [*a]\n", "nested more than 40 levels deep, or in itself"),
        ("require: " + "[" * 100 + "]" * 100, "nested more than 40 levels deep"),
        ("require: " + "[" * 20_000, "is nested too deep"),
        ("x: !!python/object/apply:os.system [touch canary]\n", "tags .* are not allowed"),
        ("x: !!timestamp foo\n", "tags .* are not allowed"),
        ("x: !!int ''\n", "tags .* are not allowed"),
        ("? [a, b]\n: 1\n", "line 39, column 3: a key must be text"),
        ("x: " + "9" * 5000, "line 39, column 4: a number is too large"),
        ("x: 0x" + "f" * 50_000, "a number is too large"),
        ("x: " + ":".join(["59"] * 20_000), "a number is too large"),
        ("x: " + ":".join(["59"] * 400) + ".0", "is not YAML|x: unknown key"),
        ("# " + "x" * 300_000, "is larger than 256 KiB"),
        ("\n".join(f"key{n}: 1" for n in range(2000)), "key0: unknown key.*… and 1,980 more"),
        ("require: [" + "seed >= 0, " * 4000 + "]", "at most 100 items .* got 4,000 values"),
        ("require: [" + "x" * 4000 + "]", "require.0: 'xxx"),
        ("1: 2\n", "1: keys should be strings"),
        ("tracking: {experiment: 2026-13-45}", ""),
        ('tracking: {experiment: "\\e[31m"}', "tracking.experiment: holds control characters"),
        ("tracking: {uri: [{password: hunter2}]}", "tracking.uri: input should be a valid string$"),
        ("storage: ~no-such-user/x\n", "storage: .*there is no such user"),
        ("budget: {trials: 3}\n", "the key 'budget' is given twice"),
        ("---\nname: b\n", "found another document"),
    ],
    ids=lambda value: value[:20],
)
def test_what_would_grow_run_or_never_end(added: str, told: str, tmp_path: Path) -> None:
    """Quickly: what is refused was not built first."""
    path = tmp_path / "study.yaml"
    path.write_text(NANO + added, encoding="utf-8")
    with chdir(tmp_path):
        if not told:
            load_study(path)
            return
        with pytest.raises(UserError, match=f"(?ms){told}") as refused:
            load_study(path)
    assert len(str(refused.value).splitlines()) <= LONGEST
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_file_that_never_ends() -> None:
    with pytest.raises(UserError, match="is larger than"):
        load_study(Path("/dev/zero"))


def test_a_pipe_that_nobody_writes_to(tmp_path: Path) -> None:
    """To open it would wait for ever."""
    os.mkfifo(tmp_path / "study.yaml")
    with pytest.raises(UserError, match=r"study.yaml: it is a pipe, not a file"), in_time():
        load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize("space", ["space: {optim.lr: {type: float, low: 0, high: 1.0e+308}}"])
def test_a_range_beyond_the_numbers(space: str) -> None:
    content = NANO[: NANO.index("space:")] + space + "\nbaseline: null\n"
    error = taken_or_refused(content.encode())
    assert error and "space.optim.lr: the range has too many steps" in error.problem


def test_the_command_says_the_same_and_leaves_nothing(tmp_path: Path) -> None:
    """Through the whole command line; of names that look alike, the real one is told."""
    path = tmp_path / "study.yaml"
    path.write_text(NANO.replace("name: nano", "n\u0430me: nano", 1), encoding="utf-8")
    with chdir(tmp_path):
        said = tuner("search", "study.yaml")
        assert said.code == 2 and "did you mean 'name'?" in said.err
        path.write_bytes(NANO.replace("name: nano", "name: \x00\x1b", 1).encode())
        said = tuner("search", "study.yaml")
        assert said.code == 2 and "unacceptable character #x0000" in said.err
    assert not CONTROL.search(said.err) and sorted(tmp_path.iterdir()) == [path]
