"""A trial of several workers is the trial of one: over gloo, in double precision, no dropout."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training import ranks
from tests.training.ranks import RUNGS, SIZES, TRIALS, Done
from tuner.data.tokens import TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.encoder import PretrainedEncoder
from tuner.training.group import ALONE, meeting_place
from tuner.training.loop import Begun, Step

pytestmark = pytest.mark.integration

GROUPS = [2, 3]


@pytest.fixture(scope="module")
def done(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, list[Done]]]:
    """The work of each worker, by size of the group; processes are started once for all tests."""
    folder: Path = tmp_path_factory.mktemp("groups")
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    weights = {name: array.astype(np.float64) for name, array in encoder.weights.items()}
    still = replace(encoder, config={**encoder.config, **off}, weights=weights)
    places = {size: meeting_place("127.0.0.1") for size in GROUPS}
    ports = {size: place.port for size, place in places.items()}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([ranks.__name__])  # torch is imported once, not three times
    torch.set_default_dtype(torch.float64)
    try:
        alone = ranks.everything(ALONE, still, corpus, folder)
        with ProcessPoolExecutor(3, mp_context=context) as pool:
            jobs = [
                pool.submit(ranks.play, rank, ports, still, corpus, folder) for rank in range(3)
            ]
            found = [job.result(timeout=100) for job in jobs]
        ranks._train(alone, "gone on", ALONE, still, corpus, "uneven", folder / "of 2")
        yield {1: [alone], **{n: [of[n] for of in found if n in of] for n in GROUPS}}
    finally:
        torch.set_default_dtype(torch.float32)


def close(ours: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> None:
    assert ours.keys() == reference.keys()
    for name, array in reference.items():
        assert np.allclose(ours[name], array, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("workers", GROUPS)
@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_is_that_of_one_worker(
    size: int, workers: int, done: dict[int, list[Done]]
) -> None:
    """Also where nothing divides, and where some worker has no pair at all."""
    (alone,) = done[1]
    for worker in done[workers]:
        close(worker.gradients[f"{size}"], alone.gradients[f"{size}"])
        assert worker.losses[f"{size}"] == pytest.approx(alone.losses[f"{size}"], rel=1e-12)
    assert "idle" not in alone.gradients[f"{size}"], "and AdamW does not let it decay"
    assert max(np.abs(g).max() for g in alone.gradients[f"{size}"].values()) > 1e-3


@pytest.mark.parametrize("workers", GROUPS)
def test_out_of_memory_in_one_worker_halves_the_micro_batch_of_all(
    workers: int, done: dict[int, list[Done]]
) -> None:
    (alone,) = done[1]
    plans = [worker.plans["short of memory"] for worker in done[workers]]
    sizes = [size for _, size in plans[0]]
    assert sizes[0] == 64 and len(sizes) > 1
    assert all(after <= before / 2 for before, after in pairwise(sizes))
    for worker, plan in zip(done[workers], plans, strict=True):
        assert plan == plans[0]
        close(worker.gradients["short of memory"], alone.gradients["33"])


@pytest.mark.parametrize("workers", GROUPS)
@pytest.mark.parametrize("name", [*TRIALS, "evaluated in little memory", "probed"])
def test_a_whole_trial_is_that_of_one_worker(
    name: str, workers: int, done: dict[int, list[Done]]
) -> None:
    """Batches with their kinds and languages, weights, scores; clipped, decayed."""
    (alone,) = done[1]
    for worker in done[workers]:
        assert len(worker.batches[name]) == len(alone.batches[name]) > 4
        for ours, theirs in zip(worker.batches[name], alone.batches[name], strict=True):
            assert np.array_equal(ours, theirs)
        close(worker.weights[name], alone.weights[name])
        ours, theirs = evaluations(worker, name), evaluations(alone, name)
        assert [e.rung for e in theirs] == list(RUNGS)
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-9)
            assert (mine.select, mine.oracle) == (other.select, other.oracle)
            assert (mine.objective, mine.pairs_seen) == (other.objective, other.pairs_seen)
            assert (mine.workers, other.workers) == (workers, 1)


@pytest.mark.parametrize("workers", GROUPS)
def test_gradient_noise_is_that_of_one_worker(workers: int, done: dict[int, list[Done]]) -> None:
    """On the same pairs; training is what it is without."""
    (alone,) = done[1]
    for worker in done[workers]:
        for name, array in worker.weights["uneven"].items():
            assert np.array_equal(worker.weights["probed"][name], array), name
        ours, theirs = evaluations(worker, "probed"), evaluations(alone, "probed")
        for mine, other in zip(ours, theirs, strict=True):
            assert list(mine.noise) == ["monolingual", "cross_lingual"]
            for kind, noise in other.noise.items():
                found = mine.noise[kind].model_dump()
                assert found == pytest.approx(noise.model_dump(), rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("workers", GROUPS)
def test_workers_are_bit_equal_and_say_the_same(workers: int, done: dict[int, list[Done]]) -> None:
    first, *others = done[workers]
    for other in others:
        assert other.losses == first.losses
        assert other.events == first.events
        assert other.plans == first.plans
        for of, same in ((other.gradients, first.gradients), (other.weights, first.weights)):
            assert of.keys() == same.keys()
            for name in of:
                for part, array in of[name].items():
                    assert np.array_equal(array, same[name][part]), (name, part)


def test_a_checkpoint_is_gone_on_from_with_another_number_of_workers(
    done: dict[int, list[Done]],
) -> None:
    """Written by two and read by one, written by one and read by two."""
    (alone,) = done[1]
    for worker in (alone, *done[2]):
        told = worker.events["gone on"]
        assert told[0] == Begun(21), "the fourth step was done, and not saved"
        assert next(event for event in told if isinstance(event, Step)).step == 4
        close(worker.weights["gone on"], alone.weights["uneven"])
    for name, array in done[2][0].weights["gone on"].items():
        assert np.array_equal(done[2][1].weights["gone on"][name], array), name


def evaluations(worker: Done, name: str) -> list[Evaluation]:
    return [event for event in worker.events[name] if isinstance(event, Evaluation)]
