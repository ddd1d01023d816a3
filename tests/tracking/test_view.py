"""Prepared views: read as MLflow's interface reads them, with nothing of the writer."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from zlib import decompress

import pytest

from tests import records
from tests.tracking.examples import evaluation
from tuner.journal.records import StudyRecord
from tuner.study.scores import Scores
from tuner.study.trial import FIELDS, TrialConfig
from tuner.tracking.view import (
    CLOSED,
    KEPT,
    OURS,
    SAVED,
    View,
    changes,
    newest,
    studies_view,
    study_view,
)

LIMIT = 20_000  # characters of an experiment's tag
VALUES = {**TrialConfig().flat(), "fusion.layer": 1}


def study(number: int = 0, varied: tuple[str, ...] = (), **settings: Any) -> StudyRecord:
    return StudyRecord(
        name=f"study-{number}",
        id=f"id{number:02d}",
        created=1_700_000_000.25 + number,
        settings=records.settings(space={name: VALUES[name] for name in varied}, **settings),
        facts=records.facts(),
        rungs=(1000,),
    )


def read(view: View) -> tuple[dict[str, Any], dict[str, Any]]:
    """The envelope and its state."""
    envelope = json.loads(view.value)
    kind, _, packed = envelope.pop("state").partition(";")
    assert kind == "deflate"
    return envelope, json.loads(decompress(b64decode(packed)))


def charts(state: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [chart for chart in state["compareRunCharts"] if chart["type"] == kind]


def test_a_studys_view() -> None:
    record = study(
        7,
        varied=("optim.lr", "fusion.layer", "fusion.kind", "batch.effective_size"),
        baseline={"mix.cross_lingual": 0, "fusion.kind": "last"},
        languages={"source": ["en", "de"], "target": ["es"]},
    )
    view = study_view(record)
    envelope, state = read(view)
    assert view.tag == "mlflow.sharedViewState.tuner-id07"
    assert envelope == {
        "name": "study-7",
        "createdAt": 1_700_000_007_250,
        "updatedAt": 1_700_000_007_250,
    }
    assert state["selectedColumns"] == [
        "tags.`tuner.state`",
        "metrics.`select/score`",
        "metrics.`select/objective`",
        "metrics.`train/pairs_seen`",
        "params.`mix.cross_lingual`",  # the space's and the baseline's, in our order
        "params.`batch.effective_size`",
        "params.`fusion.kind`",
        "params.`fusion.layer`",
        "params.`optim.lr`",
        "tags.`tuner.reason`",
        "metrics.`select/accuracy/en`",
        "metrics.`select/accuracy/de`",
    ]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`select/score`", False)
    assert "tags.`tuner.study_id` = 'id07'" in state["searchFilter"]

    (parallel,) = charts(state, "PARALLEL")
    assert parallel["selectedParams"] == [
        "mix.cross_lingual",
        "batch.effective_size",
        "fusion.kind",
        "fusion.lowest_layer",  # which every trial has
        "optim.lr",
    ]
    assert parallel["selectedMetrics"][-1] == "select/objective"  # gives the colours
    assert [chart["xaxis"]["key"] for chart in charts(state, "SCATTER")] == parallel[
        "selectedParams"
    ]
    (contour,) = charts(state, "CONTOUR")
    axes = [contour[axis]["key"] for axis in ("xaxis", "yaxis", "zaxis")]
    assert axes == ["mix.cross_lingual", "batch.effective_size", "select/objective"]
    assert [chart["metricKey"] for chart in charts(state, "LINE")] == [
        "select/objective",
        "train/loss",
    ]
    assert state["globalLineChartConfig"]["selectedXAxisMetricKey"] == "train/pairs_seen"


@pytest.mark.parametrize("view", [studies_view(1.0), study_view(study(varied=tuple(FIELDS)))])
def test_no_view_shows_what_may_not_choose(view: View) -> None:
    _, state = read(view)
    assert "oracle" not in json.dumps([state["selectedColumns"], state["compareRunCharts"]])
    opened = {section["name"] for section in state["compareRunSections"] if section["display"]}
    assert opened == {"All settings", "Learning curves", "Each setting"}
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {"oracle/accuracy", "oracle/f1"} <= sections
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections
    numbers = [chart["uuid"] for chart in state["compareRunCharts"]]
    assert len(set(numbers)) == len(numbers)


def test_charts_of_every_metric_start_closed() -> None:
    """MLflow opens a section of its own for a prefix that no view names."""
    scores = Scores(accuracy=0.5, f1=0.5, pairs=10)
    whole = evaluation(0, 1).model_copy(
        update={"oracle": {"ja": scores}, "criteria": {"mean": 0.5, "joint": 0.25}}
    )
    assert {name.rpartition("/")[0] for name in whole.metrics()} <= {*CLOSED}


def test_all_studies_are_nested() -> None:
    _, state = read(studies_view(1.0))
    assert state["orderByKey"] == "attributes.start_time"  # MLflow nests in this order alone
    assert "metrics.`best/objective`" in state["selectedColumns"]
    assert not state.get("searchFilter")


def test_a_study_that_varies_nothing_has_curves_alone() -> None:
    _, state = read(study_view(study()))
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["LINE", "LINE"]


def test_a_view_fits_into_a_tag() -> None:
    sources = [f"{a}{b}" for a in "abcdef" for b in "abcdefg"]
    view = study_view(study(varied=tuple(FIELDS), languages={"source": sources}))
    assert len(view.value) < LIMIT / 2


def apply(tags: dict[str, str], *wanted: View) -> dict[str, str]:
    written, deleted = changes(tags, wanted)
    assert set(deleted) <= set(tags)
    kept = {tag: value for tag, value in tags.items() if tag not in deleted}
    return kept | {view.tag: view.value for view in written}


@pytest.mark.parametrize("order", [range(KEPT + 3), reversed(range(KEPT + 3))])
def test_the_newest_studies_have_a_view_whatever_the_order(order: Any) -> None:
    theirs = {f"{SAVED}tun": "a person's own", "mlflow.note.content": "a note"}
    tags = dict(theirs)
    for number in order:
        tags = apply(tags, studies_view(number), study_view(study(number)))
    ours = sorted(tag for tag in tags if tag.startswith(OURS))
    assert ours == [f"{OURS}id{number:02d}" for number in range(3, KEPT + 3)]
    assert theirs.items() <= tags.items()
    assert apply(tags, study_view(study(0)), study_view(study(5))) == tags


def test_what_is_there_is_left_as_it_is() -> None:
    view = study_view(study(1))
    changed = {view.tag: view.value.replace("study-1", "mine")}
    assert changes(changed, [view]) == ([], [])


def experiment(number: int, *views: View) -> dict[str, Any]:
    tags = [{"key": view.tag, "value": view.value} for view in views]
    return {"experiment_id": str(number), "name": "x"} | ({"tags": tags} if tags else {})


def test_the_newest_study_is_found_wherever_it_is() -> None:
    first = experiment(3, studies_view(9.0), study_view(study(2)), study_view(study(11)))
    second = experiment(12, study_view(study(9)), View(f"{SAVED}abc", "a person's own"))
    assert newest([experiment(0), first, second]) == (
        "/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=tuner-id11"
    )
    assert newest([experiment(0), experiment(1, studies_view(1.0))]) == ""
