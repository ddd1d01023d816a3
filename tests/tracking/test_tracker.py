"""MLflow as a view of records, in real sqlite stores."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from tests.conftest import FirstUse
from tests.tracking.examples import BEGAN, EVERY_STATE, evaluation, started, study, trial
from tests.tracking.stores import Store, Tally
from tuner.errors import UserError
from tuner.study.trial import TrialConfig
from tuner.tracking import Synced, Tracker, tracker
from tuner.tracking.contents import Contents, metrics_of

pytestmark = pytest.mark.integration


def test_the_first_use_is_silent_and_stays_beside_the_studies(first_use: FirstUse) -> None:
    folder, made = first_use
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"mlruns/0/meta.yaml", "studies/mlflow.db"}


def test_a_study_with_every_state(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study(*EVERY_STATE))

    parent, *children = store.runs()
    assert parent.info.run_name == "demo"
    assert parent.info.status == "RUNNING"
    assert parent.data.tags["tuner.study_id"] == "4f0c2b"
    assert parent.data.params == {
        "data.source": "nano",
        "encoder.name": "nano",
        "languages.source": "en, de",
        "protocol.kind": "zero_shot",
        "protocol.objective": "mean",
        "protocol.strict_overlap": "0",
        "budget.pairs_per_trial": "3000",
        "scheduler.kind": "asha",
        "scheduler.variant": "stopping",
        "sampler.kind": "tpe",
        "sampler.seed": "0",
    }
    assert parent.data.metrics == {"best/objective": pytest.approx(0.653), "best/trial": 5.0}
    for words in ("What does mixing do?", "zero-shot for es", "mean dev accuracy on en, de"):
        assert words in parent.data.tags["mlflow.note.content"]
    assert "**Best, unconfirmed:** trial 5 with 0.6530" in parent.data.tags["mlflow.note.content"]
    assert parent.data.tags["mlflow.source.name"] == "tuner 0.0.1"
    assert parent.data.tags["mlflow.source.git.commit"] == "0ddba11"

    assert [child.info.run_name for child in children] == [
        "trial 000 baseline",
        *(f"trial 00{number}" for number in range(1, 6)),
    ]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert [(child.data.tags["tuner.state"], child.info.status) for child in children] == [
        ("completed", "FINISHED"),
        ("pruned", "FINISHED"),
        ("failed", "FAILED"),
        ("interrupted", "KILLED"),
        ("running", "RUNNING"),
        ("completed", "FINISHED"),
    ]
    assert children[2].data.tags["tuner.reason"] == "out of memory"
    assert "**Failed**: out of memory." in children[2].data.tags["mlflow.note.content"]
    assert "**Pruned** at 1,007 pairs" in children[1].data.tags["mlflow.note.content"]
    assert children[1].info.start_time == (BEGAN + 60) * 1000
    assert children[1].info.end_time == (BEGAN + 110) * 1000

    control, dlfa = children[0].data.params, children[5].data.params
    assert float(dlfa["optim.lr"]) == 5e-4
    assert float(dlfa["fusion.layer"]) == 2
    assert "fusion.layer" not in control  # `last` has none
    assert (float(control["fusion.lowest_layer"]), float(dlfa["fusion.lowest_layer"])) == (4, 2)
    assert set(dlfa) == {*TrialConfig.from_flat(trial(5).params).flat(), "fusion.lowest_layer"}

    for name, value in evaluation(5, 3000).metrics().items():
        points = store.client.get_metric_history(children[5].info.run_id, name)
        assert [(point.step, point.timestamp) for point in points] == [
            (1007, (BEGAN + 301) * 1000),
            (3007, (BEGAN + 303) * 1000),
        ]
        assert points[1].value == pytest.approx(value)
    seen = store.client.get_metric_history(children[5].info.run_id, "train/pairs_seen")
    assert [(point.step, point.value) for point in seen] == [(1007, 1007), (3007, 3007)]
    scores = [child.data.metrics.get("select/score") for child in children]
    assert scores == [pytest.approx(0.603), *4 * [None], pytest.approx(0.653)]  # of full budgets


def test_changes_one_by_one_and_a_sync_give_the_same(store: Store) -> None:
    tracker = Tracker(store.uri, "demo")
    whole = study(*(t for t in EVERY_STATE if t.state != "running"), state="completed")
    for _ in range(2):  # the second time is a replay
        tracker.sync(study())
        for ended in whole.trials:
            running = started(ended)
            tracker.write(running)
            for point in ended.evaluations:
                evaluations = (*running.evaluations, point)
                running = running.model_copy(update={"evaluations": evaluations})
                tracker.write(running)
            tracker.write(ended)
        tracker.sync(whole)
    events = store.rows()
    assert len(events["runs"]) == 6
    assert len(events["latest_metrics"]) < len(events["metrics"])  # a point a rung
    assert store.tally(whole) == Tally(runs=6)

    for _ in range(2):
        Tracker(store.uri, "demo").sync(whole)
        assert store.rows() == events


def test_what_a_sync_did(store: Store) -> None:
    some = study(trial(0), trial(1, "pruned", (1000,)), trial(2, "running", (1000,)))
    assert Tracker(store.uri, "demo").sync(some) == Synced(4, 0, 0, 0)
    ended = study(some.trials[0], trial(1, "pruned"), trial(2), trial(3), state="completed")
    synced = Tracker(store.uri, "demo").sync(ended)
    assert synced == Synced(made=1, updated=3, unchanged=1, duplicates=0)
    assert synced.in_words() == "1 runs created, 3 updated, 1 unchanged"
    assert Tracker(store.uri, "demo").sync(ended) == Synced(0, 0, 5, 0)
    assert store.tally(ended) == Tally(runs=5)


def test_a_trial_that_goes_on_keeps_its_run(store: Store) -> None:
    interrupted = trial(1, "interrupted", (1000,))
    Tracker(store.uri, "demo").sync(study(interrupted, state="interrupted"))
    assert [run.info.status for run in store.runs()] == ["KILLED", "KILLED"]

    again = Tracker(store.uri, "demo")
    again.sync(study(interrupted))
    again.write(interrupted.model_copy(update={"state": "running"}))
    parent, child = store.runs()
    assert [parent.info.status, child.info.status] == ["RUNNING", "RUNNING"]
    assert child.data.tags["tuner.state"] == "running"

    again.write(trial(1))
    parent, child = store.runs()
    assert (child.info.status, child.data.tags["tuner.state"]) == ("FINISHED", "completed")
    assert len(store.client.get_metric_history(child.info.run_id, "select/objective")) == 2


def test_what_a_killed_driver_left_is_put_right(store: Store) -> None:
    left = Tracker(store.uri, "demo")
    left.sync(study())
    left.write(started(trial(1)))
    left.write(started(trial(2)))
    record = study(trial(1), trial(2, "running", (1000,)), state="interrupted")
    Tracker(store.uri, "demo").sync(record)
    parent, first, second = store.runs()
    assert [run.info.status for run in (parent, first, second)] == ["KILLED", "FINISHED", "KILLED"]
    assert second.data.metrics["select/objective"] == pytest.approx(0.621)
    assert store.tally(record) == Tally(runs=3)


@pytest.mark.parametrize("key", [None, 1], ids=["the study", "a trial"])
@pytest.mark.parametrize("later", [-999, 999], ids=["the first", "the second"])
@pytest.mark.parametrize("state", ["running", "completed"])
def test_a_run_that_is_there_twice(
    store: Store, key: int | None, later: int, state: Literal["running", "completed"]
) -> None:
    """The answer to its creation was lost; the points may be in the one that goes."""
    record = study(trial(0), trial(1, state, (1000,)), state=state)
    Tracker(store.uri, "demo").sync(record)
    run = store.runs()[0 if key is None else 2]
    at = run.info.start_time + later
    store.client.create_run(run.info.experiment_id, at, tags=dict(run.data.tags))

    assert Tracker(store.uri, "demo").sync(record).duplicates == 1
    kept = store.runs()[0 if key is None else 2]
    assert (kept.info.run_id == run.info.run_id) == (later > 0)
    assert len(store.trash()) == 1
    assert {run.info.status for run in store.trash()} <= {"KILLED", "FINISHED"}
    assert store.tally(record) == Tally(runs=3, running=2 * (state == "running"))


def test_a_run_that_is_made_twice_at_the_same_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody else, between the look and the making: seen by the look after it."""
    record = study(trial(0), trial(1), state="completed")
    made = Tracker._make
    others = iter([Tracker(store.uri, "demo")])

    def in_between(self: Tracker, key: int | None, contents: Contents) -> Any:
        for other in others:
            other.sync(record)
        return made(self, key, contents)

    monkeypatch.setattr(Tracker, "_make", in_between)
    assert Tracker(store.uri, "demo").sync(record).duplicates == 3
    assert store.tally(record) == Tally(runs=3)


