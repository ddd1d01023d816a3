from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from tests.records import facts as record_facts
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.arrays import bits_as_text, ints_as_text, text_as_bits
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs
from tuner.statistics.tables import part_table
from tuner.study.criteria import EvaluationSet, Part
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.trial import FusionConfig, HeadConfig
from tuner.training.accumulation import OutOfMemory
from tuner.training.evaluation import (
    Evaluating,
    Predictions,
    evaluate_dev,
    part_value,
    predict,
)
from tuner.training.forward import Forward

TOKENS = 16 * 21
"""Tokens of a forward pass: 16 of the longest pairs."""


@pytest.fixture(scope="module")
def forward(encoder: PretrainedEncoder) -> Forward:
    model = PairClassifier(encoder, FusionConfig(), HeadConfig(dropout=0.5))
    torch.manual_seed(3)
    torch.nn.init.normal_(model.head.weight)  # so that both classes are predicted
    return Forward(model, torch.device("cpu"))


def protocol(source: str, target: str, **settings: Any) -> EvaluationProtocol:
    languages = LanguagesConfig(source=tuple(source.split()), target=tuple(target.split()))
    return EvaluationProtocol.of(languages, ProtocolConfig(**settings), machine_translated=True)


def returned(events: Generator[Evaluating, None, Any]) -> Any:
    """Return the value after all events; none of them leaves the caller in inference mode."""
    while True:
        try:
            next(events)
        except StopIteration as stop:
            return stop.value
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_scikit_learn(seed: int) -> None:
    labels, predicted = np.random.default_rng(seed).integers(0, 2, (2, 31))
    scores = Predictions(np.arange(31), predicted, labels).scores()
    assert scores.accuracy == pytest.approx(accuracy_score(labels, predicted), abs=1e-15)
    assert scores.f1 == pytest.approx(f1_score(labels, predicted), abs=1e-15)
    assert scores.pairs == 31


def test_f1_without_the_class_is_0() -> None:
    nothing = np.zeros(4, dtype=int)
    assert Predictions(np.arange(4), nothing, nothing).scores().f1 == 0
    assert Predictions(np.arange(4), nothing, nothing).scores().accuracy == 1


@pytest.mark.parametrize("chosen", [EvaluationSet("de", "de"), EvaluationSet("de", "ja")])
@pytest.mark.parametrize("tokens", [1, 100, 10_000])
def test_predictions_are_those_of_single_pairs(
    chosen: EvaluationSet, tokens: int, forward: Forward, corpus: TokenisedCorpus
) -> None:
    (predictions,) = returned(predict(forward, corpus, "dev", [chosen], tokens))

    model = forward.model.eval()
    dev = corpus.splits["dev"]
    first, second = (corpus.languages.index(x) for x in (chosen.language1, chosen.language2))
    rows, expected = [], []
    for row in range(len(dev.labels)):
        if not (dev.clean[first, row] and dev.clean[second, row]):
            continue
        tokens = [
            dev.tokens[dev.starts[language, side, row] :][: dev.lengths[language, side, row]]
            for side, language in enumerate((first, second))
        ]
        ids = torch.tensor([[2, *tokens[0], 3, *tokens[1], 3]])
        types = torch.tensor([[0] * (len(tokens[0]) + 2) + [1] * (len(tokens[1]) + 1)])
        with torch.no_grad():
            expected.append(int(model([PaddedPairs(ids, torch.ones_like(ids), types)]).argmax()))
        rows.append(row)
    model.train()

    assert 0 < sum(expected) < len(expected) < len(dev.labels)
    assert predictions.rows.tolist() == rows
    assert predictions.predicted.tolist() == expected
    assert predictions.labels.tolist() == dev.labels[rows].tolist()


