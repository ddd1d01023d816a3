"""The design of a confirmation, and of the external reference, built from the search's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.records import END_STATES, SEARCHED, StudyRecord, TrialRecord
from tuner.run.resume import MAY_CHANGE, STAYS, nothing_left
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.design import CONTROL, CONTROLS, REFERENCE, Arm, ConfirmDesign
from tuner.study.durations import duration_of, seconds_of
from tuner.study.file import override, reopened_study, validate_study
from tuner.study.planned import configured

FIRST_SEED = 1000
"""The first seed of confirmations; seeds that the search used are skipped."""
MAX_SEEDS = 500
"""The most seeds of a confirmation; the seeds of the next one start a thousand later."""
ENGLISH, EPOCHS = "en", 5
"""The language and epochs of the external reference: XTREME's recipe for PAWS-X."""
MEMORY = ("batch.micro_size", "precision")
"""Trial settings that depend on the machine; the reference takes them from the search."""


def check_confirmable(search: StudyRecord, folder: Place) -> None:
    """Refuse a study that cannot be confirmed.

    A confirmation reads test, and a search must not continue after that. Therefore only a search
    that has ended can be confirmed.

    Raises:
        UserError: the study is a design, has no control, has not ended, or has no sampled trial
            that reached its full budget.
    """
    if search.designed:
        raise UserError(
            f"{search.name} is a planned design, so there is nothing to confirm",
            f"Only a search can be confirmed. Results of this study: {command('report', folder)}",
        )
    if search.settings.baseline is None:
        raise UserError(
            f"{search.name} has no control to compare with",
            "Run a search with a `baseline:` block: the same sources, mix.cross_lingual 0, "
            "fusion.kind last, batch.effective_size 32.",
        )
    study = reopened_study(search.settings, folder)
    if not nothing_left(search, study):
        ended, resume = (
            sum(trial.state in END_STATES for trial in search.trials),
            command("resume", folder),
        )
        raise UserError(
            f"{search.name} has not ended, {ended} of its {study.trials} trials have: a "
            "confirmation reads test, and a search should not continue after that",
            f"Let it finish, or continue it: {resume}\nTo end it with the trials that it has: "
            f"{resume} --set budget.trials={len(search.trials)}",
        )
    if not any(trial.origin in SEARCHED for trial in search.complete):
        raise UserError(
            f"no trial of {search.name} that was sampled has reached its full budget",
            f"More trials: {command('resume', folder)} --trials +8",
        )


