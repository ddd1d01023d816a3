"""Two sides on the same dev pairs: differences by hand, what is paired, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.records import SCALING, facts, settings, with_facts
from tuner.blocks import Grid
from tuner.blocks.console import show_blocks
from tuner.errors import UserError
from tuner.journal.arrays import bits_as_text, ints_as_text
from tuner.journal.records import Evaluation, Recommendation, StudyRecord, TrialRecord
from tuner.report.compare import compare
from tuner.report.comparison import comparison, sentences
from tuner.report.sides import Side, _study, _trial, side_of
from tuner.statistics.tables import protocol_of
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

COMPONENTS = [0, 0, 1, 2]
"""Components of four dev pairs; all are clean in all languages."""
A, B = [1, 0, 0, 1], [1, 1, 1, 1]
"""Right answers of two models: differences by component .25, .25, 0 of a score."""
Answers = Mapping[str, Sequence[int]]


def trial(number: int, answers: Answers, arm: str = "", **settings: Any) -> TrialRecord:
    """A complete trial of 100 pairs with these answers on dev, target ja."""
    scores = {
        name: Scores(accuracy=float(np.mean(right)), f1=0.5, pairs=len(right))
        for name, right in answers.items()
    }
    evaluation = Evaluation(
        time=0,
        rung=100,
        pairs_seen=100,
        step=10,
        objective=scores["en"].accuracy,
        select={"en": scores["en"]},
        oracle={name: score for name, score in scores.items() if name != "en"},
        train_loss=0.1,
        pairs_per_second=1,
        train_seconds=1,
        evaluation_seconds=1,
        peak_memory_mb=1,
        micro_plan=((0, 1),),
        precision="fp32",
        answers={name: bits_as_text(np.array(right, bool)) for name, right in answers.items()},
    )
    return TrialRecord(
        number=number,
        origin="design" if arm else "sampler",
        arm=arm,
        params={},
        config=TrialConfig.from_flat({k.replace("_", ".", 1): v for k, v in settings.items()}),
        budget=100,
        state="completed",
        evaluations=(evaluation,),
    )


def study(name: str, *trials: TrialRecord, **changed: Any) -> StudyRecord:
    """Trained on en, ja recorded as a target."""
    clean = {language: bits_as_text(np.ones(4, bool)) for language in ("en", "ja")}
    return StudyRecord(
        name=name,
        id=name,
        created=0,
        settings=settings(
            **{"languages": {"source": ["en"], "target": ["ja"]}} | changed.get("settings", {})
        ),
        facts=facts(
            **{
                "claim": "zero-shot for ja; trained on en",
                "objective": "mean dev accuracy on en",
                "data": {"languages": ["en", "ja"]},
                "overlap": {
                    "rows": {
                        "dev": {"components": ints_as_text(np.array(COMPONENTS)), "clean": clean}
                    }
                },
            }
            | changed.get("facts", {})
        ),
        rungs=(100,),
        state="completed",
        trials=trials,
        recommendation=changed.get("recommendation"),
    )


def of_trial(name: str, right: Sequence[int], ja: Sequence[int] = A, **settings: Any) -> Side:
    record = study(name, trial(3, {"en": right, "ja": ja}, **settings))
    return _trial(f"{name}:3", record, Path(name), 3)


def of_study(record: StudyRecord) -> Side:
    return _study(record.name, record, Path("studies") / record.name)


def test_a_difference_of_two_trials_by_hand() -> None:
    """Weights 1/2, 1/4, 1/4; residuals of .25, .25, 0 from halves of them: 0, 1/8, -1/8."""
    found = compare(of_trial("one", A), of_trial("two", B, optim_lr=1e-3))
    row, of_english = found.rows
    assert of_english.name == "select/en" and of_english.difference == row.difference
    assert (row.name, row.a, row.b) == ("select/objective", 0.5, 1.0)
    assert row.difference.value == 0.5 and row.difference.seeds == 1
    assert row.difference.error == pytest.approx(math.sqrt(2 / 64 / 0.75))
    assert row.difference.freedom == pytest.approx(1 / (1 / 4 + 2 / 16) - 1)
    assert found.seeds == () and found.alone == ()
    assert [setting for setting in found.settings if setting[0] == "optim.lr"] == [
        ("optim.lr", TrialConfig().optim.lr, 1e-3)
    ]
    assert [name for name, _, _ in found.settings] == ["optim.lr"]
    told = " ".join(sentences(found))
    assert "B - A is +50.00 percentage points" in told and "no significant difference" in told
    assert "do not account for seeds" in told
    claims = {block.claim for block in comparison(found) if isinstance(block, Grid)}
    assert any("Claim of both: zero-shot for ja; trained on en" in claim for claim in claims)


def test_targets_are_shown_only_where_they_are_asked_for_and_under_their_name() -> None:
    one, two = of_trial("one", A, ja=B), of_trial("two", B, ja=[0, 0, 0, 1])
    assert [row.name for row in compare(one, two).rows] == ["select/objective", "select/en"]
    found = compare(one, two, oracle=True)
    by_name = {row.name: row for row in found.rows}
    assert list(by_name) == ["select/objective", "select/en", "oracle/ja"]
    assert by_name["oracle/ja"].difference.value == -0.75
    assert "no longer zero-shot" in " ".join(sentences(found))


def test_seeds_are_paired_whatever_the_order_of_trials() -> None:
    """B is better by the same two pairs with every seed: seeds do not vary then, items do."""
    by_seed = {0: ([1, 0, 0, 1], [1, 1, 1, 1]), 1: ([0, 0, 0, 0], [0, 1, 1, 0])}
    one = study("one", *(trial(n, {"en": by_seed[n][0]}, seed=n) for n in (0, 1)))
    two = study("two", *(trial(n, {"en": by_seed[1 - n][1]}, seed=1 - n) for n in (0, 1)))
    found = compare(of_study(one), of_study(two))
    row = found.rows[0]
    assert found.seeds == ((0, 0), (1, 1)) and row.difference.seeds == 2
    assert row.difference.value == 0.5
    single = compare(of_trial("one", A), of_trial("two", B)).rows[0].difference
    assert row.difference.error == pytest.approx(single.error), "the seeds' variance is 0"
    assert "2 seeds crossed" in " ".join(sentences(found))


def test_seeds_that_are_not_the_same_are_independent_draws() -> None:
    one = study("one", *(trial(n, {"en": A}, seed=n) for n in (0, 1, 2)))
    two = study("two", *(trial(n, {"en": B}, seed=n + 2) for n in (0, 1)))
    found = compare(of_study(one), of_study(two))
    assert found.seeds == ((0, 2), (1, 3))
    assert "different seeds, paired in their order: 0 with 2, 1 with 3" in " ".join(
        sentences(found)
    )


def test_a_single_trial_beside_several_seeds_is_compared_with_their_mean() -> None:
    several = study("one", trial(0, {"en": A}, seed=0), trial(1, {"en": B}, seed=1))
    found = compare(of_study(several), of_trial("two", B))
    row = found.rows[0]
    assert (found.seeds, row.a, row.b, row.difference.seeds) == ((), 0.75, 1.0, 1)
    assert "are their means" in " ".join(sentences(found))


def test_the_best_of_a_search_is_called_unconfirmed() -> None:
    """With the trials that differ from it in the seed alone; one of another setting is left out."""
    record = study(
        "one",
        trial(0, {"en": A}, seed=0, optim_lr=1e-3),
        trial(1, {"en": B}, seed=7),
        trial(2, {"en": A}, seed=4),
    )
    side = of_study(record)
    assert [each.number for each in side.trials] == [2, 1] and side.seeds == (4, 7)
    assert "unconfirmed: the best of 3" in side.chosen
    told = sentences(compare(side, of_trial("two", A)))
    assert f"A is {side.chosen}." in told and not any(line.startswith("B is") for line in told)


def test_of_a_confirmation_its_recommended_arm_over_all_seeds() -> None:
    arms = [{"name": name, "settings": {}} for name in ("control", "trial 4")]
    design = {"kind": "confirm", "study": "one", "arms": arms, "seeds": [1000, 1001]}
    trials = [
        trial(2 * seed + place, {"en": right}, arm=arm, seed=1000 + seed, optim_lr=lr)
        for seed in (0, 1)
        for place, (arm, right, lr) in enumerate((("control", B, 1e-3), ("trial 4", A, 1e-4)))
    ]
    recommended = Recommendation(time=0, arm="trial 4", objective={"control": 0.4, "trial 4": 0.5})
    record = study("one", *trials, settings={"design": design}, recommendation=recommended)
    side = of_study(record)
    assert [each.number for each in side.trials] == [1, 3] and side.seeds == (1000, 1001)
    assert "recommended from 2 configurations" in side.chosen
    with pytest.raises(UserError, match=r"has not recommended(.|\n)*tuner|resume"):
        of_study(record.model_copy(update={"recommendation": None}))
    planned = study("two", *trials, settings={"design": SCALING})
    with pytest.raises(UserError, match="recommends none"):
        of_study(planned)


def test_other_data_is_refused() -> None:
    data = {"checksum": "f" * 64, "languages": ["en"]}
    record = study("two", trial(3, {"en": B, "ja": A}), facts={"data": data})
    with pytest.raises(UserError, match=r"two:3 has ffffffffffff \(en\)"):
        compare(of_trial("one", A), _trial("two:3", record, Path("two"), 3))
    rows = {"components": ints_as_text(np.array([0, 1, 2, 3]))}
    other = study("two", trial(3, {"en": B, "ja": A}))
    of_dev = other.facts.overlap.rows["dev"].model_dump() | rows
    other = with_facts(other, overlap={"rows": {"dev": of_dev}})
    with pytest.raises(UserError, match="different dev pairs"):
        compare(of_trial("one", A), _trial("two:3", other, Path("two"), 3))


def test_what_is_no_side_is_refused(tmp_path: Path) -> None:
    one = of_trial("one", A)
    with pytest.raises(UserError, match="are the same"):
        compare(one, one)
    with pytest.raises(UserError, match="'one:x' is not a trial"):
        side_of("one:x", str(tmp_path))
    with pytest.raises(UserError, match="there is no trial 009"):
        _trial("one:9", one.record, Path("one"), 9)
    pruned = one.trials[0].model_copy(update={"state": "pruned"})
    record = study("one", pruned)
    with pytest.raises(UserError, match="trial 003 of one is pruned"):
        _trial("one:3", record, Path("one"), 3)
    with pytest.raises(UserError, match="no trial of one has reached its full budget"):
        of_study(record)
    old = study("old", trial(3, {"en": B, "ja": A}), facts={"overlap": {}})
    with pytest.raises(UserError, match="the study's record does not say which dev pairs"):
        compare(one, of_study(old))
    with pytest.raises(UserError, match="there is no study nothing"):
        side_of("nothing:3", str(tmp_path))


def test_different_protocols_are_told_and_what_one_alone_permits_is_not_shown() -> None:
    """`ja` may choose in an oracle study, and must not in the other: it is `oracle/ja` in both."""
    protocol = {"kind": "oracle", "objective": "mean"}
    facts = {"claim": "upper bound", "objective": "mean dev accuracy on ja"}
    record = study(
        "two", trial(3, {"en": B, "ja": B}), settings={"protocol": protocol}, facts=facts
    )
    two = _trial("two:3", record, Path("two"), 3)
    assert protocol_of(record).objective.sets[0].name == "ja"
    found = compare(of_trial("one", A), two)
    assert [row.name for row in found.rows] == ["select/en"]
    assert "Their protocols differ" in " ".join(sentences(found))
    claims = [block.claim for block in comparison(found) if isinstance(block, Grid) and block.claim]
    assert len(claims) == 1 and "Claim of B: upper bound" in claims[0]
    assert ("protocol.kind", "zero_shot", "oracle") in found.settings
    assert "oracle/ja" in [row.name for row in compare(of_trial("one", A), two, oracle=True).rows]


def test_it_is_shown_and_is_plain_json() -> None:
    found = compare(of_trial("one", A), of_trial("two", B, optim_lr=1e-3), oracle=True)
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        show_blocks(comparison(found), console)
    rows = [line.split() for line in console.export_text().splitlines()]
    assert ["select/en", "50.00", "100.00", "+50.00"] in [row[:4] for row in rows]
    assert ["oracle/ja", "50.00", "50.00", "0.00", "–"] in rows, "all alike: no interval"
    assert ["optim.lr", "2e-05", "0.001"] in rows
    told = json.loads(json.dumps(found.as_json()))
    assert told["b"]["trials"] == [3] and told["rows"][0]["difference"]["value"] == 0.5


def test_a_mean_over_languages_is_the_mean_of_their_rows_and_told_once() -> None:
    """Two targets of the rest: `targets`; `rest` would say the same again."""
    languages = {"source": ["en"], "target": ["ja", "zh"]}
    sides = []
    for name, ja, zh in (("one", A, A), ("two", B, [1, 0, 1, 1])):
        record = study(
            name, trial(3, {"en": A, "ja": ja, "zh": zh}), settings={"languages": languages}
        )
        dev = record.facts.overlap.rows["dev"].model_dump()
        dev["clean"]["zh"] = dev["clean"]["en"]
        record = with_facts(record, overlap={"rows": {"dev": dev}})
        sides.append(_trial(f"{name}:3", record, Path(name), 3))
    by_name = {row.name: row for row in compare(*sides, oracle=True).rows}
    assert list(by_name) == [
        "select/objective",
        "oracle/targets",
        "select/en",
        "oracle/ja",
        "oracle/zh",
    ]
    each = [by_name[name].difference.value for name in ("oracle/ja", "oracle/zh")]
    assert each == [0.5, 0.25] and by_name["oracle/targets"].difference.value == 0.375
