"""Prepared views of MLflow's runs page: columns worth reading, an order, and charts.

A saved view is a tag of the experiment with a name and a state, in the format of MLflow's interface
(3.17), which lists views under "Views". This module prepares two kinds: one view of all studies
with their trials nested under them, and one for each study with its trials ranked. No column shows
`oracle/…` and its charts are closed, so that nobody chooses by it inadvertently.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zlib import compress

from tuner.journal.records import OBJECTIVE, StudyRecord
from tuner.study.trial import FIELDS, TrialConfig
from tuner.tracking.contents import LOWEST_LAYER, PAIRS_SEEN, SCORE

SAVED = "mlflow.sharedViewState."
"""MLflow's prefix of the tags that hold views; the rest of the tag is the key in a URL."""
OURS = f"{SAVED}tuner-"
"""Prefix of the tag of a study's own view; the study's id follows."""
STUDIES = f"{SAVED}tuner"
"""The tag of the view of all studies."""
KEPT = 20
"""Number of the newest studies of an experiment that keep a view of their own."""
QUESTION = (
    "mix.cross_lingual",
    "batch.effective_size",
    "fusion.kind",
    "fusion.layer",
    "optim.lr",
)
"""Settings in the view of all studies, whether a study varies them or not."""
RUN_NAME = "attributes.`Run Name`"
CLOSED = (
    "select",
    "select/accuracy",
    "select/f1",
    "select/criterion",
    "train",
    "cost",
    "oracle/accuracy",
    "oracle/f1",
)
"""Sections that MLflow fills with a chart for each metric; they start closed."""


@dataclass(frozen=True)
class View:
    """A saved view, as a tag of an experiment."""

    tag: str
    value: str


def studies_view(created: float) -> View:
    """Return the view of all studies, newest first, with their trials nested under them."""
    columns = [_tag("tuner.state"), _metric("best/objective"), *_columns(QUESTION)]
    state = _state(columns, QUESTION) | {"orderByKey": "attributes.start_time"}
    state["columnWidths"][RUN_NAME] += 35  # its trials are indented
    return View(STUDIES, _envelope("all studies", created, state))


def study_view(study: StudyRecord) -> View:
    """Return the view of a study's trials: those at full budget first, the best on top."""
    varied = {*study.settings.space.root, *(study.settings.baseline or {})}
    names = [name for name in FIELDS if name in varied]
    columns = [
        _tag("tuner.state"),
        *_columns(names),
        _tag("tuner.reason"),
        *(_metric(f"select/accuracy/{language}") for language in study.settings.languages.source),
    ]
    state = _state(columns, names) | {
        "searchFilter": f"tags.`tuner.study_id` = '{study.id}' AND tags.`tuner.trial` LIKE '%'",
        "orderByKey": _metric(SCORE),
    }
    return View(f"{OURS}{study.id}", _envelope(study.name, study.created, state))


def changes(tags: Mapping[str, str], wanted: Iterable[View]) -> tuple[list[View], list[str]]:
    """Return the views to write and the tags to delete, so that an experiment has its views.

    An existing view stays as it is, since the user may have changed it in the interface.

    Args:
        tags: all tags of the experiment.
        wanted: views that the experiment should have; only the newest `KEPT` studies get theirs.
    """
    missing = {view.tag: view for view in wanted if view.tag not in tags}
    values = {**tags, **{tag: view.value for tag, view in missing.items()}}
    ours = [tag for tag in values if tag.startswith(OURS)]
    expired = set(sorted(ours, key=lambda tag: _created(values[tag]), reverse=True)[KEPT:])
    written = [view for tag, view in missing.items() if tag not in expired]
    return written, sorted(expired & tags.keys())


def newest(experiments: Iterable[Mapping[str, Any]]) -> str:
    """Return the path of the newest study's view in MLflow's interface; "" without a view.

    Args:
        experiments: experiments as MLflow's REST API (`experiments/search`) returns them.
    """
    views = [
        (_created(tag["value"]), experiment["experiment_id"], tag["key"])
        for experiment in experiments
        for tag in experiment.get("tags", ())
        if tag["key"].startswith(OURS)
    ]
    if not views:
        return ""
    _, experiment, tag = max(views)
    query = {"workflowType": "machine_learning", "viewStateShareKey": tag.removeprefix(SAVED)}
    return f"/#/experiments/{experiment}/runs?{urlencode(query)}"


