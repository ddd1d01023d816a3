"""Data and encoders that are not what their names say, and studies' folders likewise."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

from tests.robustness.hundred.case import REPORT, Case, Make
from tests.robustness.hundred.yaml_files import keys
from tuner.data.nano import encoder_folder

HEADER = "id\tsentence1\tsentence2\tlabel\n"
ROWS = "".join(f"{n}\tone {n}\ttwo {n}\t{n % 2}\n" for n in range(20))
TRAIN = "pawsx/en/train.tsv"


def data(*makes: Make) -> Make:
    """`study.yaml` reads the folder `pawsx`, complete for en and de, on which these then act."""

    def make(place: Path) -> None:
        for language in ("en", "de"):
            folder = place / "pawsx" / language
            folder.mkdir(parents=True)
            for name in ("train" if language == "en" else "translated_train", "dev_2k", "test_2k"):
                (folder / f"{name}.tsv").write_text(HEADER + ROWS)
        languages = {"source": ["en"], "target": ["de"]}
        source = {"source": "directory", "path": "pawsx"}
        space = {"optim.lr": [1e-4, 1e-3]}
        keys(data=source, languages=languages, space=space, baseline=None)(place)
        for other in makes:
            other(place)

    return make


def encoder(*makes: Make) -> Make:
    """`study.yaml` names the folder `encoder`, a copy of nano's, on which these then act."""

    def make(place: Path) -> None:
        shutil.copytree(encoder_folder(), place / "encoder")
        keys(encoder={"name": str(place / "encoder"), "max_length": 32})(place)
        for other in makes:
            other(place)

    return make


def holds(name: str, text: bytes | str) -> Make:
    """A file holds this."""
    written = text.encode() if isinstance(text, str) else text
    return lambda place: (place / name).write_bytes(written)  # type: ignore[return-value]


def instead(name: str, kind: Make) -> Make:
    """In place of a file is something else."""

    def make(place: Path) -> None:
        path = place / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        kind(path)

    return make


def gone(name: str) -> Make:
    """A file or folder is missing."""
    return instead(name, lambda path: None)


def loop(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path)


def cut(name: str, left: int) -> Make:
    """A file ends after so many bytes."""
    return lambda place: os.truncate(place / name, left)


def config(**changes: object) -> Make:
    """The encoder's `config.json` says otherwise."""

    def make(place: Path) -> None:
        path = place / "encoder/config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return make


