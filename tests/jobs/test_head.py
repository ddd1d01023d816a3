"""A study on a real head with a token, on this machine: submitted, left, stopped, resumed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from upath import UPath

from tests.jobs.heads import BIN, RayHead
from tests.processes import SMOKE
from tests.robustness.examples import leaks
from tuner.errors import UserError
from tuner.jobs import api
from tuner.jobs.connection import Head, connect
from tuner.journal.journal import is_begun, read_history
from tuner.journal.records import StudyRecord

pytestmark = pytest.mark.slow

TRIALS = 12
LONGER = [
    *("--set", "name=longer", "--set", "scheduler={kind: none}"),
    *("--set", f"budget={{trials: {TRIALS}, pairs_per_trial: 12000}}"),
]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with tempfile.TemporaryDirectory(prefix="h-", ignore_cleanup_errors=True) as folder:
        head = RayHead(Path(folder) / "head")
        head.start()
        yield head
        head.stop()


@pytest.fixture
def there(head: RayHead) -> Head:
    return Head(head.address, head.token)


@pytest.fixture
def tuner(head: RayHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts `tuner …` as on another machine: another HOME, the token in the environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "HOME": str(tmp_path), "RAY_AUTH_TOKEN": head.token or ""}
        environment |= {"RAY_API_SERVER_ADDRESS": head.address, **variables}
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def storage(head: RayHead) -> Path:
    return head.home / "studies"


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and all that was printed."""
    printed, _ = process.communicate(timeout=900)
    return process.returncode, printed


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Return what was printed up to a line like this, as it came."""
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += line
        if re.search(pattern, line):
            return printed
    raise AssertionError(f"no {pattern} in:\n{printed}")


def wait_until(true: Callable[[], bool], process: Any, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.2)


def record(storage: Any, name: str) -> StudyRecord:
    return read_history(storage / name).record()


def shown(what: str, said: str) -> list[str]:
    """The arguments of a command that is shown, to be copied."""
    found = re.search(rf"{what}: +(.*)", said)
    assert found, said
    words = shlex.split(found[1])
    return words[words.index("tuner") + 1 :]


def ended_trials(storage: Path, name: str) -> int:
    if not is_begun(storage / name):
        return 0
    return sum(trial.state in ("completed", "pruned") for trial in record(storage, name).trials)


def test_it_is_refused_without_its_token(
    head: RayHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="asks for a token"):
        connect(head.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    with pytest.raises(UserError, match="does not accept the token"):
        connect(head.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token or "")
    assert connect(head.address).ask("GET", "/api/jobs/")[0] == 200


def test_one_without_tokens_is_refused() -> None:
    with tempfile.TemporaryDirectory(prefix="o-", ignore_cleanup_errors=True) as folder:
        head = RayHead(Path(folder) / "open", with_token=False)
        head.start()
        try:
            with pytest.raises(UserError, match="answers without a token"):
                connect(head.address)
            assert connect(head.address, insecure=True).token is None
        finally:
            head.stop()


def test_secrets_are_nowhere(
    head: RayHead,
    there: Head,
    tuner: Start,
    bucket: UPath,
    tmp_path: Path,
) -> None:
    """A study in an object store, to its end: workers are let in, and nobody else learns how."""
    planted = {
        name: f"{name.lower()}-{uuid4().hex}"
        for name in (
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "MLFLOW_TRACKING_PASSWORD",
            "HF_TOKEN",
            "PGPASSWORD",
        )
    }
    options = ["--set", f"storage={bucket}", "--set", "tracking.uri=http://127.0.0.1:9"]
    code, said = finish(tuner("submit", str(SMOKE), *options, "--tracking-later", **planted))
    assert code == 0, said
    assert "sent only to the driver and kept only in memory: AWS_ACCESS_KEY_ID" in said
    study = record(bucket, "smoke")
    assert study.state == "completed" and len(study.trials) == 4
    assert re.fullmatch(r"[0-9a-f]{40}\+?", study.facts.environment.commit or "")

    code, looked = finish(tuner("status", "smoke", "--address", head.address, "--json", **planted))
    assert code == 0 and json.loads(looked)["state"] == "completed", looked
    jobs = there.ask("GET", "/api/jobs/")[1]
    assert b"tuner.study" in jobs
    (tmp_path / "jobs.json").write_bytes(jobs)
    for file in bucket.fs.find(bucket.path):
        (tmp_path / uuid4().hex).write_bytes(bucket.fs.cat_file(file))
    assert any((head.home / "ray").rglob("runtime_env*.log")), "Ray's logs are looked at too"
    for folder in (head.home / "ray", tmp_path):
        assert leaks(planted, folder, said, looked) == []


def test_detached_attached_stopped_resumed(
    head: RayHead, there: Head, tuner: Start, storage: Path
) -> None:
    submit = ["submit", str(SMOKE), "--set", f"storage={storage}", *LONGER]
    code, said = finish(tuner(*submit, "--detach"))
    assert code == 0, said
    follow, look, stop = (shown(what, said) for what in ("follow it", "look at it", "stop it"))

    attached = tuner(*follow)
    said = read_until(attached, r"trial 00\d (completed|pruned)")
    wait_until(lambda: ended_trials(storage, "longer") >= 2, attached)
    attached.send_signal(signal.SIGINT)
    code, rest = finish(attached)
    assert (
        code == 0
        and "is already running there" in said
        and "detached: longer keeps running" in rest
    )

    code, said = finish(tuner(*look))
    assert code == 0 and "longer: running" in said, said
    assert f"tuner status longer --storage {storage} --address {head.address} --watch" in said
    code, said = finish(tuner("status", "--address", head.address))
    assert code == 0 and re.search(r"longer +running", said), said
    code, said = finish(tuner(*submit, "--set", "sampler.seed=7"))
    assert code == 2 and "is running there already with different settings" in said

    code, said = finish(tuner(*stop))
    assert code == 0 and "longer has stopped" in said, said
    stopped = record(storage, "longer")
    assert stopped.state == "interrupted" and 2 <= ended_trials(storage, "longer") < TRIALS
    code, said = finish(tuner(*stop))
    assert code == 2 and "its last job is stopped" in said

    code, said = finish(tuner(*submit))
    assert code == 0, said
    whole = record(storage, "longer")
    assert whole.state == "completed" and len(whole.trials) == TRIALS
    assert [t.params for t in whole.trials[:2]] == [t.params for t in stopped.trials[:2]]
    assert max(trial.attempts for trial in whole.trials) == 2, "those under way went on"
    left = [job.id for job in api.all_jobs(there) if "tuner.study" not in job.metadata]
    assert left == [], "jobs that only looked are gone"

    code, said = finish(tuner(*submit, "--set", "sampler.seed=7"))
    assert code == 2 and "sampler.seed: was 1, now 7" in said


def test_plain_ray_job_submit(head: RayHead, storage: Path) -> None:
    """The documented way: the checkout is the working folder."""
    variables = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "600"}
    command = [
        *(str(BIN / "ray"), "job", "submit", "--address", head.address, "--working-dir", "."),
        *("--runtime-env-json", json.dumps({"env_vars": variables}), "--"),
        *("python", "-m", "tuner", "search", "search_spaces/smoke.yaml"),
        *("--set", f"storage={storage}", "--set", "name=plain", "--set", "budget.trials=2"),
    ]
    root = Path(__file__).parents[2]
    said = subprocess.run(
        command, cwd=root, env=head.environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert record(storage, "plain").state == "completed"
