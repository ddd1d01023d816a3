"""Evaluation: predictions for evaluation sets, their scores, and the criteria of a protocol."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Bool, Int

from tuner.data.corpus import Split
from tuner.data.tokens import Pairs, TokenisedCorpus
from tuner.journal.arrays import bits_as_text
from tuner.study.criteria import EvaluationSet, Part
from tuner.study.protocol import EvaluationProtocol
from tuner.study.scores import Scores
from tuner.training.accumulation import OutOfMemory
from tuner.training.forward import Forward
from tuner.training.group import ALONE, Group
from tuner.training.partition import held, passes


@dataclass(frozen=True)
class Evaluating:
    """The event that an evaluation is under way, with the pairs done so far in all its sets."""

    pairs_done: int
    pairs_total: int


@dataclass(frozen=True)
class DevScores:
    """The scores of an evaluation of dev.

    Attributes:
        select: scores of permitted sets by name, and means of these alone.
        oracle: all other recorded scores.
        criteria: the values of the permitted criteria whose sets were all evaluated, by name.
        answers: the pairs of each set that were classified correctly, encoded for the journal, by
            the set's name; means have none.
    """

    select: dict[str, Scores]
    oracle: dict[str, Scores]
    criteria: dict[str, float]
    answers: dict[str, str]


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for the pairs of an evaluation set, in ascending order of rows.

    Attributes:
        rows: row indices of the split, those clean in both languages.
        predicted: predicted classes; in PAWS-X 1 for paraphrases.
        labels: true classes.
        num_labels: number of classes.
    """

    rows: Int[np.ndarray, " pairs"]
    predicted: Int[np.ndarray, " pairs"]
    labels: Int[np.ndarray, " pairs"]
    num_labels: int = 2

    def scores(self) -> Scores:
        """Compute accuracy, and F1 of class 1 if there are two classes, else the macro-average.

        The macro-average is the unweighted mean over the classes that occur on either side. F1 of
        a class that occurs on neither is 0.
        """
        found = np.union1d(self.predicted, self.labels)
        classes = [1] if self.num_labels == 2 else found.tolist()
        return Scores(
            accuracy=float(np.mean(self.right)),
            f1=float(np.mean([self._f1(number) for number in classes])),
            pairs=len(self.labels),
        )

    @property
    def right(self) -> Bool[np.ndarray, " pairs"]:
        """True for each pair that was classified correctly."""
        return np.asarray(self.predicted == self.labels)

    def _f1(self, number: int) -> float:
        predicted, right = self.predicted == number, self.labels == number
        either = int(predicted.sum() + right.sum())
        return 2 * int((predicted & right).sum()) / either if either else 0.0


def predict(
    forward: Forward,
    corpus: TokenisedCorpus,
    split: Split,
    chosen: Sequence[EvaluationSet],
    tokens: int,
    group: Group = ALONE,
) -> Generator[Evaluating, None, list[Predictions]]:
    """Classify every pair of some sets, without dropout and gradients.

    The generator yields its progress at the beginning and after every forward pass, and returns
    the predictions for each set. It leaves the model in training mode.

    Args:
        forward: the model.
        corpus: the corpus with the pairs.
        split: the split; `test` is for `confirm` alone.
        chosen: the sets, given by the languages of sentence1 and sentence2.
        tokens: most tokens of a worker's forward pass, padding included. It is halved if memory
            runs out; the predictions stay the same.
        group: the workers that share the pairs; events and predictions are equal in all of them.

    Raises:
        OutOfMemory: not even one pair fits in some device's memory.
        UserError: the corpus lacks the split in one of the languages.
    """
    rows_of = [corpus.rows(split, [each.language1, each.language2]) for each in chosen]
    done, total = 0, sum(map(len, rows_of))
    yield Evaluating(done, total)
    predictions = []
    forward.model.eval()
    for each, rows in zip(chosen, rows_of, strict=True):
        language1 = np.full_like(rows, corpus.languages.index(each.language1))
        language2 = np.full_like(rows, corpus.languages.index(each.language2))
        lengths = corpus.lengths(split, rows, language1, language2)
        predicted = np.zeros_like(rows)
        waiting = passes(lengths, tokens, forward.block_cost, group.size)
        while waiting:
            shares = [share for block in waiting[0] if len(share := group.share(block)) > 0]
            blocks = [
                corpus.assemble(split, rows[own], language1[own], language2[own]) for own in shares
            ]
            classes = _classes(forward, blocks)
            if group.any(classes is None):  # out of memory
                left = np.concatenate([block for blocks in waiting for block in blocks])
                largest = held(waiting[0], lengths, group.size)
                if len(waiting[0]) == 1 and len(waiting[0][0]) <= group.size:
                    raise OutOfMemory("an evaluation of one pair")
                tokens = largest // 2
                again = passes(lengths[left], tokens, forward.block_cost, group.size)
                waiting = [[left[block] for block in blocks] for blocks in again]
                continue
            if shares:  # other workers may have the last ones
                predicted[np.concatenate(shares)] = classes
            done += sum(map(len, waiting.pop(0)))
            yield Evaluating(done, total)
        group.sum(torch.from_numpy(predicted))  # one worker has each pair's class, others have 0
        labels = corpus.splits[split].labels[rows]
        predictions.append(Predictions(rows, predicted, labels, corpus.num_labels))
    forward.model.train()
    return predictions


