"""The disk space of studies, against real files and real disks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from tuner.errors import UserError
from tuner.model.encoder import load_encoder
from tuner.model.shape import EncoderShape
from tuner.run.disk import check_space, disk_need, free_bytes, in_words, shortage, used_bytes
from tuner.study import StudyConfig
from tuner.study.file import load_study

SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"
SHAPE = EncoderShape(num_layers=4, hidden_size=8, parameters=1_000_000)


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., StudyConfig]:
    """A study that trains the last layer alone: the head adds 2 x 8 + 2 parameters."""

    def make(**settings: Any) -> StudyConfig:
        changes = {
            "storage": tmp_path,
            "space": "{seed: {type: int, low: 0, high: 9999999}}",
            **settings,
        }
        return load_study(SMOKE, [f"{key}={value}" for key, value in changes.items()])

    return make


def test_a_need_worked_out_by_hand(small: Callable[..., StudyConfig]) -> None:
    """A trial has three checkpoints of three numbers a parameter; the best keep one number."""
    study = small(**{"budget.trials": 10, "checkpoint.keep_best": 4})
    need = disk_need(study, SHAPE, at_once=2)
    weights = 4 * 1_000_018
    assert (need.parameters, need.weights_bytes) == (1_000_018, weights)
    assert need.checkpoint_bytes == 3 * weights
    assert need.peak_bytes == (2 * 3 + 7) * 3 * weights + 4 * weights + 4_000_000 + 10 * 100_000


def test_trials_that_rest_keep_a_checkpoint_each(small: Callable[..., StudyConfig]) -> None:
    """Candidates that may yet complete; with promotion every trial that does not run."""
    for scheduler, resting in (
        ("{kind: asha}", 7),
        ("{kind: asha, variant: promotion}", 18),
        ("{kind: none}", 0),
    ):
        study = small(**{"budget.trials": 20, "scheduler": scheduler})
        need = disk_need(study, SHAPE, at_once=2)
        assert need.resting == resting
        assert disk_need(study, SHAPE, at_once=20).resting == 0


def test_a_study_of_few_trials_needs_no_more_than_they_do(
    small: Callable[..., StudyConfig],
) -> None:
    study = small(**{"budget.trials": 2, "checkpoint.keep_best": 9})
    need = disk_need(study, SHAPE, at_once=8)
    assert (need.at_once, need.keep_best) == (2, 2)


def test_the_largest_fusion_counts(small: Callable[..., StudyConfig]) -> None:
    """Concatenation projects 2 x 8 channels back to 8."""
    fused = small(trial="{fusion.kind: concat, fusion.layer: 1}", baseline="{fusion.kind: last}")
    without = small(trial="{fusion.kind: last}", baseline="{fusion.kind: last}")
    more = disk_need(fused, SHAPE, 1).parameters - disk_need(without, SHAPE, 1).parameters
    assert more in (2 * 8 * 8, 2 * 8 * 8 + 8)


def test_a_study_that_no_disk_holds_is_refused(small: Callable[..., StudyConfig]) -> None:
    encoder = load_encoder(small().encoder)
    check_space(small(), encoder.shape, at_once=2)
    large = small(**{"budget.trials": 10**6, "checkpoint.keep_best": 10**6})
    with pytest.raises(UserError, match=r"may need [\d,.]+ GB at once in .*, but [\d,.]+ .B are"):
        check_space(large, encoder.shape, at_once=2)


def test_what_a_study_has_written_already_is_no_new_need(
    small: Callable[..., StudyConfig], tmp_path: Path
) -> None:
    need = disk_need(small(), SHAPE, at_once=1).model_copy(
        update={"peak_bytes": 9_000_000_000, "free_bytes": 2_000_000_000}
    )
    assert shortage(need, tmp_path, used=7_000_000_000) is None
    lacking = shortage(need, tmp_path, used=6_000_000_000)
    assert lacking is not None
    assert lacking.problem == (
        f"the study may need 3.0 GB more at once in {tmp_path}, but 2.0 GB are free there"
    )


def test_an_object_store_has_no_end(small: Callable[..., StudyConfig], tmp_path: Path) -> None:
    study = small(**{"budget.trials": 10**6, "checkpoint.keep_best": 10**6})
    study = study.model_copy(update={"storage": UPath(f"memory://{tmp_path}")})
    need = disk_need(study, SHAPE, at_once=1)
    assert need.free_bytes is None and shortage(need, study.storage) is None
    check_space(study, load_encoder(study.encoder).shape, at_once=1)


def test_free_is_what_df_says_also_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    said = subprocess.run(
        ["df", "--output=avail", "-B1", tmp_path], check=True, capture_output=True, text=True
    )
    free = free_bytes(tmp_path / "not" / "yet")
    assert free is not None
    assert free == pytest.approx(int(said.stdout.split()[1]), abs=200e6), "others write meanwhile"


def test_used_is_what_du_says(tmp_path: Path) -> None:
    """With a file of two names, a sparse one, and a link to elsewhere."""
    folder = tmp_path / "study"
    (folder / "trials").mkdir(parents=True)
    (folder / "trials" / "weights").write_bytes(os.urandom(300_000))
    os.link(folder / "trials" / "weights", folder / "best")
    (folder / "sparse").touch()
    os.truncate(folder / "sparse", 10**9)
    (folder / "link").symlink_to("/usr")
    said = subprocess.run(["du", "-sB1", folder], check=True, capture_output=True, text=True)
    assert used_bytes(folder) + folder.stat().st_blocks * 512 == int(said.stdout.split()[0])
    assert used_bytes(tmp_path / "nothing") == 0


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0.0 MB"), (2_540_000, "2.5 MB"), (2.136e9, "2.1 GB"), (1.5e13, "15,000.0 GB")],
)
def test_bytes_in_words(size: float, words: str) -> None:
    assert in_words(size) == words


@pytest.mark.integration
def test_a_search_on_a_disk_that_is_too_small_is_refused_and_writes_nothing(
    small_disk: Callable[[str, str], str],
) -> None:
    code = f"""
        import os, runpy, sys, tempfile
        sys.argv = ["tuner", "search", {str(SMOKE)!r}, "--set", "storage=studies",
                    "--set", "resources.max_concurrent_trials=2"]
        with tempfile.TemporaryDirectory(prefix="t-") as ray:
            os.environ["RAY_TMPDIR"] = os.environ["HOME"] = ray
            sys.stderr = sys.stdout
            try:
                runpy.run_module("tuner", run_name="__main__")
            except SystemExit as exit:
                print("exit", exit.code)
        print("left:", os.listdir("."))
    """
    printed = small_disk("8m", code)
    assert "error: the study may need" in printed and "8.4 MB are free there" in printed
    assert printed.endswith("exit 2\nleft: []\n")
