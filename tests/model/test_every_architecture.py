"""docs/encoders.md says of every architecture what becomes of it here; each is run to see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging

from tests.model.architectures import (
    ARCHITECTURES,
    LANGUAGES,
    ONLY_A_CONFIGURATION,
    POOLER_ON_DEMAND,
    data,
    saved,
)
from tests.model.architectures import study as study_of
from tests.tracking.examples import Told
from tuner.errors import UserError
from tuner.journal.records import Evaluation
from tuner.model import configuration
from tuner.model import encoder as encoder_module
from tuner.model.chosen_pairs import block_of
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import quiet
from tuner.model.one_language import language_numbers
from tuner.model.packing import PACKABLE, PaddedPairs
from tuner.run.prepare import prepare
from tuner.study import StudyConfig
from tuner.study.trial import HeadConfig
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs" / "encoders.md"
TOLERANCE = 1e-10
NUMBERS = re.compile(r": off by \S+$")
"""The part of a reason that depends on the weights."""
OWN_POOLER = {
    *("albert", "albert, inner_group_num 2", "bert", "ernie", "megatron-bert", "nomic_bert"),
    *("rembert", "squeezebert"),
}
"""Those whose own classifier is dropout and a linear layer on the pooler."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    logging.disable_progress_bar()


def rows() -> dict[str, tuple[str, str]]:
    """Return the docs' verdicts: by name, what becomes of it, and why or what else."""
    found = {}
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            found[cells[0].replace("`", "")] = cells[2], cells[3]
    return found


