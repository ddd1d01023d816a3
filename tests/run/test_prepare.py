"""Mistakes found before a study begins, and files kept for good: on a few of nano's pairs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.records import facts
from tests.tracking.examples import Told
from tuner.cli import main
from tuner.data import nano
from tuner.data.overlap import components_of
from tuner.errors import UserError
from tuner.journal.arrays import text_as_ints
from tuner.journal.facts import StudyFacts
from tuner.model.encoder import PretrainedEncoder, load_encoder
from tuner.run.prepare import Prepared, check_unchanged, prepare
from tuner.study import file as study_file
from tuner.study.file import load_study
from tuner.study.parts import EncoderConfig

NANO = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"
SPLITS = {
    "train": [*range(20), 25],
    "dev": [*range(20, 30), 0],
    "test": [*range(40, 44), 20],
}
"""Rows of nano's pairs: 0 and 1 share a sentence, and so do 2 and 3, and so on.

Train shares with dev 0 and 1 (with 0), and 25 (with 24 and 25); dev with test 20 and 21 (with 20).
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for language in ("en", "es"):
        rows = nano.rows(language, "dev")
        (tmp_path / language).mkdir()
        for split, chosen in SPLITS.items():
            lines = [
                json.dumps(
                    {
                        "id": str(number),
                        "sentence1": rows[number].sentence1,
                        "sentence2": rows[number].sentence2,
                        "label": rows[number].label,
                    }
                )
                for number in chosen
            ]
            (tmp_path / language / f"{split}.jsonl").write_text("\n".join(lines))
    return tmp_path


def prepared(folder: Path, *overrides: str) -> tuple[Prepared, list[str]]:
    paths = ", ".join(f"{split}: '{folder}/{{language}}/{split}.jsonl'" for split in SPLITS)
    settings = [
        f"data={{source: files, {paths}, machine_translated: [es]}}",
        "languages={source: [en], target: [es]}",
        "trial.mix.cross_lingual=0",
        *overrides,
    ]
    told = Told()
    return prepare(load_study(NANO, settings), told), told.lines


def test_a_study_goes_on_with_the_criteria_that_it_began_with() -> None:
    """One of an older version evaluated its objective's sets alone, and them at every rung."""
    study = load_study(NANO, ["languages={source: [en, de], target: [ja]}"])
    new = prepare(study, Told())
    assert new.facts.criteria == ("mean", "worst", "cross_lingual", "balanced", "joint")
    assert [each.name for each in new.inputs.protocol.at_rungs] == ["en", "de", "en-de", "de-en"]
    labels = new.inputs.corpus.splits["dev"].labels
    assert text_as_ints(new.facts.data.dev_classes or "").tolist() == labels.tolist()
    older = new.facts.model_copy(update={"criteria": ()})
    resumed = prepare(study, Told(), older).inputs.protocol
    assert list(resumed.criteria) == ["balanced"]
    assert resumed.at_rungs == resumed.sets


def test_the_overlap_is_told_and_kept(folder: Path) -> None:
    inputs, told = prepared(folder)
    counts = inputs.facts.overlap.counts
    train = counts["train"]
    assert (train.ids, train.shared, train.components) == (21, {"dev": 3, "test": 0}, None)
    assert counts["dev"].shared == {"train": 3, "test": 2}
    assert counts["test"].shared == {"train": 0, "dev": 1}
    assert (
        "dev: 11 pairs in 6 groups that share sentences; 3 pairs share a sentence with train, "
        "2 pairs share a sentence with test"
    ) in told
    facts = StudyFacts.model_validate_json(inputs.facts.model_dump_json())
    assert facts == inputs.facts
    groups = components_of(facts.overlap, "dev", "en", "es")
    assert groups.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert facts.data.machine_translated is False, "English is not"
    assert facts.encoder.seen == ()
    assert facts.data.training_pairs == 21


def test_test_pairs_in_the_training_text_limit_the_claim(folder: Path) -> None:
    """Unless they are dropped from it."""
    alone, _ = prepared(folder)
    test = (folder / "es" / "test.jsonl").read_text().splitlines()
    with (folder / "en" / "train.jsonl").open("a") as train:
        for number, line in enumerate(test[:2]):
            train.write("\n" + json.dumps({**json.loads(line), "id": f"9{number}"}))
    held, _ = prepared(folder)
    limit = "; test pairs that the training text holds: 2 of 5 of es"
    assert held.facts.claim == alone.facts.claim + limit == held.inputs.protocol.claim
    strict, _ = prepared(folder, "protocol.strict_overlap=true")
    assert strict.facts.claim == alone.facts.claim


