"""The study that confirms a search, and the external reference: made from the search's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.records import ENDED, StudyRecord
from tuner.run.resume import MAY_CHANGE, STAYS, nothing_left
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.design import CONTROL, REFERENCE, Arm, ConfirmDesign
from tuner.study.durations import duration_of, seconds_of
from tuner.study.file import override, reopened_study, validate_study
from tuner.study.planned import configured

FIRST_SEED = 1000
"""Seeds of confirmations are counted from here, those that the search used left out."""
MOST_SEEDS = 500
"""Of a confirmation: the next one counts from a thousand further on."""
ENGLISH, EPOCHS = "en", 5
"""Of the external reference: XTREME's recipe for PAWS-X."""
MEMORY = ("batch.micro_size", "precision")
"""Settings of trials that are the machine's: the reference takes over the search's."""


def check_confirmable(search: StudyRecord, folder: Place) -> None:
    """Refuse what cannot be confirmed.

    A confirmation reads test, which a search that goes on after it must not know of: a search is
    confirmed when it has ended.

    Raises:
        UserError: the study is a design, has no control, has not ended, or has no trial that
            reached its full budget.
    """
    if search.designed:
        raise UserError(
            f"{search.name} is a design, whose trials were planned: there is nothing to confirm",
            f"A search is confirmed. What came of this one: {command('report', folder)}",
        )
    if search.settings.get("baseline") is None:
        raise UserError(
            f"{search.name} has no control to compare with",
            "Run a search with a `baseline:` block: the same sources, mix.cross_lingual 0, "
            "fusion.kind last, batch.effective_size 32.",
        )
    study = reopened_study(search.settings, folder)
    if not nothing_left(search, study):
        ended, resume = (
            sum(trial.state in ENDED for trial in search.trials),
            command("resume", folder),
        )
        raise UserError(
            f"{search.name} has not ended, {ended} of its {study.trials} trials have: a "
            "confirmation reads test, and after it a search should not go on",
            f"Let it end, or go on with it: {resume}\nTo end it with the trials that it has: "
            f"{resume} --set budget.trials={len(search.trials)}",
        )
    if not any(trial.origin == "sampler" for trial in search.complete):
        raise UserError(
            f"no trial of {search.name} that was sampled has reached its full budget",
            f"More trials: {command('resume', folder)} --trials +8",
        )


