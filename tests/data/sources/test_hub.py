from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from time import monotonic
from typing import Any

import datasets
import huggingface_hub
import pytest

from tuner.data.corpus import Corpus
from tuner.data.sources import hub, load_corpus
from tuner.errors import UserError
from tuner.study.data import DirectoryData, HubData, NanoData

LANGUAGES = ["en", "de", "fr", "es", "zh", "ja", "ko"]
NAME = "google-research-datasets/paws-x"
COMMIT = "4cd8187c404bda33cb1f62b49b001115862acf37"

Write = Callable[[Corpus], Path]


@pytest.fixture(scope="module")
def nano() -> Corpus:
    """Seven languages, a few rows of each, with numbers for ids as in PAWS-X."""
    whole = load_corpus(NanoData(source="nano"), LANGUAGES, LANGUAGES)
    corpus = replace(whole, rows={split: dict(whole.rows[split]) for split in whole.rows})
    for of_split in corpus.rows.values():
        for language, rows in of_split.items():
            few = enumerate(list(rows.values())[:20], start=1)
            of_split[language] = {str(id_): replace(row, id=str(id_)) for id_, row in few}
    return corpus


def asked(name: Path | str, **settings: Any) -> HubData:
    machine_translated = tuple(LANGUAGES[1:])
    given = {"source": "hub", "machine_translated": machine_translated, "name": str(name)}
    return HubData(**(given | settings))


def refused(data: HubData) -> str:
    with pytest.raises(UserError) as raised:
        load_corpus(data, ["en", "de"], ["en"])
    assert raised.value.remedy
    return str(raised.value)


