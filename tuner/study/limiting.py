"""Command-line options that lower a trial setting wherever a study gives it."""

from __future__ import annotations

import json

from tuner.study import StudyConfig
from tuner.study.design import ScalingDesign
from tuner.study.space.distributions import Choice, Distribution, Fixed, Int, PowerOfTwo


def options_to_limit(study: StudyConfig, name: str, most: int) -> str:
    """Return the `--set` options with which no trial exceeds `most` in an integer setting.

    Args:
        study: the study's settings.
        name: name of the setting, such as `fusion.layer`.
        most: the largest allowed value, at least 0.
    """
    options = [f"trial.{name}={most}"] if _above(study.trial.get(name), most) else []
    if study.baseline is not None and _above(study.baseline.get(name), most):
        options.append(f"baseline.{name}={most}")
    if name in study.space.root:
        options += _in_space(study.space.root[name], f"space.{name}", most)
    if isinstance(study.design, ScalingDesign) and _above(study.design.tuning.at.get(name), most):
        at = {**study.design.tuning.at, name: most}
        options.append(f"'design.tuning.at={json.dumps(at)}'")
    return " ".join(f"--set {option}" for option in options)


def _in_space(varied: Distribution, key: str, most: int) -> list[str]:
    match varied:
        case Int(low=low, high=high) if high > most:
            return [f"{key}.low=0"] * (low > most) + [f"{key}.high={most}"]
        case PowerOfTwo(low=low, high=high) if high > most:
            return [f"{key}.low=1"] * (low > most) + [f"{key}.high={1 << (most.bit_length() - 1)}"]
        case Choice(values=values) if any(_above(value, most) for value in values):
            kept = [value for value in values if not _above(value, most)] or [most]
            part = ".values" if varied.when else ""
            return [f"'{key}{part}={json.dumps(kept)}'"]
        case Fixed(value=value) if _above(value, most):
            return [f"{key}{'.value' if varied.when else ''}={most}"]
        case _:
            return []


def _above(value: object, most: int) -> bool:
    return isinstance(value, int | float) and value > most
