"""Parts of a study's records that MLflow shows beside runs: data, files, prepared views, limits."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.records import with_settings
from tests.tracking.examples import BEGAN, CHECKSUM, LONG, evaluation, study, trial
from tests.tracking.stores import Store
from tuner.journal.gradient_noise import NoiseRecord
from tuner.tracking import Tracker, view
from tuner.tracking.contents import metrics_of

pytestmark = pytest.mark.integration


def test_data_and_artifacts(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study())

    run = store.client.get_run(store.runs()[0].info.run_id)
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("nano", CHECKSUM[:12])
    assert json.loads(used.dataset.source)["sha256"] == CHECKSUM
    assert json.loads(used.dataset.profile)["counts"] == {"train": {"en": 100}}
    assert {tag.key: tag.value for tag in used.tags} == {
        "mlflow.data.context": "training",
        "tuner.languages": "en, de, es",
    }
    folder = store.folder / "mlartifacts" / run.info.run_id / "artifacts"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    kinds = ("data", "encoder", "environment", "overlap")
    assert set(texts) == {"study.yaml", *(f"{kind}.json" for kind in kinds)}
    assert json.loads(texts["overlap.json"]) == {"dev": {"ids": 10, "shared": {}}}
    assert yaml.safe_load(texts["study.yaml"]) == study().settings.model_dump(mode="json")
    data = study().facts.data.model_dump(mode="json", exclude_none=True)
    assert json.loads(texts["data.json"]) == data


def test_what_is_kept_for_programs_alone_is_not_logged(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study(trial(1)))
    logged = [store.client.get_run(run.info.run_id) for run in store.runs()]
    assert len(logged) == 2 and not any(LONG in str(run.to_dictionary()) for run in logged)
    files = [path for path in (store.folder / "mlartifacts").rglob("*") if path.is_file()]
    assert files and not any(LONG in path.read_text() for path in files)


def test_views_are_made_once_and_then_the_users(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study())
    tags = store.experiment().tags
    ours, all_studies = f"{view.OURS}4f0c2b", view.STUDIES
    assert json.loads(tags[ours])["name"] == "demo"
    assert json.loads(tags[all_studies])["name"] == "all studies"
    assert "`oracle/…`" in tags["mlflow.note.content"]

    changed = {ours: tags[ours].replace("demo", "mine"), "mlflow.note.content": "mine"}
    for tag, text in changed.items():
        store.client.set_experiment_tag(store.experiment().experiment_id, tag, text)
    store.client.delete_experiment_tag(store.experiment().experiment_id, all_studies)
    Tracker(store.uri, "demo").sync(study(state="completed"))
    assert store.experiment().tags == tags | changed


def test_views_do_not_pile_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "KEPT", 2)
    studies = [study(id=f"study{number}", created=BEGAN + number) for number in range(4)]
    for record in (studies[1], studies[0], studies[3], studies[2]):
        Tracker(store.uri, "demo").sync(record)
    seen = store.rows()
    kept = {tag for tag in store.experiment().tags if tag.startswith(view.SAVED)}
    assert kept == {view.STUDIES, f"{view.OURS}study2", f"{view.OURS}study3"}
    for record in studies:
        Tracker(store.uri, "demo").sync(record)
    assert store.rows() == seen


def test_diagnostics_keep_their_digits_and_undefined_ones_are_absent() -> None:
    """Squared norms have no scale of their own: late in training they are small."""
    noise = NoiseRecord(
        within=1.23456789e-7,
        between=-2.5e-11,
        mean_gradient_squared=3e-9,
        groups=2,
        small=8,
        large=256,
        pairs=512,
    )
    probed = evaluation(1, 1000).model_copy(update={"noise": {"monolingual": noise}})
    logged = {point.key: point.value for point in metrics_of([probed])}
    prefix = "diagnostic/noise/monolingual/"
    assert {key.removeprefix(prefix): logged[key] for key in logged if key.startswith(prefix)} == {
        "within": 1.23457e-7,
        "between": -2.5e-11,
        "mean_gradient_squared": 3e-9,
        "simple_noise_scale": 41.1439,
        "pairs": 512.0,
    }
    assert not any(key.startswith("diagnostic/") for key in evaluation(1, 1000).metrics())


def test_the_limits_of_mlflow_are_kept(store: Store) -> None:
    long = trial(1, rungs=()).model_copy(
        update={
            "reason": "r" * 20_000,
            "evaluations": (evaluation(1, 1000, languages=700),),
        }
    )
    assert len(long.evaluations[0].metrics()) > 1000
    record = with_settings(study(long), encoder={"name": "e" * 20_000})
    Tracker(store.uri, "demo").sync(record)
    parent, child = store.runs()
    assert parent.data.params["encoder.name"] == "e" * 6000
    assert child.data.tags["tuner.reason"] == "r" * 5000
    assert len(child.data.metrics) == len(metrics_of(long.evaluations)) + 1
