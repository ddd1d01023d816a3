"""`tuner confirm`: start or resume the confirmation of a search, then the external reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from tuner.confirm.design import (
    MAX_SEEDS,
    check_confirmable,
    chosen,
    confirmation,
    planned_pairs,
    reference,
)
from tuner.confirm.power import SEED_DEVIATION, detectable
from tuner.confirm.same import check_own, check_same
from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.facts import StudyFacts
from tuner.journal.journal import is_begun, read_history
from tuner.journal.readings import earlier, read_before
from tuner.journal.records import SEARCHED, StudyRecord
from tuner.run.resume import Extension
from tuner.search.edges import edges
from tuner.search.recommend import concluded, has_test, untested
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.study.file import reopened_study
from tuner.terminal.progress import say
from tuner.wording import count

TOP = 3
"""The default number of configurations besides the controls."""
SEEDS = (3, 6)
"""The default numbers of seeds that choose and that estimate."""


@dataclass(frozen=True)
class ConfirmOptions:
    """The user's options.

    Attributes:
        top: number of configurations besides the controls; None for that of the confirmation that
            was begun, or 3.
        seeds: how many seeds choose, and how many estimate; None means the same as for `top`.
        again: start another confirmation, with different seeds, if one exists already.
        reference: also run the external reference.
        overrides: `key=value` of budget, resources, checkpoint or tracking.
    """

    top: int | None = None
    seeds: tuple[int, int] | None = None
    again: bool = False
    reference: bool = False
    overrides: Sequence[str] = ()


def confirm(
    folder: Place, asked: ConfirmOptions, console: Console, tracking_later: bool = False
) -> list[StudyRecord]:
    """Run the confirmation of a search to its end; resume it if it was started.

    Args:
        folder: folder of the search.
        asked: the user's options.
        console: shows what will run, before it runs.
        tracking_later: continue even if MLflow is unavailable.

    Returns:
        The confirmation, and the external reference if it was requested and the confirmation is
        complete.

    Raises:
        UserError: the search cannot be confirmed, or the options differ from those of the
            confirmation that was started.
    """
    search = read_history(folder).record()
    check_confirmable(search, folder)
    made = planned(search, folder, asked)
    assert isinstance(made.design, ConfirmDesign)
    beside = _reference(search, folder, made, asked) if asked.reference else None
    tell = partial(_tell, search, made, asked.top or TOP, console)
    same = partial(check_same, search.facts)
    done = [_run(made, tell, same, asked, console, tracking_later)]
    if beside is not None and done[0].state == "completed":
        pairs = f"{planned_pairs(beside):,} pairs of English alone"
        note = f"{beside.name}, the external reference: {len(made.design.estimates)} seeds, {pairs}"
        same = partial(check_same, done[0].facts, splits=("dev", "test"))  # train differs
        done.append(_run(beside, lambda: say(console, note), same, asked, console, tracking_later))
    return done


def _reference(
    search: StudyRecord, folder: Place, confirmed: StudyConfig, asked: ConfirmOptions
) -> StudyConfig:
    """Build the external reference; refuse if another study already has its name."""
    made = reference(search, folder, confirmed, asked.overrides)
    if is_begun(made.folder):
        check_own(made, read_history(made.folder).record(), search)
    return made


def planned(search: StudyRecord, folder: Place, asked: ConfirmOptions) -> StudyConfig:
    """Return the requested confirmation: the latest that was started, or a new one.

    Raises:
        UserError: the confirmation is of another search, was started with a different number of
            configurations or seeds, or has not ended although `again` requests another one.
    """
    begun = confirmations(search, folder)
    if begun and asked.again:
        last = read_history(folder.parent / begun[-1]).record()
        if not _is_over(last, folder.parent / begun[-1]):
            raise UserError(
                f"--again: {last.name} has not ended",
                f"Finish that one first: {command('confirm', folder)}",
            )
    if not begun or asked.again:
        top, seeds = asked.top or TOP, asked.seeds or SEEDS
        return confirmation(search, folder, top, seeds, begun, asked.overrides)
    there = folder.parent / begun[-1]
    study = reopened_study(read_history(there).record().settings, there)
    design = study.design
    assert isinstance(design, ConfirmDesign)
    names = [arm.name for arm in design.arms]
    seeds = (len(design.seeds), len(design.estimating))
    others = asked.top is not None and names != [
        arm["name"] for arm in _arms(search, folder, asked.top)
    ]
    if others or asked.seeds not in (None, seeds):
        number = f"{seeds[0]}+{seeds[1]} seeds" if seeds[1] else f"{seeds[0]} seeds of each"
        raise UserError(
            f"{study.name} was started with {count(len(names), 'configuration')} "
            f"({', '.join(names)}) and {number}",
            f"Leave out --top and --seeds to continue it, or start another with different seeds: "
            f"{command('confirm', folder)} --again",
        )
    return study


def _arms(search: StudyRecord, folder: Place, top: int) -> list[dict[str, Any]]:
    return chosen(search, reopened_study(search.settings, folder), top)[0]


def parse_seeds(text: str) -> tuple[int, int]:
    """Parse how many seeds choose and how many estimate, such as `3+6`.

    Raises:
        UserError: it is not two numbers, or they are too small or too large.
    """
    choosing, _, estimating = text.partition("+")
    remedy = (
        "Give two numbers, such as --seeds 3+6: with 3 seeds all configurations are trained to "
        "choose one, and with 6 others that one and its controls are trained to estimate it."
    )
    if not (choosing.strip().isdecimal() and estimating.strip().isdecimal()):
        raise UserError(f"--seeds {text} is not understood", remedy)
    seeds = int(choosing), int(estimating)
    if seeds[0] < 1 or seeds[1] < 2 or sum(seeds) > MAX_SEEDS:
        raise UserError(
            f"--seeds {text}: at least 1 seed chooses and 2 estimate, at most {MAX_SEEDS} together",
            remedy,
        )
    return seeds


def _is_over(confirmed: StudyRecord, folder: Place) -> bool:
    """Return whether a confirmation has ended, or lacks weights that it needs to read test."""
    design = confirmed.settings.design
    assert isinstance(design, ConfirmDesign)
    if confirmed.state == "completed" or concluded(design, confirmed):
        return True
    if confirmed.recommendation is None:
        return False
    from tuner.run.trial_files import is_kept  # torch

    kept = [folder / "best" / f"{trial.number:04d}" for trial in untested(confirmed)]
    return not all(map(is_kept, kept))


def confirmations(search: StudyRecord, folder: Place) -> list[str]:
    """Return the names of the confirmations of a search that were started, in order.

    Raises:
        UserError: a study with such a name is not a confirmation of this search.
    """
    names: list[str] = []
    while True:
        name = f"{search.name}-confirm" + (f"-{len(names) + 1}" if names else "")
        if not is_begun(folder.parent / name):
            return names
        design = read_history(folder.parent / name).record().settings.design
        if not isinstance(design, ConfirmDesign) or design.study != search.id:
            raise UserError(
                f"{name} in {folder.parent} is not a confirmation of this study {search.name}",
                "Move it to another folder, or give the search another name.",
            )
        names.append(name)


def _run(
    study: StudyConfig,
    tell: Callable[[], None],
    same: Callable[[StudyFacts], None],
    asked: ConfirmOptions,
    console: Console,
    tracking_later: bool,
) -> StudyRecord:
    from tuner.run.study import begin, go_on  # torch and Ray: imported after all checks

    if is_begun(study.folder):
        say(console, f"continuing {study.name}")
        return go_on(study.folder, Extension(overrides=asked.overrides), console, tracking_later)
    tell()
    return begin(study, console, tracking_later, same)


def _tell(search: StudyRecord, study: StudyConfig, top: int, console: Console) -> None:
    """Show what will run, and the smallest difference that it can detect."""
    design = study.design
    assert isinstance(design, ConfirmDesign)
    arms, seeds = len(design.arms), len(design.seeds)
    names = ", ".join(arm.name for arm in design.arms)
    say(
        console,
        f"{study.name}: {arms} configurations ({names}) with {seeds} fresh seeds each "
        f"({design.seeds[0]} to {design.seeds[-1]}) to choose one: {arms * seeds} trials",
    )
    others, most = count(len(design.estimating), "other seed"), design.trials()
    say(
        console,
        f"then {others} ({design.estimating[0]} to {design.estimating[-1]}) of the chosen one and "
        f"of the controls estimate it: {most} trials and {planned_pairs(study):,} pairs in total "
        "at most",
    )
    for control in design.controls:
        best = f"the best of {count(control.of, 'completed trial')} with {control.kind}"
        say(console, f"tuned control: {control.arm}, {best}")
    sampled = sum(trial.origin in SEARCHED for trial in search.complete)
    if sampled < top:
        completed = count(sampled, "sampled trial")
        say(console, f"--top {top}: {search.name} completed only {completed}")
    for edge in edges(search):
        say(console, f"{search.name}: {edge.sentence}. A wider search: {edge.option}", "yellow")
    found = detectable(search, study)
    if found is None:
        say(
            console,
            "the smallest difference from a control that it can detect is unknown beforehand",
        )
    else:
        least, seen = found
        seeds_differ = (
            "seeds differ as in the search"
            if seen
            else (
                f"assuming that seeds differ by {100 * SEED_DEVIATION:g} point (standard deviation)"
            )
        )
        say(
            console,
            f"it detects a true difference from a control of {100 * least:.2f} points on the dev "
            f"sets that choose with a power of at least 80 %; {seeds_differ}; on the test targets "
            "the difference may have to be larger",
        )
    if not has_test(search):
        say(
            console,
            "the data has no test set: the confirmation ends with the recommendation, based on dev",
        )
    if before := read_before(earlier(study.storage, search.facts.data.test_items)):
        say(console, before, "yellow")
    elif design.earlier:
        say(console, f"test may already have been read by {', '.join(design.earlier)}")