def test_the_docs_list_every_architecture_that_transformers_has() -> None:
    assert list(rows()) == list(ARCHITECTURES)
    kinds = {kind for kind, _ in ARCHITECTURES.values()}
    assert set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) <= kinds, "new ones belong in the table"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_the_docs_say_is_so(
    name: str, pairs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(name, tmp_path)
    study = study_of(tmp_path, pairs)
    inputs, refused = _prepared(study)
    if inputs is None:
        assert rows()[name] == ("refused", refused)
        if ARCHITECTURES[name][0] not in ONLY_A_CONFIGURATION:
            # What its configuration is refused for is so: run all the same, it is refused again.
            for module in (configuration, encoder_module):
                monkeypatch.setattr(module, "check_architecture", lambda config, name: None)
            assert _prepared(study)[0] is None
        return
    fused, unfused = _prepared(
        study_of(tmp_path, pairs, **{"fusion.kind": "sum", "fusion.layer": 1})
    )
    one = language_numbers(inputs.encoder.config, LANGUAGES, name) is not None
    remarks = [f"`last` alone: {unfused}"] * (fused is None) + ["one language per pair"] * one
    packed = inputs.encoder.config["model_type"] in PACKABLE
    assert rows()[name] == ("packed" if packed else "padded", "; ".join(remarks))
    _compare(name, inputs, tmp_path, all_layers=fused is not None)
    _train(study, inputs)


def _prepared(study: StudyConfig) -> tuple[TrialInputs | None, str]:
    """Return what trials are made from, or None and the reason, without this encoder's details."""
    try:
        return prepare(study, Told()).inputs, ""
    except UserError as error:
        problem = error.problem.replace(repr(study.encoder.name), "it")
        found = re.search(r"(?:trained here|be fused|encoder-only one): (.*)", problem)
        return None, NUMBERS.sub("", found[1] if found else problem)


@torch.no_grad()
def _compare(name: str, inputs: TrialInputs, folder: Path, all_layers: bool) -> None:
    """Ours on blocks beside transformers' own on single pairs, in float64."""
    config = next(iter(study_of(folder, {"source": "nano"}).corner_configs()))
    ours = PairClassifier(inputs.encoder, config.fusion, HeadConfig()).double().eval()
    nn.init.normal_(ours.head.weight)
    theirs = _their(AutoModel, folder)
    corpus, kept = inputs.corpus, inputs.encoder.kept_tokens
    assert kept is not None
    blocks, singles = [], []
    for number, language in enumerate(LANGUAGES):
        every = corpus.rows("dev", [language])
        at = torch.full((len(every),), number).numpy()
        blocks.append(block_of(corpus.assemble("dev", every, at, at)))
        singles += list(_alone(blocks[-1], torch.from_numpy(kept)))
    found = ours.encode(blocks, all_layers)
    logits = ours(blocks)
    own = _own_classifier(name, folder, ours)
    place = 0
    for block, states in zip(blocks, found, strict=True):
        for pair in range(block.shape[0]):
            given = _given(theirs, singles[place])
            output = theirs(**given, output_hidden_states=True)
            if inputs.encoder.has_pooler:
                _equal(logits[place], ours.head(output.pooler_output)[0])
            expected = [*output.hidden_states[:-1], output.last_hidden_state]
            for ours_at, theirs_at in zip(reversed(states), reversed(expected), strict=False):
                _equal(ours_at[pair, : theirs_at.shape[1]], theirs_at[0])
            if own is not None:
                _equal(logits[place], own(**given).logits[0])
            place += 1
    assert len(states) == (inputs.encoder.num_layers + 1 if all_layers else 1)
    assert (own is not None) == (name in OWN_POOLER), "its classifier's form"


def _own_classifier(name: str, folder: Path, ours: PairClassifier) -> PreTrainedModel | None:
    """Transformers' own classifier with our head, where it is a linear layer on the pooler."""
    if name not in OWN_POOLER:
        return None
    model = _their(AutoModelForSequenceClassification, folder, num_labels=2)
    assert isinstance(model.classifier, nn.Linear)
    model.classifier.load_state_dict(ours.head.state_dict())
    return model


def _their(made_by: Any, folder: Path, **more: Any) -> PreTrainedModel:
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    more |= {"add_pooling_layer": True} if kind in POOLER_ON_DEMAND and made_by is AutoModel else {}
    with quiet():
        return made_by.from_pretrained(folder, **more).double().eval()  # type: ignore[no-any-return]


def _alone(block: PaddedPairs, kept: Tensor) -> Iterator[PaddedPairs]:
    """Each pair by itself, with the ids of the whole vocabulary."""
    for pair, length in enumerate(block.attention_mask.sum(1).tolist()):
        own = slice(pair, pair + 1), slice(0, length)
        types, languages = block.token_type_ids, block.language_ids
        yield PaddedPairs(
            kept[block.input_ids[own]],
            block.attention_mask[own],
            None if types is None else types[own],
            None if languages is None else languages[own[0]],
        )


def _given(model: PreTrainedModel, block: PaddedPairs) -> dict[str, Tensor]:
    """Return the arguments that transformers' documentation gives the model."""
    given = {"input_ids": block.input_ids, "attention_mask": block.attention_mask}
    kind = model.config.model_type
    if block.token_type_ids is not None and kind != "distilbert":
        given["token_type_ids"] = block.token_type_ids
    if block.language_ids is not None and kind == "xmod":
        given["lang_ids"] = block.language_ids
    elif block.language_ids is not None:
        given["langs"] = block.language_ids[:, None].expand_as(block.input_ids)
    if kind == "longformer":
        given["global_attention_mask"] = torch.zeros_like(block.input_ids)
        given["global_attention_mask"][:, 0] = 1
    return given


def _equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(
        found, expected, rtol=0, atol=TOLERANCE * max(1.0, float(expected.abs().max()))
    )


def _train(study: StudyConfig, inputs: TrialInputs) -> None:
    """Two steps, and an evaluation."""
    (config, *_) = study.corner_configs()
    *_, last = train(config, (16,), inputs, torch.device("cpu"), noise_pairs=8)
    assert isinstance(last, Evaluation)
    assert last.pairs_seen == 16
    assert torch.isfinite(torch.tensor(last.train_loss))
