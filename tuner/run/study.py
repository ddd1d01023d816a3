"""The entry points `begin` and `go_on`, which run a study to its end or resume it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from tuner.interrupts import OrderlyStop
from tuner.invocation import command
from tuner.journal.events import SettingsChanged, StudyCreated
from tuner.journal.facts import StudyFacts
from tuner.journal.journal import Journal, is_begun, read_history
from tuner.journal.readings import earlier as earlier_readings
from tuner.journal.readings import read_before
from tuner.journal.records import StudyRecord
from tuner.journal.snapshot import refresh
from tuner.progress import Progress
from tuner.run.checked import check_study
from tuner.run.copies import check_own_runs
from tuner.run.disk import check_space
from tuner.run.machine import check_machine
from tuner.run.prior import earlier_studies, prior_trials
from tuner.run.resume import (
    Extension,
    changed_blocks,
    check_new,
    check_rules,
    extended,
    nothing_left,
)
from tuner.search.driver import Driver
from tuner.search.observer import Observer
from tuner.search.outcome import StudyOutcome
from tuner.search.supply import RULES
from tuner.storage.folders import Place
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.terminal.progress import ConsoleProgress, say
from tuner.terminal.view import StudyView
from tuner.timing import now
from tuner.tracking import BackgroundTracker, store_of

if TYPE_CHECKING:
    from tuner.cluster.head import RayMonitor
    from tuner.run.prepare import Prepared


def begin(
    study: StudyConfig,
    console: Console,
    tracking_later: bool = False,
    check: Callable[[StudyFacts], None] | None = None,
) -> StudyRecord:
    """Run a new study to its end. Nothing is written before every check has passed.

    Args:
        study: the study's settings.
        console: shows the study's progress.
        tracking_later: continue if MLflow does not answer, and write to it later.
        check: checks the facts about data and encoder, for a study that depends on particular
            facts.

    Raises:
        UserError: the study exists, or its data, encoder or resources do not fit, or the tracker
            fails. With `tracking_later` a tracker that does not answer is accepted.
    """
    check_new(study)
    earlier = earlier_studies(study)
    progress = ConsoleProgress(console)
    _check(study)
    tracker = _tracker(study, progress, tracking_later)
    from tuner.cluster.head import watched
    from tuner.cluster.ray import cluster, concurrency  # late: Ray is loaded after the checks

    with (
        cluster(progress, study, partial(_prepare, study, progress)) as prepared,
        watched() as head,
    ):
        if check is not None:
            check(prepared.facts)
        at_once = head.outlives(partial(concurrency, study.resources))
        check_space(study, prepared.inputs.encoder.shape, at_once)
        if study.design is None:
            items = prepared.facts.data.test_items
            if before := read_before(earlier_readings(study.storage, items)):
                say(console, f"{before}; what was seen then may influence this search", "yellow")
        prior = prior_trials(study, earlier, prepared.facts)
        if prior:
            of = sum(len(record.trials) for record in earlier)
            say(console, f"warm start: the sampler learns from {len(prior)} of {of} earlier trials")
        created = StudyCreated(
            time=now(),
            name=study.name,
            id=uuid.uuid4().hex,
            settings=study.model_dump(mode="json"),
            facts=prepared.facts,
            rungs=study.rungs,
            rules=RULES,
            prior=prior,
        )
        with Journal.create(study.folder, created) as journal:
            return _run(study, prepared, tracker, journal, console, progress, head)


def begin_or_go_on(
    study: StudyConfig, console: Console, tracking_later: bool = False
) -> StudyRecord:
    """Run a study to its end, from where it stopped if it was started.

    Raises:
        UserError: as raised by `begin` and `go_on`; or the study was started with different
            settings, which must stay.
    """
    if not is_begun(study.folder):
        return begin(study, console, tracking_later)
    anew = Extension(settings=study.model_dump(mode="json"))
    return go_on(study.folder, anew, console, tracking_later)


def go_on(
    folder: Place, extension: Extension, console: Console, tracking_later: bool = False
) -> StudyRecord:
    """Resume the study in `folder`: unfinished trials first, from their checkpoints.

    Raises:
        UserError: there is no such study, another process works on it, its data or encoder has
            changed since, or the extension is invalid.
    """
    progress = ConsoleProgress(console)
    read_history(folder)  # its error names the known studies if there is none here
    with Journal(folder, progress) as journal:  # from here on the study is ours
        record = journal.history.record()
        study = extended(record, folder, extension)
        check_own_runs(record, folder, store_of(study))
        message = nothing_left(record, study)
        if not message:
            check_rules(record, study)
            _check(study)
        tracker = _tracker(study, progress, tracking_later)
        changed = changed_blocks(record, study)
        if message:
            if changed:
                journal.append(SettingsChanged(time=now(), settings=changed))
            say(console, message)
            return _settle(study, record, tracker, journal, console)
        from tuner.cluster.head import watched
        from tuner.cluster.ray import cluster, concurrency  # late, as in `begin`

        with (
            cluster(progress, study, partial(_prepare, study, progress, record)) as prepared,
            watched() as head,
        ):
            at_once = head.outlives(partial(concurrency, study.resources))
            check_space(study, prepared.inputs.encoder.shape, at_once)
            if changed:
                journal.append(SettingsChanged(time=now(), settings=changed))
            return _run(study, prepared, tracker, journal, console, progress, head)


def _check(study: StudyConfig) -> None:
    """Check the files and this machine's resources before anything is loaded or started."""
    shape = check_study(study)
    assert shape is not None
    check_machine(study, shape)


