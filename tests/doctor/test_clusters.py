"""The doctor on real clusters: a healthy one, and ones that are broken, each in its own way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.clusters import Cluster, Tuner
from tuner.invocation import program

pytestmark = pytest.mark.slow

SMOKE = str(Path(__file__).parents[2] / "search_spaces" / "smoke.yaml")
PAWS_X = "google-research-datasets/paws-x"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that runs no trials, and a node; tokens are on."""
    cluster = Cluster(token=True)
    try:
        with cluster.node():
            yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def tuner(cluster: Cluster) -> Iterator[Tuner]:
    tuner = Tuner(cluster)
    yield tuner
    tuner.close()


def doctor(
    cluster: Cluster, tuner: Tuner, *settings: str
) -> tuple[Any, dict[str, tuple[str, str]]]:
    """Exit code, and of each check that did not pass its level and what was found."""
    sets = [f"storage={cluster.storage}", *settings]
    named = [word for setting in sets for word in ("--set", setting)]
    code, printed = tuner("doctor", SMOKE, "--json", *named)
    assert printed, code
    told = json.loads(printed)["checks"]
    assert all(check["remedy"] for check in told if check["level"] != "pass")
    return code, {c["check"]: (c["level"], c["found"]) for c in told if c["level"] != "pass"}


def test_a_healthy_cluster(cluster: Cluster, tuner: Tuner) -> None:
    """Every line passes; and nothing is left behind."""
    code, printed = tuner("doctor", SMOKE, "--set", f"storage={cluster.storage}")
    assert (code or 0, printed.splitlines()[-1].strip()) == (0, "all 15 checks pass"), printed
    assert "2 nodes: head " in printed and "refuses requests without a token" in printed
    assert "the cluster at its maximum holds 1 trial at once" in printed
    assert not cluster.storage.exists()


def test_a_gpu_that_torch_does_not_see(cluster: Cluster, tuner: Tuner) -> None:
    with cluster.node({"num-gpus": 1}):
        code, wrong = doctor(cluster, tuner)
    assert code == 1 and wrong.keys() == {"GPUs"}
    level, found = wrong["GPUs"]
    assert level == "fail" and "claims 1 GPU, but torch sees none there" in found


def test_a_node_with_another_version(cluster: Cluster, tuner: Tuner) -> None:
    folder = cluster.place.folder / "old" / "transformers-4.0.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.0.0\n")
    with cluster.node(environment={"PYTHONPATH": str(folder.parent)}):
        code, wrong = doctor(cluster, tuner)
    assert code == 1 and wrong.keys() == {"versions"}
    level, found = wrong["versions"]
    assert level == "fail" and "transformers" in found and "4.0.0 on " in found


@pytest.mark.parametrize(
    ("options", "complaint"),
    [("size=1m", "does not see what"), ("ro,size=1m", "cannot be written from ")],
)
def test_a_node_with_another_storage(
    cluster: Cluster, tuner: Tuner, options: str, complaint: str
) -> None:
    """It has a disk of its own where the others have a common one; or may not write there."""
    cluster.storage.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(cluster.storage)]
    if subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("this machine lets no user mount a file system of their own")
    with cluster.node(before=before):
        code, wrong = doctor(cluster, tuner)
    assert code == 1 and wrong.keys() == {"storage"}
    level, found = wrong["storage"]
    assert level == "fail" and complaint in found


@pytest.mark.parametrize(
    ("check", "setting", "complaint"),
    [
        ("MLflow", "tracking.uri=http://127.0.0.1:9", "cannot be reached"),
        ("encoder", "encoder.name=bert-base-multilingual-cased", "not in the local cache"),
        (
            "data",
            f"data={{source: hub, name: {PAWS_X}, machine_translated: []}}",
            "not in the cache",
        ),
        ("resources", "resources.gpus_per_trial=1", "the largest is a node (1 CPU, 0 GPU)"),
    ],
)
def test_what_a_study_needs_and_the_head_lacks(
    cluster: Cluster, tuner: Tuner, check: str, setting: str, complaint: str
) -> None:
    code, wrong = doctor(cluster, tuner, setting)
    assert code == 1 and wrong.keys() == {check}
    level, found = wrong[check]
    assert level == "fail" and complaint in found


def test_a_token_that_others_can_read(cluster: Cluster, tuner: Tuner) -> None:
    cluster.token.chmod(0o644)
    try:
        code, wrong = doctor(cluster, tuner)
    finally:
        cluster.token.chmod(0o600)
    assert code == 1 and wrong.keys() == {"token file"}
    assert "(0644)" in wrong["token file"][1]


def test_a_cluster_without_tokens() -> None:
    cluster = Cluster(token=False)
    try:
        doctor = subprocess.run(
            [sys.executable, "-m", "tuner", "doctor", "--storage", str(cluster.storage)],
            env=cluster.environment | {"RAY_ADDRESS": cluster.address},
            cwd=cluster.place.folder,
            capture_output=True,
            text=True,
        )
    finally:
        cluster.close()
    assert doctor.returncode == 1, doctor.stdout + doctor.stderr
    (failed,) = [line for line in doctor.stdout.splitlines() if line.startswith("fail")]
    assert failed.split()[1] == "tokens" and "anyone who can reach the cluster can run" in failed
    assert "RAY_AUTH_MODE=token" in doctor.stdout


def test_a_plan_fits_the_cluster(cluster: Cluster, tuner: Tuner) -> None:
    """One CPU for trials, and the head's none; what it can never give is an error."""
    storage = ["--set", f"storage={cluster.storage}"]
    _, printed = tuner("plan", SMOKE, "--json", *storage)
    plan = json.loads(printed)
    assert plan["at_once"] == 1
    assert plan["at_once_since"] == "as many as the cluster holds at its maximum"
    assert [node["type"] for node in plan["cluster"]["nodes"]] == ["other", "head"]
    said, _ = tuner("plan", SMOKE, *storage, "--set", "resources.cpus_per_trial=2")
    assert "asks for 2 CPU and 0 GPU on one node, but the largest is a node (1 CPU, 0 GPU)" in said


def test_from_elsewhere_by_its_address(cluster: Cluster, tmp_path: Path) -> None:
    """Another machine knows nothing but the address and the token."""
    prices = tmp_path / "mine.yaml"
    prices.write_text("{currency: EUR, as_of: 2026-11, per_hour: {head: 0.5}}")
    storage = ["--set", f"storage={cluster.storage}", "--address", cluster.dashboard]
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_AUTH_TOKEN": cluster.token.read_text()}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tuner", *arguments, *storage]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    doctor = run("doctor", SMOKE, "--set", "resources.gpus_per_trial=1")
    assert doctor.returncode == 1, doctor.stdout + doctor.stderr
    assert "the largest is a node" in doctor.stdout and "1 fail, 13 pass" in doctor.stdout
    plan = run("plan", SMOKE, "--prices", str(prices))
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "as many as the cluster holds at its maximum" in plan.stdout
    assert "EUR" in plan.stdout and f"{program()} submit" in plan.stdout
