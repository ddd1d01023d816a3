"""More than two labels, from text to scores."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from tuner.data import nano
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.data.tokens import TokenisedCorpus
from tuner.errors import UserError
from tuner.journal.records import Evaluation
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.run.prepare import _majority_accuracy
from tuner.study.data import FilesData
from tuner.study.parts import EncoderConfig
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.trial import TrialConfig
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Predictions
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train

ENCODER = EncoderConfig(name="nano", max_length=32)
CPU = torch.device("cpu")
PROTOCOL = EvaluationProtocol.of(LanguagesConfig(source=("en",)), ProtocolConfig(), False)
CONFIG = TrialConfig.from_flat({"optim.lr": 1e-3, "batch.effective_size": 16, "head.dropout": 0})


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> TokenisedCorpus:
    """Three labels, told by the number of words of the second sentence: one, three or nine.

    In dev half of the pairs are of the first label.
    """
    folder: Path = tmp_path_factory.mktemp("three")
    labels, generator = ("one", "three", "nine"), random.Random(0)
    sentences = [row.sentence1 for row in nano.rows("en", "train")]
    words = sorted({word for sentence in sentences for word in sentence.split()})
    for split, ids in (("train", 192), ("dev", 64)):
        with (folder / f"en.{split}.jsonl").open("w") as file:
            for id_ in range(ids):
                kind = generator.randrange(3) if split == "train" or id_ % 2 else 0
                row = {
                    "id": id_,
                    "sentence1": sentences[id_],
                    "sentence2": " ".join(generator.choices(words, k=3**kind)),
                    "label": labels[kind],
                }
                file.write(json.dumps(row) + "\n")
    data = FilesData(
        source="files",
        train=f"{folder}/{{language}}.train.jsonl",
        dev=f"{folder}/{{language}}.dev.jsonl",
        labels=labels,
        machine_translated=(),
    )
    return tokenise(load_corpus(data, ["en"], ["en"]), load_tokenizer(ENCODER), 32)


def test_three_classes_are_learnt(three: TokenisedCorpus) -> None:
    assert three.num_labels == 3
    events = train(CONFIG, (16, 16 * 24), TrialInputs(PROTOCOL, three, load_encoder(ENCODER)), CPU)
    before, after = (event for event in events if isinstance(event, Evaluation))
    majority = _majority_accuracy(three, PROTOCOL)
    assert majority == np.mean(three.splits["dev"].labels == 0) >= 0.5
    assert before.train_loss == pytest.approx(np.log(3), abs=0.1)
    assert after.objective > majority + 0.1
    assert after.select["en"].f1 > before.select["en"].f1


def test_a_checkpoint_of_other_classes_is_refused(three: TokenisedCorpus, tmp_path: Path) -> None:
    encoder = load_encoder(ENCODER)
    four = TokenisedCorpus(**(vars(three) | {"num_labels": 4}))
    saved = Checkpoints(tmp_path, 60.0)
    list(train(CONFIG, (16,), TrialInputs(PROTOCOL, four, encoder), CPU, saved))
    with pytest.raises(UserError, match="belongs to another configuration, encoder or corpus"):
        list(train(CONFIG, (16,), TrialInputs(PROTOCOL, three, encoder), CPU, saved))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [3, 7])
def test_f1_of_more_than_two_classes_is_the_macro_average(seed: int, classes: int) -> None:
    """scikit-learn's, over the classes that occur."""
    labels, predicted = np.random.default_rng(seed).integers(0, classes, (2, 9))
    scores = Predictions(np.arange(9), predicted, labels, num_labels=classes).scores()
    assert scores.f1 == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-15)


def test_a_macro_average_leaves_out_what_does_not_occur() -> None:
    """By hand: classes 0 and 2 of three; F1 is 2/3 for 0 and 0 for 2, which is only predicted."""
    scores = Predictions(np.arange(2), np.array([0, 2]), np.array([0, 0]), num_labels=3).scores()
    assert scores.f1 == pytest.approx((2 / 3 + 0) / 2)
