"""StudyFacts: the facts about data, encoder and environment that a study records when it begins.

A journal may be from a different version of this tool, or malicious: reading it checks every fact's
type. A fact that an earlier version did not record is None or empty. A fact that only a later
version knows is kept.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tuner.study.roles import Objective
from tuner.study.scores import Count


class _Facts(BaseModel):
    """A frozen block of facts."""

    model_config = ConfigDict(extra="allow", frozen=True)


class DataFacts(_Facts):
    """The corpus of a study."""

    source: str
    checksum: str = Field(description="SHA-256 of all splits")
    splits: dict[str, str] = Field({}, description="SHA-256 of each split")
    test_items: dict[str, str] = Field({}, description="SHA-256 of each language's test items")
    languages: tuple[str, ...]
    labels: tuple[str, ...] = ()
    counts: dict[str, dict[str, Count]] = Field(description="pairs by split and language")
    training_pairs: Count | None = Field(
        None, description="pairs that are clean in all languages that are trained on"
    )
    machine_translated: bool | None = Field(
        None, description="whether training text is machine-translated; None if unknown"
    )
    truncated: dict[str, dict[str, Count]] = Field(
        {}, description="pairs that were cut to the encoder's length, by split and language"
    )
    dev_classes: str | None = Field(
        None, description="the class of each row of dev, encoded as `tuner.journal.arrays` does"
    )
    notes: tuple[str, ...] = Field((), description="notes on the data for the user")


class SharedSentences(_Facts):
    """The sentences that a split shares with others, in counts of pairs (ids)."""

    ids: Count = 0
    shared: dict[str, Count] = Field({}, description="pairs that share a sentence, by other split")
    components: Count | None = Field(
        None, description="groups of pairs that share sentences within the split, if it is scored"
    )
    effective_ids: float | None = Field(
        None, description="independent pairs that the split is worth, if it is scored"
    )


class SplitRows(_Facts):
    """The rows of a scored split, encoded as `tuner.journal.arrays` does."""

    components: str = Field(description="the group of shared sentences of each row")
    clean: dict[str, str] = Field(description="by language, the rows that are clean in it")


class OverlapFacts(_Facts):
    """The sentences that pairs share, by split."""

    counts: dict[str, SharedSentences] = {}
    rows: dict[str, SplitRows] = {}


class EncoderFacts(_Facts):
    """The encoder that training started from."""

    name: str
    revision: str | None = None
    checksum: str = Field(description="SHA-256 of its weights")
    layers: Count
    hidden_size: Count | None = None
    pooler: bool | None = Field(None, description="whether it has a pooler")
    seen: tuple[str, ...] = Field((), description="languages it was fine-tuned on, if known")


class Environment(_Facts):
    """Versions when the study began. Further keys are the versions of packages."""

    __pydantic_extra__: dict[str, str] = Field(init=False)

    tuner: str | None = None
    commit: str | None = None
    python: str | None = None
    platform: str | None = None

    @property
    def versions(self) -> dict[str, str]:
        """All known versions, by name."""
        return self.model_dump(exclude_none=True)


class StudyFacts(_Facts):
    """All facts that a study recorded when it began."""

    claim: str = Field(description="the claim that its scores support")
    objective: str = Field(description="meaning of the objective, in words")
    majority_accuracy: float = Field(
        ge=0, le=1, description="the objective of always giving the most frequent label"
    )
    criteria: tuple[Objective, ...] = Field(
        (),
        description="the permitted criteria that are evaluated at the full budget; empty in a "
        "study of an older version, which evaluated its objective's sets at every rung",
    )
    data: DataFacts
    overlap: OverlapFacts = OverlapFacts()
    encoder: EncoderFacts
    environment: Environment = Environment()