def test_the_model_is_left_in_training_without_gradients(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    returned(predict(forward, corpus, "dev", [EvaluationSet("en", "en")], TOKENS))
    assert all(module.training for module in forward.model.modules())
    assert all(parameter.grad is None for parameter in forward.model.parameters())


@pytest.mark.parametrize("tokens", [100, 10_000])
def test_progress_counts_all_sets_together(
    tokens: int, forward: Forward, corpus: TokenisedCorpus
) -> None:
    sets = [EvaluationSet("en", "en"), EvaluationSet("de", "ja")]
    pairs = [len(corpus.rows("dev", [each.language1, each.language2])) for each in sets]
    told = list(predict(forward, corpus, "dev", sets, tokens))
    done = [t.pairs_done for t in told]
    assert done[0] == 0 and pairs[0] in done and done[-1] == sum(pairs), "set after set"
    assert done == sorted(set(done)) and (len(done) > 9) == (tokens < 1000)
    assert {t.pairs_total for t in told} == {sum(pairs)}


def accuracy(forward: Forward, corpus: TokenisedCorpus, language: str) -> float:
    chosen = EvaluationSet(language, language)
    (predictions,) = returned(predict(forward, corpus, "dev", [chosen], TOKENS))
    return predictions.scores().accuracy


def test_means_of_targets_are_oracle_where_the_targets_are(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    roles = protocol("en fr", "de ja")
    dev = returned(evaluate_dev(forward, corpus, roles, roles.sets, TOKENS))
    select, oracle = dev.select, dev.oracle
    assert list(select) == ["en", "fr", "en-fr", "fr-en", "sources"]
    assert list(oracle) == ["de", "ja", "targets", "enf", "rest"]
    of = {language: accuracy(forward, corpus, language) for language in corpus.languages}
    assert select["sources"].accuracy == pytest.approx(fmean([of["en"], of["fr"]]))
    assert oracle["targets"].accuracy == pytest.approx(fmean([of["de"], of["ja"]]))
    assert oracle["enf"].accuracy == of["de"]
    assert oracle["rest"].accuracy == of["ja"]


def test_a_mean_with_one_oracle_score_is_oracle(forward: Forward, corpus: TokenisedCorpus) -> None:
    pivoted = protocol("en", "de ja", kind="pivot", pivot=("ja",))
    dev = returned(evaluate_dev(forward, corpus, pivoted, pivoted.sets, TOKENS))
    assert list(dev.select) == ["en", "ja", "sources", "rest"]
    assert list(dev.oracle) == ["de", "targets", "enf"]


def test_select_is_the_same_whatever_is_recorded_beside_it(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    for settings in ({}, {"objective": "cross_lingual"}, {"objective": "worst"}):
        with_oracle = protocol("en fr", "fr de ja", kind="translate_train", **settings)
        without = protocol(
            "en fr", "fr de ja", kind="translate_train", record_oracle=False, **settings
        )
        dev = returned(evaluate_dev(forward, corpus, with_oracle, with_oracle.sets, TOKENS))
        alone = returned(evaluate_dev(forward, corpus, without, without.sets, TOKENS))
        assert (alone.select, alone.oracle) == (dev.select, {})
        assert dev.oracle.keys() == {"de", "ja", "targets", "enf", "rest"}


def test_targets_are_select_under_the_oracle_protocol(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    roles = protocol("en", "de ja", kind="oracle")
    dev = returned(evaluate_dev(forward, corpus, roles, roles.sets, TOKENS))
    assert dev.select.keys() == {"en", "de", "ja", "sources", "targets", "enf", "rest"}
    assert dev.oracle == {}


def test_answers_are_of_every_set_and_agree_with_its_scores(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    """Pair by pair, in the order of rows that are clean in both languages; means have none."""
    crossed = protocol("en fr", "de ja", objective="cross_lingual")
    dev = returned(evaluate_dev(forward, corpus, crossed, crossed.sets, TOKENS))
    assert list(dev.answers) == ["en", "fr", "en-fr", "fr-en", "de", "ja"]
    for name, text in dev.answers.items():
        first, _, second = name.partition("-")
        chosen = EvaluationSet(first, second or first)
        (found,) = returned(predict(forward, corpus, "dev", [chosen], TOKENS))
        right = text_as_bits(text, len(corpus.rows("dev", [first, second or first])))
        assert right.tolist() == (found.predicted == found.labels).tolist()
        assert right.mean() == (dev.select | dev.oracle)[name].accuracy
        assert 0 < right.sum() < len(right)


def test_joint_is_the_share_of_a_class_that_is_right_in_every_permitted_set(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    """Counted by hand, id by id, over those clean in all; and also from the record."""
    roles = protocol("en fr", "de ja", objective="joint")
    dev = returned(evaluate_dev(forward, corpus, roles, roles.sets, TOKENS))
    right: dict[int, list[bool]] = {}
    classes: dict[int, int] = {}
    for each in roles.select:
        (found,) = returned(predict(forward, corpus, "dev", [each], TOKENS))
        for row, got, label in zip(found.rows, found.predicted, found.labels, strict=True):
            right.setdefault(row, []).append(bool(got == label))
            classes[row] = label
    everywhere = [row for row, answers in right.items() if len(answers) == 4]
    assert 0 < len(everywhere) < len(right)
    of_class = [[all(right[row]) for row in everywhere if classes[row] == c] for c in (0, 1)]
    shares = [fmean(own) for own in of_class]
    assert dev.criteria["joint"] == min(shares) and shares[0] != shares[1]
    split = corpus.splits["dev"]
    clean = dict(zip(corpus.languages, map(bits_as_text, split.clean), strict=True))
    rows = {"dev": {"components": ints_as_text(np.arange(len(split.labels))), "clean": clean}}
    classes_of = {"dev_classes": ints_as_text(split.labels)}
    facts = record_facts(overlap={"rows": rows}, data=classes_of)
    for part, share in zip(roles.objective.parts, shares, strict=True):
        assert part_table(facts, [dev.answers], part).mean == pytest.approx(share)


def test_a_constant_answer_scores_no_joint(corpus: TokenisedCorpus) -> None:
    sets = (EvaluationSet("en", "en"), EvaluationSet("fr", "fr"))
    found = {}
    for each in sets:
        rows = corpus.rows("dev", [each.language1])
        labels = corpus.splits["dev"].labels[rows]
        found[each] = Predictions(rows, np.zeros_like(labels), labels)
    assert [part_value(found, Part("", sets, label)) for label in (0, 1)] == [1.0, 0.0]


def test_dev_alone_is_read(forward: Forward, corpus: TokenisedCorpus) -> None:
    dev_alone = replace(corpus, splits={"dev": corpus.splits["dev"]})
    roles = protocol("en fr", "de ja")
    alone = returned(evaluate_dev(forward, dev_alone, roles, roles.sets, TOKENS))
    whole = returned(evaluate_dev(forward, corpus, roles, roles.sets, TOKENS))
    assert (alone.select, alone.oracle) == (whole.select, whole.oracle)


def test_an_evaluation_that_does_not_fit_takes_fewer_pairs_at_once(
    forward: Forward, corpus: TokenisedCorpus
) -> None:
    """The predictions stay what they are; where not even one pair fits, the trial is told so."""
    chosen = [EvaluationSet("en", "en"), EvaluationSet("de", "de")]
    expected = returned(predict(forward, corpus, "dev", chosen, TOKENS))
    room, sizes = 5, []

    def check(module: torch.nn.Module, inputs: tuple[list[PaddedPairs]]) -> None:
        pairs = sum(len(block.input_ids) for block in inputs[0])
        if pairs > room:
            raise torch.OutOfMemoryError("injected")
        sizes.append(pairs)

    hook = forward.model.register_forward_pre_hook(check)
    found = returned(predict(forward, corpus, "dev", chosen, TOKENS))
    assert 2 < max(sizes) <= 5, "halved until it fits"
    for before, after in zip(expected, found, strict=True):
        assert np.array_equal(before.predicted, after.predicted)
        assert np.array_equal(before.labels, after.labels)
    room = 0
    with pytest.raises(OutOfMemory, match="an evaluation of one pair"):
        returned(predict(forward, corpus, "dev", chosen, TOKENS))
    hook.remove()
