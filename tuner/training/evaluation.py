"""Scores of evaluation sets: what is predicted, how well, and the means that a protocol permits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from tuner.data.corpus import Split
from tuner.data.tokens import TokenisedCorpus
from tuner.protocol import EvaluationSet, Protocol
from tuner.records import Scores
from tuner.training.accumulation import Forward


@dataclass(frozen=True)
class Predictions:
    """What a model says of the pairs of an evaluation set, in ascending order of rows.

    Attributes:
        rows: row indices of the split, those clean in both languages.
        predicted: classes, 1 for paraphrases.
        labels: what is right.
    """

    rows: Int[np.ndarray, " pairs"]
    predicted: Int[np.ndarray, " pairs"]
    labels: Int[np.ndarray, " pairs"]

    def scores(self) -> Scores:
        """Accuracy, and binary F1 of class 1 (0 where nothing is of class 1 on either side)."""
        hits = int(np.sum((self.predicted == 1) & (self.labels == 1)))
        positives = int(np.sum(self.predicted == 1) + np.sum(self.labels == 1))
        return Scores(
            accuracy=float(np.mean(self.predicted == self.labels)),
            f1=2 * hits / positives if positives else 0.0,
            pairs=len(self.labels),
        )


def predict(
    forward: Forward,
    corpus: TokenisedCorpus,
    split: Split,
    chosen: EvaluationSet,
    batch_size: int,
) -> Predictions:
    """Classify every pair of a set, without dropout and gradients; the model is in training after.

    Args:
        forward: the model.
        corpus: where the pairs are.
        split: `test` is for `confirm` alone.
        chosen: the languages of sentence1 and sentence2.
        batch_size: pairs of a forward pass; batches are of similar length.

    Raises:
        UserError: the corpus lacks the split in one of the languages.
    """
    rows = corpus.rows(split, [chosen.language1, chosen.language2])
    language1 = np.full_like(rows, corpus.languages.index(chosen.language1))
    language2 = np.full_like(rows, corpus.languages.index(chosen.language2))
    by_length = np.argsort(corpus.lengths(split, rows, language1, language2), kind="stable")
    predicted, labels = np.empty_like(rows), np.empty_like(rows)
    forward.model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = by_length[start : start + batch_size]
            pairs = corpus.assemble(split, rows[batch], language1[batch], language2[batch])
            predicted[batch] = forward(pairs).argmax(dim=1).cpu().numpy()
            labels[batch] = pairs.labels
    forward.model.train()
    return Predictions(rows, predicted, labels)


def evaluate_dev(
    forward: Forward, corpus: TokenisedCorpus, protocol: Protocol, batch_size: int
) -> tuple[dict[str, Scores], dict[str, Scores]]:
    """Dev scores by name, and the means over languages: (`select`, `oracle`).

    `select` is computed from permitted sets alone, before any other is looked at. A mean that needs
    a score of `oracle` is in `oracle`.
    """

    def scores(chosen: EvaluationSet) -> Scores:
        return predict(forward, corpus, "dev", chosen, batch_size).scores()

    select = {chosen.name: scores(chosen) for chosen in protocol.select}
    select |= protocol.averages(select)
    oracle = {chosen.name: scores(chosen) for chosen in protocol.oracle}
    averages = protocol.averages(select | oracle)
    oracle |= {name: score for name, score in averages.items() if name not in select}
    return select, oracle
