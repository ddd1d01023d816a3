"""Files put into a study's run, in real sqlite stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ports import free_port
from tests.tracking.examples import EVERY_STATE, study, written
from tests.tracking.stores import Store
from tuner.tracking import Tracker, attach
from tuner.tracking.refusals import Unreachable

pytestmark = pytest.mark.integration


def test_a_file_is_put_into_the_studys_own_run_and_replaced(store: Store) -> None:
    Tracker(store.uri, "demo").sync(study(*EVERY_STATE))
    other = study(*EVERY_STATE, id="other", name="other")
    Tracker(store.uri, "demo").sync(other)
    before = store.runs()

    assert attach(store.uri, "demo", "4f0c2b", {"report.md": "# old", "report.html": "<p>"})
    assert attach(store.uri, "demo", "4f0c2b", {"report.md": "# new"})

    parents = [run for run in store.runs() if "tuner.trial" not in run.data.tags]
    (mine,) = (run for run in parents if run.data.tags["tuner.study_id"] == "4f0c2b")
    assert {run.info.run_id for run in store.runs()} == {run.info.run_id for run in before}
    found = {run.info.run_name: written(store, run.info.run_id) for run in parents}
    assert found[mine.info.run_name] == {"report.md": "# new", "report.html": "<p>"}
    assert found["other"] == {}


def test_a_study_that_mlflow_does_not_know_is_none(store: Store, tmp_path: Path) -> None:
    assert not attach(store.uri, "demo", "4f0c2b", {"report.md": ""})
    Tracker(store.uri, "demo").sync(study(id="other"))
    assert not attach(store.uri, "demo", "4f0c2b", {"report.md": ""})

    missing = tmp_path / "nothing" / "mlflow.db"
    assert not attach(f"sqlite:///{missing}", "demo", "4f0c2b", {"report.md": ""})
    assert not missing.parent.exists()


def test_a_server_that_is_away_is_told_as_such() -> None:
    with pytest.raises(Unreachable):
        attach(f"http://127.0.0.1:{free_port()}", "demo", "4f0c2b", {"report.md": ""})
