"""The inputs that all trials of a study share."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.data.tokens import TokenisedCorpus
from tuner.model.encoder import PretrainedEncoder
from tuner.study.protocol import EvaluationProtocol


@dataclass(frozen=True)
class TrialInputs:
    """The inputs of a trial, which are the same for all trials of a study.

    Arrays may be read-only: the workers of a node share them.

    Attributes:
        protocol: the rules for which data may be used for what.
        corpus: the pairs: those of train and dev for a trial, those of test for its evaluation on
            test; token ids are those of `encoder`.
        encoder: the encoder that training starts from, without the rows of tokens that the corpus
            never holds.
    """

    protocol: EvaluationProtocol
    corpus: TokenisedCorpus
    encoder: PretrainedEncoder
