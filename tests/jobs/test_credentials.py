"""Credentials that are sent from an environment: those a study needs, beside the job, not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.conftest import Dashboard
from tuner.cluster.credentials import HEADER, OBJECT_STORES, SharedCredentials
from tuner.invocation import SENT
from tuner.jobs.connection import Head
from tuner.jobs.secrets import HUB, MLFLOW, needed_by, send
from tuner.study import StudyConfig
from tuner.study.file import validate_study

SETTINGS: dict[str, Any] = {
    "name": "mine",
    "storage": "/mnt/shared",
    "data": {"source": "nano"},
    "encoder": {"name": "nano"},
    "languages": {"source": ["en"]},
    "budget": {"trials": 2, "pairs_per_trial": 100},
}


def study(**changes: Any) -> StudyConfig:
    return validate_study({**SETTINGS, **changes}, "the test")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"tracking": {"uri": "https://mlflow.example"}}, MLFLOW),
        ({"tracking": {"uri": "sqlite:////mnt/shared/mlflow.db"}}, ()),
        ({"storage": "s3://bucket/studies"}, OBJECT_STORES["s3"]),
        ({"encoder": {"name": "bert-base-multilingual-cased"}}, HUB),
    ],
)
def test_what_a_study_needs(
    changes: dict[str, Any], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*MLFLOW, *HUB, *OBJECT_STORES["s3"], "PGPASSWORD", "WANDB_API_KEY"):
        monkeypatch.setenv(name, f"of {name}")
    assert needed_by(study(**changes)) == {name: f"of {name}" for name in expected}
    for name in expected:
        monkeypatch.delenv(name)
    assert needed_by(study(**changes)) == {}


def test_they_go_beside_the_job(dashboard: Dashboard) -> None:
    head = Head(dashboard.address, "the-token")
    variables = send(head, {"HF_TOKEN": "hush"})
    assert set(variables) == {SENT} and "hush" not in variables[SENT]
    (stored,) = dashboard.stored.values()
    assert set(dashboard.stored) == {variables[SENT]}
    assert stored.startswith(HEADER)
    assert json.loads(stored.removeprefix(HEADER)) == {"HF_TOKEN": "hush"}
    assert send(head, {}) == {} and len(dashboard.stored) == 1
    assert send(head, {"HF_TOKEN": "hush"}) != variables, "a name is used once"


def test_what_ray_repeats_of_a_content_is_no_secret() -> None:
    assert len(HEADER) >= 15


def test_a_refusal_does_not_repeat_them(dashboard: Dashboard) -> None:
    """Ray's answer to an upload that fails has the beginning of the content in it."""
    answer = b"RuntimeError: Failed to store package in the GCS.\n  - Package data (1): hush..."
    name = "known.bin"
    dashboard.pages[f"/api/packages/gcs/{name}"] = (500, answer, {})
    from tuner.errors import UserError
    from tuner.jobs.api import upload

    with pytest.raises(UserError) as caught:
        upload(Head(dashboard.address, "the-token"), name, b"hush")
    assert "hush" not in str(caught.value) and "500" in str(caught.value)


def test_workers_are_lent_what_the_storage_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    for storage in (Path("/mnt/shared"), None):
        assert SharedCredentials(storage).runtime_env == {}
    from upath import UPath

    lent = SharedCredentials(UPath("s3://bucket/studies")).runtime_env
    assert lent["worker_process_setup_hook"] == "tuner.cluster.credentials.load_shared_credentials"
    assert "hush" not in str(lent)
