"""Names and texts on their way into folders, files, tables and addresses."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records import with_facts, with_settings
from tests.robustness.commands import examples, tree, tuner
from tests.robustness.conftest import copied
from tuner.errors import UserError
from tuner.journal.journal import read_history
from tuner.report.leaderboard import FORMULA, as_csv
from tuner.run.resume import Extension, extended
from tuner.shown import has_secret, is_printable, printable, without_secrets
from tuner.storage.location import NAME
from tuner.study import StudyConfig
from tuner.study.file import load_study

NANO = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"


@examples(50)
@given(st.text(max_size=70) | st.from_regex(NAME) | st.sampled_from(["CON", "-x", "a\n", "a" * 65]))
def test_a_study_is_in_its_storage_and_its_trials_are_in_it(name: str) -> None:
    """Whatever it is called, or it is refused."""
    study = load_study(NANO)
    try:
        named = StudyConfig.model_validate({**study.model_dump(), "name": name})
    except ValueError:
        assert not NAME.fullmatch(name)
        return
    assert name.isascii() and name[0].isalnum() and len(name) <= 64
    assert named.folder.parent == named.storage and named.folder.name == name
    for number in (0, 12_345):
        assert named.trial_folder(number).parent.parent == named.folder


@pytest.mark.parametrize(
    "language", ["../en", "/etc", "en/..", "", "a b", "en\n", "=1", "é", "x" * 40]
)
def test_languages_are_codes(language: str) -> None:
    """They are put into paths, and into names of metrics."""
    for key in ("languages.target", "protocol.pivot"):
        with pytest.raises(UserError, match=f"{key}.0: (string should match|holds control)"):
            load_study(NANO, [f"{key}=['{language}', ja]", "protocol.kind=pivot"])


def test_figures_are_in_their_folder(sound: Path) -> None:
    """Named after settings and metrics that there are; a name that is none makes no file."""
    with copied(sound) as folder:
        before = tree(Path.cwd(), but=folder)
        for setting in ("../../x", "/abs", "optim.lr/../..", "", "seed"):
            assert tuner("report", "small", "--against", setting).code == 2
        wrong = ["report", "small", "--against", "optim.lr", "--metric", "../select/objective"]
        assert tuner(*wrong).code == 2 and not (folder / "figures").exists()
        metrics = ["--metric", "select/objective", "--metric", "oracle/accuracy/ja"]
        assert tuner("report", "small", "--against", "optim.lr", *metrics).code == 0
        (figure,) = (folder / "figures").iterdir()
        assert figure.name == "optim.lr--select-objective--oracle-accuracy-ja.svg"
        assert tree(Path.cwd(), but=folder) == before


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(text: str, sound: Path) -> None:
    """Texts come from workers' errors, and from whoever made the study; numbers stay numbers."""
    study = read_history(sound).record()
    first = study.trials[0].model_copy(update={"reason": text, "params": {}})
    forged = with_facts(study, claim=text)
    forged = forged.model_copy(update={"trials": (first, *study.trials[1:])})
    rows = list(csv.DictReader(io.StringIO(as_csv(forged), newline="")))
    assert [row["reason"] for row in rows if row["trial"] == "0"] == [f"'{text}"]
    for row in rows:
        assert row["claim"] == f"'{text}"
        for name, cell in row.items():
            assert not name.startswith(FORMULA)
            assert not cell.startswith(FORMULA) or float(cell) < 0


def test_a_journal_is_of_the_study_whose_folder_it_is_in(sound: Path) -> None:
    """Else what is resumed would write into another's folder."""
    record = read_history(sound).record()
    other = with_settings(record, name="other")
    for forged, extension, refusal in (
        (other, Extension(), "a study named 'other'"),
        (record, Extension(overrides=["name=other"]), "--set name"),
    ):
        with pytest.raises(UserError, match=refusal):
            extended(forged, sound, extension)
    moved = with_settings(record, storage="/elsewhere")
    assert extended(moved, sound, Extension()).folder == sound


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://me:hush@host/x", "at https://***@host/x"),
        ("'postgresql://me:hu/sh@ed!@host/db' failed", "'postgresql://***@host/db' failed"),
        ("https://hush@host", "https://***@host"),
        ("no folder /cwd/https:/me:hush@host/x", "no folder /cwd/https:/***@host/x"),
        ("http://h/?user=me&password=hush&x=1", "http://h/?user=me&password=***&x=1"),
        ("s3://b/x?X-Amz-Signature=hush", "s3://b/x?X-Amz-Signature=***"),
        ("http://h?access_token=hush'", "http://h?access_token=***'"),
        ("paws-x@4cd8187 en, see http://127.0.0.1:5000/#/x", None),
        ("--set key=value", None),
        ("data.token: unknown key; allowed: source", None),
    ],
)
def test_secrets_are_blotted_out_of_messages(text: str, shown: str | None) -> None:
    assert without_secrets(text) == (shown or text)
    assert str(UserError(text, text)) == f"{shown or text}\n{shown or text}"
    assert has_secret(text) == (shown is not None and "://" in text)


@examples(50)
@given(st.text() | st.text(alphabet="\x1b\x9b\0\n\t[31m\u202e\udcff"))
def test_what_is_printed_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert is_printable(shown) and printable(shown) == shown
    assert (shown == text) == is_printable(text)
    shown.encode()
