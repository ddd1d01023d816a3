"""Checks of a study on the machine of its driver: encoder, data, MLflow, memory and disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tuner.cluster.capacity import Capacity
from tuner.data.hub import ask, offline
from tuner.data.sources import load_corpus
from tuner.doctor.findings import Finding
from tuner.errors import UserError
from tuner.model.shape import EncoderShape, check_encoder, describe_encoder
from tuner.run.checked import check_data
from tuner.run.disk import disk_need, in_words, shortage
from tuner.run.machine import memory_here
from tuner.run.prior import earlier_studies
from tuner.shown import without_secrets
from tuner.storage.folders import is_remote
from tuner.study import StudyConfig
from tuner.study.data import HubData
from tuner.study.parts import SQLITE, TrackingConfig
from tuner.study.roles import trained_on
from tuner.tracking.store import reach
from tuner.tracking.tracker import Tracker

TRAINED = 4
"""Float32 numbers per weight in training: the weight, its gradient and Adam's two moments."""


def from_files(study: StudyConfig) -> list[Finding]:
    """Return the failures of checks that need only files.

    `search`, `plan` and `train` refuse the same studies with the same messages.
    """
    checks: dict[str, Callable[[StudyConfig], object]] = {
        "data": check_data,
        "encoder": check_encoder,
        "warm start": earlier_studies,
    }
    findings = []
    for name, check in checks.items():
        try:
            check(study)
        except UserError as error:
            findings.append(_failed(name, error))
    return findings


def study_fits(study: StudyConfig, capacity: Capacity, where: str) -> Iterator[Finding]:
    """Check that a machine or cluster can hold a trial of a study, and the disk can hold its files.

    Args:
        study: the study's settings.
        capacity: the capacity of `where` at its maximum.
        where: the machine or cluster in words.
    """
    try:
        at_once = capacity.trials_at_once(study.resources)
    except UserError as error:
        yield _failed("resources", error)
        return
    trials = f"{at_once:,} trial{'s' * (at_once > 1)}"
    yield Finding("resources", "pass", f"{where} holds {trials} at once")
    try:
        shape = describe_encoder(study.encoder)
    except UserError:  # reported by `from_files`
        return
    yield from _disk(study, shape, at_once)


def memory_suffices(study: StudyConfig, capacity: Capacity) -> Iterator[Finding]:
    """Check that memory holds the weights, gradients and moments of trials on CPUs."""
    at_once = capacity.holds(study.resources)
    if study.resources.gpus_per_trial > 0 or at_once == 0:
        return
    at_once = min(at_once, study.resources.max_concurrent_trials or at_once, study.trials)
    try:
        shape = describe_encoder(study.encoder)
    except UserError:  # reported by `from_files`
        return
    workers = study.resources.workers
    trial = TRAINED * workers * disk_need(study, shape, at_once).weights_bytes
    there = memory_here()
    asked = (
        f"{at_once:,} trial{'s' * (at_once > 1)} at once need {in_words(at_once * trial)} at "
        f"most for weights and moments"
    )
    if at_once * trial <= there:
        yield Finding("memory", "pass", f"{asked}, and this machine has {in_words(there)}")
    elif trial <= there:
        fewer = int(there // trial)
        yield Finding(
            "memory",
            "warn",
            f"{asked}, and this machine has {in_words(there)}",
            f"Run fewer at once: --set resources.max_concurrent_trials={fewer}",
        )
    else:
        yield Finding(
            "memory",
            "warn",
            f"a trial needs up to {in_words(trial)} for weights and moments, and this machine "
            f"has {in_words(there)}",
            "Choose a smaller encoder, or a machine with more memory.",
        )


def _disk(study: StudyConfig, shape: EncoderShape, at_once: int) -> Iterator[Finding]:
    if is_remote(study.storage):
        return
    need = disk_need(study, shape, at_once)
    if lacking := shortage(need, study.storage):
        yield _failed("space", lacking)
        return
    assert need.free_bytes is not None
    yield Finding(
        "space",
        "pass",
        f"the study may need {in_words(need.peak_bytes)} at once in {study.storage}, and "
        f"{in_words(need.free_bytes)} are free there",
    )


def mlflow_answers(uri: str, experiment: str = TrackingConfig().experiment) -> Finding:
    """Check that MLflow answers and permits writing, as a search does before it begins."""
    shown = without_secrets(uri)
    try:
        if uri.startswith(SQLITE):
            reach(uri)
            return Finding("MLflow", "pass", f"{shown} can be written")
        Tracker(uri, experiment)
    except UserError as error:
        return _failed("MLflow", error)
    return Finding("MLflow", "pass", f"{shown} answers and permits writing to {experiment!r}")


def encoder_is_there(study: StudyConfig) -> Finding:
    """Check that the hub, this machine's cache or the named folder has the encoder."""
    name, revision = study.encoder.name, study.encoder.revision
    try:
        shape = describe_encoder(study.encoder)
        size = f"{shape.parameters / 1e6:.1f} M parameters"
        if name == "nano":
            return Finding("encoder", "pass", "nano is built in")
        local = Path(name).expanduser().is_dir()
        if not local and ask("model", name, revision).commit:
            return Finding("encoder", "pass", f"the hub answers and has {name} ({size})")
        from tuner.model.encoder import load_encoder, load_tokenizer  # torch

        with offline(True):
            load_tokenizer(study.encoder)
            load_encoder(study.encoder)
    except UserError as error:
        return _failed("encoder", error)
    return Finding("encoder", "pass", f"{name} is on this machine ({size}): no hub is needed")


def data_is_there(study: StudyConfig) -> Finding:
    """Check that the hub has the corpus, or that it can be read from the cache or from files."""
    data = study.data
    if data.source == "nano":
        return Finding("data", "pass", "nano is built in")
    try:
        if isinstance(data, HubData) and not data.is_folder:  # noqa: SIM102
            if ask("dataset", data.name, data.revision).commit:
                return Finding("data", "pass", f"the hub answers and has {data.name}")
        train = trained_on(study.languages, study.protocol)
        with offline(True):
            corpus = load_corpus(data, study.all_languages, train)
    except UserError as error:
        return _failed("data", error)
    pairs = sum(len(rows) for by_language in corpus.rows.values() for rows in by_language.values())
    return Finding("data", "pass", f"{pairs:,} pairs were read from {data.source} on this machine")


def _failed(check: str, error: UserError) -> Finding:
    return Finding(check, "fail", error.problem, error.remedy)
