from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertForSequenceClassification, BertModel, DistilBertModel

from tuner.model.classifier import PairClassifier, derive_seed
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs
from tuner.study.trial import FusionConfig, HeadConfig

ARCHITECTURES = ("bert", "xlm-roberta", "distilbert")
FUSIONS = {
    "last": FusionConfig(),
    "multiply": FusionConfig(kind="dlfa", layer=1),
    "select": FusionConfig(kind="dlfa", layer=0, mode="select"),
}
PADDING = {"bert": 0, "xlm-roberta": 1, "distilbert": 0}


def double(encoder: PretrainedEncoder, fusion: FusionConfig, seed: int = 0) -> PairClassifier:
    return PairClassifier(encoder, fusion, HeadConfig(), seed=seed).double().eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two pairs, of 6 and 4 tokens."""
    ids = torch.tensor([[2, 7, 8, 3, 9, 3], [2, 11, 3, 3, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    types = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0]])
    return ids, mask, types


def test_last_equals_transformers_classifier(
    folders: dict[str, Path], encoders: dict[str, PretrainedEncoder]
) -> None:
    ours = double(encoders["bert"], FusionConfig())
    theirs = BertForSequenceClassification.from_pretrained(folders["bert"]).double().eval()
    theirs.classifier.load_state_dict(ours.head.state_dict())
    ids, mask, types = batch()

    logits = theirs(input_ids=ids, attention_mask=mask, token_type_ids=types).logits

    assert logits.std() > 0.01  # they are about something
    assert torch.allclose(ours([PaddedPairs(ids, mask, types)]), logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_fusion_reads_the_layers_that_transformers_numbers(
    layer: int, folders: dict[str, Path], encoders: dict[str, PretrainedEncoder]
) -> None:
    ours = double(encoders["bert"], FusionConfig(kind="dlfa", layer=layer))
    theirs = BertModel.from_pretrained(folders["bert"]).double().eval()
    ids, mask, types = batch()

    output = theirs(
        input_ids=ids, attention_mask=mask, token_type_ids=types, output_hidden_states=True
    )
    fused = ours.fusion(output.hidden_states[-1], output.hidden_states[layer], mask)
    logits = ours.head(theirs.pooler(fused))

    assert not list(ours.encoder.pooler.parameters())  # it is applied once, to what is fused
    assert torch.allclose(ours([PaddedPairs(ids, mask, types)]), logits, rtol=0, atol=1e-12)


def test_without_a_pooler_the_head_reads_the_first_token(
    folders: dict[str, Path], encoders: dict[str, PretrainedEncoder]
) -> None:
    ours = double(encoders["distilbert"], FusionConfig())
    theirs = DistilBertModel.from_pretrained(folders["distilbert"]).double().eval()
    ids, mask, types = batch()  # types are not for it
    logits = ours.head(theirs(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
    assert torch.allclose(ours([PaddedPairs(ids, mask, types)]), logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_nothing(
    architecture: str, fusion: FusionConfig, encoders: dict[str, PretrainedEncoder]
) -> None:
    model = double(encoders[architecture], fusion)
    torch.nn.init.normal_(model.head.weight)  # so that a difference would show
    ids, mask, _ = batch()
    ids = ids.where(mask == 1, PADDING[architecture])
    fill = torch.full((2, 9), PADDING[architecture])

    logits = model([PaddedPairs(ids, mask)])
    padded = model(
        [PaddedPairs(torch.cat([ids, fill], 1), torch.cat([mask, torch.zeros_like(fill)], 1))]
    )
    shorter = model([PaddedPairs(ids[1:, :4], mask[1:, :4])])

    assert logits[0].sub(logits[1]).abs().max() > 0.01
    assert torch.allclose(padded, logits, rtol=0, atol=1e-12)
    assert torch.allclose(shorter, logits[1:], rtol=0, atol=1e-12)


def test_new_weights_depend_on_seed_and_name_alone(encoders: dict[str, PretrainedEncoder]) -> None:
    bert = encoders["bert"]
    torch.manual_seed(1)
    baseline = PairClassifier(bert, FUSIONS["last"], HeadConfig(), seed=5)
    torch.manual_seed(2)
    fused = PairClassifier(bert, FUSIONS["multiply"], HeadConfig(), seed=5)
    other_layer = PairClassifier(bert, FUSIONS["select"], HeadConfig(dropout=0.5), seed=5)
    other_seed = PairClassifier(bert, FUSIONS["multiply"], HeadConfig(), seed=6)

    assert torch.equal(baseline.head.weight, fused.head.weight)
    for name, weight in fused.fusion.state_dict().items():
        assert torch.equal(weight, other_layer.fusion.get_parameter(name))
    assert not torch.equal(fused.head.weight, other_seed.head.weight)
    local = fused.fusion.get_parameter("attention.local_branch.0.weight")
    assert not torch.equal(local, fused.fusion.get_parameter("attention.global_branch.0.weight"))


def test_new_weights_are_as_bert_initialises_its_own(
    encoders: dict[str, PretrainedEncoder],
) -> None:
    fusion = PairClassifier(encoders["bert"], FUSIONS["multiply"], HeadConfig()).fusion
    weights = torch.cat([p.detach().flatten() for p in fusion.parameters() if p.ndim == 2])
    assert weights.std() == pytest.approx(0.02, rel=0.1)
    for name, parameter in fusion.named_parameters():
        if parameter.ndim == 1:
            expected = 1.0 if name.endswith(("1.weight", "4.weight")) else 0.0
            assert torch.all(parameter == expected)


def test_new_parameters_are_those_not_pretrained(encoders: dict[str, PretrainedEncoder]) -> None:
    model = PairClassifier(encoders["bert"], FUSIONS["multiply"], HeadConfig())
    new = model.new_parameters()
    names = {name for name, parameter in model.named_parameters() if parameter in new}
    assert {name.split(".")[0] for name in names} == {"fusion", "head"}
    pretrained = sum(array.size for array in encoders["bert"].weights.values())
    assert sum(p.numel() for p in model.parameters() if p not in new) == pretrained


def test_derived_seeds_do_not_collide() -> None:
    seeds = {derive_seed(seed, "dropout", step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000
    # printf 0/head | sha256sum: the same on every machine and after every upgrade
    assert derive_seed(0, "head") == 0xB5DAC06507CC1AA5 >> 1
