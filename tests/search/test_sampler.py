"""Proposals are feasible, new, and a function of what is known; a grid has each point once."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records import facts
from tests.search.examples import anything
from tuner.errors import UserError
from tuner.journal.events import StudyCreated
from tuner.journal.journal import Journal
from tuner.journal.records import Evaluation, TrialRecord, TrialState
from tuner.search import sampler as module
from tuner.search.driver import Driver
from tuner.search.observations import Observation, Observations
from tuner.search.sampler import Sampler
from tuner.study import StudyConfig
from tuner.study.file import load_study, validate_study
from tuner.study.samplers import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.feasible import LARGEST_GRID, Feasible
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
        self.records: dict[int, TrialRecord] = {}

    def propose(self, number: int, again: bool = False) -> dict[str, Any]:
        """The proposal of a sampler that is made anew, perhaps from records that were written."""
        records = self.records.values()
        if again:
            records = [TrialRecord.model_validate_json(r.model_dump_json()) for r in records]
        known = [Observation.of(record, record.params) for record in records]
        tried = [record.params for record in records]
        sampler = sampler_of(self._kind, self.feasible)
        params = sampler.next_point(number, Observations(known), lambda point: point not in tried)
        assert params is not None
        return params

    def begin(self, number: int, params: dict[str, Any]) -> None:
        config = self._study.space.trial_config(self._study.trial, params)
        self.records[number] = TrialRecord(
            number=number,
            origin="sampler",
            params=params,
            config=config,
            budget=900,
            state="running",
        )

    def end(self, number: int, state: TrialState) -> None:
        record = self.records[number]
        score = 0.5 + record.config.mix.cross_lingual * record.config.optim.lr
        rungs = (100, 300, 900) if state == "completed" else (100,) if state != "failed" else ()
        evaluations = tuple(self._make(rung, score) for rung in rungs)
        record = record.model_copy(update={"evaluations": evaluations, "state": state})
        self.records[number] = record


@pytest.mark.parametrize("kind", ["random", "tpe", "gp", "grid"])
def test_a_proposal_is_a_function_of_what_is_known(
    kind: Kind, study: StudyConfig, evaluation: Make
) -> None:
    """Several trials at once, some ended, conditions: from memory or from what was written."""
    if kind == "grid":
        changes = {"optim.lr": [1e-4, 1e-3, 1e-2]}
        root = study.space.model_dump() | changes
        study = study.model_copy(update={"space": Space.model_validate(root)})
    told = Told(study, kind, evaluation, REQUIRE)
    states: tuple[TrialState, ...] = ("completed", "pruned", "completed", "failed", "paused")
    for number in range(14):
        params = told.propose(number)
        assert told.propose(number, again=True) == params, f"trial {number}"
        told.begin(number, params)
        if number >= 3:  # three are always on their way
            told.end(number - 3, states[number % 5])
    assert told.propose(14) != told.records[13].params


@settings(max_examples=3)
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize("kind", ["random", "tpe", "grid"])
@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_proposals_of_the_shipped_spaces_are_valid(path: Path, kind: Kind, seed: int) -> None:
    """A TrialConfig, JSON and back, every requirement kept, and found again in the space."""
    study = load_study(path)
    if kind == "grid" and study.distinct() is None:
        with pytest.raises(ValueError, match="a grid needs parameters with finitely many values"):
            sampler_of(kind, study.feasible)
        return
    sampler, known = sampler_of(kind, study.feasible, seed), Observations()
    for number in range(5):
        params = sampler.next_point(number, known, anything)
        assert params is not None
        assert json.loads(json.dumps(params)) == params
        config = study.space.trial_config(study.trial, params)
        assert TrialConfig.model_validate_json(config.model_dump_json()) == config
        assert not any(parse(text).broken_by(config.flat()) for text in study.require)
        assert study.space.locate(config.flat()) == params
        values = {100: config.mix.cross_lingual}
        known.put(Observation(number, params, values, "resting"))


NUMBERS = {
    "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.25},
    "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 1024},
    "optim.lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "fusion.kind": ["last", "dlfa"],
    "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["dlfa"]}},
}


def test_sobol_spreads_the_start_and_is_reproducible() -> None:
    """Each eighth of a range has one of eight points, for every seed; conditions hold."""
    feasible = Feasible(Space.model_validate(NUMBERS), {}, [])
    for seed in range(5):
        settings = {"kind": "tpe", "seed": seed, "startup": "sobol", "startup_trials": 8}
        sampler = module.sampler_of(feasible, SamplerConfig.model_validate(settings))
        points = [sampler.next_point(number, Observations(), anything) for number in range(8)]
        assert points == [
            sampler.next_point(number, Observations(), anything) for number in range(8)
        ]
        assert all(point is not None and feasible.space.holds(point) for point in points)
        eighths = {int(math.log(point["optim.lr"] / 1e-4, 100) * 8) for point in points if point}
        assert eighths == set(range(8))
        assert {point["batch.effective_size"] for point in points if point} == {
            8 << power for power in range(8)
        }
        assert sum(point["fusion.kind"] == "dlfa" for point in points if point) == 4


def test_a_gaussian_process_finds_a_peak() -> None:
    """In numbers, by values; with conditions it is TPE."""
    space = {name: NUMBERS[name] for name in ("optim.lr", "mix.cross_lingual")}
    feasible = Feasible(Space.model_validate(space), {}, [])
    known = Observations(
        Observation(n, point, {100: -abs(math.log10(point["optim.lr"]) + 3)}, "resting")
        for n, point in enumerate(feasible.draw(seed) for seed in range(12))
    )
    sampler = sampler_of("gp", feasible)
    points = [sampler.next_point(20 + n, known, anything) for n in range(6)]
    near = [point for point in points if point and 6e-4 < point["optim.lr"] < 1.6e-3]
    assert len(near) >= 3, "a sixth of them are drawn uniformly"
    conditional = Feasible(Space.model_validate(NUMBERS), {}, [])
    known = Observations(
        Observation(n, conditional.draw(n), {100: n / 9}, "resting") for n in range(12)
    )
    gp, tpe = (sampler_of(kind, conditional) for kind in ("gp", "tpe"))
    assert gp.next_point(20, known, anything) == tpe.next_point(20, known, anything)


def rare(share: str) -> Feasible:
    space = Space.model_validate({"seed": {"type": "int", "low": 0, "high": 9999}})
    return Feasible(space, {}, [f"seed < {share}"])


def test_rare_feasible_points_are_found() -> None:
    """One in a thousand: more than Optuna is asked for, and still a function of the seed."""
    sampler = sampler_of("random", rare("10"), seed=1)
    points = [sampler.next_point(number, Observations(), anything) for number in range(4)]
    assert all(point is not None and 0 <= point["seed"] < 10 for point in points)
    again = sampler_of("random", rare("10"), seed=1)
    assert points == [again.next_point(number, Observations(), anything) for number in range(4)]
    assert len({str(point) for point in points}) > 1


def test_an_infeasible_space_ends_in_an_error() -> None:
    """Reached only where the check on loading found a point by luck."""
    with pytest.raises(UserError, match=r"none of 20,000 random points .* requirements"):
        sampler_of("tpe", rare("0")).next_point(0, Observations(), anything)


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_space_is_exhausted_without_a_repetition(kind: Kind) -> None:
    """Twelve feasible points, then none: TPE, which would come back to its best ones, too."""
    space = Space.model_validate({"seed": {"type": "int", "low": 0, "high": 20}})
    sampler = sampler_of(kind, Feasible(space, {}, ["seed < 12"]))
    known = Observations()
    for number in range(12):
        point = sampler.next_point(number, known, lambda p: p not in [k.params for k in known])
        assert point is not None
        known.put(Observation(number, point, {100: -abs(point["seed"] - 5)}, "resting"))
    assert sorted(each.params["seed"] for each in known) == list(range(12))
    assert sampler.next_point(12, known, lambda p: p not in [k.params for k in known]) is None


GRID = {
    "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.1},
    "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
    "fusion.kind": ["last", "sum", "dlfa"],
    "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["sum", "dlfa"]}},
    "seed": [0, 1, 2],
    "optim.lr": 1e-3,
}


def points_of_a_grid(feasible: Feasible, seed: int, count: int) -> list[dict[str, Any] | None]:
    sampler, known = sampler_of("grid", feasible, seed), Observations()
    points: list[dict[str, Any] | None] = []
    for number in range(1, count + 1):
        point = sampler.next_point(number, known, anything)
        points.append(point)
        known.put(Observation(number, point or {}, {}, "open"))
    return points


def test_a_grid_is_every_point_once_in_an_order_of_the_seed() -> None:
    """And then nothing; another seed has another order."""
    feasible = Feasible(Space.model_validate(GRID), {}, ["batch.effective_size >= 16"])
    proposed = points_of_a_grid(feasible, 0, 891)
    points = {str(point) for point in proposed}
    assert points == {str(point) for point in feasible.grid()} and len(points) == 11 * 3 * 9 * 3
    assert points_of_a_grid(feasible, 0, 892)[-1] is None
    assert points_of_a_grid(feasible, 1, 1) != proposed[:1]

    # As many of a kind in the first 100 as in a random sample of the grid: 5 standard deviations.
    kinds = Counter(point["fusion.kind"] for point in proposed[:100] if point is not None)
    for kind, share in {"last": 1 / 9, "sum": 4 / 9, "dlfa": 4 / 9}.items():
        assert abs(kinds[kind] - 100 * share) < 5 * (100 * share * (1 - share)) ** 0.5


def grid_study(folder: Path, **budget: int) -> StudyConfig:
    """Ten points, one of which is the baseline."""
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
    ("budget", "expected"), [({}, 10), ({"trials": 7}, 7), ({"trials": 50}, 10)]
)
def test_a_grid_study_ends_with_its_grid_or_its_budget(
    budget: dict[str, int], expected: int, tmp_path: Path, evaluation: Make
) -> None:
    """The baseline and every other point once; killed and resumed, in the same order."""
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


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_nothing_comes_twice_in_a_space_too_large_to_be_listed(kind: str) -> None:
    """Nine of ten points were tried: a draw that meets one of them is not the answer."""
    space = {
        "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.001},
        "fusion.kind": ["dlfa"],
        "fusion.layer": {"type": "int", "low": 0, "high": 199},
    }
    feasible = Feasible(Space.model_validate(space), {}, [])
    assert feasible.space.points(LARGEST_GRID) is None
    known = Observations(
        Observation(n, feasible.draw(n), {100: n / 40}, "resting") for n in range(40)
    )
    sampler = sampler_of(kind, feasible)

    def untried(point: dict[str, Any]) -> bool:
        return bool(point["fusion.layer"] % 10 == 0)

    points = [sampler.next_point(100 + n, known, untried) for n in range(30)]
    assert all(point is not None and untried(point) for point in points)
