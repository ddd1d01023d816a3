"""Made-up studies, and what a driver tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.records import facts, settings
from tests.tracking.stores import Store
from tests.waiting import until
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord, TrialState
from tuner.progress import Advance
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig
from tuner.tracking import BackgroundTracker

BEGAN = 1_700_000_000.0
CHECKSUM = "0123456789abcdef" * 4
LONG = "eJwDAAAAAAE="
"""Values that the journal keeps for programs alone."""
PASSWORD = "hunter2-of-the-store"


def evaluation(trial: int, rung: int, languages: int = 2) -> Evaluation:
    scores = {f"l{i}": Scores(accuracy=0.5 + i / 1e4, f1=0.4, pairs=10) for i in range(languages)}
    return Evaluation(
        time=BEGAN + 60 * trial + rung / 1000,
        rung=rung,
        pairs_seen=rung + 7,
        step=rung // 32,
        objective=0.6 + trial / 100 + rung / 1e6,
        select=scores,
        oracle={"es": Scores(accuracy=0.7, f1=0.6, pairs=10)},
        answers={"l0": LONG},
        train_loss=0.5,
        pairs_per_second=100.0,
        train_seconds=10.0,
        evaluation_seconds=1.0,
        peak_memory_mb=512.0,
        micro_plan=((0, 32),),
        precision="fp32",
    )


def trial(
    number: int, state: TrialState = "completed", rungs: tuple[int, ...] = (1000, 3000)
) -> TrialRecord:
    fusion: dict[str, Any] = {"fusion.kind": "dlfa", "fusion.layer": 2} if number else {}
    params = {"optim.lr": 5e-4, "mix.cross_lingual": 0.25, **fusion}
    return TrialRecord(
        number=number,
        origin="sampler" if number else "baseline",
        params=params,
        config=TrialConfig.from_flat(params),
        budget=3000,
        state=state,
        reason={"failed": "out of memory", "pruned": "below the rung's best third"}.get(state, ""),
        attempts=1,
        started=BEGAN + 60 * number,
        ended=None if state == "running" else BEGAN + 60 * number + 50,
        evaluations=tuple(evaluation(number, rung) for rung in rungs),
    )


def started(ended: TrialRecord) -> TrialRecord:
    """The same trial as it began."""
    return ended.model_copy(update={"state": "running", "evaluations": (), "ended": None})


def study(*trials: TrialRecord, **changes: Any) -> StudyRecord:
    return StudyRecord(
        name="demo",
        id="4f0c2b",
        created=BEGAN - 10,
        settings=settings(
            name="demo",
            storage="/kept",
            description="What does mixing do?",
            languages={"source": ["en", "de"], "target": []},
            budget={"trials": 8, "pairs_per_trial": 3000},
        ),
        facts=facts(
            claim="zero-shot for es; trained on en, de (machine-translated: no)",
            objective="mean dev accuracy on en, de",
            environment={"tuner": "0.0.1", "commit": "0ddba11"},
            data={
                "checksum": CHECKSUM,
                "languages": ["en", "de", "es"],
                "counts": {"train": {"en": 100}},
            },
            overlap={
                "counts": {"dev": {"ids": 10}},
                "rows": {"dev": {"components": LONG, "clean": {}}},
            },
        ),
        rungs=(1000, 3000),
        trials=trials,
        seconds=400,
    ).model_copy(update=changes)


EVERY_STATE = (
    trial(0),
    trial(1, "pruned", (1000,)),
    trial(2, "failed", ()),
    trial(3, "interrupted", (1000,)),
    trial(4, "running", (1000,)),
    trial(5),
)


def tell(tracker: BackgroundTracker, trials: Iterable[TrialRecord]) -> None:
    """Tell of each change of a trial by itself, as a driver does."""
    for ended in trials:
        running = started(ended)
        tracker.trial_started(running)
        for point in ended.evaluations:
            running = running.model_copy(update={"evaluations": (*running.evaluations, point)})
            tracker.evaluated(running, point)
        tracker.trial_ended(ended)


class Told:
    """A `Progress` that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: list[tuple[int, int]] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def task(self, name: str, unit: str = "") -> Iterator[Advance]:
        yield lambda done, total: self.counts.append((done, total))


def until_idle(tracker: BackgroundTracker) -> None:
    """Wait until MLflow lacks nothing."""
    until(lambda: not tracker._lacking)


def written(store: Store, run_id: str) -> dict[str, str]:
    folder = next((p for p in store.folder.rglob(f"{run_id}/artifacts")), None)
    reports = folder.glob("report.*") if folder else ()
    return {path.name: path.read_text() for path in reports}
