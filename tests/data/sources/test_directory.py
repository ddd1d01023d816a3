from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.data.corpus import Corpus, Row
from tuner.data.sources import load_corpus
from tuner.errors import UserError
from tuner.study.data import DirectoryData

HEADER = "id\tsentence1\tsentence2\tlabel\n"
PAWSX_LANGUAGES = ["de", "en", "es", "fr", "ja", "ko", "zh"]

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of a small corpus in en and de, complete but for test."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())
        return file

    for language, train in (("en", "train"), ("de", "translated_train")):
        for name in (train, "dev_2k"):
            rows = f"1\t{language} one\tone {language}\t0\n2\t{language} two\ttwo {language}\t1\n"
            write(f"{language}/{name}.tsv", HEADER + rows)
    return write


def load(folder: Path, languages: str = "en de", train: str = "en de") -> Corpus:
    data = DirectoryData(source="directory", path=folder)
    return load_corpus(data, languages.split(), train.split())


def refused(folder: Path, languages: str = "en de", train: str = "en de") -> UserError:
    with pytest.raises(UserError) as raised:
        load(folder, languages, train)
    return raised.value


def test_official_layout(write: Write, tmp_path: Path) -> None:
    write("de/test_2k.tsv", HEADER + "7\tx\ty\t0\n8\tz\tu\t1\n")
    corpus = load(tmp_path)
    assert corpus.languages == ("en", "de")
    assert list(corpus.rows) == ["train", "dev", "test"]
    assert corpus.rows["train"]["de"]["2"] == Row("2", "de two", "two de", 1)
    assert set(corpus.rows["test"]) == {"de"}
    assert corpus.machine_translated
    assert corpus.notes == (
        "train: 2 of 2 ids clean in all of en, de; dropped: none",
        "dev: 2 of 2 ids clean in all of en, de; dropped: none",
        "test: 2 of 2 ids clean in all of de; dropped: none",
        "test: none for en",
    )


def test_only_what_is_needed_is_read(write: Write, tmp_path: Path) -> None:
    write("de/translated_train.tsv", "broken")
    corpus = load(tmp_path, "en de", train="en")
    assert set(corpus.rows["train"]) == {"en"}
    assert "test" not in corpus.rows
    assert not corpus.machine_translated
    assert "train" not in load(tmp_path, "en de", train="").rows


def test_text_is_taken_as_it_is(write: Write, tmp_path: Path) -> None:
    odd = "say \"a 'b\u2028c\u2029d\x85e\x0bf\x0cg\x1ch\ri"  # quotes, and separators of lines
    write("en/dev_2k.tsv", f"\ufeff{HEADER}1\t{odd}\t x \t0\n2\ty\tz\t1\n".replace("\n", "\r\n"))
    write("de/dev_2k.tsv", HEADER + '1\t"open\tb\t0\n2\tc"\td\t1')  # no last newline
    rows = load(tmp_path).rows["dev"]
    assert rows["en"] == {"1": Row("1", odd, " x ", 0), "2": Row("2", "y", "z", 1)}
    assert rows["de"] == {"1": Row("1", '"open', "b", 0), "2": Row("2", 'c"', "d", 1)}


def test_rows_that_are_not_clean_are_dropped_and_counted(write: Write, tmp_path: Path) -> None:
    rows = "1\tNS\tb\t0\n2\ta\t NS\t0\n3\t \tb\t1\n4\ta\t\t0\n5\ta\tb\t-\n6\ta\tb\t\n7\tNSA\tb\t1\n"
    write("de/dev_2k.tsv", HEADER + rows + "8\ta\tb\t0\n")
    write("en/dev_2k.tsv", HEADER + "".join(f"{n}\ta\tb\t{n % 2}\n" for n in range(1, 9)))
    corpus = load(tmp_path)
    assert set(corpus.rows["dev"]["de"]) == {"7", "8"}
    assert set(corpus.rows["dev"]["en"]) == set("12345678")
    assert corpus.notes[1] == (
        "dev: 2 of 8 ids clean in all of en, de; dropped: de 2 NS + 2 blank + 2 no label"
    )


def test_without_ids_rows_are_joined_by_their_order(write: Write, tmp_path: Path) -> None:
    header = HEADER.removeprefix("id\t")
    write("en/dev_2k.tsv", header + "a\tb\t0\nc\td\t1\ne\tf\t1\n")
    write("de/dev_2k.tsv", header + "A\tB\t0\nNS\tD\t0\nE\tF\t1\n")
    corpus = load(tmp_path)
    assert corpus.rows["dev"]["de"] == {"1": Row("1", "A", "B", 0), "3": Row("3", "E", "F", 1)}
    assert "dev: no ids in en, de; their rows were joined by order" in corpus.notes
    assert sum("order" in note for note in corpus.notes) == 1  # train has ids


def test_without_ids_rows_must_be_equally_many(write: Write, tmp_path: Path) -> None:
    header = HEADER.removeprefix("id\t")
    write("en/dev_2k.tsv", header + "a\tb\t0\nc\td\t1\n")
    write("de/dev_2k.tsv", header + "A\tB\t0\nNS\tD\t0\nE\tF\t1\n")
    problem = refused(tmp_path).problem
    assert "en/dev_2k.tsv, line 1: no id column, and 2 rows for en, but 3 for de in" in problem
    assert problem.endswith("de/dev_2k.tsv")


