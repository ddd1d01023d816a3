"""Importances: the settings that the best trials of a search have in common.

Conditional PED-ANOVA (arXiv 2304.10255 and 2601.20800, Optuna's evaluator) measures how much the
values of a setting among the best complete trials differ from those among all complete ones. It
ranks settings within one search. It estimates no effect and has no interval. Besides the sampler,
only this module imports Optuna.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.journal.records import SEARCHED, STOPPED, StudyRecord, TrialRecord
from tuner.report.figure import LOGARITHMIC
from tuner.report.leaderboard import varied

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LEAST_TOP = 5
"""Fewest best trials to compare with all, following Optuna's advice."""
LEAST = 2 * LEAST_TOP
"""Fewest complete trials for which importances are computed."""
TOP = 0.1
"""Share of the complete trials that count as best, unless `LEAST_TOP` needs a larger one."""


@dataclass(frozen=True)
class Importances:
    """Importances of a search's settings.

    Attributes:
        shares: the importances by dotted name, in descending order; they sum to 1.
        best: number of complete trials that counted as the best.
        complete: number of all complete trials.
    """

    shares: Mapping[str, float]
    best: int
    complete: int


def importances(study: StudyRecord) -> Importances | None:
    """Compute importances from the complete trials that the sampler proposed.

    Trials that ASHA stopped have no score at full budget and are left out, so the rest is a biased
    sample. A caller that shows these numbers must show `caveat` too.

    Args:
        study: a search.

    Returns:
        The importances; None where there are too few trials, no setting varies, or all trials
        score the same.
    """
    complete = [trial for trial in study.ranked() if trial.origin in SEARCHED]
    names = [name for name in varied(study) if name != "seed"]
    columns = {name: _values(complete, name) for name in names}
    columns = {name: values for name, values in columns.items() if len(_known(values)) > 1}
    scores = [trial.last.objective for trial in complete if trial.last]
    if len(complete) < LEAST or not columns or min(scores) == max(scores):
        return None
    import optuna

    share = max(TOP, LEAST_TOP / len(complete))
    distributions = {name: _distribution(values) for name, values in columns.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it logs each new study
    search = optuna.create_study(direction="maximize")
    for place, score in enumerate(scores):
        there = {name: values[place] for name, values in columns.items()}
        params = {name: value for name, value in there.items() if value is not None}
        active = {name: distributions[name] for name in params}
        search.add_trial(
            optuna.trial.create_trial(params=params, distributions=active, value=score)
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    with warnings.catch_warnings():  # Optuna warns of rarely active conditional settings
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            search, evaluator=evaluator, normalize=False
        )
    total = sum(found.values())
    if not math.isfinite(total) or total <= 0:
        return None
    cut = sorted(scores, reverse=True)[math.ceil(share * len(scores)) - 1]
    best = sum(score >= cut for score in scores)
    return Importances({name: value / total for name, value in found.items()}, best, len(scores))


def caveat(found: Importances, study: StudyRecord) -> str:
    """Return the sentences that say what these importances do not show."""
    message = (
        f"Importances compare the settings of the {found.best} best with those of all "
        f"{found.complete} complete trials. They say what the best have in common, not what "
        "effect a setting has."
    )
    stopped = sum(trial.state in STOPPED for trial in study.trials)
    if stopped:
        message += (
            f" ASHA stopped {stopped} other trials early. They are not missing at random, so the "
            "complete trials are a biased sample of the settings."
        )
    return message + " Only a planned scaling study estimates effects of settings."


def _values(trials: Sequence[TrialRecord], name: str) -> list[Any]:
    """Return a setting's value in each trial; powers of two as exponents, as they are searched."""
    values = [trial.config.value(name) for trial in trials]
    if LOGARITHMIC.get(name) == 2 and all(value & (value - 1) == 0 for value in _known(values)):
        return [value.bit_length() - 1 if value is not None else None for value in values]
    return values


def _known(values: Sequence[Any]) -> set[Any]:
    return {value for value in values if value is not None}


def _distribution(values: Sequence[Any]) -> BaseDistribution:
    """Return the distribution over the tried range, ignoring None (the setting does not apply)."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    known = _known(values)
    if any(isinstance(value, str | bool) for value in known):
        return CategoricalDistribution(sorted(known, key=str))
    if all(isinstance(value, int) for value in known):
        return IntDistribution(min(known), max(known))
    low, high = float(min(known)), float(max(known))
    return FloatDistribution(low, high, log=0 < low < high / 20)
