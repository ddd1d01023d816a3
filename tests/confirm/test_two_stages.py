"""A confirmation whose choice and whose estimates rest on different seeds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.confirm.arms import BETTER, CONTROL
from tests.confirm.examples import confirmed, evaluated, on_test
from tests.confirm.searches import journal_of, searched
from tuner.cli.confirming import as_plain
from tuner.confirm.design import confirmation
from tuner.confirm.result import DEV, Confirmed
from tuner.confirm.sentences import sentences
from tuner.errors import UserError
from tuner.journal import events
from tuner.journal.journal import Journal
from tuner.journal.records import StudyRecord
from tuner.report.status import look_at
from tuner.search.driver import Driver
from tuner.search.recommend import estimating
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.terminal.view import StudyView

LUCKY = ({"en": 8, "de": 8}, {})
"""On dev, of a run that chose: it has no test."""
PLAIN = ({"en": 5, "de": 5}, {})
LESS = ({"en": 6, "de": 5}, {"en": 6, "de": 5, "es": 5, "ja": 5})
CONTROLS = [
    {"setting": "mix.cross_lingual", "value": 0.0, "arm": "trial 004", "of": 7},
    {"setting": "fusion.kind", "value": "last", "arm": "control", "of": 2},
]


def two_stages(**changes: Any) -> StudyRecord:
    """Three seeds estimate what two chose: trial 007."""
    arms = {
        "control": [PLAIN] * 2,
        "trial 007": [LUCKY] * 2,
        "trial 004": [PLAIN, LUCKY],
        "trial 009": [PLAIN] * 2,
    }
    later = {
        "trial 007": [BETTER] * 3,
        "trial 004": [LESS] * 3,
        "control": [CONTROL, CONTROL, None],
    }
    made: dict[str, Any] = {
        "search_scores": {"trial 007": 0.95}, "estimating": later, "controls": CONTROLS,
        "completed": 20, **changes,
    }  # fmt: skip
    return confirmed(arms, "trial 007", **made)


def test_what_chose_is_not_in_the_estimates() -> None:
    result = Confirmed.of(two_stages())
    best = result.best
    assert best.objective == 1.0 and best.dev is not None and best.dev.value == 1.0
    assert best.test["targets"].value == pytest.approx(13 / 16) and best.test["targets"].seeds == 3
    assert [arm.name for arm in result.estimated] == ["trial 007", "trial 004", "control"]
    assert result.arm("trial 009").test == {} and result.arm("trial 009").failed == ()
    assert set(best.from_best) == {DEV}, "on test only some arms stand"
    assert best.optimism == pytest.approx(0.95 - 13 / 16), "of the seeds that chose nothing"
    assert sorted(best.runs) == [1000, 1001, 1002, 1003, 1004]


def test_effects_are_stated_against_tuned_controls() -> None:
    """By hand, and over the seeds that both arms have."""
    result = Confirmed.of(two_stages())
    mixed, fused = result.contrasts["targets"]
    assert (mixed.arm, mixed.control) == ("trial 007", "trial 004")
    assert mixed.estimate.value == pytest.approx(3 / 16) and mixed.estimate.seeds == 3
    assert (fused.arm, fused.control) == ("trial 007", "control")
    assert fused.estimate.value == pytest.approx(6 / 16) and fused.estimate.seeds == 2
    low, high = sorted([mixed, fused], key=lambda each: each.estimate.p)
    assert low.adjusted == pytest.approx(min(1, 2 * low.estimate.p))
    assert high.adjusted == pytest.approx(max(low.adjusted, high.estimate.p))
    said = " ".join(sentences(result))
    assert "trial 004, the best of 7 trials with mix.cross_lingual 0" in said
    assert "the control, the best of 2 trials with fusion.kind last" in said
    assert "over 3 other seeds that chose nothing" in said
    assert "was chosen from 20 completed trials. A control" in said, "2 of 20 is no equal tuning"
    assert "Failed seeds: 1 of 17 (1 of control)" in said


def test_it_is_told_as_json() -> None:
    """It holds every number, and the controls with their kinds."""
    told = json.loads(json.dumps(as_plain(two_stages())))
    assert [each["kind"] for each in told["result"]["controls"]] == [
        "mix.cross_lingual 0",
        "fusion.kind last",
    ]
    assert told["result"]["contrasts"]["targets"][0]["control"] == "trial 004"
    assert told["result"]["recommended"] == "trial 007" and told["sentences"]


def test_one_that_goes_on_counts_the_trials_that_it_needs() -> None:
    """They follow from its recommendation; another might need more."""
    study = two_stages(controls=[{**each, "arm": "trial 007"} for each in CONTROLS])
    console = Console(file=io.StringIO(), width=100)
    with StudyView(console, trials=17) as view:
        view.study_started(study.model_copy(update={"trials": study.trials[:9]}))
    assert "9 of 11 trials ended" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_recommended_control_is_the_answer() -> None:
    controls = [{**CONTROLS[0], "arm": "trial 007", "of": 12}, {**CONTROLS[1], "of": 12}]
    result = Confirmed.of(two_stages(controls=controls))
    assert [each.control for each in result.contrasts["targets"]] == ["control"]
    said = " ".join(sentences(result))
    assert "It is itself the best configuration with mix.cross_lingual 0." in said
    assert "A control that was chosen" not in said


def test_before_its_runs_have_ended_no_test_is_told() -> None:
    study = two_stages()
    early = study.model_copy(update={"trials": study.trials[:9]})
    assert [t.number for t in estimating(early)] == [8]
    untested = [t.model_copy(update={"tests": ()}) for t in early.trials]
    result = Confirmed.of(early.model_copy(update={"trials": tuple(untested)}))
    assert "Test has not been read yet" in " ".join(sentences(result))
    assert result.contrasts["targets"] == [] and result.best.test == {}


def trained(driver: Driver, made: StudyConfig, right: dict[str, int], most: int = 99) -> None:
    """Train at most so many trials; `right` are the German pairs of each arm's runs that choose."""
    for _ in range(most):
        if (trial := driver.next_trial()) is None:
            return
        driver.trial_started(trial.number)
        chooses = trial.config.seed in made.design.seeds  # type: ignore[union-attr]
        dev = evaluated({"en": 5, "de": right.get(trial.arm, 5) if chooses else 5})
        driver.evaluated(trial.number, dev.model_copy(update={"rung": made.rungs[-1]}))