def _classes(forward: Forward, blocks: list[Pairs]) -> Int[np.ndarray, " pairs"] | None:
    """Return the predicted classes; None if the device's memory does not hold the pairs."""
    if not blocks:
        return np.array([], dtype=np.int64)
    try:
        with torch.inference_mode():  # never across a yield: it would affect the caller
            return forward(blocks).argmax(dim=1).cpu().numpy()
    except torch.OutOfMemoryError:
        pass  # outside the handler, which holds on to the tensors of the failed pass
    if forward.device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def evaluate_dev(
    forward: Forward,
    corpus: TokenisedCorpus,
    protocol: EvaluationProtocol,
    sets: Sequence[EvaluationSet],
    tokens: int,
    group: Group = ALONE,
) -> Generator[Evaluating, None, DevScores]:
    """Compute dev scores by name, the means over languages, and the criteria.

    `select` and `criteria` are computed from permitted sets alone; a mean that uses any `oracle`
    score goes to `oracle`. The generator yields its progress as `predict` does, over all sets
    together.

    Args:
        forward: the model.
        corpus: the corpus with the dev split.
        protocol: the roles of languages.
        sets: the sets of the protocol that are evaluated.
        tokens: as in `predict`.
        group: as in `predict`.
    """
    predictions = yield from predict(forward, corpus, "dev", sets, tokens, group)
    scores = {each.name: found.scores() for each, found in zip(sets, predictions, strict=True)}
    select = {each.name: scores[each.name] for each in sets if each in protocol.select}
    select |= protocol.averages(select)
    oracle = {each.name: scores[each.name] for each in sets if each in protocol.oracle}
    averages = protocol.averages(select | oracle)
    oracle |= {name: score for name, score in averages.items() if name not in select}
    permitted = {
        each: found
        for each, found in zip(sets, predictions, strict=True)
        if each in protocol.select
    }
    criteria = {
        name: criterion.value(partial(part_value, permitted))
        for name, criterion in protocol.criteria.items()
        if permitted.keys() >= set(criterion.sets)
    }
    answers = {
        each.name: bits_as_text(found.right) for each, found in zip(sets, predictions, strict=True)
    }
    return DevScores(select, oracle, {str(name): each for name, each in criteria.items()}, answers)


def part_value(predictions: Mapping[EvaluationSet, Predictions], part: Part) -> float:
    """Return the value of a criterion's part from the predictions for its sets."""
    found = [predictions[each] for each in part.sets]
    if part.together is None:
        return fmean(float(np.mean(each.right)) for each in found)
    rows = reduce(np.intersect1d, [each.rows for each in found])
    common = [np.isin(each.rows, rows) for each in found]
    right = np.all([each.right[at] for each, at in zip(found, common, strict=True)], axis=0)
    of_class = found[0].labels[common[0]] == part.together
    return float(np.mean(right[of_class])) if of_class.any() else 0.0
