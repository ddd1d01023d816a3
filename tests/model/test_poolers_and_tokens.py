"""Poolers, packing, vocabularies and token types of encoders that are tried on a few pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import processors
from transformers import AlbertForSequenceClassification, AutoModel, NomicBertModel

from tests.model.architectures import ARCHITECTURES, saved, study, tokenizer
from tests.model.examples import prepared
from tests.tracking.examples import Told
from tuner.errors import UserError
from tuner.model import packing
from tuner.model.chosen_pairs import block_of
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder, load_encoder
from tuner.model.packing import BlockEncoder
from tuner.model.vocabulary import cut
from tuner.run import prepare as prepare_module
from tuner.run.prepare import prepare
from tuner.study.trial import HeadConfig
from tuner.training.inputs import TrialInputs

pytestmark = pytest.mark.usefixtures("no_cache")


def test_a_bare_pooler_has_its_tanh(tmp_path: Path, pairs: dict[str, Any]) -> None:
    """ALBERT's own classifier does so."""
    inputs = prepared("albert", tmp_path, pairs)
    ours = _classifier(inputs)
    theirs = AlbertForSequenceClassification.from_pretrained(tmp_path).double().eval()
    theirs.classifier.load_state_dict(ours.head.state_dict())
    rows = inputs.corpus.rows("dev", ["en"])
    block = block_of(inputs.corpus.assemble("dev", rows[:3], rows[:3] * 0, rows[:3] * 0))
    kept = torch.from_numpy(inputs.encoder.kept_tokens)
    logits = theirs(kept[block.input_ids], block.attention_mask, block.token_type_ids).logits
    assert logits.std() > 0.1
    torch.testing.assert_close(ours([block]), logits, rtol=0, atol=1e-12)


def test_a_pooler_that_has_to_be_asked_for_is_loaded(tmp_path: Path) -> None:
    config = saved("nomic_bert", tmp_path)
    encoder = load_encoder(study(tmp_path, {"source": "nano"}).encoder)
    assert encoder.has_pooler
    assert isinstance(AutoModel.from_pretrained(tmp_path), NomicBertModel)
    theirs = NomicBertModel.from_pretrained(tmp_path, add_pooling_layer=True)
    for name, weight in encoder.build().state_dict().items():
        assert torch.equal(weight, theirs.state_dict()[name])
    without = NomicBertModel(config)
    without.save_pretrained(tmp_path)
    again = load_encoder(study(tmp_path, {"source": "nano"}).encoder)
    assert not again.has_pooler
    again.build()


def test_what_is_packed_wrongly_is_noticed(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(self: BlockEncoder, block: packing.PaddedPairs) -> torch.Tensor:
        return positions(self, block) + 1

    positions = BlockEncoder._positions
    monkeypatch.setattr(BlockEncoder, "_positions", shifted)
    with pytest.raises(UserError, match=r"beside it \(packed\): off by"):
        prepared("bert", tmp_path, pairs)


def test_a_vocabulary_that_is_cut_wrongly_is_noticed(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(encoder: PretrainedEncoder, corpus: Any) -> Any:
        smaller, renumbered = cut(encoder, corpus)
        rows = np.roll(smaller.weights[smaller.embedding], 1, axis=0)
        return replace(smaller, weights={**smaller.weights, smaller.embedding: rows}), renumbered

    monkeypatch.setattr(prepare_module, "cut", wrong)
    with pytest.raises(UserError, match="not computed as transformers computes it: off by"):
        prepared("bert", tmp_path, pairs)


def test_token_types_beyond_the_encoders_are_left_out(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """klue/roberta-base is like this: BERT's tokenizer, and one type of tokens."""
    monkeypatch.setitem(ARCHITECTURES, "one type", ("bert", {"type_vocab_size": 1}))
    saved("one type", tmp_path)
    tokenizer(types=True).save_pretrained(tmp_path)
    told = Told()
    inputs = prepare(study(tmp_path, pairs), told).inputs
    assert inputs.corpus.template.types is None
    assert any("only one type, so the sentences are not numbered" in line for line in told.lines)


def test_a_pair_begins_with_a_special_token(tmp_path: Path, pairs: dict[str, Any]) -> None:
    saved("bert", tmp_path)
    without = tokenizer(types=True)
    without.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[("[SEP]", 3)]
    )
    without.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="begins a pair without a special token"):
        prepare(study(tmp_path, pairs), Told())


@pytest.mark.parametrize("name", ["eurobert", "esm", "ibert"])
def test_special_tokens_and_tables_survive_the_cut(
    name: str, tmp_path: Path, pairs: dict[str, Any]
) -> None:
    """Ids above the corpus's own, a mask that is looked for, a table in two forms."""
    saved(name, tmp_path)
    inputs = prepare(study(tmp_path, pairs), Told()).inputs
    kept = inputs.encoder.kept_tokens
    assert kept is not None and len(kept) < 70
    whole = load_encoder(study(tmp_path, pairs).encoder)
    for key, value in whole.config.items():
        if key.endswith("_token_id") and value is not None:
            assert kept[inputs.encoder.config[key]] == value
    module = inputs.encoder.embedding.rpartition(".")[0]
    tables = [array for key, array in inputs.encoder.weights.items() if key.startswith(module)]
    assert {len(array) for array in tables if array.ndim == 2} == {len(kept)}


def _classifier(inputs: TrialInputs) -> PairClassifier:
    config = study(Path("encoder"), {"source": "nano"}).corner_configs()
    model = PairClassifier(inputs.encoder, next(iter(config)).fusion, HeadConfig())
    torch.nn.init.normal_(model.head.weight)
    return model.double().eval()
