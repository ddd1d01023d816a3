"""Seconds of trials, fitted to what was seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.records import facts
from tuner.journal.node_spans import NodeSpan
from tuner.journal.records import Attempt, Evaluation, StudyRecord, TrialRecord
from tuner.plan.pace import BETWEEN_SECONDS, Observation, Pace, recorded_pace
from tuner.study import StudyConfig
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

PER_PAIR, PER_STEP = 4e-4, 5e-3


def seen(size: int, kind: str = "last", factor: float = 1.0) -> Observation:
    return Observation(size, kind, factor * (PER_PAIR + PER_STEP / size))


def config(size: int, kind: str = "last") -> TrialConfig:
    layer = {} if kind == "last" else {"fusion.layer": 1}
    return TrialConfig.from_flat({"batch.effective_size": size, "fusion.kind": kind, **layer})


def test_the_two_costs_and_the_kinds_are_found_again() -> None:
    observations = [seen(8), seen(32), seen(128), seen(32, "dlfa", 1.2)]
    pace = Pace.fitted([*observations[:3]], 0.1, "")
    assert (pace.per_pair, pace.per_step) == pytest.approx((PER_PAIR, PER_STEP))
    pace = Pace.fitted([seen(8), seen(8), seen(128), seen(128), *observations[3:]], 0.1, "")
    last, dlfa = (pace.training(config(32, kind), 3200) for kind in ("last", "dlfa"))
    assert last == pytest.approx(3200 * PER_PAIR + 100 * PER_STEP, rel=0.05)
    assert dlfa / last == pytest.approx(1.2, rel=0.05)


def test_no_cost_is_negative() -> None:
    """Large batches that were slower by chance do not make steps free of charge and pairs dear."""
    pace = Pace.fitted([Observation(8, "last", 1e-3), Observation(128, "last", 1.5e-3)], 0.1, "")
    assert pace.per_step == 0
    assert 1e-3 < pace.per_pair < 1.5e-3
    pace = Pace.fitted([Observation(1, "last", 8e-3), Observation(16, "last", 1e-4)], 0.1, "")
    assert pace.per_pair == 0 and pace.per_step > 0


def test_a_kind_never_seen_costs_as_the_others() -> None:
    pace = Pace.fitted([seen(8), seen(128)], 0.1, "")
    assert pace.training(config(32, "dlfa"), 320) == pytest.approx(
        pace.training(config(32), 320), rel=1e-6
    )


Make = Callable[..., StudyRecord]


@pytest.fixture
def record(study: StudyConfig) -> Make:
    """A record of an earlier study: two trials side by side, a third after the first."""

    def make(platform: str = "here", **changes: Any) -> StudyRecord:
        def trial(number: int, started: float, ended: float) -> TrialRecord:
            scores = Scores(accuracy=0.5, f1=0.5, pairs=10)
            evaluation = Evaluation(
                time=ended,
                rung=100,
                pairs_seen=100,
                step=13,
                objective=0.5,
                select={"en": scores, "de": scores, "sources": scores},
                oracle={"ja": scores, "es": scores, "targets": scores},
                train_loss=0.1,
                pairs_per_second=1 / (PER_PAIR + PER_STEP / 8),
                train_seconds=ended - started - 0.8,
                evaluation_seconds=0.8,
                peak_memory_mb=1,
                micro_plan=((0, 8),),
                precision="fp32",
            )
            return TrialRecord(
                number=number,
                origin="sampler",
                params={},
                config=config(8),
                budget=100,
                state="completed",
                attempts=1,
                started=started,
                ended=ended,
                evaluations=(evaluation,),
            )

        return StudyRecord(
            name="earlier",
            id="x",
            created=1000.0,
            settings=study.model_dump(mode="json") | changes,
            facts=facts(environment={"platform": platform}),
            rungs=(100,),
            state="completed",
            trials=(trial(0, 1007.0, 1010.0), trial(1, 1007.5, 1012.0), trial(2, 1010.25, 1013.0)),
        )

    return make


def test_earlier_studies_tell(study: StudyConfig, record: Make) -> None:
    pace = recorded_pace(study, "here", [record()])
    assert pace is not None
    assert pace.training(config(8), 800) == pytest.approx(800 * PER_PAIR + 100 * PER_STEP)
    assert pace.per_set == pytest.approx(0.2)  # four languages; means are not evaluated
    assert pace.startup == pytest.approx(7.0)
    assert pace.between == pytest.approx(0.25)
    assert pace.ramp == pytest.approx(0.5) and pace.boot == 0
    assert pace.source == "recorded by earlier: 3 trials"


def test_checkpoints_are_part_of_what_a_trial_takes(study: StudyConfig, record: Make) -> None:
    """Each took 1.25 times as long as it trained and was evaluated."""
    whole = record()
    slow = [
        trial.model_copy(update={"ended": 1.25 * trial.ended - 0.25 * trial.started})
        for trial in whole.trials
        if trial.ended is not None and trial.started is not None
    ]
    pace = recorded_pace(study, "here", [whole.model_copy(update={"trials": tuple(slow)})])
    assert pace is not None
    assert pace.training(config(8), 800) == pytest.approx(1.25 * (800 * PER_PAIR + 100 * PER_STEP))
    assert pace.per_set == pytest.approx(1.25 * 0.2)


def test_the_noise_probe_of_an_earlier_study_is_no_evaluation_of_dev_sets(
    study: StudyConfig, record: Make
) -> None:
    whole = record()
    probed = [
        trial.model_copy(
            update={
                "evaluations": tuple(
                    each.model_copy(update={"evaluation_seconds": 2.3, "noise_seconds": 1.5})
                    for each in trial.evaluations
                )
            }
        )
        for trial in whole.trials
    ]
    pace = recorded_pace(study, "here", [whole.model_copy(update={"trials": tuple(probed)})])
    assert pace is not None and pace.per_set == pytest.approx(0.2)


def test_on_a_cluster_boots_and_the_places_on_each_node_tell(
    study: StudyConfig, record: Make
) -> None:
    """Nodes come 4 and 6 s after the study began; a trial takes the place of one on its node."""
    whole = record()

    def on(trial: TrialRecord, node: str, waited: float) -> TrialRecord:
        assert trial.started is not None and trial.ended is not None
        attempt = Attempt(
            nodes=(node,),
            gpus=0,
            cpus=1,
            waiting=1000.0,
            placed=trial.started + waited,
            ended=trial.ended,
            outcome="completed",
        )
        return trial.model_copy(update={"placed": (attempt,)})

    def node(name: str, joined: float, head: bool) -> NodeSpan:
        return NodeSpan(node=name, cpus=1, gpus=0, head=head, joined=joined, left=1020.0)

    first, second, third = whole.trials
    nodes = (node("h", 1000.0, True), node("a", 1004.0, False), node("b", 1006.0, False))
    trials = (on(first, "a", 0.25), on(second, "b", 1.0), on(third, "a", 0.25))
    pace = recorded_pace(
        study, "here", [whole.model_copy(update={"trials": trials, "nodes": nodes})]
    )
    assert pace is not None
    assert pace.boot == pytest.approx(4.0)
    assert pace.startup == pytest.approx(7.25)
    assert pace.ramp == pytest.approx(8.5 - 7.25)
    assert pace.between == pytest.approx(0.5)


def test_only_studies_alike_tell(study: StudyConfig, record: Make) -> None:
    other = {**study.model_dump(mode="json")["encoder"], "max_length": 16}
    resources = {**study.model_dump(mode="json")["resources"], "cpus_per_trial": 2.0}
    unlike = [record("elsewhere"), record(encoder=other), record(resources=resources)]
    assert recorded_pace(study, "here", unlike) is None
    assert recorded_pace(study, "here", []) is None


def test_a_resumed_study_tells_speeds_but_no_gaps(study: StudyConfig, record: Make) -> None:
    whole = record()
    again = whole.trials[2].model_copy(update={"attempts": 2})
    resumed = whole.model_copy(update={"trials": (*whole.trials[:2], again)})
    pace = recorded_pace(study, "here", [resumed])
    assert pace is not None and pace.between == BETWEEN_SECONDS
    assert pace.source == "recorded by earlier: 2 trials"
