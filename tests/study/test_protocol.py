"""Roles of languages, the claim, and what may choose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest

from tests.examples import SETTINGS
from tests.examples import objective_of as value
from tuner.study.file import validate_study
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig, check_roles
from tuner.study.scores import Scores


def protocol(source: list[str], target: list[str], **settings: Any) -> EvaluationProtocol:
    """The protocol of these languages, trained on machine-translated text."""
    return EvaluationProtocol.of(
        LanguagesConfig(source=tuple(source), target=tuple(target)),
        ProtocolConfig(**settings),
        machine_translated=True,
    )


def scores(**accuracies: float) -> dict[str, Scores]:
    """Scores by name, F1 one tenth below accuracy."""
    return {
        name.replace("_", "-"): Scores(accuracy=value, f1=value - 0.1, pairs=100)
        for name, value in accuracies.items()
    }


def check(source: list[str], target: list[str], **settings: Any) -> None:
    """Check the roles, as a study's YAML is checked."""
    languages = LanguagesConfig(source=tuple(source), target=tuple(target))
    check_roles(languages, ProtocolConfig(**settings))


def names(sets: Any) -> list[str]:
    """Names of evaluation sets."""
    return [chosen.name for chosen in sets]


def test_what_the_encoder_was_fine_tuned_on_before_is_not_zero_shot() -> None:
    languages = LanguagesConfig(source=("en",), target=("es", "ja"))
    found = EvaluationProtocol.of(languages, ProtocolConfig(), False, seen=("en", "ja"))
    assert found.zero_shot == ("es",)
    assert found.claim == (
        "zero-shot for es; the encoder was fine-tuned on ja before: never zero-shot; "
        "trained on en (machine-translated: no)"
    )
    assert (
        EvaluationProtocol.of(languages, ProtocolConfig(), False, seen=("es", "ja")).zero_shot == ()
    )
    pivoted = protocol(["en", "de"], ["es", "ja"], kind="pivot", pivot=("ja",))
    assert pivoted.seen == ("en", "de", "ja")


@pytest.mark.parametrize("code", ["de", "DE", "de-AT", "de_CH", "De-Latn-DE"])
def test_another_code_of_a_language_is_that_language(code: str) -> None:
    """By its primary subtag: it is never zero-shot where the other one trains or chooses."""
    for source in (["en", "de"], ["en", "de-LI"]):
        with pytest.raises(ValueError, match=f"{code} cannot be both source and target"):
            check(source, [code, "es"])
    for target in ("de", "de-LI"):
        pivoted = protocol(["en"], [target, "es"], kind="pivot", pivot=(code,))
        assert pivoted.zero_shot == ("es",) and "zero-shot for es;" in pivoted.claim
        languages = LanguagesConfig(source=("en",), target=(target, "es"))
        found = EvaluationProtocol.of(languages, ProtocolConfig(), False, seen=(code,))
        assert found.zero_shot == ("es",)
        assert f"fine-tuned on {target} before" in found.claim
    taught = protocol(["en", "de-LI"], [code, "es"], kind="translate_train")
    assert taught.zero_shot == ("es",) and f"supervised for {code}, never" in taught.claim
    with pytest.raises(ValueError, match="a language that is trained on: en, de-LI"):
        check(["en", "de-LI", code], ["es"], objective="held_out", held_out=code)
    with pytest.raises(ValueError, match=f"a pivot must not be trained on, but {code}"):
        check(["en", "de-LI"], ["es"], kind="pivot", pivot=(code,))
    assert protocol(["en"], [code, "es", "ja"]).groups["enf"] == (code, "es")


def test_codes_that_merely_begin_alike_are_different_languages() -> None:
    assert protocol(["de"], ["den", "d"]).zero_shot == ("den", "d")
    assert protocol(["x-one"], ["x-two", "X-One-b"]).zero_shot == ("x-two", "X-One-b")
    with pytest.raises(ValueError, match="X-One cannot be both"):
        check(["x-one"], ["X-One"])


def test_zero_shot_reads_source_dev_alone() -> None:
    """Targets are recorded as oracle and claimed zero-shot."""
    found = protocol(["en", "de"], ["es", "ja"])
    assert names(found.objective.sets) == names(found.at_rungs) == ["en", "de"]
    assert names(found.select) == ["en", "de", "en-de", "de-en"]
    assert names(found.oracle) == ["es", "ja"]
    assert found.zero_shot == ("es", "ja")
    assert found.claim == "zero-shot for es, ja; trained on en, de (machine-translated: yes)"
    assert value(found, scores(en=0.9, de=0.8)) == pytest.approx(0.85)
    assert found.objective.in_words == "mean dev accuracy on en, de"


def test_a_language_trained_on_is_never_zero_shot() -> None:
    """translate_train may train on targets; they are claimed as supervised."""
    found = protocol(["en", "es"], ["es", "ja"], kind="translate_train")
    assert found.zero_shot == ("ja",)
    assert "supervised for es, never zero-shot" in found.claim
    assert names(found.oracle) == ["ja"]