def test_a_folder_in_the_layout_of_the_hub(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    corpus = load_corpus(asked(pawsx_on_the_hub(nano)), LANGUAGES, LANGUAGES)
    assert corpus.checksum == nano.checksum
    assert corpus.labels == ("0", "1") and corpus.machine_translated
    assert corpus.notes == (
        "train: 20 of 20 ids clean in all of en, de, fr, es, zh, ja, ko; dropped: none",
        "dev: 20 of 20 ids clean in all of en, de, fr, es, zh, ja, ko; dropped: none",
        "test: 20 of 20 ids clean in all of en, de, fr, es, zh, ja, ko; dropped: none",
    )


def test_one_table_of_all_languages_and_labels_with_names(tmp_path: Path) -> None:
    names = ["entailment", "neutral", "contradiction"]
    features = datasets.Features(
        {
            "premise": datasets.Value("string"),
            "hypothesis": datasets.Value("string"),
            "label": datasets.ClassLabel(names=names),
            "language": datasets.Value("string"),
        }
    )
    rows = {
        "premise": ["a", "b", "c", "d", "A", None, "C", "D", "e", "E"],
        "hypothesis": ["x", "y", "z", "u", "X", "Y", "Z", "U", "v", "V"],
        "label": [2, 0, -1, 1, 2, 0, 1, 1, 0, 0],
        "language": ["en"] * 4 + ["de"] * 4 + ["en", "de"],
    }
    with hub._quiet():
        for split in ("train", "validation"):
            table = datasets.Dataset.from_dict(rows, features=features)
            table.to_parquet(tmp_path / f"{split}.parquet")
    columns = {"id": None, "sentence1": "premise", "sentence2": "hypothesis"}
    settings: dict[str, Any] = {
        "subset": None,
        "columns": columns | {"language": "language"},
        "splits": {"test": None},
    }
    corpus = load_corpus(asked(tmp_path, **settings), ["de", "en"], ["en"])
    assert corpus.labels == tuple(names)
    dev = {lang: [row.label for row in rows.values()] for lang, rows in corpus.rows["dev"].items()}
    assert dev == {"de": [2, 1, 1, 0], "en": [2, 0, 1, 0]}
    assert not corpus.machine_translated
    assert corpus.notes[1] == (
        "dev: 3 of 5 ids clean in all of de, en; dropped: de 1 blank, en 1 no label"
    )
    other = asked(tmp_path, labels=names[::-1], **settings)
    assert load_corpus(other, ["en"], ["en"]).labels == tuple(names[::-1])


WORDS = ("None", "NA", "null", "N/A", "nan", "NaN", "n/a", "NULL", "<NA>", "#N/A")
"""Texts that `datasets` takes for missing values in CSV, if nobody tells it otherwise."""


def write_csv(folder: Path) -> None:
    """A dataset in en and de whose sentences are such words; the last is blank."""
    readme = "---\nconfigs:\n"
    for language in ("en", "de"):
        (folder / language).mkdir(parents=True)
        rows = [f"{n},{word},{language} {n},{n % 2}" for n, word in enumerate((*WORDS, ""))]
        readme += f"- config_name: {language}\n  data_files:\n"
        for split in ("train", "validation"):
            text = "\n".join(["id,sentence1,sentence2,label", *rows, ""])
            (folder / language / f"{split}.csv").write_text(text)
            readme += f"  - split: {split}\n    path: {language}/{split}.csv\n"
    (folder / "README.md").write_text(f"{readme}---\n")


def test_csv_is_read_as_it_is_written(tmp_path: Path) -> None:
    write_csv(tmp_path)
    corpus = load_corpus(asked(tmp_path, splits={"test": None}), ["en", "de"], ["en"])
    assert [row.sentence1 for row in corpus.rows["dev"]["de"].values()] == list(WORDS)
    assert corpus.labels == ("0", "1")
    assert corpus.notes[1] == (
        "dev: 10 of 11 ids clean in all of en, de; dropped: en 1 blank, de 1 blank"
    )


def test_what_is_missing_is_named(nano: Corpus, pawsx_on_the_hub: Write, tmp_path: Path) -> None:
    folder = pawsx_on_the_hub(nano)
    assert "has no subset 'x-en'\nName one of 'en', 'de'" in refused(
        asked(folder, subset="x-{language}")
    )
    several = refused(asked(folder, subset=None, columns={"language": "language"}))
    assert "has several subsets\nName one of 'en', 'de', 'fr'" in several
    assert "has no split 'dev'\nSplits there: train, validation, test." in refused(
        asked(folder, splits={"dev": "dev"})
    )
    assert "has no split 'tst'" in refused(asked(folder, splits={"test": "tst"}))
    assert "paws-x en/train has no column 'class'\nColumns there: 'id', 'sentence1'" in refused(
        asked(folder, columns={"label": "class"})
    )
    assert "data.name is not a folder" in refused(asked(tmp_path / "elsewhere"))


def test_broken_files_are_one_message(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    folder = pawsx_on_the_hub(nano)
    (folder / "en/validation-00000-of-00001.parquet").write_bytes(b"torn")
    assert "paws-x en cannot be loaded: ArrowInvalid: " in refused(asked(folder))


def test_no_script_is_run(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    folder = pawsx_on_the_hub(nano)
    (folder / "paws-x.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    assert "scripts are no longer supported" in refused(asked(folder))
    assert not (folder / "ran").exists()
    assert "trust_remote_code" not in inspect.getsource(hub)
    for loader in (datasets.load_dataset_builder, datasets.load_dataset):
        assert "trust_remote_code" not in inspect.signature(loader).parameters


def test_it_is_silent_and_leaves_libraries_as_they_were(
    nano: Corpus, pawsx_on_the_hub: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    def state() -> list[Any]:
        return [
            logging.getLogger("datasets").level,
            logging.getLogger("huggingface_hub").level,
            datasets.utils.are_progress_bars_disabled(),
            huggingface_hub.utils.are_progress_bars_disabled(),
            datasets.config.HF_HUB_OFFLINE,
            huggingface_hub.constants.HF_HUB_OFFLINE,
        ]

    for library in (datasets.utils, huggingface_hub.utils):
        library.enable_progress_bars()
    before, folder = state(), pawsx_on_the_hub(nano)
    load_corpus(asked(folder), ["en"], ["en"])
    refused(asked(folder, subset="{language}-x"))
    assert state() == before
    with hub._offline(True):
        assert huggingface_hub.is_offline_mode()
        with pytest.raises(ConnectionError):
            datasets.load_dataset_builder(NAME)
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_subsets_must_agree_on_labels(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    folder = pawsx_on_the_hub(nano)
    readme = folder / "README.md"
    head, found, tail = readme.read_text().partition("'1': '1'")
    readme.write_text(head + "'1': 'yes'" + tail)  # in the first language alone
    assert found and "has the labels 0, 1, but" in refused(asked(folder))


def test_an_id_on_the_hub_is_no_path() -> None:
    assert "data.name is not the id of a dataset on the hub: 'a/b/c'" in refused(asked("a/b/c"))


def test_real_text_in_the_layout_of_the_hub(pawsx_dir: Path, pawsx_on_the_hub: Write) -> None:
    directory = DirectoryData(source="directory", path=pawsx_dir / "parallel-split")
    official = load_corpus(directory, ["en", "ja"], ["en", "ja"])
    corpus = load_corpus(asked(pawsx_on_the_hub(official)), ["en", "ja"], ["en", "ja"])
    assert corpus.checksum == official.checksum


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
