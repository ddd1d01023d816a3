"""The files that each trial leaves on disk: a function of the study's record alone.

No crash changes which files stay. A trial that may continue keeps its checkpoints: also one that
ASHA stopped, while the search may complete it at its end. The best trials
that reached the full budget keep their final weights, in `best/NNNN/`. In a confirmation the trials
that estimate keep them until they have been evaluated on test, and those of the recommended arm
after that. Other trials keep nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tuner.errors import StorageFull, UserError
from tuner.journal.records import AT_REST, END_STATES, STOPPED, Evaluation, StudyRecord, TrialRecord
from tuner.progress import Phase
from tuner.search.candidates import Candidates
from tuner.search.recommend import estimating, untested
from tuner.storage.folders import Place, copy, fetched, names_in, remove, write_atomically
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign, ScalingDesign
from tuner.training.checkpoint import (
    DAMAGE,
    MANIFEST,
    MODEL,
    NAME,
    check_covered,
    name_of,
    remove_incomplete,
    sha256,
    sums_in,
)

TRIAL = "trial.json"
"""The file beside the weights with the trial's facts. It is written last; weights without it do not
count."""
_NUMBER = re.compile(r"\d{4,}")


class TrialFiles:
    """An observer that keeps weights and removes checkpoints, on a thread of its own.

    It tidies all folders when the study starts, and again whenever a trial ends. It retries failed
    actions each time; `close` returns the failures of the last attempt.

    Args:
        study: the study's settings.
    """

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self._best = study.folder / "best"
        self._trials = study.trial_folder(0).parent
        self._record: StudyRecord | None = None  # without its trials, from the first one on
        self._known: dict[int, TrialRecord] = {}
        self._waiting = False  # an action is requested, and has not begun
        self._candidates = Candidates()
        self._complaints: list[str] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trial-files")

    def study_started(self, study: StudyRecord) -> None:
        """Tidy up what an earlier driver left, before a trial takes one of its folders."""
        self._take(study)
        self._put_in_order(begins=True)

    def trial_ended(self, trial: TrialRecord) -> None:
        """Remove the trial's checkpoints.

        If it is among the best, its weights stay and another trial's are removed.
        """
        self._known[trial.number] = trial
        if trial.state in AT_REST:
            self._request()

    def wait(self) -> None:
        """Wait until all requested actions are done."""
        self._thread.submit(lambda: None).result()

    def close(self) -> list[str]:
        """Wait for running actions; return the failures, in words."""
        self._thread.shutdown()
        return self._complaints

    def trial_started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None: ...
    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None: ...

    def recommended(self, study: StudyRecord) -> None:
        """Keep or remove weights as a confirmation's recommendation says."""
        self._take(study)
        self._request()

    def study_ended(self, study: StudyRecord) -> None:
        """Remove the weights that a confirmation with a recommendation no longer needs."""
        if study.recommendation is not None:
            self.recommended(study)

    def _take(self, study: StudyRecord) -> None:
        self._record, self._known = study, {trial.number: trial for trial in study.trials}

    def _request(self) -> None:
        """Tidy up on the thread; one action serves all requests that wait for it."""
        if not self._waiting:
            self._waiting = True
            self._thread.submit(self._put_in_order, begins=False)

    def _put_in_order(self, begins: bool) -> None:
        """Keep the weights that stay, and remove the folders that do not.

        Args:
            begins: True before any trial runs, when every unknown folder is left from before.
        """
        self._waiting = False  # a trial that ends from now on asks again
        trials = dict(self._known)
        assert self._record is not None
        study = self._record.model_copy(update={"trials": tuple(trials.values())})
        troubles: list[str] = []
        spare = set[int]() if study.designed else {*self._candidates.to_complete(study.trials)}

        def goes_on(name: str) -> bool:
            """Return whether a trial of that name may continue."""
            trial = self._of_name(name, trials)
            return trial is not None and (trial.state not in END_STATES or trial.number in spare)

        try:
            unread = self._keep_weights(study, goes_on, troubles)
            for name in filter(_NUMBER.fullmatch, names_in(self._trials)):
                folder, trial = self._trials / name, self._of_name(name, trials)
                ended = trial is not None and not goes_on(name)
                if name not in unread and (ended or (begins and trial is None)):
                    _attempt(troubles, f"{folder} could not be removed", remove, folder)
                elif trial is not None and not ended and trial.state in STOPPED:
                    _attempt(troubles, f"{folder} could not be tidied", _keep_latest, folder)
                elif begins and goes_on(name):
                    _attempt(troubles, f"{folder} could not be tidied", remove_incomplete, folder)
        except Exception as error:  # the storage fails: the study continues, this is tried again
            troubles.append(f"the files of ended trials could not be removed: {_line(error)}")
        self._complaints = troubles

    def _of_name(self, name: str, trials: Mapping[int, TrialRecord]) -> TrialRecord | None:
        """Return the trial whose folders have a name."""
        trial = trials.get(int(name)) if _NUMBER.fullmatch(name) else None
        return trial if trial is not None and self._name(trial) == name else None

    def _keep_weights(
        self, study: StudyRecord, goes_on: Callable[[str], bool], troubles: list[str]
    ) -> set[str]:
        """Keep the weights that stay, and remove the others from `best/`.

        A trial that has not ended may have weights there if the journal's last record, which said
        that it had ended, was torn. These stay too.

        Returns:
            The names of trials whose weights could not be copied now, but may be later.
        """
        kept = staying(study, self._study.checkpoint.keep_best)
        best = {self._name(trial): trial for trial in kept}
        for name in names_in(self._best):
            if name not in best and not goes_on(name):
                folder = self._best / name
                _attempt(troubles, f"{folder} could not be removed", remove, folder, TRIAL)
        unread = set()
        for name, trial in best.items():
            if TRIAL in names_in(self._best / name):
                continue
            try:
                self._keep(study, trial)
            except Exception as error:
                lost = isinstance(error, DAMAGE) and not isinstance(error, StorageFull)
                why = "its last checkpoint is gone or damaged" if lost else _line(error)
                troubles.append(f"the weights of trial {trial.number:03d} could not be kept: {why}")
                if not lost:
                    unread.add(name)
        return unread

    def _keep(self, study: StudyRecord, trial: TrialRecord) -> None:
        """Copy a trial's final weights out of its last checkpoint."""
        assert trial.last is not None
        target = self._best / self._name(trial)
        remove(target)  # it may be half-written
        checkpoint = self._trials / self._name(trial) / name_of(trial.last.step)
        with fetched(checkpoint, (MANIFEST, MODEL)) as folder:
            check_covered(folder / MODEL)  # otherwise the checksum may take hours
            checksum = sha256(folder / MODEL)
            if sums_in(folder).get(MODEL) != checksum:
                raise ValueError(f"{checkpoint / MODEL} does not match its checksum")
        facts = {
            "study": study.name,
            "trial": trial.number,
            "objective": study.facts.objective,
            "score": trial.last.objective,
            "claim": study.claim,
            "encoder": study.facts.encoder.model_dump(mode="json", exclude_unset=True),
            "sha256": checksum,
            "config": trial.config.model_dump(mode="json"),
        }
        copy(checkpoint / MODEL, target / MODEL)
        write_atomically(target / TRIAL, json.dumps(facts, indent=2).encode())

    def _name(self, trial: TrialRecord) -> str:
        return self._study.trial_folder(trial.number).name


