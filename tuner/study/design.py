"""The `design:` block: planned studies, whose trials are fixed in advance and never pruned.

Trials that survive ASHA are not a fair sample of the space. Conclusions therefore rest on planned
trials: every arm or cell is trained with the same seeds to its full budget.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tuner.study.trial import Part, check_value

LARGEST_DESIGN = 100_000
"""The largest number of trials in a design."""
TUNED = "optim.lr"
SIZE = "batch.effective_size"
FACTORS = (SIZE, "mix.cross_lingual", "fusion.layer", "mix.granularity")
"""The settings that a scaling study may vary; `fusion.kind` varies with the layer."""
CONTROL, REFERENCE = "control", "reference"
"""Names of the arms that do not come from a trial: the search's baseline, and the external
reference."""
Seed = Annotated[int, Field(ge=0)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1)]
ControlSetting = Literal["mix.cross_lingual", "fusion.kind"]


class Arm(Part):
    """One configuration that is trained with every seed."""

    name: str = Field(
        min_length=1, max_length=64, description="its name: control, or for instance trial 012"
    )
    settings: dict[str, Any] = Field(description="settings by dotted name, on top of `trial:`")
    search_score: float | None = Field(
        None, description="its objective in the search, which selection has biased upwards"
    )

    @field_validator("settings")
    @classmethod
    def _known(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return _checked(settings)


CANDIDATES = 5
"""The configurations that a search completes before it ends, so that they can be confirmed."""
CONTROLS: tuple[tuple[ControlSetting, float | str], ...] = (
    ("mix.cross_lingual", 0.0),
    ("fusion.kind", "last"),
)
"""The kinds of control: no cross-lingual batches, no fusion."""


class TunedControl(Part):
    """The best configuration of a search that lacks cross-lingual batches or fusion.

    It is tuned like the recommended one, so a difference between them is no effect of tuning alone.
    """

    setting: ControlSetting = Field(description="the setting that makes it a control")
    value: float | str = Field(description="that setting's value: 0, or last")
    arm: str = Field(description="its arm")
    of: int = Field(ge=1, description="completed trials with this value that it is the best of")

    @property
    def kind(self) -> str:
        """The kind of control in words, for example `mix.cross_lingual 0`."""
        value = format(self.value, "g") if isinstance(self.value, float) else self.value
        return f"{self.setting} {value}"


class ConfirmDesign(Part):
    """The arms that a search has found, and its controls, trained again with fresh seeds.

    All arms are trained with the seeds that choose. Then the recommended arm and the tuned controls
    are trained with other seeds, which estimate. So luck that chose an arm is not in its estimate.
    """

    kind: Literal["confirm"] = Field(description="chosen configurations with fresh seeds")
    study: str = Field(description="unique id of the search that is confirmed")
    arms: tuple[Arm, ...] = Field(
        min_length=1, max_length=1000, description="configurations, each trained with every seed"
    )
    seeds: Seeds = Field(description="seeds that choose: every arm is trained with each of them")
    estimating: tuple[Seed, ...] = Field(
        (),
        description="seeds that estimate: those of the recommended arm and the tuned controls. "
        "Empty: all runs choose and estimate, as in the external reference and in older versions",
    )
    controls: tuple[TunedControl, ...] = Field(
        (), description="tuned controls, against which effects are stated; none in older versions"
    )
    completed: int = Field(
        0, ge=0, description="completed trials of the search from which the best arms were chosen"
    )
    earlier: tuple[str, ...] = Field(
        (), description="earlier confirmations of the same search, which may have read test"
    )
    by_hand: int = Field(0, ge=0, description="trials of the search that a user added or stopped")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [arm.name for arm in self.arms]
        _check_distinct("design.arms", names)
        _check_distinct("design.seeds", self.seeds)
        _check_distinct("design.seeds and design.estimating", self.seeds + self.estimating)
        if unknown := [each.arm for each in self.controls if each.arm not in names]:
            raise ValueError(f"design.controls names {unknown[0]!r}, which is none of design.arms")
        return self

    @property
    def estimates(self) -> tuple[int, ...]:
        """The seeds of the runs that are evaluated on test."""
        return self.estimating or self.seeds

    def estimated(self, recommended: str) -> list[str]:
        """Return the arms whose runs are evaluated on test if one is recommended."""
        if not self.estimating:
            return [arm.name for arm in self.arms]
        return list(dict.fromkeys([recommended, *(each.arm for each in self.controls)]))

    def trials(self, recommended: str = "") -> int:
        """Return the number of trials if an arm is recommended; without one, the largest."""
        of = max(
            len(self.estimated(name))
            for name in ([recommended] if recommended else [arm.name for arm in self.arms])
        )
        return len(self.arms) * len(self.seeds) + of * len(self.estimating)


class TuningDesign(Part):
    """The choice of a learning rate for each effective batch size, before anything is compared."""

    lr: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        min_length=3,
        description="the grid; a choice at its edge is flagged, and no conclusion is drawn from it",
    )
    seeds: Seeds = Field(
        description="seeds of the trials that tune; none of them may be among design.seeds"
    )
    at: dict[str, Any] = Field(
        {}, description="settings of the space at which the rate is tuned for every effective size"
    )

    @field_validator("at")
    @classmethod
    def _known(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return _checked(settings)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if list(self.lr) != sorted(set(self.lr)):
            raise ValueError("design.tuning.lr must be ascending, each rate once")
        _check_distinct("design.tuning.seeds", self.seeds)
        return self


class ScalingDesign(Part):
    """Every point of the space with every seed, at the learning rate that suits its batch size.

    Following Shallue et al., arXiv 1811.03600: the effect of a batch size shows only if the
    learning rate was tuned for it, and not if the best rate is at the edge of its grid.
    """

    kind: Literal["scaling"] = Field(description="the whole grid of the space, over seeds")
    hold: Literal["pairs", "steps"] = Field(
        "pairs",
        description="quantity that is equal for all batch sizes: pairs (budget.pairs_per_trial), "
        "or steps (as many as budget.pairs_per_trial gives at 32 pairs a step)",
    )
    seeds: tuple[Seed, ...] = Field(
        description="every point is trained with each of them: at least 2, preferably 5",
        json_schema_extra={"minItems": 2},  # checked below, with a reason
    )
    tuning: TuningDesign = Field(description="the choice of learning rates")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _check_distinct("design.seeds", self.seeds)
        if len(self.seeds) < 2:
            raise ValueError(
                "design.seeds must have at least 2 seeds: one seed says nothing about others"
            )
        if both := sorted(set(self.seeds) & set(self.tuning.seeds)):
            raise ValueError(
                f"design.seeds and design.tuning.seeds share {', '.join(map(str, both))}: a seed "
                f"used to choose a learning rate must not be used to score it"
            )
        return self


DesignConfig = Annotated[ConfirmDesign | ScalingDesign, Field(discriminator="kind")]


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    for name, value in settings.items():
        check_value(name, value)
    if "seed" in settings:
        raise ValueError("seed must be left out: design.seeds gives the seeds")
    return settings


def _check_distinct(key: str, values: Any) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"{key} must be distinct, got {', '.join(map(str, values))}")