def test_a_tracker_goes_on_after_an_error(store: Store) -> None:
    writer = Tracker(store.uri, "demo")
    store.statement("ALTER TABLE runs RENAME TO away")
    with pytest.raises(UserError, match="no such table: runs") as told:
        writer.sync(study())
    assert "[SQL" not in str(told.value)
    store.statement("ALTER TABLE away RENAME TO runs")
    writer.sync(study(trial(1, "running", ())))
    writer.write(trial(2, "running", (1000,)))
    assert [run.info.run_name for run in store.runs()] == ["demo", "trial 001", "trial 002"]


def test_a_trial_that_never_started_has_no_run(store: Store) -> None:
    created = trial(1, "running", ()).model_copy(update={"started": None})
    Tracker(store.uri, "demo").sync(study(created))
    assert [run.info.run_name for run in store.runs()] == ["demo"]


def test_many_trials_are_found_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "PAGE", 2)
    record = study(*(trial(number, "failed", ()) for number in range(6)))
    for _ in range(2):
        Tracker(store.uri, "demo").sync(record)
    assert len(store.runs()) == 7


def test_what_is_not_finite_is_written_once_too(store: Store) -> None:
    diverged = evaluation(1, 1000).model_copy(
        update={"objective": float("nan"), "train_loss": float("inf")}
    )
    ended = trial(1, "failed").model_copy(update={"evaluations": (diverged,)})
    Tracker(store.uri, "demo").sync(study(ended))
    seen = store.rows()
    assert len(seen["metrics"]) == len(metrics_of([diverged]))
    again = Tracker(store.uri, "demo")
    again.sync(study(started(ended)))
    again.write(ended)
    assert store.rows()["metrics"] == seen["metrics"]


def test_a_deleted_experiment_is_named(store: Store) -> None:
    Tracker(store.uri, "demo")
    client = store.client
    client.delete_experiment(
        client.search_experiments(filter_string="name = 'demo'")[0].experiment_id
    )
    with pytest.raises(UserError, match="'demo' was deleted\nRestore it: "):
        Tracker(store.uri, "demo")
