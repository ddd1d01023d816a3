"""Published figures on PAWS-X, to which only the external reference may be compared.

They are accuracies on test in %, by language. They were taken from secondary sources, not from the
original papers, and have no intervals. Check them in the papers before reporting them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.journal.records import StudyRecord
from tuner.study.data import HubData

PAWSX = ("directory", "paws-x")
"""The data source whose layout is that of PAWS-X, and the end of PAWS-X's name on the hub."""
OFFICIAL = 1900
"""Fewest pairs of a language in the official test: 2,000, of which up to 54 lack text."""


@dataclass(frozen=True)
class Published:
    """A row of a published table.

    Attributes:
        label: a short name.
        source: the paper, and how its figures were obtained.
        encoder: the encoder that was fine-tuned.
        accuracy: accuracy in %, by language.
    """

    label: str
    source: str
    encoder: str
    accuracy: Mapping[str, float]


MBERT, XLMR = "bert-base-multilingual-cased", "xlm-roberta-large"
FIGURES = (
    Published(
        "XTREME, mBERT",
        "XTREME (arXiv 2003.11080), zero-shot from English; quoted by another source [s]",
        MBERT,
        {"en": 94.0, "de": 85.7, "es": 87.4, "fr": 87.0, "ja": 73.0, "ko": 69.6, "zh": 77.0},
    ),
    Published(
        "arXiv 1908.11828, mBERT",
        "PAWS-X (arXiv 1908.11828), zero-shot from English; quoted by another source [s]",
        MBERT,
        {"en": 93.5, "de": 82.2, "es": 86.0, "fr": 85.2, "zh": 75.8},
    ),
    Published(
        "XLM-R large",
        "XLM-R large, zero-shot from English; quoted by another source [s]",
        XLMR,
        {"en": 94.7, "de": 89.7, "es": 90.1, "fr": 90.4, "ja": 78.7, "ko": 79.0, "zh": 82.3},
    ),
)


def published(study: StudyRecord) -> tuple[Published, ...]:
    """Return the published figures that a reference may be compared with.

    Args:
        study: an external reference.

    Returns:
        The figures for its encoder or mBERT; none if the data is not PAWS-X, or its test set is
        smaller than the official one.
    """
    data = study.settings.data
    is_pawsx = data.source == PAWSX[0] or (
        isinstance(data, HubData) and data.name.lower().endswith(PAWSX[1])
    )
    test = study.facts.data.counts.get("test", {})
    is_whole = bool(test) and min(test.values()) >= OFFICIAL
    encoder = study.settings.encoder.name
    wanted = {MBERT, XLMR} if encoder == XLMR else {MBERT}
    return tuple(each for each in FIGURES if is_pawsx and is_whole and each.encoder in wanted)
