"""Preparation, done by the driver before any trial: data, tokens, encoder, protocol and checks.

The driver then sends arrays to the trials; nothing here runs on a worker.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import numpy as np

from tuner import __version__
from tuner.data.agreement import Agreement
from tuner.data.corpus import Corpus
from tuner.data.evaluable import evaluable
from tuner.data.overlap import Overlap, without_shared
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.data.tokens import TokenisedCorpus
from tuner.errors import UserError
from tuner.journal.arrays import ints_as_text
from tuner.journal.facts import DataFacts, EncoderFacts, Environment, StudyFacts
from tuner.model.encoder import PretrainedEncoder, load_encoder, load_tokenizer
from tuner.model.one_language import (
    assumed_codes,
    check_one_language,
    language_numbers,
    takes_one_language,
)
from tuner.model.probe import cached_probe
from tuner.model.shape import check_fits
from tuner.model.vocabulary import cut
from tuner.progress import Progress
from tuner.study import StudyConfig
from tuner.study.criteria import Part
from tuner.study.parts import NANO
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import CROSSED, Objective, trained_on
from tuner.training.inputs import TrialInputs
from tuner.version import commit

PACKAGES = ("ray", "torch", "transformers", "datasets", "optuna", "mlflow", "numpy")


@dataclass(frozen=True)
class Prepared:
    """A study that is ready to run: the inputs of its trials, and the facts about them.

    Attributes:
        inputs: the inputs of trials, with the pairs of train and dev, for everything that trains or
            chooses.
        test: the pairs of test alone, for `tuner.run.testing`.
        facts: the facts for the journal.
    """

    inputs: TrialInputs
    test: TokenisedCorpus
    facts: StudyFacts


def prepare(study: StudyConfig, progress: Progress, recorded: StudyFacts | None = None) -> Prepared:
    """Load and check the data and the encoder, and tokenise the data.

    Args:
        study: the study's settings.
        progress: receives one line for each thing that was found, dropped or assumed.
        recorded: the facts of a study that has begun. Data and encoder must be the same, and it
            goes on with the criteria that it began with.

    Raises:
        UserError: the data or the encoder is missing or broken, or does not fit the settings.
    """
    with progress.task(f"loading the encoder {study.encoder.name}"):
        encoder = load_encoder(study.encoder)
    progress.tell(
        f"encoder {encoder.name}: {encoder.num_layers} layers, hidden size {encoder.hidden_size}, "
        f"{encoder.shape.parameters / 1e6:.1f} M parameters"
    )
    check_fits(study, encoder.shape)
    check_one_language(encoder.config, study)
    train = trained_on(study.languages, study.protocol)
    with progress.task("reading the corpus", "tables") as advance:
        corpus = load_corpus(study.data, study.all_languages, train, advance)
    with progress.task("comparing the sentences of its languages and splits"):
        overlap = Overlap.of(corpus)
        agreement = Agreement.of(overlap)
        agreement.check()
        if study.protocol.strict_overlap:
            corpus = without_shared(corpus, overlap)
            overlap = Overlap.of(corpus)
            agreement = Agreement.of(overlap)
    protocol = EvaluationProtocol.of(
        study.languages,
        study.protocol,
        corpus.machine_translated,
        encoder.seen,
        tuple(filter(None, (agreement.test_in_training, _fine_tuned(encoder)))),
        classes=len(corpus.labels),
        recorded=_criteria(study, encoder, corpus) if recorded is None else recorded.criteria,
    )
    for note in (*corpus.notes, *overlap.notes):
        progress.tell(note)
    with progress.task("tokenising", "sentences") as advance:
        tokenizer = load_tokenizer(study.encoder)
        tokens = tokenise(corpus, tokenizer, study.encoder.max_length, advance)
    for note in tokens.truncation:
        progress.tell(note)
    tokens = _as_encoder_takes_them(tokens, encoder, progress)
    whole, whole_tokens = encoder, tokens
    encoder, tokens = cut(whole, whole_tokens)
    with progress.task("trying the encoder on a few pairs"):
        verdict = cached_probe(study.encoder, whole, whole_tokens, encoder, tokens, train)
    verdict.check(study)
    progress.tell(
        f"the corpus holds {tokens.vocabulary_size:,} of the encoder's "
        f"{len(whole.weights[whole.embedding]):,} tokens: "
        f"trials have {encoder.shape.parameters / 1e6:.1f} M parameters"
    )
    shared = len(tokens.rows("train", train))
    if shared == 0:
        raise UserError(
            f"no training pair is clean in all of {', '.join(train)}",
            "Train on fewer source languages, or repair the files.",
        )
    progress.tell(f"training on {shared:,} pairs that are clean in all of {', '.join(train)}")
    progress.tell(protocol.claim)
    facts = StudyFacts(
        claim=protocol.claim,
        objective=protocol.objective.in_words,
        majority_accuracy=_majority_accuracy(tokens, protocol),
        criteria=tuple(protocol.criteria),
        data=DataFacts(
            source=study.data.source,
            checksum=corpus.checksum,
            splits={split: corpus.checksum_of(split) for split in corpus.rows},
            test_items=corpus.items_of("test"),
            languages=corpus.languages,
            labels=corpus.labels,
            dev_classes=ints_as_text(tokens.splits["dev"].labels),
            counts=_counts(corpus),
            training_pairs=shared,
            machine_translated=corpus.machine_translated,
            truncated=tokens.truncated(),
            notes=(*corpus.notes, *tokens.truncation),
        ),
        overlap=overlap.facts,
        encoder=EncoderFacts(
            name=encoder.name,
            revision=study.encoder.revision,
            checksum=encoder.checksum,
            layers=encoder.num_layers,
            hidden_size=encoder.hidden_size,
            pooler=encoder.has_pooler,
            seen=encoder.seen,
        ),
        environment=environment(),
    )
    if recorded is not None:
        check_unchanged(recorded, facts)
    chosen_by, test = tokens.parted()
    return Prepared(TrialInputs(protocol, chosen_by, encoder), test, facts)


def _criteria(
    study: StudyConfig, encoder: PretrainedEncoder, corpus: Corpus
) -> tuple[Objective, ...]:
    """Return the criteria that a new study evaluates: those that its encoder and data allow."""
    protocol = EvaluationProtocol.of(
        study.languages, study.protocol, corpus.machine_translated, classes=len(corpus.labels)
    )
    found = evaluable(corpus, protocol.criteria, study.protocol.objective)
    one_language = takes_one_language(encoder.config, encoder.name)
    return tuple(name for name in found if not (one_language and name in CROSSED))


def _fine_tuned(encoder: PretrainedEncoder) -> str:
    """Return in words that an encoder was fine-tuned on what is not known; "" if it was not."""
    if not encoder.task_head or encoder.seen:
        return ""
    return f"the encoder has a task head ({encoder.task_head}): it was fine-tuned on unknown data"


def environment() -> Environment:
    """Return versions, the platform and, if it is known, the commit of this tool."""
    known = commit()
    return Environment.model_validate(
        {
            "tuner": __version__,
            **({"commit": known} if known else {}),
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{package: version(package) for package in PACKAGES},
        }
    )


def check_unchanged(recorded: StudyFacts, found: StudyFacts) -> None:
    """Refuse to go on with a study whose data or encoder differ from those it began with.

    Raises:
        UserError: the checksum of the data or the encoder has changed.
    """
    for part, was, now, hint in (
        ("data", recorded.data.checksum, found.data.checksum, ""),
        ("encoder", recorded.encoder.checksum, found.encoder.checksum, _kept_relative(recorded)),
    ):
        if was != now:
            raise UserError(
                f"the {part} has changed since the study began "
                f"(checksum {was[:12]}, now {now[:12]})",
                f"Restore the {part}, or begin a new study under another name.{hint}",
            )


def _kept_relative(recorded: StudyFacts) -> str:
    """Return a hint about an encoder that an earlier version recorded by a relative path."""
    name = recorded.encoder.name
    if name == NANO or Path(name).is_absolute():
        return ""
    return (
        f" Its name, {name}, is read as an id on the hub. If it was a folder relative to the place "
        "where the study was started, resume the study from there."
    )


def _as_encoder_takes_them(
    tokens: TokenisedCorpus, encoder: PretrainedEncoder, progress: Progress
) -> TokenisedCorpus:
    """Return the corpus with the language numbers that the encoder needs.

    The token types are removed if the encoder has only one.

    Raises:
        UserError: the tokenizer has more types of tokens than the encoder.
    """
    numbers = language_numbers(encoder.config, tokens.languages, encoder.name)
    for line in assumed_codes(encoder.config, tokens.languages, encoder.name):
        progress.tell(line)
    tokens = replace(tokens, language_ids=numbers)
    types, known = tokens.template.types, encoder.config.get("type_vocab_size")
    if types is None or not isinstance(known, int) or types.max() < known:
        return tokens
    if known > 1:
        raise UserError(
            f"the tokenizer of {encoder.name!r} has {types.max() + 1} types of tokens, but the "
            f"encoder has {known} (type_vocab_size)",
            "Use the encoder's own tokenizer, or another encoder.",
        )
    if known == 1:
        progress.tell(
            f"the tokenizer of {encoder.name} numbers the sentences of a pair by token types, but "
            "the encoder has only one type, so the sentences are not numbered"
        )
    return replace(tokens, template=replace(tokens.template, types=None))


def _majority_accuracy(tokens: TokenisedCorpus, protocol: EvaluationProtocol) -> float:
    """Return the objective of always predicting the most frequent label of each dev set.

    A trial that scores no higher has learnt nothing.
    """

    def most_frequent(part: Part) -> float:
        if part.together is not None:
            return 0.0  # it is wrong for every pair of the other classes
        shares = []
        for each in part.sets:
            rows = tokens.rows("dev", (each.language1, each.language2))
            counts = np.bincount(tokens.splits["dev"].labels[rows], minlength=tokens.num_labels)
            shares.append(float(counts.max()) / len(rows))
        return fmean(shares)

    return protocol.objective.value(most_frequent)


def _counts(corpus: Corpus) -> dict[str, dict[str, int]]:
    return {
        split: {language: len(rows) for language, rows in by_language.items()}
        for split, by_language in corpus.rows.items()
    }
