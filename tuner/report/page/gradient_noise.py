"""The section of a page on gradient noise by kind of batch, a diagnostic."""

from __future__ import annotations

from tuner.blocks import Grid, Section, Words
from tuner.journal.gradient_noise import NoiseRecord
from tuner.journal.records import StudyRecord

CAUTION = (
    "A diagnostic, not a critical batch size: the variance of the gradient of B pairs of one "
    "language, or one ordered pair of languages, estimated as within / B + between (after arXiv "
    "1812.06162). Single-language batches do not average away the second part, however large B "
    "is. No choice of B follows from it."
)
KINDS = {"monolingual": "monolingual", "cross_lingual": "cross-lingual"}


def gradient_noise(study: StudyRecord) -> Section | None:
    """Return means over the trials that were probed at each rung; None if no trial was."""
    draws: dict[tuple[str, int, int, int, int], list[NoiseRecord]] = {}
    for trial in study.trials:
        for evaluation in trial.evaluations:
            for kind, found in evaluation.noise.items():
                key = (kind, evaluation.rung, found.groups, found.small, found.large)
                draws.setdefault(key, []).append(found)
    if not draws:
        return None
    rows = []
    for (kind, rung, groups, small, large), records in sorted(draws.items()):
        mean = NoiseRecord.averaged(records)
        rows.append(
            (
                KINDS.get(kind, kind),
                f"{rung:,}",
                str(len(records)),
                str(groups),
                f"{small}, {large}",
                _shown(mean.within),
                _shown(mean.between),
                _shown(mean.equal_parts_size),
                _shown(mean.simple_noise_scale),
            )
        )
    grid = Grid(
        "Means over the trials that reached a rung, whatever their settings: numerators and "
        "denominators are averaged before they are divided. The estimates are unbiased, so small "
        "ones may be negative; – is undefined. Equal parts: the B at which both parts are the "
        "same. Noise scale: tr(Σ) / |G|², in pairs.",
        study.claim,
        (
            "batches",
            "pairs seen",
            "trials",
            "languages or pairs of them",
            "B compared",
            "within",
            "between",
            "equal parts at B",
            "simple noise scale",
        ),
        tuple(rows),
    )
    return Section("Gradient noise, a diagnostic", (Words(CAUTION, "warning"), grid))


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")