def confirmation(
    search: StudyRecord,
    folder: Place,
    top: int,
    seeds: tuple[int, int],
    earlier: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> StudyConfig:
    """Build the study that retrains the best configurations of a search, and its controls.

    Args:
        search: record of the search.
        folder: folder of the search; the confirmation is a sibling.
        top: number of configurations; fewer if fewer different ones reached the full budget.
        seeds: how many choose, and how many estimate; neither the search nor an earlier
            confirmation used them.
        earlier: names of earlier confirmations of this search.
        overrides: `key=value` of budget, resources, checkpoint or tracking.

    Raises:
        UserError: the search cannot be confirmed, or the budget is too small.
    """
    check_confirmable(search, folder)
    study = reopened_study(search.settings, folder)
    base = {name: value for name, value in study.trial.items() if name != "seed"}
    arms, controls, known = chosen(search, study, top)
    fresh = fresh_seeds(search, sum(seeds), len(earlier))
    settings = _sibling(search, folder.parent, f"-confirm{_number(earlier)}", trial=base)
    settings["description"] = f"The best configurations of {search.name} with fresh seeds."
    settings["design"] = {
        "kind": "confirm",
        "study": search.id,
        "arms": arms,
        "seeds": fresh[: seeds[0]],
        "estimating": fresh[seeds[0] :],
        "controls": controls,
        "completed": len(search.complete),
        "earlier": list(earlier),
        "by_hand": search.by_hand,
    }
    made = _made(settings, seeds[1], overrides)
    assert isinstance(made.design, ConfirmDesign)
    for arm, whole in zip(made.design.arms, known, strict=True):
        assert seedless(configured(made, arm.settings).flat()) == whole
    _check_room(made)
    return made


def chosen(
    search: StudyRecord, study: StudyConfig, top: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Select the arms of a confirmation, each configuration once, whatever its seeds.

    They are the search's baseline, its best configurations, and its tuned controls: the best
    completed trial of each kind of control, of which the baseline may be one. If all trials are of
    a kind, it is no control.

    Returns:
        The arms and the tuned controls of a design as plain values, and each arm's complete
        configuration without its seed.
    """
    arms: list[dict[str, Any]] = [{"name": CONTROL, "settings": seedless(study.baseline or {})}]
    known = [seedless(study.baseline_config().flat())]

    def name_of(trial: TrialRecord) -> str:
        """Return the name of the arm that has a trial's configuration; add it if none has."""
        config = seedless(trial.config.flat())
        if config not in known:
            assert trial.last is not None
            known.append(config)
            name, score = f"trial {trial.number:03d}", trial.last.objective
            params = seedless(trial.params)
            arms.append({"name": name, "settings": params, "search_score": score})
        return str(arms[known.index(config)]["name"])

    for trial in search.ranked():
        if len(arms) == top + 1:
            break
        if trial.origin in SEARCHED:
            name_of(trial)
    controls = []
    for setting, value in CONTROLS:
        alike = [trial for trial in search.ranked() if trial.config.flat()[setting] == value]
        if 0 < len(alike) < len(search.complete):
            arm, of = name_of(alike[0]), len(alike)
            controls.append({"setting": setting, "value": value, "arm": arm, "of": of})
    return arms, controls, known


def reference(
    search: StudyRecord, folder: Place, confirmed: StudyConfig, overrides: Sequence[str] = ()
) -> StudyConfig:
    """Build the external reference: English alone, by XTREME's recipe, with the same seeds.

    The recipe is AdamW, 2e-5, batches of 32, no warm-up and no weight decay, linear decay, five
    epochs: the defaults of TrialConfig. Unlike in XTREME, the score is that of the last step, not
    of the checkpoint that did best on English dev.

    Args:
        search: record of the search.
        folder: folder of the search; the reference is a sibling.
        confirmed: confirmation of the search; the reference uses the seeds that estimate.
        overrides: as in `confirmation`.

    Raises:
        UserError: the search does not train on English, so the number of English pairs is unknown.
    """
    assert isinstance(confirmed.design, ConfirmDesign)
    pairs = search.facts.data.counts.get("train", {}).get(ENGLISH)
    if pairs is None:
        languages = ", ".join(search.facts.data.languages)
        raise UserError(
            f"the external reference trains on {ENGLISH}, which is not a source language of "
            f"{search.name} (its languages: {languages})",
            f"Leave --reference out, or search with {ENGLISH} among languages.source.",
        )
    study = confirmed.model_dump(mode="json")
    trial = {name: study["trial"][name] for name in MEMORY if name in study["trial"]}
    suffix = confirmed.name.removeprefix(f"{search.name}-confirm")
    settings = _sibling(search, folder.parent, f"-reference{suffix}", trial=trial)
    roles, protocol = search.settings.languages, search.settings.protocol
    others = [*roles.source, *roles.target, *protocol.pivot]
    settings |= {
        "description": "The external reference: English alone, by XTREME's recipe.",
        "languages": {
            "source": [ENGLISH],
            "target": [name for name in dict.fromkeys(others) if name != ENGLISH],
        },
        "protocol": {"strict_overlap": protocol.strict_overlap},
        "design": {
            "kind": "confirm",
            "study": search.id,
            "arms": [{"name": REFERENCE, "settings": {}}],
            "seeds": list(confirmed.design.estimates),
            "earlier": list(confirmed.design.earlier),
        },
    }
    settings["budget"] = {"pairs_per_trial": EPOCHS * pairs}
    return _made(settings, len(confirmed.design.estimates), overrides)


def fresh_seeds(search: StudyRecord, number: int, earlier: int = 0) -> list[int]:
    """Return seeds that no trial of the search and no earlier confirmation used."""
    assert number <= MAX_SEEDS
    used = {trial.config.seed for trial in search.trials}
    fresh = (seed for seed in count(FIRST_SEED * (1 + earlier)) if seed not in used)
    return list(islice(fresh, number))


def _sibling(
    search: StudyRecord, storage: Place, suffix: str, trial: dict[str, Any]
) -> dict[str, Any]:
    """Return the plain settings of a design that is stored beside its search.

    The data, encoder, languages and protocol stay the same.
    """
    left_out = {"sampler", "space", "require", "baseline", "description"}
    kept = search.settings.model_dump(mode="json", exclude=left_out)
    budget = search.settings.budget
    share = budget.confirm_share
    own: dict[str, Any] = {"pairs_per_trial": budget.pairs_per_trial}
    if share > 0:
        if budget.total_pairs is not None:
            own["total_pairs"] = int(budget.total_pairs * share)
        if budget.gpu_hours is not None:
            own["gpu_hours"] = budget.gpu_hours * share
        if budget.wall is not None:
            own["wall"] = duration_of(seconds_of(budget.wall) * share)
    own_settings = {"scheduler": {"kind": "none"}, "trial": trial, "budget": own}
    return kept | own_settings | {"name": f"{search.name}{suffix}", "storage": str(storage)}


def _made(settings: dict[str, Any], seeds: int, overrides: Sequence[str]) -> StudyConfig:
    """Validate plain settings as a study; refuse overrides that would affect the comparison."""
    checkpoint = settings["checkpoint"]
    if checkpoint["keep_best"] > 0:  # of all seeds of the recommended arm that estimate
        settings["checkpoint"] = checkpoint | {"keep_best": seeds}
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key.partition(".")[0] not in MAY_CHANGE or key in STAYS:
            raise UserError(
                f"--set {key}: a confirmation must train exactly as the search did",
                f"These may be set: {', '.join(MAY_CHANGE)}, except {STAYS[0]}.",
            )
        override(settings, text)
    return validate_study(settings, settings["name"])


def _check_room(study: StudyConfig) -> None:
    """Refuse a confirmation whose budget is too small to finish."""
    assert isinstance(study.design, ConfirmDesign)
    sizes = [whole_pairs(study, arm) for arm in study.design.arms]
    # A trial starts only if the largest one would still fit into the budget.
    pairs, least = study.budget.total_pairs, planned_pairs(study) + max(sizes) - min(sizes)
    if pairs is not None and least > pairs:
        raise UserError(
            f"the confirmation trains up to {least:,} pairs, and the search's "
            f"budget.confirm_share leaves it {pairs:,}",
            f"Lower --top or --seeds, or --set budget.total_pairs={least}",
        )


def planned_pairs(study: StudyConfig) -> int:
    """Return the most pairs that a confirmation trains on if no training is repeated.

    How many runs estimate depends on which arm is recommended.
    """
    design = study.design
    assert isinstance(design, ConfirmDesign)
    sizes = {arm.name: whole_pairs(study, arm) for arm in design.arms}
    estimating = max(sum(sizes[arm] for arm in design.estimated(name)) for name in sizes)
    choosing = len(design.seeds) * sum(sizes.values())
    return choosing + (len(design.estimating) * estimating)


def whole_pairs(study: StudyConfig, arm: Arm) -> int:
    """Return the pairs of one seed of an arm: whole steps of its batch size."""
    size = configured(study, arm.settings).batch.effective_size
    return -(-study.budget.pairs_per_trial // size) * size


def _number(earlier: Sequence[str]) -> str:
    return f"-{len(earlier) + 1}" if earlier else ""


def seedless(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted name without the seed."""
    return {name: value for name, value in values.items() if name != "seed"}