def confirmation(
    search: StudyRecord,
    folder: Place,
    top: int,
    seeds: int,
    earlier: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> StudyConfig:
    """The study that trains the best configurations of a search, and its control, once more.

    Args:
        search: its record.
        folder: its own; the confirmation is a sibling.
        top: so many configurations, or as many different ones as reached the full budget.
        seeds: of each, none of which the search or an earlier confirmation used.
        earlier: names of earlier confirmations of this search.
        overrides: `key=value` of budget, resources, checkpoint or tracking.

    Raises:
        UserError: the search cannot be confirmed, or the budget does not hold the confirmation.
    """
    check_confirmable(search, folder)
    study = reopened_study(search.settings, folder)
    base = {name: value for name, value in study.trial.items() if name != "seed"}
    arms, known = chosen(search, study, top)
    settings = _sibling(search, folder.parent, f"-confirm{_number(earlier)}", trial=base)
    settings["description"] = f"The best configurations of {search.name} with fresh seeds."
    settings["design"] = {
        "kind": "confirm",
        "study": search.id,
        "arms": arms,
        "seeds": fresh_seeds(search, seeds, len(earlier)),
        "earlier": list(earlier),
    }
    made = _made(settings, seeds, overrides)
    assert isinstance(made.design, ConfirmDesign)
    for arm, whole in zip(made.design.arms, known, strict=True):
        assert seedless(configured(made, arm.settings).flat()) == whole
    _check_room(made)
    return made


def chosen(
    search: StudyRecord, study: StudyConfig, top: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The control and the best configurations of a search, each once, whatever its seeds.

    Returns:
        As plain arms of a design; and each whole configuration, without its seed.
    """
    arms: list[dict[str, Any]] = [{"name": CONTROL, "settings": seedless(study.baseline or {})}]
    known = [seedless(study.baseline_config().flat())]
    for trial in search.ranked():
        if trial.origin != "sampler" or (config := seedless(trial.config.flat())) in known:
            continue
        known.append(config)
        assert trial.last is not None
        arms.append(
            {
                "name": f"trial {trial.number:03d}",
                "settings": seedless(trial.params),
                "search_score": trial.last.objective,
            }
        )
        if len(arms) == top + 1:
            break
    return arms, known


def reference(
    search: StudyRecord, folder: Place, confirmed: StudyConfig, overrides: Sequence[str] = ()
) -> StudyConfig:
    """The external reference: English alone, by XTREME's recipe, with the confirmation's seeds.

    AdamW, 2e-5, batches of 32, no warm-up and no weight decay, linear decay, five epochs: the
    defaults of TrialConfig. Unlike there the score is that of the last step, not of the checkpoint
    that did best on English dev.

    Args:
        search: the record of what is confirmed.
        folder: its own; the reference is a sibling.
        confirmed: its confirmation.
        overrides: as of `confirmation`.

    Raises:
        UserError: the study does not train on English, so that how much there is of it is unknown.
    """
    assert isinstance(confirmed.design, ConfirmDesign)
    pairs = search.facts["data"]["counts"].get("train", {}).get(ENGLISH)
    if pairs is None:
        languages = ", ".join(search.facts["data"]["languages"])
        raise UserError(
            f"the external reference trains on {ENGLISH}, which is no source language of "
            f"{search.name} (its languages: {languages})",
            f"Leave --reference out, or search with {ENGLISH} among languages.source.",
        )
    study = confirmed.model_dump(mode="json")
    trial = {name: study["trial"][name] for name in MEMORY if name in study["trial"]}
    suffix = confirmed.name.removeprefix(f"{search.name}-confirm")
    settings = _sibling(search, folder.parent, f"-reference{suffix}", trial=trial)
    roles = search.settings["languages"]
    others = [*roles["source"], *roles["target"], *search.settings["protocol"]["pivot"]]
    settings |= {
        "description": "The external reference: English alone, by XTREME's recipe.",
        "languages": {
            "source": [ENGLISH],
            "target": [name for name in dict.fromkeys(others) if name != ENGLISH],
        },
        "protocol": {"strict_overlap": search.settings["protocol"].get("strict_overlap", False)},
        "design": {
            "kind": "confirm",
            "study": search.id,
            "arms": [{"name": REFERENCE, "settings": {}}],
            "seeds": list(confirmed.design.seeds),
            "earlier": list(confirmed.design.earlier),
        },
    }
    settings["budget"] = {"pairs_per_trial": EPOCHS * pairs}
    return _made(settings, len(confirmed.design.seeds), overrides)


def fresh_seeds(search: StudyRecord, number: int, earlier: int = 0) -> list[int]:
    """Seeds that no trial of the search had, and none of so many earlier confirmations."""
    assert number <= MOST_SEEDS
    used = {trial.config.seed for trial in search.trials}
    fresh = (seed for seed in count(FIRST_SEED * (1 + earlier)) if seed not in used)
    return list(islice(fresh, number))


def _sibling(
    search: StudyRecord, storage: Place, suffix: str, trial: dict[str, Any]
) -> dict[str, Any]:
    """Plain settings of a design beside a search, wherever that stands now.

    The same data, encoder, languages, protocol.
    """
    left_out = ("sampler", "space", "require", "baseline", "description")
    kept = {key: value for key, value in search.settings.items() if key not in left_out}
    budget = search.settings["budget"]
    share = budget["confirm_share"]
    own: dict[str, Any] = {"pairs_per_trial": budget["pairs_per_trial"]}
    if share > 0:
        if (pairs := budget["total_pairs"]) is not None:
            own["total_pairs"] = int(pairs * share)
        if (hours := budget["gpu_hours"]) is not None:
            own["gpu_hours"] = hours * share
        if (wall := budget["wall"]) is not None:
            own["wall"] = duration_of(seconds_of(wall) * share)
    own_settings = {"scheduler": {"kind": "none"}, "trial": trial, "budget": own}
    return kept | own_settings | {"name": f"{search.name}{suffix}", "storage": str(storage)}


def _made(settings: dict[str, Any], seeds: int, overrides: Sequence[str]) -> StudyConfig:
    """The study of plain settings, overridden where that changes nothing that is compared."""
    checkpoint = settings["checkpoint"]
    if checkpoint["keep_best"] > 0:  # of the recommended arm every seed's weights stay
        settings["checkpoint"] = checkpoint | {"keep_best": seeds}
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key.partition(".")[0] not in MAY_CHANGE or key in STAYS:
            raise UserError(
                f"--set {key}: a confirmation trains what the search has found as it was trained",
                f"May be set: {', '.join(MAY_CHANGE)}, but {STAYS[0]}.",
            )
        override(settings, text)
    return validate_study(settings, settings["name"])


def _check_room(study: StudyConfig) -> None:
    """Refuse a confirmation that cannot come to its end."""
    assert isinstance(study.design, ConfirmDesign)
    sizes = [whole_pairs(study, arm) for arm in study.design.arms]
    # Before each trial it is asked whether the largest one still fits.
    pairs, least = study.budget.total_pairs, planned_pairs(study) + max(sizes) - min(sizes)
    if pairs is not None and least > pairs:
        raise UserError(
            f"the confirmation trains {least:,} pairs, and the search's budget.confirm_share "
            f"leaves it {pairs:,}",
            f"Fewer of --top or --seeds, or --set budget.total_pairs={least}",
        )


def planned_pairs(study: StudyConfig) -> int:
    """Pairs that a confirmation trains where nothing is lost and repeated."""
    assert isinstance(study.design, ConfirmDesign)
    return len(study.design.seeds) * sum(whole_pairs(study, arm) for arm in study.design.arms)


def whole_pairs(study: StudyConfig, arm: Arm) -> int:
    """Pairs of one seed of an arm: whole steps of its batch size."""
    size = configured(study, arm.settings).batch.effective_size
    return -(-study.budget.pairs_per_trial // size) * size


def _number(earlier: Sequence[str]) -> str:
    return f"-{len(earlier) + 1}" if earlier else ""


def seedless(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, without the seed."""
    return {name: value for name, value in values.items() if name != "seed"}
