"""Encoders that are told the language of a sequence: X-MOD and XLM."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import XmodModel
from transformers.utils import logging

from tests.model.architectures import data, saved, study
from tests.tracking.examples import Told
from tuner.errors import UserError
from tuner.model.chosen_pairs import block_of
from tuner.model.classifier import PairClassifier
from tuner.model.one_language import assumed_codes, check_one_language, language_numbers
from tuner.run.prepare import prepare
from tuner.study import StudyConfig
from tuner.study.trial import FusionConfig, HeadConfig
from tuner.training.loop import train

XMOD = {"model_type": "xmod", "languages": ["en_XX", "de_DE", "zh_CN", "zh_TW"]}
XLM = {"model_type": "xlm", "n_langs": 2, "lang2id": {"en": 1, "de": 0}}


@pytest.mark.parametrize(
    ("config", "languages", "numbers"),
    [
        (XMOD, ("de", "en"), (1, 0)),
        (XMOD, ("zh_TW", "de_DE"), (3, 1)),
        (XMOD, ("zh", "en"), (2, 0)),
        (XMOD | {"languages": ["zh_TW"]}, ("zh",), (0,)),
        (XLM, ("de", "en"), (0, 1)),
        (XLM | {"n_langs": 1}, ("fr",), None),
        (XLM | {"use_lang_emb": False}, ("fr",), None),
        ({"model_type": "bert"}, ("fr",), None),
    ],
)
def test_languages_are_found_by_code(
    config: dict[str, Any], languages: tuple[str, ...], numbers: tuple[int, ...] | None
) -> None:
    assert language_numbers(config, languages, "x") == numbers


@pytest.mark.parametrize(
    ("config", "language"),
    [(XMOD, "ja"), (XLM, "fr"), (XLM | {"lang2id": None}, "en")],
)
def test_a_language_that_it_does_not_know_is_refused(config: Any, language: str) -> None:
    with pytest.raises(UserError, match=f"does not know {language}"):
        language_numbers(config, ("en", language) if config is XMOD else (language,), "x")


def test_chinese_is_simplified_chinese_and_the_user_is_told() -> None:
    (line,) = assumed_codes(XMOD, ("en", "zh"), "x")
    assert line == "the encoder x knows zh_CN and zh_TW: zh is read as zh_CN"
    for config in (XMOD | {"languages": ["zh_TW"]}, XLM, {"model_type": "bert"}):
        assert assumed_codes(config, ("en", "zh"), "x") == []
    assert assumed_codes(XMOD, ("zh_CN", "de"), "x") == []


@pytest.mark.parametrize(
    ("config", "language", "codes"),
    [
        (XMOD, "zh_HK", "zh_CN or zh_TW"),
        (XMOD | {"languages": ["sr_RS", "sr_ME"]}, "sr", "sr_RS or sr_ME"),
    ],
)
def test_a_language_with_several_codes_is_to_be_called_one_of_them(
    config: dict[str, Any], language: str, codes: str
) -> None:
    with pytest.raises(UserError, match=rf"{language} may be {codes}\nUse one of these codes"):
        language_numbers(config, (language,), "x")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (XMOD | {"languages": None}, "languages must be a list of codes, got None"),
        (XMOD | {"languages": "en_XX"}, "languages must be a list of codes, got 'en_XX'"),
        (XMOD | {"languages": ["en_XX", 3]}, "languages must be a list of codes"),
        (XLM | {"lang2id": ["en", "de"]}, "lang2id must map codes to whole numbers from 0 to 1"),
        (XLM | {"lang2id": {"en": "0"}}, "lang2id must map codes to whole numbers"),
        (XLM | {"lang2id": {"en": True}}, "lang2id must map codes to whole numbers"),
        (XLM | {"lang2id": {"en": 2}}, "lang2id must map codes to whole numbers"),
    ],
)
def test_a_configuration_whose_languages_are_broken_is_refused(
    config: dict[str, Any], told: str, tmp_path: Path
) -> None:
    message = f"(?s)the configuration of .* cannot be loaded: {told}"
    with pytest.raises(UserError, match=message):
        language_numbers(config, ("en",), "x")
    with pytest.raises(UserError, match=message):
        check_one_language(config, study(tmp_path, {"source": "nano"}))


def test_pairs_of_two_languages_are_refused(tmp_path: Path) -> None:
    def of(**changed: Any) -> StudyConfig:
        base = study(tmp_path, {"source": "nano"}).model_dump(mode="json")
        return StudyConfig.model_validate(base | changed)

    check_one_language(XMOD, of())
    mixed = of(space={"mix.cross_lingual": [0, 0.5]})
    with pytest.raises(
        UserError, match=r"one language per sequence, but mix\.cross_lingual above 0"
    ):
        check_one_language(XMOD, mixed)
    crossing = of(protocol={"objective": "cross_lingual"})
    with pytest.raises(UserError, match="objective cross_lingual evaluates pairs in two"):
        check_one_language(XMOD, crossing)
    unknown = of(languages={"source": ["en"], "target": ["ja"]})
    with pytest.raises(UserError, match="does not know ja"):
        check_one_language(XMOD, unknown)
    check_one_language({"model_type": "bert"}, mixed)


def test_each_pair_goes_through_the_adapters_of_its_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single pairs beside transformers' own model, and none of it is English by default."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    logging.disable_progress_bar()
    saved("xmod", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"default_language": "en_XX"}))
    asked = study(tmp_path, data(tmp_path))
    inputs = prepare(asked, Told()).inputs
    assert inputs.corpus.language_ids == (0, 1)
    assert list(inputs.protocol.criteria) == ["mean", "worst"], "none reads two languages"
    assert all(each.language1 == each.language2 for each in inputs.protocol.sets)
    model = PairClassifier(inputs.encoder, FusionConfig(), HeadConfig()).double().eval()
    theirs = XmodModel.from_pretrained(tmp_path).double().eval()
    kept = torch.from_numpy(inputs.encoder.kept_tokens)
    rows, at = np.array([3, 3, 5]), np.array([0, 1, 1])
    block = block_of(inputs.corpus.assemble("dev", rows, at, at))
    types = block.token_type_ids
    assert types is not None
    ((found,),) = model.encode([block], all_layers=False)
    for pair, length in enumerate(block.attention_mask.sum(1).tolist()):
        ids = kept[block.input_ids[pair : pair + 1, :length]]
        given = {"input_ids": ids, "token_type_ids": types[pair : pair + 1, :length]}
        own = theirs(**given, lang_ids=torch.tensor([at[pair]])).last_hidden_state[0]
        english = theirs(**given).last_hidden_state[0]
        torch.testing.assert_close(found[pair, :length], own, rtol=0, atol=1e-12)
        assert torch.allclose(own, english) == (at[pair] == 0)
    (trial, *_) = asked.corner_configs()
    *_, last = train(trial, (16,), inputs, torch.device("cpu"), noise_pairs=8)
    assert set(last.noise) == {"monolingual"}


@pytest.mark.integration  # it imports Ray
def test_test_has_no_pair_of_two_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuner.run.testing import crossed

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    logging.disable_progress_bar()
    saved("bert", tmp_path)
    inputs = prepare(study(tmp_path, data(tmp_path)), Told()).inputs

    as_test = replace(inputs.corpus, splits={"test": inputs.corpus.splits["dev"]})
    names = [each.name for each in crossed(as_test)]
    assert len(names) == 4
    alone = [each.name for each in crossed(replace(as_test, language_ids=(0, 1)))]
    assert alone == ["en", "de"]
