"""The classification of worker errors: the kind of failure, and the reason in words."""

from __future__ import annotations

from pathlib import Path

from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial

from tuner.cluster.private import LOW_ON_MEMORY, MEMORY_USED
from tuner.journal.records import FailureKind
from tuner.run.last_words import last_words
from tuner.training.group import Disconnected


def error_of(trial: Trial) -> Exception:
    """Read the error that ended a worker, which Ray has just written to its scratch folder.

    For errors other than an actor's death or a task's exception, such as the host running out of
    memory, Ray writes only the text, under a header line.
    """
    path = trial.pickled_error_file
    if path is None:
        text = Path(trial.error_file).read_text(encoding="utf-8").partition("\n")[2]
        return RuntimeError(text or "the worker failed, and Ray does not say why")
    with open(path, "rb") as file:
        error = cloudpickle.load(file)
    assert isinstance(error, Exception)
    return error


def kind_of(error: Exception) -> FailureKind:
    """Return the kind of a failure that ended the worker; a sound worker reports the others."""
    if isinstance(error, OutOfMemoryError) or LOW_ON_MEMORY in str(error):
        return "out_of_memory"
    gone = isinstance(error, RayActorError) and not error.actor_init_failed
    return "lost" if gone or isinstance(error, Disconnected) else "error"


def reason_of(error: Exception, kind: FailureKind, said: str, logs: Path) -> str:
    """Return why a worker ended, in one line.

    Args:
        error: the error that ended the worker.
        kind: the kind of failure.
        said: the error message as plain text.
        logs: the folder of Ray's logs on this machine.
    """
    if kind == "lost":
        if isinstance(error, RayActorError) and error.preempted:
            return "its node was taken away"
        return "its worker is gone" + last_words(said, logs)
    if kind == "out_of_memory":
        used = MEMORY_USED.search(said)
        return "the host's memory ran out" + (f": {used[1]} of {used[2]} GB" if used else "")
    return said.splitlines()[-1].strip()
