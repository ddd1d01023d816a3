"""A study on a cluster that grows with it and vanishes after it, on a real Ray with autoscaler v2.

A first study, from no node at all, shows how fast trials are there; a second one is planned from
it, and then run, while one of its nodes is taken away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.autoscaling.cloud import Cloud
from tests.waiting import until
from tuner.journal.journal import FILE, read_history
from tuner.journal.records import StudyRecord
from tuner.report.timeline import timeline

pytestmark = pytest.mark.slow

STUDY = str(Path(__file__).with_name("study.yaml"))
MAX_NODES = 3


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud(MAX_NODES)
    yield cloud
    cloud.close()


def test_a_cluster_grows_with_a_study_and_vanishes_after_it(cloud: Cloud) -> None:
    assert cloud.nodes() == set(), "no GPU at first"
    run(cloud, "search", STUDY, "--set", "name=first", "--set", f"budget.trials={2 * MAX_NODES}")
    until(lambda: cloud.nodes() == set(), "the nodes go", every=0.2)

    plan = as_json(run(cloud, "plan", STUDY, "--set", "name=second", "--json"))
    assert plan["at_once"] == MAX_NODES, "of the declared maximum; there is no node now"

    search = cloud.tuner("search", STUDY, "--set", "name=second")
    folder = cloud.place.folder / "studies" / "second"
    until(lambda: (folder / FILE).exists() and spot(folder) is not None, "trials run", every=0.2)
    trial, node = spot(folder) or (-1, "")
    assert len(cloud.nodes()) == MAX_NODES
    cloud.take(node)
    said, _ = search.communicate(timeout=900)
    assert search.returncode == 0, said
    until(lambda: cloud.nodes() == set(), "the nodes go", every=0.2)

    study = read_history(folder).record()
    print(said, run(cloud, "report", "second"), sep="\n")
    assert {trial.state for trial in study.trials} == {"completed"}
    assert_finished_elsewhere(study, trial, node)
    assert_nodes_come_at_once(folder)
    found = timeline(study)
    assert found is not None
    told = found.numbers
    print(f"planned {plan['time']['seconds']:.0f} s, took {study.seconds:.0f} s")
    print(told)
    assert told["nodes_peak"] == MAX_NODES
    assert told["idle_share"] <= 0.25  # a tenth of that where nothing else is at work
    assert 0.5 < plan["time"]["seconds"] / study.seconds < 2
    report = as_json(run(cloud, "report", "second", "--json"))
    assert report["timeline"] == told
    assert (folder / "figures" / "timeline.svg").exists()


def assert_finished_elsewhere(study: StudyRecord, number: int, node: str) -> None:
    """It went on from its checkpoint, and nobody counts that as a failure."""
    lost = [trial.number for trial in study.trials if trial.failures]
    assert lost == [number]
    trial = study.trials[number]
    assert [failure.kind for failure in trial.failures] == ["lost"]
    first, second = trial.placed
    assert first.nodes == (node,) and first.outcome == "lost"
    assert second.nodes != first.nodes and second.outcome == "completed"
    assert trial.repeated_pairs < trial.failures[0].pairs_seen, "from a checkpoint"
    gone = next(span for span in study.nodes if span.node == node)
    assert gone.left < max(span.left for span in study.nodes), "and that was journalled"
    (another,) = [span.node for span in study.nodes if span.joined > gone.left]
    used = {node for trial in study.trials for attempt in trial.placed for node in attempt.nodes}
    assert another in used, "trials are no longer than a process takes to start there"


def assert_nodes_come_at_once(folder: Path) -> None:
    """The number of waiting trials equals the number of possible nodes: nodes come all at once."""
    events = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    kinds = [(event["event"], event.get("head")) for event in events]
    assert ("node_joined", True) in kinds
    first = kinds.index(("node_joined", False))
    assert kinds[:first].count(("trial_created", None)) == MAX_NODES


def spot(folder: Path) -> tuple[int, str] | None:
    """A trial in the middle of the study that has trained for a while, and its node."""
    study = read_history(folder).record()
    some = study.rungs[-1] / 4
    for trial in study.trials[2 * MAX_NODES :]:
        if trial.state == "running" and trial.pairs_seen > some:
            return trial.number, trial.placed[-1].nodes[0]
    return None


def run(cloud: Cloud, *arguments: str) -> str:
    """A command to its end; all that it printed."""
    process = cloud.tuner(*arguments)
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return said


def as_json(said: str) -> Any:
    """The JSON that a command printed with `--json`, under its progress."""
    return json.loads(said.splitlines()[-1])
