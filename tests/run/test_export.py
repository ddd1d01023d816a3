"""A trial taken out of a study: loaded by transformers it computes what it did in the study."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from tuner.errors import UserError
from tuner.journal.events import StudyCreated, TrialPlaced
from tuner.journal.journal import Journal, read_history
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.packing import PaddedPairs
from tuner.model.shape import describe_encoder
from tuner.run.export import CLASSIFIER, _chosen, export
from tuner.run.prepare import prepare
from tuner.run.trial_files import TrialFiles
from tuner.search.driver import Driver
from tuner.study import StudyConfig
from tuner.study.file import load_study
from tuner.study.parts import EncoderConfig
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.trial import TrialConfig
from tuner.terminal.progress import ConsoleProgress
from tuner.training.checkpoint import Checkpoints
from tuner.training.inputs import TrialInputs
from tuner.training.loop import train

pytestmark = pytest.mark.integration
QUIET = ConsoleProgress(Console(quiet=True))
SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, TrialInputs]:
    """A study of one short trial, trained here; its weights were kept."""
    settings = {
        "name": "done",
        "storage": tmp_path_factory.mktemp("studies"),
        "budget.trials": 1,
        "budget.pairs_per_trial": 640,
        "scheduler.kind": "none",
        "space": "{}",
        "trial": "{fusion.kind: dlfa, fusion.layer: 1, optim.lr: 1.0e-3, precision: fp32}",
        "baseline": "null",
    }
    study = load_study(SMOKE, [f"{name}={value}" for name, value in settings.items()])
    prepared = prepare(study, QUIET)
    created = StudyCreated(
        time=time.time(),
        name=study.name,
        id="abc",
        settings=study.model_dump(mode="json"),
        facts=prepared.facts,
        rungs=study.rungs,
    )
    files = TrialFiles(study)
    with Journal.create(study.folder, created) as journal:
        driver = Driver(study, journal, [files])
        driver.start()
        trial = driver.next_trial()
        assert trial is not None
        driver.trial_started(trial.number)
        driver.note(TrialPlaced(time=time.time(), number=trial.number, nodes=("here",)))
        saved = Checkpoints(study.trial_folder(trial.number), 60.0)
        cpu = torch.device("cpu")
        for event in train(trial.config, study.rungs, prepared.inputs, cpu, saved):
            if isinstance(event, Evaluation):
                driver.evaluated(trial.number, event)
        driver.finish()
    assert files.close() == []
    return study, prepared.inputs


def test_what_is_exported_computes_what_was_trained(
    done: tuple[StudyConfig, TrialInputs], tmp_path: Path
) -> None:
    """By transformers alone but for fusion and head; with the ids of the whole vocabulary."""
    study, inputs = done
    exported = export(study.folder, None, tmp_path / "out", QUIET)

    assert exported.trial == 0 and exported.folder == tmp_path / "out"
    facts = json.loads((tmp_path / "out" / "trial.json").read_text())
    config = TrialConfig.model_validate(facts["config"])
    trained = PairClassifier(inputs.encoder, config.fusion, config.head)
    trained.load_state_dict(load_file(study.folder / "best" / "0000" / "model.safetensors"))
    dev = inputs.corpus
    rows = dev.rows("dev", ["en", "es"])[:8]
    pairs = dev.assemble("dev", rows, np.full_like(rows, 0), np.full_like(rows, 2))
    mask, types = torch.from_numpy(pairs.attention_mask), torch.from_numpy(pairs.token_type_ids)
    block = PaddedPairs(torch.from_numpy(pairs.input_ids), mask, types)
    logits = trained.eval()([block])

    encoder = AutoModel.from_pretrained(tmp_path / "out").eval()
    kept = inputs.encoder.kept_tokens
    assert kept is not None and len(kept) < encoder.config.vocab_size
    ids = torch.from_numpy(kept[pairs.input_ids])
    output = encoder(ids, mask, types, output_hidden_states=True)
    own = {n: w for n, w in trained.state_dict().items() if n.startswith(("fusion.", "head."))}
    others = load_file(tmp_path / "out" / CLASSIFIER)
    assert others.keys() == own.keys()
    assert all(torch.equal(others[name], weight) for name, weight in own.items())
    fused = trained.fusion(output.last_hidden_state, output.hidden_states[1], mask)
    torch.testing.assert_close(trained.head(encoder.pooler(fused)), logits, rtol=0, atol=1e-5)
    assert logits.std() > 0.01

    before = load_encoder(study.encoder)
    table = encoder.get_input_embeddings().weight
    unread = np.setdiff1d(np.arange(len(table)), kept)
    assert torch.equal(table[unread], torch.tensor(before.weights[before.embedding][unread]))
    tokens = AutoTokenizer.from_pretrained(tmp_path / "out")("a b", "c")["input_ids"]
    assert tokens == load_tokenizer(study.encoder)("a b", "c")["input_ids"]


def test_a_study_can_start_from_it(done: tuple[StudyConfig, TrialInputs], tmp_path: Path) -> None:
    study, _ = done
    export(study.folder, 0, tmp_path / "out", QUIET)
    again = EncoderConfig(name=str(tmp_path / "out"), max_length=32)
    assert describe_encoder(again) == load_encoder(again).shape == load_encoder(study.encoder).shape
    assert load_encoder(again).checksum != load_encoder(study.encoder).checksum


def test_it_is_zero_shot_for_no_language_that_it_was_fine_tuned_on(
    done: tuple[StudyConfig, TrialInputs], tmp_path: Path
) -> None:
    """Not by another study, nor by one that starts from what that one exports."""
    study, inputs = done
    assert inputs.protocol.claim.startswith("zero-shot for es, ja;")
    export(study.folder, 0, tmp_path / "out", QUIET)
    languages = LanguagesConfig(source=("en",), target=("de", "fr", "ja"))
    encoder = EncoderConfig(name=str(tmp_path / "out"), max_length=32)
    changed = {"languages": languages, "protocol": ProtocolConfig(), "encoder": encoder}
    other = study.model_copy(update=changed)
    found = prepare(other, QUIET)
    assert found.inputs.protocol.zero_shot == ("fr", "ja")
    assert found.facts.claim == (
        "zero-shot for fr, ja; the encoder was fine-tuned on de before: never zero-shot; "
        "trained on en (machine-translated: no)"
    )
    assert found.inputs.encoder.seen == ("de", "en")


def test_the_example_of_the_docs_classifies_as_the_trial_did(
    done: tuple[StudyConfig, TrialInputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own sentences: the model that it loads is the trained one, weight by weight."""
    study, inputs = done
    export(study.folder, 0, tmp_path / "nano-best", QUIET)
    monkeypatch.chdir(tmp_path)
    text = (SMOKE.parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.partition("```python")[2].partition("```")[0], names)
    assert names["logits"].shape == (2, 2)
    trained = load_file(study.folder / "best" / "0000" / "model.safetensors")
    kept = inputs.encoder.kept_tokens
    for name, weight in names["model"].state_dict().items():
        rows = kept if name.endswith("word_embeddings.weight") else slice(None)
        assert torch.equal(weight[rows], trained[name]), name


def test_others_may_read_it(done: tuple[StudyConfig, TrialInputs], tmp_path: Path) -> None:
    export(done[0].folder, 0, tmp_path / "out", QUIET)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "out").iterdir()} == {"0o644"}


def test_what_cannot_be_exported_is_told(
    done: tuple[StudyConfig, TrialInputs], tmp_path: Path
) -> None:
    study, _ = done
    with pytest.raises(UserError, match="there is no trial 007"):
        export(study.folder, 7, tmp_path / "out", QUIET)
    record = read_history(study.folder).record()
    another = record.trials[0].model_copy(update={"number": 1})
    two = record.model_copy(update={"trials": (*record.trials, another)})
    with pytest.raises(UserError, match=r"trial 001 were not kept\n.*Kept: 000"):
        _chosen(study, two, 1)
    with pytest.raises(UserError, match="already exists"):
        export(study.folder, 0, tmp_path, QUIET)
    copied = tmp_path / "done"
    shutil.copytree(study.folder, copied)
    weights = copied / "best" / "0000" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="is damaged: its checksum"):
        export(copied, 0, tmp_path / "out", QUIET)
    shutil.rmtree(copied / "best")
    with pytest.raises(UserError, match="the weights of any trial"):
        export(copied, None, tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()