def test_wherever_its_driver_is_killed_the_same_follows(tmp_path: Path) -> None:
    """The journal is cut after every record; another driver goes on. The recommendation stands
    before the first trial that estimates, and never changes."""
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 5, (2, 2))
    assert isinstance(made.design, ConfirmDesign)
    right = {"trial 003": 7, "trial 002": 6}
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        trained(driver, made, right)
        driver.finish()
        undisturbed = runs(journal.history.record(1.0))
    file = made.folder / "journal.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds.count("recommended") == 1
    assert kinds[: kinds.index("recommended")].count("trial_created") == 6
    assert undisturbed[6:] == [
        ("trial 003", 1003),
        ("control", 1003),
        ("trial 003", 1004),
        ("control", 1004),
    ]
    for cut in range(2, len(lines)):
        file.write_text("".join(lines[:cut]))
        with Journal(made.folder) as journal:
            driver = Driver(made, journal)
            driver.start()
            trained(driver, made, right)
            driver.finish()
            record = journal.history.record(1.0)
        assert runs(record) == undisturbed
        assert record.recommendation is not None and record.recommendation.arm == "trial 003"


def runs(record: StudyRecord) -> list[tuple[str, int]]:
    return [(trial.arm, trial.config.seed) for trial in record.trials]


def test_a_recommended_control_saves_its_second_run(tmp_path: Path) -> None:
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 5, (2, 2))
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        trained(driver, made, {"control": 8})
        record = driver.finish()
    assert made.trials == 10 and len(record.trials) == 8
    assert runs(record)[6:] == [("control", 1003), ("control", 1004)]
    assert look_at(made.folder).trials == 8, "of 8, and not of 10"


def test_a_journal_in_which_a_run_that_chose_read_test_is_refused(tmp_path: Path) -> None:
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 1, (1, 2))
    test = on_test({"en": 5, "de": 5, "es": 4, "ja": 4})
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        trained(driver, made, {})
        driver.note(events.Tested(time=2.0, number=2, on_test=test))
        driver.note(events.Tested(time=2.0, number=0, on_test=test))
    with pytest.raises(UserError, match="trial 000, which chose"), Journal(made.folder):
        pass
