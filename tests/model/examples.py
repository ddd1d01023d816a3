"""Helpers that several tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.model.architectures import saved, study
from tests.tracking.examples import Told
from tuner.errors import UserError
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.shape import check_encoder
from tuner.run.prepare import prepare
from tuner.study.file import validate_study
from tuner.study.parts import EncoderConfig
from tuner.training.inputs import TrialInputs

STUDY = {
    "name": "small",
    "data": {"source": "nano"},
    "encoder": {"name": "nano", "max_length": 32},
    "languages": {"source": ["en", "de"]},
    "protocol": {"objective": "mean"},
    "budget": {"trials": 9, "pairs_per_trial": 900},
    "space": {"optim.lr": [1e-4, 1e-3]},
}


def at(folder: Path) -> EncoderConfig:
    return EncoderConfig(name=str(folder), max_length=20)


def refused(folder: Path, words: str) -> UserError:
    """Return the message about a folder from its files alone, and again when it is loaded."""
    study = validate_study({**STUDY, "encoder": {"name": str(folder), "max_length": 20}}, "here")
    with pytest.raises(UserError, match=words) as early:
        check_encoder(study)
    load: Callable[[EncoderConfig], object] = load_encoder
    if "tokenizer" in early.value.problem:
        load = load_tokenizer
    with pytest.raises(UserError) as late:
        load(at(folder))
    assert str(late.value) == str(early.value)
    assert early.value.remedy
    return early.value


def prepared(name: str, folder: Path, pairs: dict[str, Any], **trial: Any) -> TrialInputs:
    saved(name, folder)
    return prepare(study(folder, pairs, **trial), Told()).inputs
