"""A wrong input is told in the same words by every command, before anything heavy is loaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.robustness.changes import ENCODER, both, configured, file, moved, pipe
from tests.robustness.commands import tree
from tuner.data import nano

pytestmark = pytest.mark.integration

COMMANDS: dict[str, list[str]] = {
    "search": [],
    "plan": [],
    "train": [],
    "submit": ["--address", "http://127.0.0.1:9"],
    "doctor": [],
}
LANGUAGES = ("en", "de", "es")
STUDY = """
name: mine
storage: {folder}/studies
data:
  source: files
  train: data/{{language}}/train.tsv
  dev: data/{{language}}/dev.tsv
  machine_translated: []
encoder: {{name: ./models/nano, max_length: 32}}
languages: {{source: [en, de], target: [es]}}
budget: {{trials: 4, pairs_per_trial: 960}}
scheduler: {{kind: none}}
sampler: {{kind: random}}
space: {{optim.lr: [1.0e-4, 1.0e-3]}}
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str
    loaded: str


Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        "HOME": str(home),
        "HF_HOME": str(home / "hub"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "1000",
    }
    command = [sys.executable, "-m", "tests.robustness.fork"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def run(folder: Path, *arguments: str) -> Said:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps([str(folder), arguments]) + "\n")
            process.stdin.flush()
            return Said(*json.loads(process.stdout.readline()))

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs in files, and an encoder in a folder."""
    folder = tmp_path_factory.mktemp("right")
    shutil.copytree(nano.encoder_folder(), folder / "models" / "nano")
    for language in LANGUAGES:
        (folder / "data" / language).mkdir(parents=True)
        for split in ("train", "dev"):
            rows = nano.rows(language, "dev")[:40]
            lines = [f"{row.id}\t{row.sentence1}\t{row.sentence2}\t{row.label}" for row in rows]
            text = "\n".join(["id\tsentence1\tsentence2\tlabel", *lines])
            (folder / "data" / language / f"{split}.tsv").write_text(text)
    return folder


@pytest.fixture
def folder(right: Path, tmp_path: Path) -> Path:
    """A study of them that is right, which a test may break."""
    shutil.copytree(right, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine.yaml").write_text(STUDY.format(folder=tmp_path))
    return tmp_path


WEIGHTS, CONFIG = f"{ENCODER}/model.safetensors", f"{ENCODER}/config.json"
DEV = "data/en/dev.tsv"
ELSEWHERE = json.dumps({"weight_map": {"a": "../../secret.safetensors"}})
FUSED = ("trial.fusion.kind=dlfa", "trial.fusion.layer=1")
NO_CHANGE = both()

WRONG: dict[str, tuple[Callable[[Path], None], tuple[str, ...], str]] = {
    "data is not there": (NO_CHANGE, ("data.train=nowhere/{language}.tsv",), "nowhere"),
    "a file of dev is missing": (file(DEV, None), (), "en/dev.tsv"),
    "a language is not there": (NO_CHANGE, ("languages.target=[fr]",), "fr"),
    "a column is misnamed": (NO_CHANGE, ("data.columns.label=klass",), "klass"),
    "a file is empty": (file(DEV, ""), (), "dev.tsv"),
    "a file is not text": (file(DEV, b"id\xff\xfe"), (), "dev.tsv"),
    "a row is short": (file(DEV, "id\tsentence1\tsentence2\tlabel\n1\ta\tb"), (), "line 2"),
    "a label is unknown": (
        NO_CHANGE,
        ("data.labels=['2', '3']",),
        "label",
    ),
    "a file is a pipe": (pipe(DEV), (), "dev.tsv"),
    "nano lacks a language": (
        NO_CHANGE,
        ("data={source: nano}", "languages.target=[xx]"),
        "nano has no language xx",
    ),
    "PAWS-X's folder is not there": (
        NO_CHANGE,
        ("data={source: directory, path: nowhere}",),
        "nowhere",
    ),
    "a key is unknown": (NO_CHANGE, ("encoder.nmae=nano",), "nmae"),
    "the encoder's folder is not there": (NO_CHANGE, ("encoder.name=./models/nanoo",), "nanoo"),
    "a hub id is a misspelt folder": (
        NO_CHANGE,
        ("encoder.name=models/nanoo",),
        "did you mean the folder models/nano?",
    ),
    "no configuration": (file(CONFIG, None), (), "no config.json"),
    "the configuration is not JSON": (file(CONFIG, "{"), (), "not JSON"),
    "the configuration is a pipe": (pipe(CONFIG), (), "a pipe or a device"),
    "a key is given twice": (file(CONFIG, '{"a": 1, "a": 2}'), (), "given twice"),
    "the configuration is too deep": (file(CONFIG, "[" * 200_000), (), "nested too deep"),
    "the configuration is huge": (file(CONFIG, b" " * 2**25), (), "MB, more than"),
    "half a character": (file(CONFIG, '{"a": "\\ud800"}'), (), "half a character"),
    "no layers": (configured(num_hidden_layers=0), (), "num_hidden_layers"),
    "too many layers": (configured(num_hidden_layers=40), (), "says 40 layers"),
    "seen languages of another type": (configured(seen_languages=7), (), "seen_languages"),
    "an encoder-decoder": (configured(is_encoder_decoder=True), (), "it has a decoder"),
    "a decoder": (configured(is_decoder=True), (), '("is_decoder": true in its config.json)'),
    "it generates text": (
        configured(architectures=["LlamaForCausalLM"]),
        (),
        "LlamaForCausalLM generates text",
    ),
    "quantised": (
        configured(quantization_config={"quant_method": "bitsandbytes"}),
        (),
        "quantised by bitsandbytes",
    ),
    "code of its own": (
        configured(model_type="mine", auto_map={"AutoModel": "mine.Model"}),
        (),
        "code that comes with it",
    ),
    "weights in pickle": (moved(WEIGHTS, f"{ENCODER}/pytorch_model.bin"), (), "in pickle"),
    "weights broken off": (file(WEIGHTS, b"\x10\0\0\0\0\0\0\0{}"), (), "is not whole"),
    "a pointer of Git LFS": (file(WEIGHTS, "version https://git-lfs.github.com"), (), "Git LFS"),
    "an index leads outside": (
        both(file(WEIGHTS, None), file(f"{WEIGHTS}.index.json", ELSEWHERE)),
        (),
        "'../../secret.safetensors'",
    ),
    "an adapter alone": (
        both(file(WEIGHTS, None), file(f"{ENCODER}/adapter_config.json", "{}")),
        (),
        "only an adapter (PEFT)",
    ),
    "a model of sentence-transformers": (
        both(
            moved(CONFIG, f"{ENCODER}/0_Transformer/config.json"),
            file(f"{ENCODER}/modules.json", "[]"),
        ),
        (),
        "keeps its encoder in 0_Transformer",
    ),
    "no tokenizer": (file(f"{ENCODER}/vocab.txt", None), (), "has none of tokenizer.json"),
    "another vocabulary": (file(f"{ENCODER}/vocab.txt", "a\nb\n"), (), "has 2 entries"),
    "a layer that is not there": (
        NO_CHANGE,
        ("trial.fusion.kind=sum", "trial.fusion.layer=4"),
        "fusion.layer must be 0 ... 3",
    ),
    "pairs that are too long": (NO_CHANGE, ("encoder.max_length=33",), "must be at most 32"),
    "no channel is left": (NO_CHANGE, (*FUSED, "trial.fusion.reduction=65"), "at most the encoder"),
}


def told_by(said: Said, command: str) -> tuple[str, str]:
    """The problem and the remedy, as a command says them."""
    if command == "doctor" and said.code != 2:
        lines = said.out.splitlines()
        failed = next(at for at, line in enumerate(lines) if line.startswith("fail  "))
        return lines[failed][21:], lines[failed + 1].strip().removeprefix("→ ")
    problem, _, remedy = said.err.partition("error: ")[2].strip().rpartition("\n")
    return problem, remedy


@pytest.mark.parametrize("wrong", WRONG)
def test_all_say_the_same_and_load_nothing(wrong: str, folder: Path, ask: Ask) -> None:
    change, overrides, words = WRONG[wrong]
    change(folder)
    before = tree(folder)
    options = [word for override in overrides for word in ("--set", override)]
    told = {}
    for command, more in COMMANDS.items():
        said = ask(folder, command, "mine.yaml", *options, *more)
        assert "Traceback" not in said.err, said.err
        if command != "doctor":  # which goes on to the machine
            assert (said.code, said.loaded) == (2, ""), (command, said)
        told[command] = told_by(said, command)
        assert tree(folder) == before, f"{command} wrote something"
    problem, remedy = told["search"]
    assert words in problem and remedy
    assert told == dict.fromkeys(COMMANDS, (problem, remedy))


def test_what_is_right_goes_on_to_load_torch_or_to_ask_the_cluster(folder: Path, ask: Ask) -> None:
    """So that the test above would see a check that came too late."""
    loaded = {}
    for command in ("search", "train", "doctor"):
        said = ask(folder, command, "mine.yaml")
        assert (said.code, said.err) == (97, ""), said
        loaded[command] = said.loaded
    assert loaded["search"].partition(".")[0] in ("ray", "torch", "mlflow")
    assert loaded["train"].partition(".")[0] == "torch"
    assert ask(folder, "plan", "mine.yaml").code == 0
    submitted = ask(folder, "submit", "mine.yaml", "--address", "http://127.0.0.1:9")
    assert submitted.code == 2 and "127.0.0.1:9" in submitted.err


@pytest.mark.parametrize("command", ["search", "doctor"])
def test_a_gpu_that_this_machine_lacks(command: str, folder: Path, ask: Ask) -> None:
    said = ask(folder, command, "mine.yaml", "--set", "resources.gpus_per_trial=1")
    problem, remedy = told_by(said, command)
    assert problem.endswith("CPU, 0 GPU)") and "1 GPU on one node" in problem
    assert remedy.startswith("Lower it: --set resources.gpus_per_trial=0")