def test_a_copied_language_is_refused(folder: Path) -> None:
    for each in SPLITS:
        (folder / "es" / f"{each}.jsonl").write_text((folder / "en" / f"{each}.jsonl").read_text())
    with pytest.raises(UserError, match="en and es have the same sentences in 11 of 11"):
        prepared(folder)


@pytest.mark.parametrize(("seen", "limits"), [((), True), (("en", "ja"), False)])
def test_an_encoder_that_was_fine_tuned_limits_the_claim(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seen: tuple[str, ...], limits: bool
) -> None:
    """Unless it says on which languages, as an exported one does."""

    def fine_tuned(config: EncoderConfig) -> PretrainedEncoder:
        encoder = load_encoder(config)
        settings = {**encoder.config, **({"seen_languages": list(seen)} if seen else {})}
        return replace(encoder, task_head="classifier", config=settings)

    monkeypatch.setattr(sys.modules["tuner.run.prepare"], "load_encoder", fine_tuned)
    found, _ = prepared(folder)
    told = "; the encoder has a task head (classifier): it was fine-tuned on unknown data"
    assert found.facts.claim.endswith(told) == limits


def test_truncated_pairs_are_told_and_kept(folder: Path) -> None:
    whole, _ = prepared(folder)
    assert whole.facts.data.truncated["train"] == {"en": 0}
    inputs, told = prepared(folder, "encoder.max_length=8")
    truncated = inputs.facts.data.truncated
    assert set(truncated) == {"train", "dev", "test"}
    assert truncated["dev"].keys() == {"en", "es"}
    assert 0 < truncated["train"]["en"] <= 21
    (note,) = [line for line in told if line.startswith("pairs truncated to 8 tokens: ")]
    assert f"train: en {truncated['train']['en']} of 21; dev: en " in note
    assert note in inputs.facts.data.notes, "which the report shows"


def test_strict_overlap_drops_before_anything_else(folder: Path) -> None:
    """Dev loses 20 and 21; then train loses 0, 1 and 25. Tokens, counts, checksum follow."""
    whole, _ = prepared(folder)
    strict, told = prepared(folder, "protocol.strict_overlap=true")
    counts = strict.facts.overlap.counts
    assert all(not any(of_split.shared.values()) for of_split in counts.values())
    assert {split: count.ids for split, count in counts.items()} == {
        "train": 18,
        "dev": 9,
        "test": 5,
    }
    for split, rows in strict.inputs.corpus.splits.items():
        assert len(rows.labels) == counts[split].ids
    data = strict.facts.data
    assert (data.training_pairs, data.counts["dev"]) == (18, {"en": 9, "es": 9})
    assert data.checksum != whole.facts.data.checksum
    note = (
        "protocol.strict_overlap: dropped 2 of 11 dev pairs, which share a sentence with test; "
        "3 of 21 train pairs, which share a sentence with dev or test"
    )
    assert note in told and note in data.notes
    assert "train: 18 pairs; no pair shares a sentence with dev or test" in told


@pytest.mark.parametrize("command", ["search", "plan", "train"])
@pytest.mark.parametrize("given", [True, False])
def test_strict_overlap_is_an_option(
    command: str, given: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(path: Path, overrides: Any) -> NoReturn:
        assert path == NANO
        raise UserError(f"strict: {load_study(path, overrides).protocol.strict_overlap}", "")

    monkeypatch.setattr(study_file, "load_study", load)
    options = ["--set", "name=b", *["--strict-overlap"] * given]
    monkeypatch.setattr(sys, "argv", ["tuner", command, str(NANO), *options])
    with pytest.raises(SystemExit):
        main()
    assert f"strict: {given}" in capsys.readouterr().err


def test_an_encoder_of_a_study_that_was_begun_elsewhere_is_told_as_such() -> None:
    """Earlier versions kept a folder's name as it was typed: elsewhere it is an id of the hub."""
    began = facts(encoder={"name": "models/xlmr", "checksum": "a" * 64})
    found = facts(encoder={"name": "models/xlmr", "checksum": "b" * 64})
    with pytest.raises(UserError, match=r"encoder has changed.*now bbbbbbbbbbbb") as raised:
        check_unchanged(began, found)
    assert "models/xlmr" in raised.value.remedy
    began = facts(encoder={"name": "/models/xlmr", "checksum": "a" * 64})
    with pytest.raises(UserError) as raised:
        check_unchanged(began, found)
    assert "/models/xlmr" not in raised.value.remedy
