"""Dev sets that are no translations of each other: what they can be evaluated by."""

from __future__ import annotations

import pytest

from tuner.data.corpus import Corpus, Row
from tuner.data.evaluable import evaluable
from tuner.errors import UserError
from tuner.study.criteria import criteria_of
from tuner.study.roles import Objective, ProtocolConfig

CRITERIA = criteria_of(ProtocolConfig(), ["en", "de"], ["ja"], classes=2)


def corpus(**dev: dict[str, int]) -> Corpus:
    """Return a corpus with these classes by language and id."""
    rows = {
        language: {id_: Row(id_, f"{language} {id_}", "other", label) for id_, label in own.items()}
        for language, own in dev.items()
    }
    return Corpus(("en", "de"), ("0", "1"), {"dev": rows}, (), None)


def test_translations_allow_every_criterion() -> None:
    both = corpus(en={"1": 0, "2": 1}, de={"1": 0, "2": 1, "3": 0})
    assert evaluable(both, CRITERIA, "balanced") == tuple(CRITERIA)


def test_languages_without_a_common_id_are_evaluated_each_on_its_own() -> None:
    apart = corpus(en={"1": 0, "2": 1}, de={"3": 0, "4": 1})
    assert evaluable(apart, CRITERIA, "mean") == ("mean", "worst")
    objectives: tuple[Objective, ...] = ("cross_lingual", "balanced", "joint")
    for objective in objectives:
        with pytest.raises(UserError, match=f"{objective} compares .* de, en share no ids") as told:
            evaluable(apart, CRITERIA, objective)
        assert "--set protocol.objective=mean" in told.value.remedy


def test_joint_needs_every_class_among_the_common_ids() -> None:
    few = corpus(en={"1": 0, "2": 1}, de={"1": 0, "3": 1})
    assert evaluable(few, CRITERIA, "balanced") == tuple(n for n in CRITERIA if n != "joint")
