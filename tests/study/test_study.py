"""The YAML of a study: what is accepted, and what each mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.examples import NANO, SPACES
from tests.waiting import Within
from tuner.errors import UserError
from tuner.study import StudyConfig
from tuner.study.data import DirectoryData, HubData
from tuner.study.file import load_study, reopened_study
from tuner.study.settings import StudySettings
from tuner.study.trial import TrialConfig


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
    assert (
        config.optim.model_dump().items()
        >= {
            "lr": 2e-5,
            "lr_scaling": "none",
            "new_modules_lr": 1.0,
            "warmup_ratio": 0.0,
            "schedule": "linear",
            "weight_decay": 0.0,
            "eps": 1e-8,
            "max_grad_norm": 1.0,
        }.items()
    )
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


def test_a_whole_block_can_be_set() -> None:
    study = load_study(NANO, ["space={optim.lr: 1e-3}", "baseline=null"])
    assert list(study.space.root) == ["optim.lr"] and study.baseline is None


def test_a_folder_can_take_the_place_of_the_hub() -> None:
    """The comment of the file says it: the whole block is replaced, with its pinned revision."""
    path = NANO.with_name("pawsx_mbert.yaml")
    study = load_study(path, ["data={source: directory, path: /where/pawsx/is}"])
    assert study.data == DirectoryData(source="directory", path=Path("/where/pawsx/is"))
    pinned = load_study(path).data
    assert isinstance(pinned, HubData) and len(pinned.revision or "") == 40


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
    assert load_study(NANO).rungs == (384, 1152, 3456, 9600)
    halves = load_study(NANO, ["scheduler.min_pairs=1600", "scheduler.reduction_factor=2"])
    assert halves.rungs == (1600, 3200, 6400, 9600)
    assert load_study(NANO, ["scheduler.kind=none"]).rungs == (9600,)


def test_requirements_can_be_set_and_hold_everywhere() -> None:
    """Also for what is checked before anything starts: an infeasible corner is no corner."""
    small = "optim.lr * batch.effective_size <= 0.02"
    study = load_study(NANO, [f"require=['{small}', 'fusion.layer in [1, 2]']", "baseline=null"])
    assert study.require == (small, "fusion.layer in [1, 2]")
    corners = list(study.corner_configs())
    assert {config.fusion.layer for config in corners} == {None, 1, 2}
    assert all(c.optim.lr * c.batch.effective_size <= 0.02 for c in corners)
    assert {8, 128} <= {config.batch.effective_size for config in corners}
    assert max(config.optim.lr for config in corners) == 2e-3
    assert StudyConfig.model_validate(study.model_dump(mode="json")) == study


def test_corners_of_a_finite_space_are_never_missed() -> None:
    """Each value, though one point in thirty keeps the requirements."""
    study = load_study(NANO.with_name("nano_axes.yaml"))
    for name in study.space.root:
        ends = set(study.space.root[name].ends())
        assert ends <= {config.flat()[name] for config in study.corner_configs()}


def test_a_finite_space_without_a_feasible_point_is_refused() -> None:
    """Enumerated, so that nothing is missed; the requirement that excludes most is named."""
    space = "space={fusion.kind: [last, dlfa], fusion.layer: 1, seed: [0, 1, 2, 3]}"
    space = space.replace("1,", "{type: fixed, value: 1, when: {fusion.kind: [dlfa]}},", 1)
    require = ["fusion.layer != 1", "fusion.kind != 'last'", "seed > 2"]
    message = "none of the 8 points .* 'seed > 2' excludes the most points"
    with pytest.raises(UserError, match=rf"{message} \(6\)"):
        load_study(NANO, [space, f"require={require}", "baseline=null"])
    study = load_study(NANO, [space, f"require={require[1:]}", "baseline=null"])
    assert study.distinct() == 1
    assert study.infeasible() == {"fusion.kind != 'last'": 4, "seed > 2": 6}


def test_how_many_trials_there_are() -> None:
    """Given, or of a grid with its baseline; a grid that is larger than the budget is cut."""
    assert load_study(NANO).trials == 24 and load_study(NANO).distinct() is None
    layers = NANO.with_name("fusion_layers.yaml")
    assert load_study(layers).trials == load_study(layers).distinct() == (1 + 3 * 4) * 5
    assert load_study(layers, ["baseline={fusion.kind: last}"]).trials == 65, "it is in the grid"
    assert load_study(layers, ["baseline={fusion.kind: last, seed: 77}"]).trials == 66
    assert load_study(layers, ["budget.trials=10"]).trials == 10
    assert load_study(layers, ["budget.trials=1000"]).trials == 65
    assert load_study(layers, ["require=[fusion.layer >= 2, seed < 3]"]).trials == (1 + 3 * 2) * 3
    mbert = [
        "encoder={name: bert-base-multilingual-cased, max_length: 128}",
        "space.fusion.layer.high=11",
    ]
    assert load_study(layers, mbert).trials == (1 + 3 * 12) * 5


def test_the_points_of_a_large_grid_are_counted_in_a_second(within: Within) -> None:
    """Beyond 100,000 they are not counted; what requirements exclude is then a sample's share."""
    layers = NANO.with_name("fusion_layers.yaml")
    require = "require=[fusion.layer >= 1, batch.effective_size * optim.lr < 1]"
    study = load_study(layers, ["space.seed={type: int, low: 0, high: 1499}", require])
    with within(1):  # 19,500 points, twice: a tenth on an idle machine
        assert study.distinct() == (1 + 3 * 3) * 1500
        assert study.infeasible() == {"fusion.layer >= 1": 3 * 1500, study.require[1]: 0}
    larger = load_study(
        layers,
        [
            "space.seed={type: int, low: 0, high: 99999}",
            require,
            "sampler.kind=random",
            "budget.trials=5",
        ],
    )
    assert larger.distinct() is None
    assert larger.infeasible()["fusion.layer >= 1"] == pytest.approx(1000 * 3 / 4 / 4, abs=60)


