"""A sampler is one class and its line in `SAMPLERS`; the plan, the driver and the schema follow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from tests.examples import SETTINGS, evaluation, study  # noqa: F401 (fixtures)
from tests.plan.examples import PACE, printed
from tests.processes import SMOKE
from tests.seams.conftest import Changed
from tests.search.examples import configurations, create, run
from tuner.errors import UserError
from tuner.journal.journal import Journal
from tuner.journal.records import Evaluation, StudyRecord
from tuner.plan.evaluation_sets import EvaluationSets
from tuner.plan.landscape import Landscape
from tuner.plan.simulation import play
from tuner.search.driver import Driver
from tuner.search.observations import Observations
from tuner.search.sampler import Accepts, Point, Sampler
from tuner.study import StudyConfig
from tuner.study.file import validate_study
from tuner.study.samplers import SAMPLERS, SamplerKind
from tuner.study.schema import study_schema

Make = Callable[[int, float], Evaluation]


class Halves(Sampler):
    """Draws points whose `mix.cross_lingual` is in the upper half."""

    def next_point(self, number: int, known: Observations, accepts: Accepts) -> Point | None:
        draws = (self.feasible.draw(self.seed_of(number) + draw) for draw in range(1000))
        return next(point for point in draws if point["mix.cross_lingual"] >= 0.5)


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = SamplerKind(f"{__name__}:Halves", "the upper half", "drawn from the upper half")
    monkeypatch.setitem(SAMPLERS, "halves", kind)


def with_sampler(study: StudyConfig, kind: str) -> StudyConfig:  # noqa: F811 (the fixture)
    return validate_study({**study.model_dump(mode="json"), "sampler": {"kind": kind}}, "the test")


def shares(points: Iterable[Mapping[str, Any]]) -> list[float]:
    return [params["mix.cross_lingual"] for params in points]


def whole(named: StudyConfig, make: Make, stop_after: int | None = None) -> StudyRecord:
    """The record of a study, whose driver may be killed once after so many evaluations."""
    with create(named) as journal:
        driver = Driver(named, journal)
        driver.start()
        run(driver, named, make, stop_after)
        if stop_after is None:
            return driver.finish()
    with Journal(named.folder) as journal:
        driver = Driver(named, journal)
        driver.start()
        run(driver, named, make)
        return driver.finish()


@pytest.mark.usefixtures("halves")
def test_a_driver_asks_it_and_a_resumed_one_is_proposed_the_same(
    study: StudyConfig,  # noqa: F811 (the fixture)
    evaluation: Make,  # noqa: F811 (the fixture)
) -> None:
    named = with_sampler(study, "halves")
    record = whole(named, evaluation)
    sampled = shares(trial.params for trial in record.trials if trial.origin == "sampler")
    assert len(sampled) == 8 and min(sampled) >= 0.5 and len(set(sampled)) > 1
    killed = whole(named.model_copy(update={"name": "killed"}), evaluation, stop_after=5)
    assert configurations(killed) == configurations(record)


@pytest.mark.usefixtures("halves")
def test_a_plan_simulates_it_and_names_it(
    study: StudyConfig,  # noqa: F811 (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = with_sampler(study, "halves")
    played: list[Mapping[str, Any]] = []
    quality = Landscape.quality

    def seen(landscape: Landscape, params: Mapping[str, Any]) -> float:
        played.append(params)
        return quality(landscape, params)

    monkeypatch.setattr(Landscape, "quality", seen)
    play(named, 8, 2, PACE, EvaluationSets(1, 1), seed=5)
    assert len(played) == 8 and min(shares(played[1:])) >= 0.5
    assert "drawn from the upper half" in printed(named, None)


@pytest.mark.usefixtures("halves")
def test_the_schema_and_the_refusal_of_another_list_it(
    study: StudyConfig,  # noqa: F811 (the fixture)
) -> None:
    kind = study_schema()["$defs"]["SamplerConfig"]["properties"]["kind"]
    assert kind["enum"] == list(SAMPLERS) and "halves" in SAMPLERS
    with pytest.raises(UserError, match="'halves'"):
        with_sampler(study, "thirds")


def test_one_that_enumerates_needs_no_number_of_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = SamplerKind(f"{__name__}:Halves", "every point", "every point", enumerates=True)
    monkeypatch.setitem(SAMPLERS, "halves", kind)
    spare = {"budget": {"pairs_per_trial": 900}, "space": {"seed": [0, 1, 2]}}
    assert validate_study({**SETTINGS, **spare, "sampler": {"kind": "halves"}}, "it").trials == 3
    with pytest.raises(UserError, match="only sampler\\.kind grid, halves ends"):
        validate_study({**SETTINGS, **spare, "sampler": {"kind": "random"}}, "it")


def test_the_docs_have_a_row_for_each() -> None:
    text = (SMOKE.parents[1] / "docs" / "study.md").read_text(encoding="utf-8")
    assert [kind for kind in SAMPLERS if f"\n| `{kind}` | " not in text] == []


CODE = '''"""A sampler of the upper half."""

from tuner.search.observations import Observations
from tuner.search.sampler import Accepts, Point, Sampler


class Halves(Sampler):
    """Draws points whose `mix.cross_lingual` is in the upper half."""

    def next_point(
        self, number: int, known: Observations, accepts: Accepts
    ) -> Point | None:
        draws = (self.feasible.draw(self.seed_of(number) + draw) for draw in range(1000))
        return next(point for point in draws if point["mix.cross_lingual"] >= 0.5)
'''
LINE = '    "halves": SamplerKind("tuner.search.halves:Halves", "the upper half", "halves"),\n'


@pytest.mark.slow
def test_every_command_follows(changed: Changed) -> None:
    (changed.package / "search" / "halves.py").write_text(CODE, encoding="utf-8")
    changed.insert("study/samplers.py", '    "grid": SamplerKind(', LINE)
    used = ["--set", "sampler.kind=halves"]
    assert "halves: the upper half" in changed("schema")
    assert json.loads(changed("plan", str(SMOKE), *used, "--json"))["trials"] == 4
    changed("search", str(SMOKE), *used)
    report = json.loads(changed("report", "smoke", "--json"))
    sampled = [trial["params"] for trial in report["trials"][1:]]
    assert min(shares(sampled)) >= 0.5
    assert report["settings"]["sampler"]["kind"] == "halves"
    assert "report.html" in changed("report", "smoke")
