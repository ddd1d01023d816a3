"""Datasets from a hub, from the cache, and without either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from tests.data.sources.examples import NAME, Write, asked, write_csv
from tuner.data.corpus import Corpus

COMMIT = "4cd8187c404bda33cb1f62b49b001115862acf37"


class Hub(BaseHTTPRequestHandler):
    """The part of the hub that answers for one dataset, of one commit, from a folder."""

    folder: Path
    api, files = f"/api/datasets/{NAME}", f"/datasets/{NAME}/resolve/{COMMIT}/"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = self.folder / path.removeprefix(self.files)
        listed = self.folder / path.removeprefix(f"{self.api}/tree/{COMMIT}").strip("/")
        if path in (self.api, f"{self.api}/revision/{COMMIT}"):
            self.answer(200, json.dumps({"id": NAME, "sha": COMMIT, "siblings": []}).encode())
        elif path.startswith(f"{self.api}/revision/"):
            self.answer(404, b"{}", "RevisionNotFound")
        elif path.startswith(f"{self.api}/tree/{COMMIT}") and listed.is_dir():
            self.answer(200, json.dumps([self.entry(each) for each in listed.iterdir()]).encode())
        elif path.startswith(self.files) and file.is_file():
            self.answer(200, file.read_bytes())
        elif path.startswith((self.files, f"{self.api}/tree/{COMMIT}")):
            self.answer(404, b"", "EntryNotFound")
        else:
            self.answer(404, b"{}", "RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 (the server's name for it)

    def entry(self, path: Path) -> dict[str, Any]:
        kind = "directory" if path.is_dir() else "file"
        size = path.stat().st_size
        name = path.relative_to(self.folder).as_posix()
        return {"type": kind, "path": name, "size": size, "oid": "0" * 40}

    def answer(self, code: int, body: bytes, error: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{len(body)}-{hash(body)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a hub that has what is in a folder."""
    handler = type("HubHere", (Hub,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub_here(nano: Corpus, pawsx_on_the_hub: Write) -> Iterator[str]:
    """The address of a hub that has PAWS-X."""
    with serving(pawsx_on_the_hub(nano)) as address:
        yield address


def elsewhere(
    home: Path, environment: dict[str, str], name: str = NAME, **settings: Any
) -> dict[str, Any]:
    """Return what a fresh process, which alone reads the environment, gets from the hub."""
    code = (
        "import json, sys\n"
        "from tuner.data.sources import load_corpus\n"
        "from tuner.errors import UserError\n"
        "from tuner.study.data import HubData\n"
        "try:\n"
        "    data = HubData(**json.loads(sys.argv[1]))\n"
        "    corpus = load_corpus(data, ['en', 'de'], ['en'])\n"
        "    print(json.dumps({'checksum': corpus.checksum, 'notes': corpus.notes}))\n"
        "except UserError as error:\n"
        "    print(json.dumps({'error': str(error)}))\n"
    )
    dropped = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_DATASETS_CACHE", "HF_HUB_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, asked(name, **settings).model_dump_json()],
        env=kept | {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.integration
def test_from_the_hub_then_from_the_cache(hub_here: str, nano: Corpus, tmp_path: Path) -> None:
    """A repository once read is there without the hub, in that revision and in no other."""
    home = tmp_path / "home"
    read = elsewhere(home, {"HF_ENDPOINT": hub_here})
    told = f"{NAME}: revision {COMMIT} (data.revision pins it)"
    assert told in read["notes"]
    rows = {split: {lang: nano.rows[split][lang] for lang in ("en", "de")} for split in nano.rows}
    rows["train"].pop("de")
    assert read["checksum"] == Corpus(("en", "de"), ("0", "1"), rows, (), False).checksum

    gone = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert elsewhere(home, {"HF_HUB_OFFLINE": "1"}) == read
    pinned = elsewhere(home, gone, revision=COMMIT)
    assert pinned["checksum"] == read["checksum"]
    assert told not in pinned["notes"]  # it stands in the settings
    other = elsewhere(home, gone, revision="0" * 40)["error"]
    assert f"the cache holds {NAME} en at revision {COMMIT}, not at {'0' * 40}" in other
    torn = next(home.glob("datasets/*/en/*/*/*-validation.arrow"))
    torn.write_bytes(torn.read_bytes()[:100])
    assert f"{NAME} en cannot be loaded: Arrow" in elsewhere(home, gone)["error"]
    subset = elsewhere(home, gone, subset="x-{language}")["error"]
    assert "x-en is not in the cache (cached subsets: 'de', 'en')" in subset


@pytest.mark.integration
def test_csv_from_the_hub_then_from_the_cache(tmp_path: Path) -> None:
    """Also where somebody else has put it into the cache before, read otherwise."""
    folder = tmp_path / "csv"
    write_csv(folder)
    with serving(folder) as address:
        home = tmp_path / "others"
        code = (
            "import datasets\n"
            "for language in ('en', 'de'):\n"
            f"    path, commit = 'hf://datasets/{NAME}', '{COMMIT}'\n"
            "    builder = datasets.load_dataset_builder(path, language, revision=commit)\n"
            "    builder.download_and_prepare()\n"
        )
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": address},
            capture_output=True,
            check=True,
        )
        refused = elsewhere(home, {"HF_HUB_OFFLINE": "1"}, splits={"test": None})["error"]
        assert f"the cache holds {NAME} en as CSV in which None and NA were" in refused
        read = elsewhere(home, {"HF_ENDPOINT": address}, splits={"test": None})
    assert (
        "dev: 10 of 11 ids clean in all of en, de; dropped: en 1 blank, de 1 blank"
        in (read["notes"])
    )
    assert elsewhere(home, {"HF_HUB_OFFLINE": "1"}, splits={"test": None}) == read


@pytest.mark.integration
def test_the_hub_names_what_it_has_not(hub_here: str, tmp_path: Path) -> None:
    environment = {"HF_ENDPOINT": hub_here}
    revision = elsewhere(tmp_path / "home", environment, revision="nope")["error"]
    assert f"{NAME} has no revision 'nope' on the hub" in revision
    name = elsewhere(tmp_path / "home", environment, name="somebody/else")["error"]
    assert "the hub has no dataset 'somebody/else'" in name
    subset = elsewhere(tmp_path / "home", environment, subset="x-{language}")["error"]
    assert f"{NAME} has no subset 'x-en'\nName one of 'en', 'de', 'fr'" in subset


@pytest.mark.integration
def test_without_hub_and_cache_there_is_one_message_soon(tmp_path: Path) -> None:
    """A refused connection, a hub that takes it and is silent, and no asking at all."""
    with create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for environment, reason, seconds in (
            ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "did not answer (ConnectError", 10),
            ({"HF_HUB_OFFLINE": "1"}, "was not asked (offline mode is set)", 10),
            ({"HF_ENDPOINT": endpoint}, "did not answer (ReadTimeout", 20),
        ):
            started = monotonic()
            error = elsewhere(tmp_path / "home", environment)["error"]
            assert monotonic() - started < seconds
            assert f"{NAME} en is not in the cache, and the hub {reason}" in error
            assert "HF_HOME" in error and "HF_HUB_OFFLINE=1" in error
            assert "data.source: directory or files" in error