def _prepare(study: StudyConfig, progress: Progress, record: StudyRecord | None = None) -> Prepared:
    """Prepare the trials' inputs; the libraries for it are loaded here, while Ray starts."""
    with progress.task("loading libraries"):
        from tuner.run.prepare import prepare
    return prepare(study, progress, record.facts if record is not None else None)


def _run(
    study: StudyConfig,
    prepared: Prepared,
    tracker: BackgroundTracker,
    journal: Journal,
    console: Console,
    progress: Progress,
    head: RayMonitor,
) -> StudyRecord:
    # Late, as in `_prepare`: by now Ray has been started.
    from tuner.cluster.head import RayGone
    from tuner.run import engine, testing
    from tuner.run.parting import STOPPING
    from tuner.run.trial_files import TrialFiles

    files = TrialFiles(study)
    goes_on = f"continue the study: {command('resume', study.folder)}"
    stop = OrderlyStop(partial(progress.tell, STOPPING), f"stopped at once; {goes_on}")
    gone: RayGone | None = None
    complaints: list[str] = []

    def leave(why: str) -> None:
        driver.outcome = driver.outcome or StudyOutcome("interrupted", f"Ray has ended: {why}")
        stop.received = True

    with stop:
        try:
            with StudyView(console, study.trials) as view:
                observers: list[Observer] = [view, files, tracker]
                driver = Driver(study, journal, observers)
                driver.start()
                if not driver.done:
                    run = partial(engine.run, study, driver, prepared.inputs, stop, head)
                    complaints += head.outlives(run, leave)
            if isinstance(study.design, ConfirmDesign):
                files.wait()  # until the weights of the last trial have been copied
                on_test = replace(prepared.inputs, corpus=prepared.test)
                conclude = partial(testing.conclude, study, driver, on_test, stop, progress)
                head.outlives(conclude, leave)
        except RayGone as error:
            gone = error
            driver.take_over()
        record = driver.finish(stop.received)
        stop.begin_final_writes()
        complaints += [*files.close(), *tracker.close(lambda: stop.hurried)]
        if not stop.received:  # who stops it does not wait for that
            refresh(study.folder)
    for complaint in complaints:
        say(console, complaint, style="yellow")
    if driver.outcome is not None and driver.outcome.error is not None:
        raise driver.outcome.error
    if gone is not None:
        raise gone
    return record


def _settle(
    study: StudyConfig,
    record: StudyRecord,
    tracker: BackgroundTracker,
    journal: Journal,
    console: Console,
) -> StudyRecord:
    """Finish what a driver killed at its very end left undone: files, MLflow, its last event."""
    from tuner.run.trial_files import TrialFiles  # late: it imports torch

    files = TrialFiles(study)
    if record.state == "running":
        driver = Driver(study, journal, [files, tracker])
        driver.start()
        record = driver.finish()
    else:
        files.study_started(record)
        tracker.study_ended(record)
    for complaint in (*files.close(), *tracker.close()):
        say(console, complaint, style="yellow")
    refresh(study.folder)
    return record


def _tracker(study: StudyConfig, progress: Progress, later: bool) -> BackgroundTracker:
    return BackgroundTracker(store_of(study), study.tracking.experiment, progress, later)