def test_a_pivot_chooses_and_is_not_claimed() -> None:
    """Its dev is permitted; it is no zero-shot target."""
    found = protocol(["en"], ["es", "ja"], kind="pivot", pivot=("es",), objective="pivot")
    assert names(found.select) == ["en", "es"] and names(found.oracle) == ["ja"]
    assert names(found.objective.sets) == ["es"]
    assert found.zero_shot == ("ja",) and "selected also on dev of es" in found.claim
    both = protocol(["en"], ["es", "ja"], kind="pivot", pivot=("es",), objective="mean")
    assert names(both.objective.sets) == ["en", "es"]
    with pytest.raises(ValueError, match=r"protocol.objective pivot needs protocol.kind: pivot"):
        protocol(["en"], ["es"], objective="pivot")


def test_oracle_claims_nothing_zero_shot() -> None:
    """Selected on target dev: an upper bound."""
    found = protocol(["en"], ["es", "ja"], kind="oracle")
    assert names(found.objective.sets) == ["es", "ja"] and found.zero_shot == ()
    assert "never zero-shot" in found.claim and "zero-shot for" not in found.claim


def test_other_objectives() -> None:
    """Worst language, source x source pairs, a source held out from training."""
    worst = protocol(["en", "de"], ["ja"], objective="worst")
    assert value(worst, scores(en=0.9, de=0.7)) == 0.7
    crossed = protocol(["en", "de"], ["ja"], objective="cross_lingual")
    assert names(crossed.objective.sets) == ["en-de", "de-en"]
    assert value(crossed, scores(en_de=0.6, de_en=0.8, en=1.0, de=1.0)) == pytest.approx(0.7)
    balanced = protocol(["en", "de"], ["ja"], objective="balanced")
    assert names(balanced.objective.sets) == ["en", "de", "en-de", "de-en"]
    mono = scores(en=0.9, de=0.7, en_de=0.9, de_en=1.0)
    assert value(balanced, mono) == pytest.approx(0.8), "the monolingual mean is the lesser"
    cross = scores(en=0.9, de=0.7, en_de=0.5, de_en=0.7)
    assert value(balanced, cross) == pytest.approx(0.6), "here the cross-lingual one"
    assert balanced.objective.in_words == (
        "balanced dev accuracy (the lesser of the means on en, de and across them)"
    )
    for name in ("cross_lingual", "balanced", "joint"):
        with pytest.raises(ValueError, match=f"{name} needs two source languages that are trained"):
            check(["en"], ["ja"], objective=name)
    held = protocol(["en", "de", "fr"], ["ja"], objective="held_out", held_out="fr")
    assert held.train == ("en", "de") and names(held.objective.sets) == ["fr"]
    assert value(held, scores(en=1.0, de=1.0, fr=0.6)) == 0.6


def test_joint_has_a_part_for_each_class_over_every_permitted_set() -> None:
    languages = LanguagesConfig(source=("en", "de"), target=("ja",))
    roles = EvaluationProtocol.of(
        languages, ProtocolConfig(objective="joint"), machine_translated=True, classes=3
    )
    assert [part.together for part in roles.objective.parts] == [0, 1, 2]
    for part in roles.objective.parts:
        assert names(part.sets) == ["en", "de", "en-de", "de-en"]
    shares = iter([0.9, 0.2, 0.7])
    assert roles.objective.value(lambda part: next(shares)) == 0.2, "of the class where it is least"


def test_all_permitted_criteria_are_evaluated_at_the_full_budget() -> None:
    crossing = ["mean", "worst", "cross_lingual", "balanced", "joint"]
    assert list(protocol(["en", "de"], ["ja"]).criteria) == crossing
    assert list(protocol(["en"], ["ja"]).criteria) == ["mean", "worst"]
    pivoted = protocol(["en", "de"], ["ja"], kind="pivot", pivot=("ko",), objective="pivot")
    assert list(pivoted.criteria) == [*crossing, "pivot"]
    held = protocol(["en", "de", "fr"], ["ja"], objective="held_out", held_out="fr")
    assert list(held.criteria) == [*crossing, "held_out"]
    upper = protocol(["en", "de"], ["ja", "ko"], kind="oracle")
    assert list(upper.criteria) == ["mean", "worst"]
    for found in (pivoted, held):
        read = {each for by in found.criteria.values() for each in by.sets}
        assert read == {*found.select} and not read & {*found.oracle}


def test_a_study_of_an_older_version_evaluates_what_it_did() -> None:
    """The sets of its objective and of what trains, and all of them at every rung."""
    languages = LanguagesConfig(source=("en", "de"), target=("ja",))
    for objective, sets in (
        ("mean", ["en", "de"]),
        ("cross_lingual", ["en", "de", "en-de", "de-en"]),
    ):
        config = ProtocolConfig(objective=objective)
        found = EvaluationProtocol.of(languages, config, True, recorded=())
        assert list(found.criteria) == [objective] and names(found.select) == sets
        assert names(found.at_rungs) == names(found.sets) == [*sets, "ja"]