def test_a_file_without_ids_takes_those_of_the_others_by_row(write: Write, tmp_path: Path) -> None:
    write("en/dev_2k.tsv", HEADER + "7\ta\tb\t0\n5\tc\td\t1\n")
    write("de/dev_2k.tsv", HEADER.removeprefix("id\t") + "A\tB\t0\nC\tD\t1\n")
    corpus = load(tmp_path)
    assert corpus.rows["dev"]["de"] == {"7": Row("7", "A", "B", 0), "5": Row("5", "C", "D", 1)}
    assert "dev: no ids in de; their rows were joined by order" in corpus.notes


def test_row_order_is_not_trusted_where_the_ids_of_others_differ(
    write: Write, tmp_path: Path
) -> None:
    write("en/dev_2k.tsv", HEADER + "7\ta\tb\t0\n5\tc\td\t1\n")
    write("de/dev_2k.tsv", HEADER + "5\tC\tD\t1\n7\tA\tB\t0\n")
    write("fr/dev_2k.tsv", HEADER.removeprefix("id\t") + "x\ty\t0\nz\tw\t1\n")
    problem = refused(tmp_path, "en de fr").problem
    assert "fr/dev_2k.tsv, line 1: no id column" in problem
    assert "line 2 is id 7 in" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEADER + "1\ta\tb\tyes\n2\ta\tb\tno\n", "line 2: the label 'yes' is not one of 0, 1"),
        (HEADER + "\ta\tb\t0\n", "line 2: a blank id"),
        (HEADER + "1\ta\tb\t0\n2\ta\tb\n", "line 3: 3 columns, expected 4"),
        (HEADER + "1\ta\tb\t0\t\n", "line 2: 5 columns, expected 4"),
        (HEADER + "1\ta\tb\t0\n\n2\ta\tb\t0\n", "line 3: 1 columns, expected 4"),
        (HEADER + "1\ta\tb\t0\n2\ta\tb\t0\n1\tc\td\t0\n", "line 4: id 1 again, first in line 2"),
        ("idx\tsentence1\tsentence2\tlabel\n", "line 1: unknown header 'idx sentence1"),
        (HEADER.replace("\t", ","), "line 1: unknown header 'id,sentence1"),
        ("", "line 1: unknown header ''"),
        (HEADER, "dev_2k.tsv has no clean row for de"),
        (HEADER + "1\ta\tb\t1\n2\ta\tb\t1\n", "line 2: id 1 has label 1, but label 0 in"),
    ],
)
def test_broken_files_are_named_with_line_and_reason(
    write: Write, tmp_path: Path, text: str, problem: str
) -> None:
    file = write("de/dev_2k.tsv", text)
    error = refused(tmp_path)
    assert str(file) in error.problem
    assert problem in error.problem
    assert error.remedy


def test_other_encodings_are_refused(write: Write, tmp_path: Path) -> None:
    file = write("de/dev_2k.tsv", "")
    file.write_bytes((HEADER + "1\ta\tb\t0\n2\tfür\tb\t1\n").encode("latin-1"))
    assert f"{file}, line 3: not UTF-8" in refused(tmp_path).problem


def test_missing_folders_and_files_are_named(write: Write, tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere")
    assert f"not a folder: {tmp_path / 'nowhere'}" in error.problem

    error = refused(tmp_path, "en de fr ja")
    assert "no folder for fr, ja" in error.problem
    assert "de, en" in error.remedy

    (tmp_path / "de/translated_train.tsv").unlink()
    error = refused(tmp_path)
    assert "no train file for de" in error.problem
    assert "lacks train.tsv or translated_train.tsv" in error.problem

    (tmp_path / "en/dev_2k.tsv").unlink()
    assert "no dev file for en" in refused(tmp_path, "en de", "en").problem

    write("en/translated_train.tsv", HEADER)
    assert "both train.tsv and translated_train.tsv" in refused(tmp_path, "en", "en").problem

    write("en/dev_2k.tsv/file", "")
    (tmp_path / "en/translated_train.tsv").unlink()
    assert f"cannot read {tmp_path / 'en/dev_2k.tsv'}" in refused(tmp_path, "en", "en").problem


def test_official_dev_and_test(pawsx_dir: Path) -> None:
    corpus = load(pawsx_dir / "x-final", " ".join(PAWSX_LANGUAGES), train="")
    clean = "1,849 of 2,000", "1,879 of 2,000"
    dropped = (68, 0, 38, 8, 20, 35, 16), (32, 0, 1, 14, 54, 28, 25)
    for split, in_all, missing in zip(("dev", "test"), clean, dropped, strict=True):
        (note,) = (note for note in corpus.notes if note.startswith(split))
        assert f"{in_all} ids clean in all of" in note
        for language, rows in zip(PAWSX_LANGUAGES, missing, strict=True):
            assert len(corpus.rows[split][language]) == 2000 - rows
            assert (f"{language} {rows} NS" in note) == (rows > 0)
    for split, positives in (("dev", 863), ("test", 907)):
        assert sum(row.label for row in corpus.rows[split]["en"].values()) == positives


def test_official_dev_and_test_cannot_be_trained_on(pawsx_dir: Path) -> None:
    error = refused(pawsx_dir / "x-final", "en de zh", "en de")
    assert "no train file for en, de" in error.problem


def test_parallel_split(pawsx_dir: Path) -> None:
    languages = " ".join(PAWSX_LANGUAGES)
    corpus = load(pawsx_dir / "parallel-split", languages, languages)
    assert corpus.machine_translated
    assert [len(corpus.rows[split]["en"]) for split in corpus.rows] == [2498, 500, 1002]
    assert not load(pawsx_dir / "parallel-split", languages, "en").machine_translated
