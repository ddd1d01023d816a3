"""A real MLflow server over HTTP, with logins: down, killed, slow, cut off, and what is there then.

For every study: runs lost, twice or still running, and points beside the record's, are none.
"""

from __future__ import annotations

import random
import time
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from itertools import cycle

import pytest

from tests.ports import free_port
from tests.tracking.examples import PASSWORD, Told, study, tell, trial, until_idle
from tests.tracking.server import ADMIN, Network, Server
from tests.tracking.stores import Store, Tally
from tests.waiting import until
from tuner.errors import UserError
from tuner.tracking import BackgroundTracker, Tracker
from tuner.tracking.refusals import Unreachable

pytestmark = pytest.mark.integration

TRIALS = (trial(0), trial(1, "pruned", (1000,)), trial(2))
RUNS = len(TRIALS) + 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It takes many seconds to start: the tests of this module share it."""
    made = Server(tmp_path_factory.mktemp("server"), PASSWORD)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def network(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """The way to the server, which answers; with a login in the environment."""
    login(monkeypatch, ADMIN, PASSWORD)
    server.wait()
    made = Network(server.port)
    yield made
    made.close()


@pytest.fixture
def store(server: Server) -> Store:
    """The server's own database."""
    return Store(server.folder)


def login(monkeypatch: pytest.MonkeyPatch, user: str, password: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)


@pytest.mark.slow
def test_killed_restarted_and_killed_for_good(
    server: Server, network: Network, store: Store
) -> None:
    whole = study(*TRIALS, id="killed", state="completed")
    server.kill()
    began = time.monotonic()
    with pytest.raises(UserError, match="--tracking-later"):
        BackgroundTracker(network.uri, "demo", Told())
    told = Told()
    behind = BackgroundTracker(network.uri, "demo", told, later=True)
    assert time.monotonic() - began < 5
    (line,) = told.lines
    assert "cannot be reached" in line and "filled in once it answers" in line

    behind.study_started(study(id="killed"))
    tell(behind, TRIALS[:1])
    server.start()
    server.wait()
    until_idle(behind)
    assert store.tally(study(*TRIALS[:1], id="killed")) == Tally(runs=2, running=1)

    tell(behind, TRIALS[1:2])
    until(lambda: len(store.runs_of("killed")) == 3)
    server.kill()  # in the middle of the second trial, more or less
    tell(behind, TRIALS[1:])
    behind.study_ended(whole)
    began = time.monotonic()
    what, why, remedy = behind.close()
    assert time.monotonic() - began < 20
    assert "lacks part of the study demo" in what
    assert "failed" in why or "reached" in why
    assert "tuner sync demo" in remedy

    server.start()
    server.wait()
    before = store.tally(whole)
    assert before.missing > 0 and before.running > 0
    synced = [Tracker(network.uri, "demo").sync(whole) for _ in range(3)]
    assert store.tally(whole) == Tally(runs=RUNS)
    assert [done.made + done.updated for done in synced[1:]] == [0, 0]


def test_answers_are_lost(network: Network, store: Store) -> None:
    """Every fourth answer breaks off: what was asked for was done, and is asked for again."""
    whole = study(*TRIALS, id="cut", state="completed")
    draws = random.Random(3)
    network.loses = lambda request: "/api/" in request and draws.random() < 0.25
    behind = BackgroundTracker(network.uri, "demo", Told(), later=True)
    behind.study_started(study(id="cut"))
    for ended in TRIALS:
        tell(behind, [ended])
        time.sleep(1)
    behind.study_ended(whole)
    behind.close()
    network.loses = lambda request: False
    Tracker(network.uri, "demo").sync(whole)
    assert store.tally(whole) == Tally(runs=RUNS)


def test_the_answer_to_a_creation_is_lost(network: Network, store: Store) -> None:
    """Both runs, the study's and a trial's, are found again, and none is made twice."""
    whole = study(*TRIALS, id="made", state="completed")
    creations: list[str] = []

    def first_of_each_kind(request: str) -> bool:
        creations.extend([request] * request.endswith("runs/create"))
        return request.endswith("runs/create") and len(creations) in (1, 3)

    network.loses = first_of_each_kind
    synced = Tracker(network.uri, "demo").sync(whole)
    assert len(creations) == RUNS
    assert (synced.made + synced.updated, synced.duplicates) == (RUNS, 0)
    assert store.tally(whole) == Tally(runs=RUNS)


