"""The claim says of machine translation what somebody said of it, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.sources.worlds import World
from tuner.data.sources import load_corpus
from tuner.errors import UserError
from tuner.study import StudyConfig
from tuner.study.data import DirectoryData, FilesData
from tuner.study.file import load_study, reopened_study
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.settings import StudySettings

NANO = Path("search_spaces/nano.yaml")


def claim(data: DirectoryData | FilesData, source: tuple[str, ...]) -> str:
    """Return the claim of a study of these sources that has no targets."""
    corpus = load_corpus(data, source, source)
    languages = LanguagesConfig(source=source)
    return EvaluationProtocol.of(languages, ProtocolConfig(), corpus.machine_translated).claim


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The layout of PAWS-X with train.tsv, of whatever origin, in en, de and fr."""
    for language in ("en", "de", "fr"):
        (tmp_path / language).mkdir()
        for name in ("train", "dev_2k"):
            rows = "".join(f"{n}\t{language} {n}\tb\t{n % 2}\n" for n in range(4))
            text = f"id\tsentence1\tsentence2\tlabel\n{rows}"
            (tmp_path / language / f"{name}.tsv").write_text(text)
    return tmp_path


def rename(folder: Path, language: str) -> None:
    (folder / language / "train.tsv").rename(folder / language / "translated_train.tsv")


def test_a_file_called_train_proves_nothing_of_a_translation(folder: Path) -> None:
    data = DirectoryData(source="directory", path=folder)
    assert claim(data, ("en",)) == "trained on en (machine-translated: no)"
    assert claim(data, ("en", "de")) == "trained on en, de (machine-translated: unknown)"
    rename(folder, "de")
    assert claim(data, ("en", "de")) == "trained on en, de (machine-translated: yes)"
    assert claim(data, ("en", "fr")) == "trained on en, fr (machine-translated: unknown)"
    assert claim(data, ("en", "fr", "de")).endswith("en, fr, de (machine-translated: yes)")


def test_what_is_not_known_is_told_with_what_would_say_it(folder: Path) -> None:
    rename(folder, "fr")
    note = "machine translation: unknown for de (set data.machine_translated)"
    languages = ("en", "de", "fr")
    data = DirectoryData(source="directory", path=folder)
    assert note in load_corpus(data, languages, languages).notes
    said = data.model_copy(update={"machine_translated": ("fr",)})
    assert not any("unknown for" in note for note in load_corpus(said, languages, languages).notes)


def test_who_knows_says_so(folder: Path) -> None:
    def told(machine_translated: tuple[str, ...] | None) -> str:
        data = DirectoryData(source="directory", path=folder, machine_translated=machine_translated)
        return claim(data, ("en", "de")).removeprefix("trained on en, de ")

    assert told(()) == "(machine-translated: no)"
    assert told(("de",)) == "(machine-translated: yes)"
    assert told(("fr",)) == "(machine-translated: no)", "French is not trained on"
    assert told(("en",)) == "(machine-translated: yes)"
    rename(folder, "de")
    assert told(("de",)) == told(None) == "(machine-translated: yes)"
    with pytest.raises(UserError, match="is machine translation according to its name"):
        told(())


@pytest.mark.parametrize(
    ("said", "claimed"), [([], "no"), (["de"], "yes"), (["en", "de"], "yes"), (None, "unknown")]
)
def test_files_are_what_the_user_says(tmp_path: Path, said: Any, claimed: str) -> None:
    world = World(tmp_path)
    world.data["machine_translated"] = said
    assert claim(world.settings(), ("en", "de")).endswith(f"(machine-translated: {claimed})")


FILES = "source: files, train: '{language}.tsv', dev: '{language}.tsv'"


@pytest.mark.parametrize("block", [FILES, "source: hub, name: x", "source: directory, path: x"])
@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("[dee]", "'dee' is not a language of the study; did you mean 'de'?"),
        ("[de, pt]", "'pt' is not a language of the study; allowed: de, en, es, fr, ja, ko, zh"),
        ("[DE]", "'DE' is not a language of the study"),
    ],
)
def test_its_languages_are_the_study_s(block: str, named: str, problem: str) -> None:
    with pytest.raises(UserError) as raised:
        load_study(NANO, [f"data={{{block}, machine_translated: {named}}}"])
    assert f"data.machine_translated: {problem}" in str(raised.value)
    study = load_study(NANO, [f"data={{{block}, machine_translated: [de, ja]}}"])
    assert isinstance(study, StudyConfig), "a source and a target"


def test_a_pivot_is_a_language_of_the_study() -> None:
    pivot = ["languages.target=[zh]", "protocol={kind: pivot, pivot: [ko]}"]
    study = load_study(NANO, [f"data={{{FILES}, machine_translated: [ko]}}", *pivot])
    assert study.all_languages == ("en", "de", "fr", "zh", "ko")


def test_a_study_of_an_older_version_that_names_others_is_still_resumed(tmp_path: Path) -> None:
    """Older versions did not check it; only a new study has to keep to it."""
    block = f"data={{{FILES}, machine_translated: [de]}}"
    study = load_study(NANO, [block, f"storage={tmp_path}"])
    plain = study.model_dump(mode="json")
    plain["data"]["machine_translated"] = ["de", "pt"]
    reopened = reopened_study(StudySettings.model_validate(plain), study.folder)
    assert reopened.data.model_dump()["machine_translated"] == ("de", "pt")