@pytest.mark.parametrize(
    ("source", "given", "objective"),
    [
        (["en"], {}, "mean"),
        (["en", "de"], {}, "balanced"),
        (["en", "de"], {"kind": "translate_train"}, "balanced"),
        (["en", "de"], {"objective": "mean"}, "mean"),
        (["en", "de"], {"kind": "oracle"}, "mean"),
        (["en", "de"], {"kind": "pivot", "pivot": ["ja"]}, "pivot"),
        (["en"], {"kind": "pivot", "pivot": ["ja"]}, "pivot"),
        (["en", "de"], {"kind": "pivot", "pivot": ["ja"], "objective": "worst"}, "worst"),
        (["en", "de"], {"objective": "held_out", "held_out": "de"}, "held_out"),
    ],
)
def test_the_default_objective(source: list[str], given: dict[str, Any], objective: str) -> None:
    languages = {"source": source, "target": ["ja", "ko"]}
    settings = {**SETTINGS, "space": {}, "languages": languages, "protocol": given}
    study = validate_study({**settings, "baseline": None}, "the test")
    assert study.protocol.objective == objective
    again = validate_study(study.model_dump(mode="json"), "the test")
    assert again.protocol == study.protocol


def test_averages_are_unweighted_and_empty_groups_absent() -> None:
    """enf = de es fr among the targets; never filled with sources."""
    found = protocol(["en", "de"], ["es", "fr", "ja"])
    means = found.averages(scores(es=0.8, fr=0.6, ja=0.4))
    assert {name: round(mean.accuracy, 9) for name, mean in means.items()} == {
        "targets": 0.6,
        "enf": 0.7,
        "rest": 0.4,
    }
    assert means["targets"].pairs == 300 and means["targets"].f1 == pytest.approx(0.5)
    assert set(found.averages(scores(en=0.8, de=0.6))) == {"sources"}
    assert "enf" not in protocol(["en", "de"], ["ja"]).averages(scores(ja=0.4))


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        *product(
            ("zero_shot", "pivot", "translate_train"),
            ("mean", "worst", "cross_lingual", "balanced", "held_out"),
        ),
        ("pivot", "pivot"),
        ("oracle", "mean"),
        ("oracle", "worst"),
    ],
)
def test_what_trains_or_chooses_is_never_zero_shot(kind: str, objective: str) -> None:
    """Whatever the settings: not even a source that is held out, and a target."""
    found = protocol(
        ["en", "de", "fr"],
        ["es", "ja", *(["de"] if kind == "translate_train" else [])],
        kind=kind,
        objective=objective,
        pivot=("ja",) if kind == "pivot" else (),
        held_out="de" if objective == "held_out" else None,
    )
    assert not set(found.zero_shot) & set(found.seen)
    assert not set(found.oracle) & set(found.select)
    assert set(found.zero_shot) <= {"es", "ja"} - set(found.train)


def test_a_target_that_is_held_out_chooses_and_is_not_claimed() -> None:
    found = protocol(
        ["en", "de"],
        ["de", "es"],
        kind="translate_train",
        objective="held_out",
        held_out="de",
    )
    assert found.zero_shot == ("es",) and names(found.oracle) == ["es"]
    assert found.claim == (
        "zero-shot for es; selected also on dev of de; trained on en (machine-translated: yes)"
    )


def grouped(target: Sequence[str], **groups: Sequence[str]) -> dict[str, tuple[str, ...]]:
    languages = LanguagesConfig(source=("en",), target=tuple(target), groups=groups)
    return dict(EvaluationProtocol.of(languages, ProtocolConfig(), None).groups)


def test_groups_of_targets_are_a_setting() -> None:
    """They have a default for PAWS-X's languages, and none for others."""
    assert grouped(["de-AT", "ja"])["enf"] == ("de-AT",)
    assert grouped(["sw", "ja"]).keys() == {"sources", "targets"}
    own = grouped(["sw", "ja", "de"], african=["sw"], asian=["ja"])
    assert own["african"] == ("sw",) and own["asian"] == ("ja",)
    assert own.keys() == {"sources", "targets", "african", "asian"}, "de is in none"


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ({"targets": ["ja"]}, "targets is the name of a language or a mean"),
        ({"ja": ["ja"]}, "ja is the name of a language"),
        ({"akin": ["fr"]}, "akin names fr, not among languages.target"),
        ({"akin": []}, "must have languages"),
        ({"akin": ["ja", "ja"]}, "each once"),
        ({"Akin": ["ja"]}, "groups"),
    ],
)
def test_groups_that_mean_nothing_are_refused(groups: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        grouped(["ja", "de"], **groups)
