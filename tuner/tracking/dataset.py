"""The corpus of a study as an MLflow dataset, listed among a run's inputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tuner.journal.facts import DataFacts

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

MAX_INPUT_TAG = 500
"""Longest tag of an input, in characters."""
DIGEST = 12
"""Characters of the data's checksum that serve as digest; `source` has the whole checksum."""


def dataset(data: DataFacts) -> DatasetInput:
    """Return the corpus with its source, checksum, languages and counts."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    languages = ", ".join(data.languages)
    tags = {"mlflow.data.context": "training", "tuner.languages": languages[:MAX_INPUT_TAG]}
    return DatasetInput(
        Dataset(
            name=data.source,
            digest=data.checksum[:DIGEST],
            source_type="tuner",
            source=json.dumps({"source": data.source, "sha256": data.checksum}),
            profile=json.dumps({"languages": languages, "counts": data.counts}),
        ),
        [InputTag(tag, text) for tag, text in tags.items()],
    )