WEIGHTS = "encoder/model.safetensors"
DATA: Mapping[str, tuple[Make, str]] = {
    "no folder": (data(gone("pawsx")), "pawsx"),
    "a file for a folder": (data(instead("pawsx", Path.touch)), "pawsx"),
    "a folder that is a loop": (data(instead("pawsx", loop)), "pawsx"),
    "a language that is a loop": (data(instead("pawsx/en", loop)), "en"),
    "no dev set": (data(gone("pawsx/en/dev_2k.tsv")), "dev_2k"),
    "an empty file": (data(holds(TRAIN, "")), "train.tsv"),
    "a header alone": (data(holds(TRAIN, HEADER)), "train"),
    "no header": (data(holds(TRAIN, ROWS)), "train.tsv"),
    "a folder for a file": (data(instead(TRAIN, Path.mkdir)), "train.tsv"),
    "a pipe for a file": (data(instead(TRAIN, os.mkfifo)), "train.tsv"),
    "a device for a file": (data(instead(TRAIN, lambda p: p.symlink_to("/dev/zero"))), "train.tsv"),
    "Latin-1": (data(holds(TRAIN, (HEADER + "1\té\tè\t0\n").encode("latin-1"))), "train.tsv"),
    "UTF-16": (data(holds(TRAIN, (HEADER + ROWS).encode("utf-16"))), "train.tsv"),
    "null bytes": (data(holds(TRAIN, HEADER + "1\ta\0b\tc\t0\n" * 9)), "train.tsv"),
    "an archive": (data(holds(TRAIN, b"\x1f\x8b\x08\0" + os.urandom(200))), "train.tsv"),
    "a row cut short": (data(holds(TRAIN, HEADER + ROWS + "21\tone")), "train.tsv"),
    "one class alone": (data(holds(TRAIN, HEADER + ROWS.replace("\t1\n", "\t0\n"))), "label|class"),
    "an id given twice": (data(holds(TRAIN, HEADER + ROWS + ROWS)), "train"),
}
ENCODERS: Mapping[str, tuple[Make, str]] = {
    "no folder": (encoder(gone("encoder")), "encoder"),
    "an empty folder": (encoder(instead("encoder", Path.mkdir)), "encoder"),
    "a file for a folder": (encoder(instead("encoder", Path.touch)), "encoder"),
    "no config": (encoder(gone("encoder/config.json")), "config.json"),
    "an empty config": (encoder(holds("encoder/config.json", "")), "config.json"),
    "a config that is a list": (encoder(holds("encoder/config.json", "[]")), "config.json"),
    "a config that is a loop": (encoder(instead("encoder/config.json", loop)), "config.json"),
    "a config that is a folder": (encoder(instead("encoder/config.json", Path.mkdir)), "config"),
    "a model type that nobody knows": (encoder(config(model_type="x9")), "x9|model_type|encoder"),
    "layers in words": (encoder(config(num_hidden_layers="four")), "num_hidden_layers|layers"),
    "heads that do not divide": (encoder(config(num_attention_heads=7)), "encoder"),
    "another hidden size": (encoder(config(hidden_size=96)), "encoder"),
    "no weights": (encoder(gone(WEIGHTS)), "safetensors"),
    "weights cut short": (encoder(cut(WEIGHTS, 100_000)), "safetensors|encoder"),
    "weights of no bytes": (encoder(cut(WEIGHTS, 0)), "safetensors|encoder"),
    "a header that never ends": (encoder(holds(WEIGHTS, struct.pack("<Q", 2**62))), "encoder"),
    "weights that are a pickle": (encoder(holds(WEIGHTS, b"\x80\x04N.")), "encoder"),
    "weights that are a text": (encoder(holds(WEIGHTS, "version https://git-lfs\n")), "encoder"),
    "no vocabulary": (encoder(gone("encoder/vocab.txt")), "encoder|vocab|tokenizer"),
    "an empty vocabulary": (encoder(holds("encoder/vocab.txt", "")), "encoder|vocab|token"),
    "a tokenizer that is no JSON": (
        encoder(holds("encoder/tokenizer_config.json", "{")),
        "encoder|tokenizer",
    ),
}
JOURNAL = "studies/small/journal.jsonl"
STUDIES: Mapping[str, tuple[tuple[str, ...], Make, str]] = {
    "an empty journal": (("status", "small"), holds(JOURNAL, ""), "small"),
    "a journal of noise": (("report", "small"), holds(JOURNAL, os.urandom(5000)), "journal"),
    "a journal that is a folder": (("status", "small"), instead(JOURNAL, Path.mkdir), "small"),
    "a journal that is a loop": (("resume", "small"), instead(JOURNAL, loop), "small"),
    "a journal that is a pipe": (("status", "small"), instead(JOURNAL, os.mkfifo), "small"),
    "no journal": (("confirm", "small"), gone(JOURNAL), "small"),
    "a study that is a file": (("report", "small"), instead("studies/small", Path.touch), "small"),
    "a study that is a loop": (
        ("export", "small", "--to", "x"),
        instead("studies/small", loop),
        "",
    ),
    "a table that is a folder": (
        ("report", "small"),
        lambda place: (place / "studies/small/leaderboard.csv").mkdir(),
        "leaderboard.csv",
    ),
    "figures that are a file": (
        ("report", "small"),
        lambda place: (place / "studies/small/figures").touch(),
        "figures",
    ),
}


LATE = ("a header alone", "one class alone")
"""Mistakes that only the whole of the data shows, which a plan does not read."""


def _cases() -> list[Case]:
    found = [  # what the others begin with is sound
        Case("data: sound: plan", ("plan", "study.yaml"), 0, "pawsx|en", data()),
        Case("encoder: sound: plan", ("plan", "study.yaml"), 0, "encoder", encoder()),
        Case("study: sound: report", ("report", "small"), 0, "small", keeps=REPORT),
    ]
    for turn, (name, (make, told)) in enumerate(DATA.items()):
        command = "train" if turn % 2 or name in LATE else "plan"
        found.append(Case(f"data: {name}: {command}", (command, "study.yaml"), 2, told, make))
    for turn, (name, (make, told)) in enumerate(ENCODERS.items()):
        command = ("train", "plan")[turn % 2]
        found.append(Case(f"encoder: {name}: {command}", (command, "study.yaml"), 2, told, make))
    for name, (arguments, make, told) in STUDIES.items():
        keeps = ("studies/small/leaderboard.csv",) if arguments[0] == "report" else ()
        found.append(Case(f"study: {name}: {arguments[0]}", arguments, 2, told, make, keeps=keeps))
    return found


CASES = _cases()
