"""Mistakes in the YAML of a study, and what each is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.examples import NANO
from tuner.errors import UserError
from tuner.study.file import load_study


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budgt.trials=3", "did you mean 'budget'"),
        ("budget.trial=3", "did you mean 'trials'"),
        ("budget.trials=many", "budget.trials: input should be a valid integer.*'many'"),
        ("budget.trials=0", "greater than or equal to 1, got 0"),
        ("trial.optim.lrr=3", "did you mean 'optim.lr'"),
        ("trial.optim.lr=fast", "optim.lr"),
        ("space.optim.lr={type: float, low: 2, high: 1}", "low <= high must hold.*low=2"),
        ("space.optim.lr={type: float, low: 0, high: 1, log: true}", "low > 0 must hold"),
        (
            "space.optim.lr={type: flaot, low: 0, high: 1}",
            "type: float, int, power_of_two or choice",
        ),
        ("space.mix.cross_lingual={type: float, low: 0, high: 1.5}", "less than or equal to 1"),
        ("space.batch.effective_size={type: power_of_two, low: 12, high: 64}", "power of two"),
        ("space.fusion.layer={type: int, low: 0, high: 3}", "must be absent where fusion.kind"),
        ("space.fusion.layer={type: int, low: 0, high: 3, when: {optim.eps: [1]}}", "not in the"),
        (
            "baseline.optim.lr=-1",
            "baseline: optim.lr: input should be greater than 0, got -1",
        ),
        ("trial.optim.lr=abc", "trial: optim.lr: input should be a valid number.*got 'abc'"),
        ("space.fusion.layer.when={fusion.kind: [dlaf]}", "fusion.kind: .*got 'dlaf'"),
        ("space.fusion.layer.low=5", "low <= high must hold, but got low=5, high=3"),
        ("baseline={fusion.kind: dlfa}", "baseline is not a valid trial: .*fusion.layer must be"),
        ("trial.optim.learning_rate=1", "allowed: .*optim.lr, "),
        ("budget.trials=", "--set takes key=value"),
        ("languages.source=[en]", "cross-lingual batches need two source languages"),
        ("languages.target=[en]", "cannot be both source and target"),
        ("languages.source=[en, en]", "must be distinct"),
        ("protocol.kind=pivot", "protocol.pivot must be set"),
        ("protocol.objective=held_out", "protocol.held_out must be set"),
        ("data.source=directory", "data.path: is needed: the folder that holds one folder for"),
        ("data.source=hube", "data.source: must be one of nano, directory, files, hub, got 'hube'"),
        ("data={path: x}", "data.source: must be one of nano, directory, files, hub, got None"),
        ("data.path=x", "data.path: unknown key where data.source is nano; allowed: source"),
        ("data={source: hub, nam: x}", "data.nam: unknown key where .* hub; did you mean 'name'"),
        ("data={source: hub, name: x}", "data.machine_translated: is needed: .*the claim of every"),
        (
            "data={source: hub, name: x, machine_translated: [], columns: {idd: x}}",
            r"data\.columns\.idd: unknown key .*; did you mean 'id'",
        ),
        (
            "data={source: hub, name: x, machine_translated: [], labels: [a, a]}",
            r"data\.labels: labels must be two or more, .*, got \[a, a\]",
        ),
        (
            "data={source: hub, name: x, machine_translated: [], subset: null}",
            r"data.subset does not contain \{language\}.*name the column",
        ),
        (
            "data={source: hub, name: ./x, machine_translated: [], revision: y}",
            "data.revision is .* but data.name is a folder",
        ),
        (
            "data={source: files, train: x.tsv, dev: '{language}.tsv', machine_translated: []}",
            r"data.train does not contain \{language\}",
        ),
        (
            "data={source: files, train: '{language}.tsv', dev: '{language}.tsv', "
            "machine_translated: [], columns: {language: x}}",
            "data.columns.language is for one table of all languages",
        ),
        ("name=../elsewhere", "letters, digits"),
        ("scheduler.min_pairs=10000000", "must not exceed"),
        ("budget", "--set takes key=value"),
        ("trial.optim.lr='1e-3'", "optim.lr: input should be a valid number, got '1e-3'"),
        ("trial.batch.effective_size=true", "should be a valid integer, got True"),
        ("space.batch.effective_size={type: float, low: 8, high: 64}", "valid integer, got 8.0"),
        ("space.fusion.kind=[last, last]", "values must be distinct, got .'last', 'last'"),
        ("budget.trials=null", "budget.trials must be given: only sampler.kind grid"),
        ("sampler.kind=grid", "optim.lr has infinitely many: give it a step, or a list"),
        ("require=seed > 0", "require: input should be a list"),
        ("require=[seed > 0, true]", "require.1: input should be a valid string, got True"),
        (
            "require=[seed >= 0, fusion.layr > 1]",
            "require.1: 'fusion.layr > 1': unknown setting 'fusion.layr': did you mean",
        ),
        ("require=[fusion.kind > 3]", "cannot compare fusion.kind .a string. with 3 .a number."),
        (
            "require=[batch.effective_size > 64]",
            "the baseline violates a requirement: .* does not hold: batch.effective_size is 32",
        ),
        (
            "require=[seed < 1, optim.lr == 5e-4, fusion.kind == 'last' or mix.cross_lingual > 0]",
            "none of 2,000 random points .*; 'optim.lr == 5e-4' excludes",
        ),
        ("name.x=1", "is a value, not a block"),
        (
            "diagnostics={gradient_noise: true, noise_pairs: 11}",
            "noise_pairs must be at least 12, two for each language and each ordered pair of the 3",
        ),
    ],
)
def test_every_mistake_is_named(override: str, message: str) -> None:
    """One clear message, with the key, what was got and what is allowed."""
    with pytest.raises(UserError, match=f"(?s){message}") as caught:
        load_study(NANO, [override])
    assert caught.value.remedy
    assert "Error" not in str(caught.value) and "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "is not YAML"),
        ("just a string", "not a mapping"),
        ("name: a\nname: b\n", "'name' is given twice"),
        ("name: !!python/object:os.system x", "is not YAML"),
        ("", "not a mapping"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, message: str) -> None:
    """YAML is data: nothing in it is ever called."""
    path = tmp_path / "space.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        load_study(path)
    with pytest.raises(UserError, match="cannot read"):
        load_study(tmp_path / "missing.yaml")


@pytest.mark.parametrize("key", ["budget.trials", "trial.seed", "resources.gpus_per_trial"])
def test_true_is_not_one(key: str) -> None:
    """Pydantic takes true for 1: a study of one trial, or on one GPU."""
    block, name = key.split(".")
    with pytest.raises(UserError, match=f"{block}: {name}:? .* (number|integer), got (?i:true)"):
        load_study(NANO, [f"{key}=true"])
