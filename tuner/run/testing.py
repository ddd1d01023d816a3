"""The evaluation on test, which only this module reads, and only after a confirmation has chosen.

`Prepared` holds test apart from the data that trains and chooses, and no other module asks for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
import ray
from ray import ObjectRef
from ray.exceptions import RayError

from tuner.cluster.capacity import share_of
from tuner.cluster.ray import concurrency
from tuner.data.tokens import TokenisedCorpus
from tuner.errors import UserError
from tuner.interrupts import OrderlyStop
from tuner.invocation import command
from tuner.journal.arrays import bits_as_text
from tuner.journal.events import Tested
from tuner.journal.readings import opening
from tuner.journal.records import OnTest, TrialRecord
from tuner.model.classifier import PairClassifier
from tuner.progress import Progress
from tuner.run.trial_files import kept_weights
from tuner.run.worker import device_given
from tuner.search.driver import Driver
from tuner.search.outcome import StudyOutcome
from tuner.search.recommend import NONE_WHOLE, all_ended, untested
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.criteria import EvaluationSet
from tuner.study.design import ConfirmDesign
from tuner.study.parts import ResourcesConfig
from tuner.timing import now
from tuner.training.accumulation import OutOfMemory, reporting_out_of_memory
from tuner.training.evaluation import predict
from tuner.training.forward import Forward
from tuner.training.inputs import TrialInputs
from tuner.training.loop import EVALUATION_MICRO_BATCHES

LOOK_SECONDS = 0.5
"""Longest time between two checks of whether somebody wants the study to stop."""
T = TypeVar("T")


@dataclass(frozen=True)
class NotTested:
    """The reason why a trial could not be evaluated on test, in words."""

    reason: str


def conclude(
    study: StudyConfig,
    driver: Driver,
    inputs: TrialInputs,
    stop: OrderlyStop,
    progress: Progress,
) -> None:
    """Evaluate the trials that estimate on test, once all trials have ended.

    Steps that are already in the journal are not repeated. Nothing is done if trials are left to
    run, if somebody wants the study to stop, or if the driver has an outcome. A failure becomes the
    driver's outcome.

    Args:
        study: a confirmation, which has kept the weights of its untested trials.
        driver: the study's driver; its trials have run.
        inputs: the inputs of its trials, but with the pairs of test.
        stop: checked meanwhile; it ends the evaluation.
        progress: shows the progress of the evaluation.
    """
    design = study.design
    assert isinstance(design, ConfirmDesign)
    record = driver.record()
    if stop.received or driver.outcome is not None or not all_ended(design, record):
        return
    if record.recommendation is None:
        driver.outcome = StudyOutcome("failed", NONE_WHOLE)
        return
    trials = untested(record)
    if not trials:
        return
    try:
        if (opened := opening(study.storage, record)) is not None:
            driver.note(opened)
    except UserError as error:
        driver.outcome = StudyOutcome("interrupted", error.problem, error)
        return

    def tested(number: int, on_test: OnTest) -> None:
        driver.note(Tested(time=now(), number=number, on_test=on_test))

    failed = _evaluated(study, inputs, trials, tested, stop, progress)
    if failed:
        number, why = next(iter(failed.items()))
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        problem = f"trial {number:03d}{others} cannot be evaluated on test: {why}"
        remedy = (
            f"Fix this, then continue with: {command('resume', study.folder)}\nIf weights "
            "are gone for good, confirm the search once more with --again."
        )
        driver.outcome = StudyOutcome("interrupted", problem, UserError(problem, remedy))


def evaluate_on_test(
    resources: ResourcesConfig,
    folder: Place,
    trial: TrialRecord,
    inputs: TrialInputs,
) -> OnTest | NotTested:
    """Evaluate a trial on every ordered pair of the languages that have test.

    This runs in a process of its own. Sentence1 is in the first language, sentence2 in the second
    (the generalised setting of arXiv 2104.08645).

    Args:
        resources: the resources that this process is given.
        folder: the folder where the trial's final weights were kept.
        trial: a trial that reached its full budget.
        inputs: the inputs of the trial, but with the pairs of test.

    Returns:
        The trial's scores and answers; or `NotTested` if memory ran out, the weights are lost, or
        torch cannot use the GPU that Ray gave.
    """
    began = time.perf_counter()
    assert trial.last is not None
    config, test = trial.config, inputs.corpus
    try:
        device = device_given(resources)
        _, weights = kept_weights(folder)
        model = PairClassifier(
            inputs.encoder, config.fusion, config.head, test.num_labels, config.seed
        )
        model.load_state_dict(weights)
        with reporting_out_of_memory("the model"):
            model.to(device)
        forward = Forward(model, device, bf16=trial.last.precision == "bf16")
        tokens = EVALUATION_MICRO_BATCHES * trial.last.micro_plan[-1][1] * test.max_length
        sets = crossed(test)
        found = _run_out(predict(forward, test, "test", sets, tokens))
    except (OutOfMemory, UserError) as error:
        return NotTested(" ".join(str(error).split()))
    named = {each.name: answers for each, answers in zip(sets, found, strict=True)}
    scores = {name: answers.scores() for name, answers in named.items()}
    return OnTest(
        time=time.time(),
        scores=scores | inputs.protocol.averages(scores),
        answers={name: bits_as_text(answers.right) for name, answers in named.items()},
        majority={
            language: float(np.bincount(named[language].labels).max() / len(named[language].labels))
            for language in test.languages
            if language in named
        },
        seconds=time.perf_counter() - began,
    )


def crossed(test: TokenisedCorpus) -> list[EvaluationSet]:
    """Return ordered pairs of languages with common test pairs, each with itself included.

    An encoder that takes one language per sequence gets only each language with itself.
    """
    clean = dict(zip(test.languages, test.splits["test"].clean, strict=True))
    return [
        EvaluationSet(first, second)
        for first, second in product(test.languages, repeat=2)
        if (clean[first] & clean[second]).any() and (first == second or test.language_ids is None)
    ]


def _evaluated(
    study: StudyConfig,
    inputs: TrialInputs,
    trials: Sequence[TrialRecord],
    tested: Callable[[int, OnTest], None],
    stop: OrderlyStop,
    progress: Progress,
) -> dict[int, str]:
    """Evaluate trials side by side on the cluster, each in a Ray task with a worker's share.

    Returns:
        The reason for each trial that could not be evaluated, by the trial's number.
    """
    cpus, gpus = share_of(study.resources)
    shared = ray.put(inputs)
    evaluate: Any = ray.remote(evaluate_on_test).options(num_cpus=cpus, num_gpus=gpus)
    best, at_once = study.folder / "best", concurrency(study.resources)
    waiting, failed = deque(trials), dict[int, str]()
    running: dict[ObjectRef[Any], int] = {}
    with progress.task("evaluating on test", "trials") as advance:
        while (waiting or running) and not stop.received:
            advance(len(trials) - len(waiting) - len(running), len(trials))
            while waiting and len(running) < at_once:
                trial = waiting.popleft()
                folder = best / study.trial_folder(trial.number).name
                running[evaluate.remote(study.resources, folder, trial, shared)] = trial.number
            for task in ray.wait(list(running), timeout=LOOK_SECONDS)[0]:
                number = running.pop(task)
                match _test_result(task):
                    case OnTest() as on_test:
                        tested(number, on_test)
                    case NotTested(reason=reason):
                        failed[number] = reason
    for task in running:
        ray.cancel(task, force=True)
    return failed


def _test_result(task: ObjectRef[Any]) -> OnTest | NotTested:
    try:
        answer = ray.get(task)
    except RayError as error:  # its node was lost again and again, or an unexpected error
        lines = str(error).strip().splitlines()
        return NotTested(lines[-1].strip() if lines else type(error).__name__)
    assert isinstance(answer, OnTest | NotTested)
    return answer


def _run_out(events: Generator[object, None, T]) -> T:
    """Run a generator to its end and return its return value."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            value: T = end.value
            return value