def _created(value: str) -> float:
    return float(json.loads(value)["createdAt"])


def _envelope(name: str, created: float, state: Mapping[str, Any]) -> str:
    """Return a view in MLflow's format; its state is compressed, as a tag has 20,000 characters."""
    packed = b64encode(compress(json.dumps(state).encode())).decode()
    time = round(created * 1000)
    return json.dumps(
        {"name": name, "createdAt": time, "updatedAt": time, "state": f"deflate;{packed}"}
    )


def _state(columns: list[str], names: Iterable[str]) -> dict[str, Any]:
    """Return a view's state: columns, and charts over the settings `names` with every run."""
    charts = _charts(list(names))
    opened = dict.fromkeys(chart["metricSectionId"] for chart in charts)
    return {
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": [RUN_NAME, *columns, "duration"],
        "columnWidths": {
            RUN_NAME: 155,
            "runDateAndNestInfo": 130,  # Created
            **{name: _width(name) for name in columns},
        },
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [
            *(_section(name, display=True) for name in opened),
            *(_section(name, display=False) for name in CLOSED),
        ],
        "isAccordionReordered": True,  # or MLflow sorts the sections by name
        "globalLineChartConfig": {
            "xAxisKey": "metric",  # the step is the same number, but would be called Step
            "selectedXAxisMetricKey": PAIRS_SEEN,
            "lineSmoothness": 0,
        },
    }


def _columns(names: Iterable[str]) -> list[str]:
    metrics = (_metric(name) for name in (SCORE, OBJECTIVE, PAIRS_SEEN))
    return [*metrics, *(f"params.`{name}`" for name in names)]


def _charts(names: list[str]) -> list[dict[str, Any]]:
    """Return charts: parallel coordinates, learning curves, and the objective by setting."""
    axes = [LOWEST_LAYER if name == "fusion.layer" else name for name in names]
    defaults = TrialConfig().flat()
    numbers = [axis for axis in axes if not isinstance(defaults.get(axis), str)]
    objective = {"key": OBJECTIVE, "type": "METRIC"}
    together, curves, each = "All settings", "Learning curves", "Each setting"
    charts: list[dict[str, Any]] = []
    if axes:
        selected = {"selectedParams": axes, "selectedMetrics": [PAIRS_SEEN, OBJECTIVE]}
        charts.append({"type": "PARALLEL", "metricSectionId": together, **selected})
    for metric in (OBJECTIVE, "train/loss"):
        as_above = {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "lineSmoothness": 0}
        charts.append({"type": "LINE", "metricSectionId": curves, "metricKey": metric, **as_above})
    for axis in axes:
        place = {"xaxis": {"key": axis, "type": "PARAM"}, "yaxis": objective}
        charts.append({"type": "SCATTER", "metricSectionId": each, **place})
    if len(numbers) > 1:
        x, y = ({"key": axis, "type": "PARAM"} for axis in numbers[:2])
        place = {"xaxis": x, "yaxis": y, "zaxis": objective}
        charts.append({"type": "CONTOUR", "metricSectionId": each, **place})
    return [
        {"uuid": f"tuner-{number}", "deleted": False, "isGenerated": False, **chart}
        for number, chart in enumerate(charts)
    ]


def _section(name: str, display: bool) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": name,
        "display": display,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": 1 if name == "All settings" else 2,
    }


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _tag(name: str) -> str:
    return f"tags.`{name}`"


def _width(column: str) -> int:
    """Return the width of a column in pixels, for its heading or for its contents."""
    name = column.partition("`")[2].rstrip("`")
    wanted = {"tuner.reason": 210, "optim.lr": 95, SCORE: 105}  # the last has an arrow
    return wanted.get(name, 6 * len(name) + 18)
