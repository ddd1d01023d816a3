"""Proposals are feasible, reproducible, the same after a replay; a grid has each point once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records import facts
from tuner.errors import UserError
from tuner.journal.events import StudyCreated
from tuner.journal.journal import Journal
from tuner.journal.records import Evaluation, TrialRecord, TrialState
from tuner.search import sampler as module
from tuner.search.driver import Driver
from tuner.search.sampler import Sampler
from tuner.study import StudyConfig
from tuner.study.file import load_study, validate_study
from tuner.study.samplers import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.feasible import Feasible
from tuner.study.space.requirements import parse
from tuner.study.trial import TrialConfig

Make = Callable[[int, float], Evaluation]
Kind = str

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
REQUIRE = [
    "optim.lr * batch.effective_size <= 0.05",
    "not (fusion.kind == 'dlfa' and batch.effective_size > 32)",
    "fusion.layer >= 1 or mix.cross_lingual > 0.5",
]


def sampler_of(kind: Kind, feasible: Feasible, seed: int = 0) -> Sampler:
    settings = {"kind": kind, "seed": seed, "startup_trials": 3}
    return module.sampler_of(feasible, SamplerConfig.model_validate(settings))


class Told:
    """A sampler with the trials that it proposed, as the journal would know them."""

    def __init__(self, study: StudyConfig, kind: Kind, make: Make, require: list[str]) -> None:
        self._study, self._kind, self._make = study, kind, make
        self.feasible = Feasible(study.space, study.trial, require)
        self.sampler = sampler_of(kind, self.feasible)
        self.records: dict[int, TrialRecord] = {}

    def propose(self, number: int) -> dict[str, Any]:
        params = self.sampler.propose(number)
        assert params is not None
        config = self._study.space.trial_config(self._study.trial, params)
        self.records[number] = TrialRecord(
            number=number,
            origin="sampler",
            params=params,
            config=config,
            budget=900,
            state="running",
        )
        return params

    def end(self, number: int, state: TrialState) -> None:
        record = self.records[number]
        score = 0.5 + record.config.mix.cross_lingual * record.config.optim.lr
        rung = 900 if state == "completed" else 100
        self.sampler.evaluated(number, rung, score)
        evaluations = (self._make(rung, score),) if state != "failed" else ()
        record = record.model_copy(update={"evaluations": evaluations, "state": state})
        self.records[number] = record
        self.sampler.trial_ended(number, state, score if evaluations else None)

    def replayed(self) -> Sampler:
        sampler = sampler_of(self._kind, self.feasible)
        for record in self.records.values():
            sampler.replay(TrialRecord.model_validate_json(record.model_dump_json()))
        return sampler


@pytest.mark.parametrize("kind", ["random", "tpe", "grid"])
def test_a_replayed_sampler_proposes_the_same(
    kind: Kind, study: StudyConfig, evaluation: Make
) -> None:
    """Several trials at once, some ended, proposals thrown away, conditions: at every point."""
    if kind == "grid":
        changes = {"optim.lr": [1e-4, 1e-3, 1e-2]}
        root = study.space.model_dump() | changes
        study = study.model_copy(update={"space": Space.model_validate(root)})
    told = Told(study, kind, evaluation, REQUIRE)
    states: tuple[TrialState, ...] = ("completed", "pruned", "completed", "failed", "completed")
    for number in range(14):
        resumed = told.replayed()
        assert resumed.propose(number) == told.propose(number), f"trial {number}"
        if number >= 3:  # three are always on their way
            told.end(number - 3, states[number % 5])
    assert told.sampler.propose(14) != told.records[13].params


@settings(max_examples=3)
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize("kind", ["random", "tpe", "grid"])
@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_proposals_of_the_shipped_spaces_are_valid(path: Path, kind: Kind, seed: int) -> None:
    """A TrialConfig, JSON and back, every requirement kept, the same from an equal sampler."""
    study = load_study(path)
    if kind == "grid" and study.distinct() is None:
        with pytest.raises(ValueError, match="a grid needs parameters with finitely many values"):
            sampler_of(kind, study.feasible)
        return
    first, second = (sampler_of(kind, study.feasible, seed) for _ in range(2))
    for number in range(5):
        params = first.propose(number)
        assert params is not None and params == second.propose(number)
        assert json.loads(json.dumps(params)) == params
        config = study.space.trial_config(study.trial, params)
        assert TrialConfig.model_validate_json(config.model_dump_json()) == config
        assert not any(parse(text).broken_by(config.flat()) for text in study.require)
        for sampler in (first, second):
            sampler.evaluated(number, 100, config.mix.cross_lingual)
            sampler.trial_ended(number, "pruned", config.mix.cross_lingual)


def rare(share: str) -> Feasible:
    space = Space.model_validate({"seed": {"type": "int", "low": 0, "high": 9999}})
    return Feasible(space, {}, [f"seed < {share}"])


def test_rare_feasible_points_are_found() -> None:
    """One in a thousand: more than Optuna is asked for, and still a function of the seed."""
    first, second = (sampler_of("random", rare("10"), seed=1) for _ in range(2))
    points = [first.propose(number) for number in range(4)]
    assert all(point is not None and 0 <= point["seed"] < 10 for point in points)
    assert points == [second.propose(number) for number in range(4)]
    assert len({str(point) for point in points}) > 1


def test_an_infeasible_space_ends_in_an_error() -> None:
    """Reached only where the check on loading found a point by luck."""
    with pytest.raises(UserError, match=r"none of 20,000 random points .* requirements"):
        sampler_of("tpe", rare("0")).propose(0)


GRID = {
    "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.1},
    "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
    "fusion.kind": ["last", "sum", "dlfa"],
    "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["sum", "dlfa"]}},
    "seed": [0, 1, 2],
    "optim.lr": 1e-3,
}


def test_a_grid_is_every_point_once_in_an_order_of_the_seed() -> None:
    """And then nothing; another seed has another order."""
    feasible = Feasible(Space.model_validate(GRID), {}, ["batch.effective_size >= 16"])
    sampler = sampler_of("grid", feasible)
    proposed = [sampler.propose(number) for number in range(1, 892)]
    points = {str(point) for point in proposed}
    assert points == {str(point) for point in feasible.grid()} and len(points) == 11 * 3 * 9 * 3
    assert sampler.propose(892) is None
    assert sampler_of("grid", feasible, seed=1).propose(1) != proposed[0]

    # As many of a kind in the first 100 as in a random sample of the grid: 5 standard deviations.
    kinds = Counter(point["fusion.kind"] for point in proposed[:100] if point is not None)
    for kind, share in {"last": 1 / 9, "sum": 4 / 9, "dlfa": 4 / 9}.items():
        assert abs(kinds[kind] - 100 * share) < 5 * (100 * share * (1 - share)) ** 0.5


def grid_study(folder: Path, **budget: int) -> StudyConfig:
    """Ten points and a baseline."""
    return validate_study(
        {
            "name": "grid",
            "storage": str(folder),
            "data": {"source": "nano"},
            "languages": {"source": ["en", "de"]},
            "budget": {"pairs_per_trial": 100, **budget},
            "scheduler": {"kind": "none"},
            "sampler": {"kind": "grid"},
            "space": {
                "fusion.kind": ["last", "sum"],
                "fusion.layer": {
                    "type": "int",
                    "low": 0,
                    "high": 3,
                    "when": {"fusion.kind": ["sum"]},
                },
                "seed": [0, 1],
            },
            "baseline": {},
        },
        "the test",
    )


def run(study: StudyConfig, journal: Journal, make: Make, stop_after: int = 1000) -> list[str]:
    """Points of all trials, after a driver that is killed after so many."""
    driver = Driver(study, journal)
    driver.start()
    for _ in range(stop_after):
        trial = driver.next_trial()
        if trial is None:
            assert driver.next_trial() is None
            break
        driver.trial_started(trial.number)
        driver.evaluated(trial.number, make(100, 0.5))
    return [str(trial.params) for trial in journal.history.trials.values()]


@pytest.mark.parametrize(
    ("budget", "expected"), [({}, 11), ({"trials": 7}, 7), ({"trials": 50}, 11)]
)
def test_a_grid_study_ends_with_its_grid_or_its_budget(
    budget: dict[str, int], expected: int, tmp_path: Path, evaluation: Make
) -> None:
    """The baseline and every point once; killed and resumed, in the same order."""
    study = grid_study(tmp_path / "whole", **budget)
    assert study.trials == expected
    created = StudyCreated(
        time=1.0,
        name="grid",
        id="a",
        settings=study.model_dump(mode="json"),
        facts=facts(),
        rungs=study.rungs,
    )
    with Journal.create(study.folder, created) as journal:
        whole = run(study, journal, evaluation)
    assert len(whole) == len(set(whole)) == expected

    study = grid_study(tmp_path / "killed", **budget)
    with Journal.create(study.folder, created) as journal:
        run(study, journal, evaluation, stop_after=4)
    with Journal(study.folder) as journal:
        assert run(study, journal, evaluation) == whole
