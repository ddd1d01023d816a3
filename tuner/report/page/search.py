"""The page of a search: its unconfirmed best, learning curves, settings and importances."""

from __future__ import annotations

from functools import partial

from tuner.blocks import Block, Commands, Figure, Grid, Section, Words
from tuner.confirm.design import check_confirmable
from tuner.errors import UserError
from tuner.invocation import lasting_command
from tuner.journal.records import STOPPED, StudyRecord, TrialRecord
from tuner.report import excerpt
from tuner.report.importances import caveat, importances
from tuner.report.leaderboard import percent, shown, varied
from tuner.report.page.criteria import by_criterion, criteria
from tuner.report.page.drawing.bars import lying_bars
from tuner.report.page.drawing.curves import LearningCurve, Role, learning_curves
from tuner.report.page.settings import by_setting
from tuner.report.page.trials import leaderboard, name
from tuner.search.choices import dissenting, in_words
from tuner.search.edges import edges
from tuner.storage.folders import Place
from tuner.tracking.notes import NOTHING_LEARNT, instead_of_confirming


def conclusion_blocks(study: StudyRecord) -> list[Block]:
    """Return the answer of a search alone: an unconfirmed candidate."""
    best = study.best
    if best is None or best.last is None:
        return [Words("There is no answer yet: no trial has reached the full budget.", "answer")]
    complete = study.ranked()
    objective, score = study.facts.objective, best.last.objective
    alike = sum(trial.last.objective == score for trial in complete if trial.last) - 1
    others = f"; {alike} other{'s' if alike > 1 else ''} scored the same" if alike else ""
    blocks: list[Block] = [
        Words(
            f"Unconfirmed: of {len(complete)} trials at the full budget of {best.budget:,} pairs, "
            f"trial {name(best)} has the highest {objective}, {percent(score)} %{others}.",
            "answer",
        )
    ]
    control = next((t for t in complete if t.origin == "baseline" and t.last), None)
    if control is not None and control is not best and control.last is not None:
        difference = 100 * (score - control.last.objective)
        blocks.append(
            Words(
                f"The control, trial {control.number:03d}, scores "
                f"{percent(control.last.objective)} %, {difference:.2f} points less, "
                "from one run of each."
            )
        )
    if not study.learnt:
        blocks.append(Words(f"{NOTHING_LEARNT.capitalize()}.", "warning"))
    if study.settings.warm_start:
        earlier = ", ".join(study.settings.warm_start)
        blocks.append(Words(f"Its sampler had learnt from earlier studies: {earlier}."))
    if dissenting(chosen := by_criterion(study)):
        blocks.append(Words(in_words(chosen)))
    for edge in edges(study):
        found = edge.sentence[:1].upper() + edge.sentence[1:]
        blocks.append(Words(f"{found}. A wider search: {edge.option}", "warning"))
    flat = best.config.flat()
    settings = ", ".join(f"{n} {shown(flat[n])}" for n in varied(study) if flat[n] is not None)
    blocks += [
        Words(f"Its settings: {settings}.") if settings else Words("No settings were varied."),
        Words(
            "The best of many noisy scores is biased upwards by the selection. This is a "
            "candidate, not a result: a result needs fresh seeds. The search did not read test.",
            "warning",
        ),
    ]
    return blocks


def next_step(study: StudyRecord, folder: Place) -> list[Block]:
    """Return the command that confirms a search, or why it cannot be confirmed, or what to try."""
    if study.best is not None and not study.learnt:
        return [Words(f"Next: {instead_of_confirming(study)}.", "note")]
    try:
        check_confirmable(study, folder)
    except UserError as error:
        return [Words(f"It cannot be confirmed: {error.problem}.", "note")]
    return [
        Commands("Next, with fresh seeds and the control:", (lasting_command("confirm", folder),))
    ]


def sections(study: StudyRecord) -> list[Section]:
    """Return the sections that follow a search's answer."""
    board = (*_board_notes(study), leaderboard(study))
    made = [Section("Leaderboard, unconfirmed", board, brief=True)]
    if any(trial.last for trial in study.trials):
        made.append(Section("Learning curves", (_curves(study),)))
    if (compared := criteria(study)) is not None:
        made.append(compared)
    settings = by_setting(study)
    if settings:
        made.append(Section("Settings and scores", tuple(settings)))
    ranked = _importances(study)
    if ranked:
        made.append(Section("Importances", tuple(ranked)))
    return made


def _board_notes(study: StudyRecord) -> list[Block]:
    most = percent(study.facts.majority_accuracy)
    return [Words(f"Always giving the most frequent label: {most} %.", "note")]


def _curves(study: StudyRecord) -> Figure:
    curves, best, trials = [], study.best, excerpt.spread(study)
    for trial in trials:
        if trial.evaluations:
            points = [(e.rung, 100 * e.objective) for e in trial.evaluations]
            pairs, scores = zip(*points, strict=True)
            curves.append(LearningCurve(_role(trial, best), pairs, scores))
    by_hand = sum(trial.stopped_by_hand for trial in study.trials)
    stopped = sum(trial.state in STOPPED for trial in study.trials) - by_hand
    complete = len(study.ranked())
    rungs = ", ".join(f"{rung:,}" for rung in study.rungs)
    claim, objective = study.claim, study.facts.objective
    alt = (
        f"Learning curves of {len(curves)} trials with rungs at {rungs} pairs: {complete} reached "
        f"the full budget, ASHA stopped {stopped}" + (f", a user {by_hand}." if by_hand else ".")
    )
    numbers = Grid(
        f"{objective}, in %, at each rung.{excerpt.spread_of(study)}",
        claim,
        ("trial", "state", *(f"{rung:,}" for rung in study.rungs)),
        tuple(
            (
                name(trial),
                trial.state,
                *(
                    next((percent(e.objective) for e in trial.evaluations if e.rung == rung), "–")
                    for rung in study.rungs
                ),
            )
            for trial in trials
            if trial.evaluations
        ),
        left=2,
    )
    caption = (
        "Each line is a trial, evaluated at the rungs; a cross is where ASHA stopped it. "
        f"Unconfirmed.{excerpt.spread_of(study)}"
    )
    majority = 100 * study.facts.majority_accuracy
    draw = partial(learning_curves, curves, study.rungs, majority, objective, alt)
    return Figure(draw, alt, caption, claim, numbers)


def _role(trial: TrialRecord, best: TrialRecord | None) -> Role:
    if trial is best:
        return "best"
    if trial.origin == "baseline":
        return "control"
    if trial.state == "completed":
        return "complete"
    return "pruned" if trial.state in STOPPED else "other"


def _importances(study: StudyRecord) -> list[Block]:
    found = importances(study)
    if found is None:
        return []
    claim = study.claim
    values = {setting: 100 * share for setting, share in found.shares.items()}
    text = ", ".join(f"{setting} {value:.0f} %" for setting, value in values.items())
    alt = f"Importances, which sum to 100 %: {text}."
    rows = tuple((setting, f"{value:.1f}") for setting, value in values.items())
    numbers = Grid("Importances, in %.", claim, ("setting", "%"), rows)
    caption = "PED-ANOVA (arXiv 2304.10255) by Optuna; no interval is known for these shares."
    draw = partial(lying_bars, values, "importance, %", alt)
    return [
        Words(caveat(found, study), "warning"),
        Figure(draw, alt, caption, claim, numbers),
    ]
