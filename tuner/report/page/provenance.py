"""The sections of a page on cost, data, shared sentences, encoder, versions and reproduction."""

from __future__ import annotations

import time

from tuner.blocks import Block, Grid, Points, Section, Words
from tuner.journal.ledger import Ledger
from tuner.journal.records import StudyRecord
from tuner.report.page.trials import DIGITS, again
from tuner.storage.folders import Place
from tuner.wording import clock

TRANSLATED = {
    True: "Training text is machine-translated.",
    False: "Training text is not machine-translated.",
    None: "It is unknown whether training text is machine-translated.",
}
KINDS = {
    "useful": "trials at full budget",
    "under_way": "trials under way or waiting to continue",
    "pruned": "trials that ASHA stopped",
    "paused": "trials that ASHA paused",
    "failed": "trials that failed",
    "repeated": "lost with a worker or a driver, and trained again",
}
"""Kinds of pairs in the ledger, in words."""


def cost(study: StudyRecord) -> Section:
    """Return the section on cost: the ledger and the hours."""
    ledger = Ledger.of(study)
    spent = {kind: getattr(ledger, kind) for kind in KINDS}
    rows = [
        (KINDS[kind], f"{pairs:,}", f"{100 * pairs / max(ledger.pairs, 1):.1f}")
        for kind, pairs in spent.items()
    ]
    rows.append(("all trained pairs", f"{ledger.pairs:,}", "100.0" if ledger.pairs else "0.0"))
    evaluated = sum(t.last.train_seconds for t in study.trials if t.last)
    sentences = [f"Drivers worked for {clock(study.seconds)}."]
    held = sum(trial.seconds for trial in study.trials) / 3600
    sentences.append(
        f"Trials were on workers for {held:.2f} hours, {evaluated / 3600:.2f} of training."
    )
    if ledger.gpu_hours:
        sentences.append(f"GPUs were held for {ledger.gpu_hours:.2f} GPU-hours.")
    grid = Grid(
        "Pairs trained, by the outcome of their trials.",
        study.claim,
        ("pairs of", "pairs", "%"),
        tuple(rows),
        strong=frozenset([len(rows) - 1]),
    )
    return Section("Cost", (grid, Words(" ".join(sentences))))


def data(study: StudyRecord) -> Section:
    """Return the section on corpus and encoder, with the sentences that splits share."""
    corpus, encoder = study.facts.data, study.facts.encoder
    blocks: list[Block] = []
    sentences = [f"Source: {corpus.source}; checksum {corpus.checksum[:DIGITS]}."]
    if corpus.training_pairs is not None:
        sentences.append(
            f"Trained on {corpus.training_pairs:,} pairs that are clean in all source languages."
        )
    sentences.append(TRANSLATED[corpus.machine_translated])
    sentences.append(
        f"Encoder: {encoder.name}"
        + (f" at revision {encoder.revision}" if encoder.revision else "")
        + f", {encoder.layers} layers; checksum {encoder.checksum[:DIGITS]}."
    )
    blocks.append(Words(" ".join(sentences)))
    blocks += overlap(study)
    if corpus.notes:
        blocks.append(Points(corpus.notes))
    return Section("Data and encoder", tuple(blocks))


def overlap(study: StudyRecord) -> list[Block]:
    """Return the counts of shared sentences; nothing for a study that predates them."""
    counts = study.facts.overlap.counts
    if not counts:
        return []
    splits = list(counts)
    rows = tuple(
        (
            split,
            f"{found.ids:,}",
            *("–" if other == split else f"{found.shared.get(other, 0):,}" for other in splits),
            "–" if found.components is None else f"{found.components:,}",
            "–" if found.effective_ids is None else f"{found.effective_ids:,.0f}",
        )
        for split, found in counts.items()
    )
    strict = study.settings.protocol.strict_overlap
    message = "dropped such pairs from train and dev" if strict else "kept them"
    grid = Grid(
        "Pairs that share a sentence with another split, in any language. Groups: pairs of a split "
        "that share sentences among themselves; effective: the number of independent pairs that "
        f"these are worth if a group is answered alike. This study {message}.",
        study.claim,
        ("split", "pairs", *(f"shared with {split}" for split in splits), "groups", "effective"),
        rows,
    )
    return [grid]


def reproduce(study: StudyRecord, folder: Place) -> Section:
    """Return the section with versions, commit, and a command for each trial."""
    rows = tuple(study.facts.environment.versions.items())
    versions = Grid(
        "Versions when the study began. The commit is this tool's; + if its tree was changed.",
        study.claim,
        ("part", "version"),
        rows,
        left=2,
        folded="versions and commit",
    )
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(study.created))
    words = Words(
        f"Study {study.name}, id {study.id}, begun {began}. Its journal holds all settings; the "
        "same data, encoder, versions and kind of processor give the same scores."
    )
    return Section("How to reproduce it", (words, again(study, folder), versions))
