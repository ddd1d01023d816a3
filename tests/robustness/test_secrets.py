"""Secrets planted in the environment, in addresses and in the YAML: found nowhere afterwards."""

from __future__ import annotations

from base64 import b64encode
from contextlib import chdir
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.processes import SMOKE, Command, finish, record, runs_in_mlflow, wait_for
from tests.robustness.commands import tree
from tests.robustness.commands import tuner as tuner_here
from tests.robustness.examples import leaks

NAMES = [
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "HF_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "RAY_AUTH_TOKEN",
    "WANDB_API_KEY",
    "PGPASSWORD",
    "DATABASE_URL",
]
HUSH = f"hush-{uuid4().hex}/+="


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Secrets by the name of the variable that has them; in place before `tuner` is."""
    secrets = {name: f"{name.lower()}-{uuid4().hex}" for name in NAMES}
    for name, secret in secrets.items():
        monkeypatch.setenv(name, secret)
    return secrets


def test_they_are_found_where_they_are(tmp_path: Path) -> None:
    """The test below would prove nothing otherwise."""
    (tmp_path / "plain").write_text(f"x{HUSH}x")
    (tmp_path / "header").write_bytes(b64encode(f"me:{HUSH}".encode()) + b64encode(HUSH.encode()))
    (tmp_path / "quoted").write_text(f"http://me:{quote(HUSH, safe='')}@host")
    found = leaks({"it": HUSH}, tmp_path, "", f"{HUSH}")
    assert set(found) == {f"it in {where}" for where in ("printed 1", "plain", "header", "quoted")}


@pytest.mark.slow
@pytest.mark.integration
def test_of_the_environment(planted: dict[str, str], tuner: Command, place: Path) -> None:
    """A study to its end, extended, looked at, synced: neither our files have them, nor Ray's."""
    printed = []
    for arguments, new_trials in (
        (["plan", str(SMOKE)], 0),
        (["search", str(SMOKE)], 4),
        (["resume", "smoke", "--trials", "+1"], 5),
        (["status", "smoke"], 0),
        (["report", "smoke", "--json"], 0),
        (["sync", "smoke"], 0),
    ):
        running = tuner(*arguments)
        if new_trials:
            wait_for(place, lambda study, all_=new_trials: len(study.trials) == all_, running)
            assert keep_logs(place) > 0, "Ray's logs are looked at too"
        code, told = finish(running)
        assert code == 0, told
        printed.append(told)
    assert len(record(place).trials) == 5 and len(runs_in_mlflow(place)[1]) == 5
    assert leaks(planted, place, *printed) == []


def keep_logs(place: Path) -> int:
    """Link Ray's logs, which go when it does, with what is still to be written; how many."""
    kept = place / f"logs-of-ray-{uuid4().hex}"
    kept.mkdir()
    logs = [path for path in (place / "ray").rglob("logs/**/*") if path.is_file()]
    for number, log in enumerate(logs):
        kept.joinpath(f"{number}-{log.name}").hardlink_to(log)
    return len(logs)


URIS = [
    f"https://me:{HUSH}@host/x",
    f"https://{quote(HUSH, safe='')}@host/x",
    f"postgresql://me:{HUSH}@host/db",
    f"mysql+pymysql://me:{quote(HUSH, safe='')}@host/db",
    f"http://host:5000/?password={quote(HUSH, safe='')}",
    f"postgresql://host/db?user=me&password={quote(HUSH, safe='')}",
    f"s3://key:{HUSH}@bucket/x",
    f"https://host/data?X-Amz-Signature={quote(HUSH, safe='')}",
]
KEYS = ["tracking.uri", "storage", "encoder.name", "data.name", "data.path", "data.train"]
KEYS += ["description", "tracking.experiment", "name", "languages.source", "data.columns.id"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("uri", URIS, ids=lambda uri: uri.partition("hush")[0])
def test_of_addresses(key: str, uri: str, tmp_path: Path) -> None:
    """They are refused wherever they stand, and not repeated."""
    with chdir(tmp_path):
        said = tuner_here("search", str(SMOKE), "--set", f"{key}='{uri}'")
        assert said.code == 2 and leaks({"it": HUSH}, tmp_path, said.out, said.err) == []
        assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    "override",
    [
        f"tracking.password={HUSH}",
        f"data.token={HUSH}",
        f"encoder.hf_token={HUSH}",
        f"resources={{aws_secret_access_key: '{HUSH}'}}",
        f"tracking=[{{password: '{HUSH}'}}]",
        f"tracking.uri={{password: '{HUSH}'}}",
        f"tracking.uri=[{{password: '{HUSH}'}}]",
        f"data={{source: {{token: '{HUSH}'}}}}",
        f"space.token={{type: float, low: '{HUSH}', high: 1}}",
        f"trial.password={HUSH}",
        f"baseline.api_key={HUSH}",
        f".password={HUSH}",
        f"tracking.password='{HUSH}",
        f"tracking={{password: '{HUSH}', uri: [}}",
    ],
    ids=lambda override: override.partition("hush")[0],
)
def test_of_the_yaml(override: str, tmp_path: Path) -> None:
    """On the command line, and in a file: keys are named in messages, secrets are not."""
    key, _, value = override.partition("=")
    path = tmp_path / "study.yaml"
    with chdir(tmp_path):
        said = tuner_here("search", str(SMOKE), "--set", override)
        assert said.code == 2 and leaks({"it": HUSH}, tmp_path, said.out, said.err) == []
        assert tree(tmp_path) == {}
        block, _, last = key.rpartition(".")
        own = f"{block}: {{{last}: {value}}}" if block else f"{key or last}: {value}"
        path.write_text(f"{SMOKE.read_text(encoding='utf-8')}\n{own}\n", encoding="utf-8")
        said = tuner_here("search", str(path))
    assert said.code == 2 and HUSH not in said.out + said.err


@pytest.mark.parametrize("uri", URIS[:6], ids=lambda uri: uri.partition("hush")[0])
def test_of_the_address_that_is_looked_at(uri: str, tmp_path: Path) -> None:
    """`tuner ui --uri` and `--storage` are given to be used, not to be shown."""
    uri = uri.replace("host", "127.0.0.1:9", 1).replace(":9:5000", ":9")
    with chdir(tmp_path):
        for option in ("--uri", "--storage"):
            said = tuner_here("ui", option, uri)
            assert leaks({"it": HUSH}, tmp_path, said.out, said.err) == []
        assert tree(tmp_path) == {}
