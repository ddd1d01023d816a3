"""Notes on a study and on a trial, as Markdown for MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from tuner.journal.records import OBJECTIVE, Origin, StudyRecord, TrialRecord

ORIGINS: Mapping[Origin, str] = {
    "baseline": "the control",
    "sampler": "proposed by the sampler",
    "enqueued": "enqueued in the study's file",
    "added": "added by hand while the study ran",
    "tuning": "chooses a learning rate, not compared",
    "design": "planned",
}


NOTHING_LEARNT = "nothing was learnt: always giving the most frequent label scores at least as high"
"""The message on a search whose best trial does not beat the most frequent label."""


def moment(seconds: float) -> str:
    """Format a Unix time in seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def study_note(study: StudyRecord) -> str:
    """Describe a study in Markdown: its state, best trial, recommendation, question and claim.

    The state comes first, since MLflow folds all but the first lines.
    """
    counts = Counter(trial.state for trial in study.trials)
    trials = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    lines = [f"**{study.state.capitalize()}**" + (f": {study.reason}" if study.reason else "")]
    lines[0] += f" ({trials})." * bool(trials)
    if (best := study.best) and best.last:
        if not study.learnt:
            lines.append(
                f"**{NOTHING_LEARNT.capitalize()}.** Next: {instead_of_confirming(study)}."
            )
        lines.append(
            f"**Best, unconfirmed:** trial {best.number} with {best.last.objective:.4f}; "
            "the best of a search is biased upwards by being the best."
        )
    if (chosen := study.recommendation) is not None:
        lines.append(
            f"**Recommended:** {chosen.arm}, with {chosen.objective[chosen.arm]:.4f} over its "
            f"seeds; fixed on {moment(chosen.time)}, before test was read."
        )
    facts = {
        "Claim": study.claim,
        f"Objective (`{OBJECTIVE}`)": study.facts.objective,
    }
    return "\n".join(
        [
            "  \n".join(lines),  # two spaces are a line break in Markdown
            "",
            study.settings.description or f"Study `{study.name}`.",
            "",
            *(f"- **{name}:** {text}" for name, text in facts.items() if text),
        ]
    )


def instead_of_confirming(study: StudyRecord) -> str:
    """Say what to try if no trial learnt anything, with the values that did not help."""
    budget = f"longer training than {study.rungs[-1]:,} pairs (budget.pairs_per_trial)"
    tried = sorted({trial.config.optim.lr for trial in study.trials})
    rates = f"{tried[0]:.3g}" + (f" to {tried[-1]:.3g}" if len(tried) > 1 else "")
    return f"{budget}, or learning rates beyond {rates} (optim.lr); there is nothing to confirm"


def trial_note(trial: TrialRecord, study: StudyRecord) -> str:
    """Describe a trial in Markdown: its outcome, its origin and settings, and its claim."""
    ended = f"**{trial.state.capitalize()}**"
    if trial.last:
        ended += (
            f" at {trial.last.pairs_seen:,} pairs with `{OBJECTIVE}` {trial.last.objective:.4f}"
        )
    if trial.reason:
        ended += f": {trial.reason}"
    origin = ORIGINS[trial.origin]
    sampled = ", ".join(
        f"`{name}` {format(value, '.4g') if isinstance(value, float) else value}"
        for name, value in trial.params.items()
    )
    claim = study.claim
    parts = [
        f"{ended}." + (" `tuner resume` goes on with it." * (trial.state == "interrupted")),
        f"Trial {trial.number} of `{study.name}`, {origin}" + (f": {sampled}." if sampled else "."),
        f"Claim: {claim}{'' if study.designed else '; unconfirmed'}." if claim else "",
    ]
    return "\n\n".join(part for part in parts if part)
