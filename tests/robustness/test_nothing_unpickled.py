"""Nothing in a study's folder, or in an encoder's, is ever unpickled: that would run it."""

from __future__ import annotations

import ast
import pickle  # noqa: TID251
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tests.robustness.commands import tuner
from tests.robustness.conftest import NAME, copied
from tests.robustness.examples import LOOKS, go_on
from tuner.data import nano
from tuner.errors import UserError
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.shape import describe_encoder
from tuner.study.parts import EncoderConfig
from tuner.training.checkpoint import Checkpoints, sums_in

PACKAGE = Path(__file__).parents[2] / "tuner"
READS_OF_RAY = {"run/worker_errors.py"}
"""Reads what Ray has just written to the scratch folder of the very same run."""


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[type[Path.touch], tuple[Path]]:  # type: ignore[valid-type]
        return Path.touch, (self._canary,)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def bombs(canary: Path, scratch: Path) -> list[bytes]:
    """A pickle, and one as torch saves it."""
    torch.save({"weight": Bomb(canary)}, scratch)  # noqa: TID251
    return [pickle.dumps(Bomb(canary)), scratch.read_bytes()]


def test_the_bomb_goes_off(canary: Path, tmp_path: Path) -> None:
    """The bomb has to go off, because the other tests would prove nothing otherwise."""
    plain, saved = bombs(canary, tmp_path / "scratch")
    pickle.loads(plain)
    assert canary.exists()
    canary.unlink()
    (tmp_path / "bomb").write_bytes(saved)
    torch.load(tmp_path / "bomb", weights_only=False)  # noqa: TID251
    assert canary.exists()


JOURNALS = ["journal.jsonl", "journal/000000000000.json"]
PLANTED = [
    *JOURNALS,
    "drivers/000001.json",
    "tuner.pkl",
    "searcher-state.pkl",
    "experiment_state.json",
    "trials/0007/step-000000003/manifest.json",
    "trials/0007/step-000000003/progress.json",
    "trials/0007/step-000000003/model.safetensors",
    "trials/0007/step-000000003/optimizer.safetensors",
    "trials/0007/step-000000004/model.safetensors",
    "trials/0007/.tune_metadata",
    "trials/0007/pytorch_model.bin",
    "trials/0000/step-000000112/model.safetensors",
    "best/0000/model.safetensors",
    "best/0000/trial.json",
]


@pytest.mark.parametrize("name", PLANTED)
def test_of_a_study(name: str, sound: Path, canary: Path, tmp_path: Path) -> None:
    for bomb in bombs(canary, tmp_path / "scratch"):
        with copied(sound) as folder:
            if name.startswith("journal/"):
                (folder / "journal.jsonl").unlink()
            path = folder / name
            plant(path, bomb)
            tuner("status", NAME)
            with suppress(UserError, ValueError, FileNotFoundError):
                sums_in(path.parent)
            with suppress(UserError):
                Checkpoints(folder / "trials" / "0007", 60.0).latest("mine")
            with suppress(UserError):
                go_on(folder)
    assert not canary.exists()


@pytest.mark.parametrize("journal", [*JOURNALS, ""])
def test_of_a_study_that_is_shown(journal: str, sound: Path, canary: Path, tmp_path: Path) -> None:
    """By every command that shows one: in a journal's place, or in all others at once."""
    for bomb in bombs(canary, tmp_path / "scratch"):
        with copied(sound) as folder:
            for name in [journal] if journal else PLANTED:
                if name == journal or name not in JOURNALS:
                    plant(folder / name, bomb)
            if journal.startswith("journal/"):
                (folder / "journal.jsonl").unlink()
            for arguments in LOOKS:
                tuner(*arguments)
    assert not canary.exists()


def plant(path: Path, bomb: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bomb)


OF_AN_ENCODER = ["pytorch_model.bin", "model.safetensors", "config.json", "tokenizer.json"]
OF_AN_ENCODER += ["vocab.txt", "training_args.bin", "tokenizer.pkl", "modeling_nano.py"]


@pytest.mark.parametrize("name", OF_AN_ENCODER)
def test_of_an_encoder(name: str, canary: Path, tmp_path: Path) -> None:
    """In the place of a file, or beside them; whatever is told, it is a message."""
    for bomb in bombs(canary, tmp_path / "scratch"):
        folder = tmp_path / "encoder"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(nano.encoder_folder(), folder)
        if name == "pytorch_model.bin":
            (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(bomb)
        if name.endswith(".py"):
            (folder / name).write_text(f"open({str(canary)!r}, 'w')")
        encoder = EncoderConfig(name=str(folder), max_length=32)
        for read in (describe_encoder, load_encoder, load_tokenizer):
            with suppress(UserError):
                read(encoder)
    assert not canary.exists()


UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"torch.load", "numpy.load", "np.load", "pandas.read_pickle", "yaml.unsafe_load", "eval"}
CALLS |= {"yaml.full_load", "exec", "compile", "__import__"}


def test_no_module_can() -> None:
    """Imports and calls that run what they read; YAML is loaded by one loader, a safe one."""
    found: set[str] = set()
    loaders: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    imported = {alias.name.partition(".")[0] for alias in names}
                case ast.ImportFrom(module=source, names=names):
                    imported = {(source or "").partition(".")[0], *(alias.name for alias in names)}
                case ast.Call(func=function) if ast.unparse(function) in CALLS:
                    imported = {ast.unparse(function)}
                    assert not imported & CALLS, (module, node.lineno, imported)
                case ast.keyword(arg="allow_pickle" | "trust_remote_code" as option, value=value):
                    assert ast.unparse(value) == "False", (module, option)
                    continue
                case ast.ClassDef(bases=bases) if any("Loader" in ast.unparse(b) for b in bases):
                    loaders |= {ast.unparse(base) for base in bases}
                    continue
                case _:
                    continue
            if imported & UNSAFE:
                found.add(module)
    assert found == READS_OF_RAY
    assert loaders == {"yaml.SafeLoader"}