@pytest.mark.parametrize("lost", ["runs/search", "runs/create", "log-batch", "runs/update"])
def test_an_answer_that_broke_off_in_its_head(network: Network, store: Store, lost: str) -> None:
    """It reads as an empty one: no runs, so that all are made again; a run without an id."""
    begun = study(*TRIALS[:1], id=f"empty {lost}")
    whole = study(*TRIALS, id=f"empty {lost}", state="completed")
    tracker = Tracker(network.uri, "demo")
    tracker.sync(begun)
    network.parts = cycle([slice(17)])
    network.loses = partial(_first, [lost])
    tracker.sync(whole)
    assert store.tally(whole) == Tally(runs=RUNS)
    assert tracker.sync(whole).unchanged == RUNS


def test_an_empty_answer_is_no_deleted_experiment(network: Network) -> None:
    Tracker(network.uri, "demo")
    network.parts = cycle([slice(17)])
    network.loses = partial(_first, ["get-by-name"])
    with pytest.raises(Unreachable, match="cut off"):
        Tracker(network.uri, "demo")


@pytest.mark.slow
def test_slow(network: Network, store: Store) -> None:
    """A second a request: nobody waits, changes come together, and the end is waited for."""
    many = study(
        *(trial(number, rungs=tuple(range(100, 5100, 100))) for number in range(2)),
        id="slow",
        state="completed",
    )
    behind = BackgroundTracker(network.uri, "demo", Told())
    network.delay = 1.0
    network.requests.clear()
    behind.study_started(study(id="slow"))
    for _ in range(10):
        tell(behind, many.trials)  # 104 changes
    behind.study_ended(many)
    assert behind.close() == []
    assert len(network.requests) < 30
    assert store.tally(many) == Tally(runs=3)


def test_a_second_sync_asks_little(network: Network, store: Store) -> None:
    whole = study(*(trial(number) for number in range(5)), id="again", state="completed")
    Tracker(network.uri, "demo").sync(whole)
    network.requests.clear()
    assert Tracker(network.uri, "demo").sync(whole).unchanged == 6
    assert len(network.requests) <= 8
    assert not [request for request in network.requests if "log-batch" in request]


def test_who_may_not_write_is_told_at_once(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tracker(network.uri, "demo")
    reader = f"{PASSWORD} of a reader"
    connection = HTTPConnection(network.uri.removeprefix("http://"))
    admin = b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    connection.request(
        "POST",
        "/api/2.0/mlflow/users/create",
        f'{{"username": "reader", "password": "{reader}"}}',
        {"Authorization": f"Basic {admin}", "Content-Type": "application/json"},
    )
    assert connection.getresponse().status == 200
    connection.close()
    for user, password, status in ((ADMIN, "of-yesterday", 401), ("reader", reader, 403)):
        login(monkeypatch, user, password)
        began = time.monotonic()
        with pytest.raises(UserError, match=str(status)) as told:
            BackgroundTracker(network.uri, "demo", Told(), later=True)
        assert time.monotonic() - began < 10
        assert "MLFLOW_TRACKING_PASSWORD" in told.value.remedy
        assert "--tracking-later" not in told.value.remedy
        assert password not in str(told.value)


def test_no_login_is_kept(network: Network, store: Store) -> None:
    secretive = study(trial(0), id="secret", state="completed", reason=f"said {PASSWORD}")
    Tracker(network.uri, "demo").sync(secretive)
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path.name for path in files if PASSWORD.encode() in path.read_bytes()] == []


def _first(lost: list[str], request: str) -> bool:
    """Return whether a request is the first that has the word."""
    return bool(lost and lost[0] in request and lost.pop())


def test_nothing_listens() -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match="refused") as told:
        Tracker(uri, "demo")
    assert "--tracking-later" not in told.value.remedy  # there is no such thing here
