"""The YAML of a study: what is accepted, and what each mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.config import TrialConfig
from tuner.errors import UserError
from tuner.study import StudyConfig
from tuner.study_file import load_study

SPACES = sorted((Path(__file__).parent.parent / "search_spaces").glob("*.yaml"))
NANO = next(path for path in SPACES if path.name == "nano.yaml")


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_shipped_spaces_load_and_propose_valid_trials(path: Path) -> None:
    """Every end of every space and a sample of its inside is a valid TrialConfig."""
    study = load_study(path)
    assert all(isinstance(config, TrialConfig) for config in study.corner_configs())
    assert study.rungs[-1] == study.budget.pairs_per_trial
    assert StudyConfig.model_validate(study.model_dump(mode="json")) == study


def test_the_example_of_the_readme_is_a_study(tmp_path: Path) -> None:
    readme = (NANO.parents[1] / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(readme.partition("```yaml")[2].partition("```")[0], encoding="utf-8")
    assert load_study(path).name == "mine"


def test_defaults_are_the_recipe_of_xtreme() -> None:
    """AdamW, 2e-5, batches of 32, no warm-up, no decay of weights, clipping at 1, linear."""
    config = TrialConfig()
    assert config.optim.model_dump() == {
        "lr": 2e-5,
        "lr_scaling": "none",
        "new_modules_lr": 1.0,
        "warmup_ratio": 0.0,
        "schedule": "linear",
        "weight_decay": 0.0,
        "eps": 1e-8,
        "max_grad_norm": 1.0,
    }
    assert config.batch.effective_size == 32 and config.fusion.kind == "last"


@pytest.mark.parametrize(
    ("scaling", "expected"), [("none", 1e-3), ("sqrt", 2e-3), ("linear", 4e-3)]
)
def test_learning_rate_scales_from_a_batch_of_32(scaling: str, expected: float) -> None:
    """At B = 128, four times the reference."""
    config = TrialConfig.from_flat({"optim.lr": 1e-3, "optim.lr_scaling": scaling})
    assert config.optim.peak_lr(128) == pytest.approx(expected)


def test_numbers_without_a_dot_are_numbers_and_no_is_a_language() -> None:
    """`1e-5` is a string to plain YAML, and `no` a boolean."""
    study = load_study(NANO, ["trial.optim.lr=1e-5", "languages.target=[no]"])
    assert study.trial["optim.lr"] == 1e-5
    assert study.languages.target == ("no",)


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
        ("baseline={fusion.kind: dlfa}", "the baseline is no valid trial: .*fusion.layer must be"),
        ("trial.optim.learning_rate=1", "allowed: optim.eps, optim.lr, "),
        ("budget.trials=", "--set takes key=value"),
        ("languages.source=[en]", "cross-lingual batches need two source languages"),
        ("languages.target=[en]", "cannot be source and target"),
        ("languages.source=[en, en]", "must be distinct"),
        ("protocol.kind=pivot", "protocol.pivot belongs"),
        ("protocol.objective=held_out", "protocol.held_out belongs"),
        ("data.source=directory", "data.path belongs"),
        ("name=../elsewhere", "letters, digits"),
        ("scheduler.min_pairs=10000000", "must not exceed"),
        ("budget", "--set takes key=value"),
        ("name.x=1", "is a value, not a block"),
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
        ("just a string", "no mapping"),
        ("name: a\nname: b\n", "'name' is given twice"),
        ("name: !!python/object:os.system x", "is not YAML"),
        ("", "no mapping"),
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


def test_a_whole_block_can_be_set() -> None:
    study = load_study(NANO, ["space={optim.lr: 1e-3}", "baseline=null"])
    assert list(study.space.root) == ["optim.lr"] and study.baseline is None


def test_what_is_set_for_every_trial_varies_no_longer() -> None:
    """Also where other parameters depend on it."""
    study = load_study(NANO, ["trial.optim.lr=1e-3", "trial.fusion.kind=dlfa"])
    points = [study.space.draw(seed) for seed in range(20)]
    assert {point["optim.lr"] for point in points} == {1e-3}
    assert {point["fusion.kind"] for point in points} == {"dlfa"}
    assert {point["fusion.layer"] for point in points} == {0, 1, 2, 3}
    assert study.baseline_config().fusion.kind == "last"
    one = load_study(NANO, ["trial.fusion.kind=dlfa", "trial.fusion.layer=2"])
    assert {config.fusion.layer for config in one.corner_configs()} == {None, 2}


def test_an_end_of_a_range_can_be_set() -> None:
    study = load_study(NANO, ["space.fusion.layer.high=1"])
    assert {study.space.draw(seed).get("fusion.layer") for seed in range(50)} == {None, 0, 1}


def test_rungs_are_in_pairs_and_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    """min_pairs times powers of eta, below the full budget, then the full budget."""
    assert load_study(NANO).rungs == (1600, 4800, 9600)
    assert load_study(NANO, ["scheduler.reduction_factor=2"]).rungs == (1600, 3200, 6400, 9600)
    assert load_study(NANO, ["scheduler.kind=none"]).rungs == (9600,)
