"""MLflow for a team, cluster/mlflow/compose.yaml: what is open, and where its values come from."""

from __future__ import annotations

import re

from tests.manifests.manifests import FOLDER, load

SERVICES = load("mlflow/compose.yaml")["services"]
EXAMPLE = (FOLDER / "mlflow" / "env.example").read_text(encoding="utf-8")


def test_only_what_speaks_tls_is_open() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"tls"}
    assert all("network_mode" not in service for service in SERVICES.values())


def test_every_value_comes_from_outside_and_must_be_there() -> None:
    text = (FOLDER / "mlflow" / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+):\?\}", text))
    assert len(re.findall(r"\$\{", text)) == len(re.findall(r"\$\{\w+:\?\}", text))
    assert used == set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|URI", name):
                assert "${" in value


def test_the_example_holds_no_secret() -> None:
    given = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name for name, value in given.items() if value} == {"MLFLOW_AUTH_ADMIN_USERNAME"}


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    dockerfile = (FOLDER / "mlflow" / "Dockerfile").read_text(encoding="utf-8")
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert len(images) == 3
    assert all(re.fullmatch(r"[\w./-]+:\d[\w.-]+", image) for image in images)
    assert "-c /tmp/constraints.txt" in dockerfile


def test_the_server_is_given_what_it_asks_for() -> None:
    script = (FOLDER / "mlflow" / "serve.sh").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+):\?", script))
    assert asked <= set(SERVICES["mlflow"]["environment"])
    assert "--app-name basic-auth" in script
    assert "--disable-security-middleware" not in script