def staying(study: StudyRecord, keep_best: int) -> list[TrialRecord]:
    """Return the trials whose final weights currently stay, the best first.

    Args:
        study: the record of a search or a design.
        keep_best: number of trials to keep of a search, or of a confirmation's recommended arm.
    """
    by_score = sorted(study.complete, key=lambda t: (-t.last.objective if t.last else 0, t.number))
    if not study.designed:
        return study.ranked()[:keep_best]
    if isinstance(study.settings.design, ScalingDesign):
        return []
    design = study.settings.design
    assert isinstance(design, ConfirmDesign)
    if study.recommendation is None:
        return [trial for trial in by_score if trial.config.seed in design.estimates]
    best = [t for t in estimating(study) if t.arm == study.recommendation.arm]
    best = [trial for trial in by_score if trial in best][:keep_best]
    return best + [trial for trial in untested(study) if trial not in best]


class WeightsLost(UserError):
    """The weights that were kept are gone or damaged."""


def kept_weights(folder: Place) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a trial's facts and its final weights.

    Args:
        folder: the trial's folder in the study's `best/`.

    Raises:
        WeightsLost: the weights are missing or damaged.
        UserError: the storage cannot be reached.
        StorageFull: no space is left here to fetch the weights from an object store.
    """
    try:
        with fetched(folder, (TRIAL, MODEL)) as here:
            facts = json.loads((here / TRIAL).read_bytes())
            if sha256(here / MODEL) != facts["sha256"]:
                raise ValueError("its checksum is not the recorded one")
            return facts, load_file(here / MODEL)
    except StorageFull:  # the disk that it is fetched to is full
        raise
    except (FileNotFoundError, ValueError, KeyError, SafetensorError) as error:
        raise WeightsLost(f"{folder} is damaged: {error}") from error


def is_kept(folder: Place) -> bool:
    """Return whether a trial's final weights are there and undamaged."""
    try:
        kept_weights(folder)
    except WeightsLost:
        return False
    return True


def _keep_latest(folder: Place) -> None:
    """Remove all whole checkpoints of a trial but the latest. The trial may have resumed by now.

    Raises:
        OSError: something cannot be removed.
    """
    whole = [n for n in names_in(folder) if NAME.fullmatch(n) and MANIFEST in names_in(folder / n)]
    for name in whole[:-1]:
        remove(folder / name, MANIFEST)


def _attempt(troubles: list[str], what: str, action: Callable[..., None], *arguments: Any) -> None:
    try:
        action(*arguments)
    except Exception as error:  # of any storage: the study continues, and this is tried again
        troubles.append(f"{what}: {_line(error)}")


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
