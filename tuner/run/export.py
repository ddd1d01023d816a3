"""The export of a trial's model to a folder that transformers and other studies can load.

`model.safetensors`, `config.json` and the tokenizer are the fine-tuned encoder in Hugging Face's
format, with its whole vocabulary: rows of tokens that the corpus never held are as pre-trained.
Fusion and head, which transformers does not know, are in a file beside them, and so are the facts
about the trial.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.journal import read_history
from tuner.journal.records import StudyRecord
from tuner.model.configuration import SEEN_LANGUAGES
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.vocabulary import restored
from tuner.progress import Progress
from tuner.run.trial_files import TRIAL, kept_weights, staying
from tuner.storage.folders import Place, names_in, written
from tuner.study import StudyConfig
from tuner.study.design import ScalingDesign
from tuner.study.file import reopened_study
from tuner.study.protocol import EvaluationProtocol
from tuner.training.checkpoint import MODEL

CLASSIFIER = "classifier.safetensors"
"""The file with the weights of fusion and head, under their names in `PairClassifier`."""


@dataclass(frozen=True)
class Exported:
    """An exported model: its trial, score, objective and folder."""

    trial: int
    score: float
    objective: str
    folder: Path


def export(folder: Place, number: int | None, to: Path, progress: Progress) -> Exported:
    """Write a trial's model to a new folder.

    Args:
        folder: the study's folder.
        number: number of a trial whose weights were kept; None for the best of those.
        to: the new folder.
        progress: shows what is being done.

    Raises:
        UserError: no such weights were kept, they are damaged, the encoder has changed since, or
            the new folder exists already.
    """
    record = read_history(folder).record()
    study = reopened_study(record.settings, folder)
    if to.exists():
        raise UserError(f"{to} already exists", "Name a new folder: --to FOLDER")
    chosen = _chosen(study, record, number)
    source = folder / "best" / study.trial_folder(chosen).name
    with progress.task("loading the encoder"):
        encoder = load_encoder(study.encoder)
        tokenizer = load_tokenizer(study.encoder)
    try:
        facts, weights = kept_weights(source)
    except UserError as error:
        raise UserError(error.problem, "Export another trial: --trial N") from error
    if facts["encoder"]["checksum"] != encoder.checksum:
        raise UserError(
            f"the encoder {study.encoder.name!r} has changed since the study began",
            "Restore it: the weights that were not trained come from it.",
        )
    whole = restored(weights, encoder)
    own = {n.removeprefix("encoder."): w for n, w in whole.items() if n.startswith("encoder.")}
    own |= {n: w for n, w in whole.items() if n.startswith("pooler.")}
    others = {n: w for n, w in whole.items() if n.startswith(("fusion.", "head."))}
    assert own.keys() == encoder.weights.keys() and len(own) + len(others) == len(whole)
    protocol = EvaluationProtocol.of(study.languages, study.protocol, machine_translated=False)
    seen = sorted({*protocol.seen, *encoder.seen})
    with progress.task(f"writing {to}"), written(to, last="config.json") as target:
        save_file(own, target / MODEL, {"format": "pt"})  # transformers requires this metadata
        tokenizer.save_pretrained(target)
        save_file(others, target / CLASSIFIER)
        (target / TRIAL).write_text(json.dumps(facts, indent=2), encoding="utf-8")
        config = {
            **encoder.config,
            SEEN_LANGUAGES: seen,
        }  # it is no longer zero-shot for these languages
        (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        for path in target.iterdir():
            path.chmod(0o644)  # safetensors makes its files readable by their owner alone
    return Exported(chosen, facts["score"], facts["objective"], to)


def _chosen(study: StudyConfig, record: StudyRecord, number: int | None) -> int:
    folder = study.folder
    trials = [trial.number for trial in record.trials]
    kept = [int(name) for name in names_in(folder / "best") if name.isdigit()]
    best_first = [trial.number for trial in staying(record, len(record.trials))]
    best = next((trial for trial in best_first if trial in kept), None)
    if best is None and isinstance(study.design, ScalingDesign):
        raise UserError(
            f"{record.name} keeps no weights: a scaling study compares configurations over seeds "
            "and does not choose a best trial",
            "To export a configuration, make it the baseline of a search with budget.trials: 1.",
        )
    if best is None:
        raise UserError(
            f"{folder} does not hold the weights of any trial",
            "A study keeps those of its best trials at the full budget (checkpoint.keep_best); "
            f"continue it: {command('resume', folder)}",
        )
    if number is not None and number not in trials:
        raise UserError(
            f"there is no trial {number:03d} in {folder}",
            f"List its trials: {command('report', folder)}",
        )
    if number is not None and number not in kept:
        raise UserError(
            f"the weights of trial {number:03d} were not kept",
            f"Kept: {', '.join(f'{trial:03d}' for trial in sorted(kept))} (checkpoint.keep_best).",
        )
    return best if number is None else number