def test_a_setting_that_is_fixed_keeps_its_condition() -> None:
    """`--set trial.fusion.layer=2` fixes it where a lower layer is fused."""
    study = load_study(NANO, ["trial.fusion.layer=2"])
    configs = [study.space.trial_config(study.trial, study.space.draw(seed)) for seed in range(20)]
    assert {(c.fusion.kind, c.fusion.layer) for c in configs} == {("last", None), ("dlfa", 2)}


@pytest.mark.parametrize("override", ["batch.effective_size=16", "seed=1"])
def test_a_knob_is_set_in_trial_or_space(override: str) -> None:
    with pytest.raises(UserError, match=f"--set trial.{override}"):
        load_study(NANO, [override])


def test_an_encoder_in_a_folder_is_the_same_wherever_a_resume_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is absolute from the beginning; what is not one stays an id of the hub."""
    (tmp_path / "models" / "xlmr").mkdir(parents=True)
    (tmp_path / "nano").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    for typed, kept in {
        "models/xlmr": str(tmp_path / "models" / "xlmr"),
        "models": str(tmp_path / "models"),
        "./gone": str(tmp_path / "gone"),
        "a/b/gone": str(tmp_path / "a" / "b" / "gone"),
        "~/gone": str(Path.home() / "gone"),
        "org/model": "org/model",
        "bert-base-multilingual-cased": "bert-base-multilingual-cased",
        "nano": "nano",
        "x" * 5000: "x" * 5000,
    }.items():
        monkeypatch.chdir(tmp_path)
        study = load_study(NANO, [f"encoder={{name: {typed}}}", f"storage={tmp_path}"])
        assert study.encoder.name == kept
        assert study.encoder.is_folder == (kept[0] == "/")
        monkeypatch.chdir(tmp_path / "elsewhere")
        recorded = StudySettings.model_validate(study.model_dump(mode="json"))
        assert reopened_study(recorded, study.folder).encoder.name == kept
