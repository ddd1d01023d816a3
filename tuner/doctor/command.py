"""The sequence of checks that `tuner doctor` runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from tuner.cluster.address import configured_address
from tuner.doctor import checks, head
from tuner.doctor.findings import Finding, Node
from tuner.doctor.here import examine_here
from tuner.doctor.local import ray_can_start
from tuner.progress import Progress
from tuner.run.machine import this_machine
from tuner.storage.folders import Place
from tuner.storage.location import is_shared
from tuner.study import StudyConfig
from tuner.tracking import default_uri, store_of


@dataclass(frozen=True)
class DoctorOptions:
    """The study and storage to check in addition to the machines.

    Attributes:
        study: the study whose MLflow, encoder, data and resources to check; None for no study.
        storage: the folder of the studies; None to skip its checks.
    """

    study: StudyConfig | None
    storage: Place | None


def diagnose(asked: DoctorOptions, progress: Progress) -> Iterator[Finding]:
    """Check the cluster that RAY_ADDRESS names, or else this machine, without starting Ray.

    Checks that need only the study's files come first, before heavy libraries are loaded.

    Raises:
        UserError: the cluster refuses the connection.
    """
    wrong = head.from_files(asked.study) if asked.study is not None else []
    yield from wrong
    known = {finding.check for finding in wrong}
    if configured_address() is None:
        yield from _of_machine(asked, known, progress)
        return
    from tuner.cluster.ray import cluster  # Ray

    with cluster(progress, None, meanwhile=lambda: None):
        yield from _of_cluster(asked, known, progress)


def _of_machine(asked: DoctorOptions, known: Set[str], progress: Progress) -> Iterator[Finding]:
    if asked.study is not None:
        holds = this_machine(asked.study)
        yield from head.study_fits(asked.study, holds, "this machine")
        yield from head.memory_suffices(asked.study, holds)
    with progress.task("looking at this machine"):
        nodes = examine_here(_text(asked.storage))
    yield checks.versions_agree(nodes)
    yield from ray_can_start()
    yield from checks.gpus_work(nodes)
    if asked.storage is not None:
        yield from checks.storage_shared(nodes, str(asked.storage), shared=True, grows=False)
    yield from _of_head(asked, known, progress)
    yield from _of_any(nodes, in_cluster=False)


def _of_cluster(asked: DoctorOptions, known: Set[str], progress: Progress) -> Iterator[Finding]:
    from tuner.cluster.ray import capacity
    from tuner.doctor.examine import examine_cluster
    from tuner.doctor.tokens import tokens_on

    holds = capacity()
    with progress.task("looking at each node"):
        nodes = examine_cluster(_text(asked.storage))
    yield checks.nodes_answer(nodes)
    yield checks.versions_agree(nodes)
    yield from checks.gpus_work(nodes)
    if asked.study is not None:
        yield from head.study_fits(asked.study, holds, "the cluster at its maximum")
    if asked.storage is None:
        yield Finding(
            "storage",
            "warn",
            "not checked: no study is named",
            "Name a study, tuner doctor SPACE.yaml, or the folder of studies: --storage s3://…",
        )
    else:
        shared, grows = is_shared(asked.storage), holds.most_growing > 0
        yield from checks.storage_shared(nodes, str(asked.storage), shared, grows)
    yield from _of_head(asked, known, progress)
    yield tokens_on()
    if (clocks := checks.clocks_agree(nodes)) is not None:
        yield clocks
    yield from _of_any(nodes, in_cluster=True)


def _of_head(asked: DoctorOptions, known: Set[str], progress: Progress) -> Iterator[Finding]:
    """Check what a driver needs, here or on the head; skip checks that failed already."""
    study = asked.study
    findings = []
    with progress.task("asking MLflow"):
        if study is not None:
            findings += [head.mlflow_answers(store_of(study), study.tracking.experiment)]
        elif asked.storage is not None:
            findings += [head.mlflow_answers(default_uri(asked.storage))]
    if study is not None:
        with progress.task("looking for the encoder and the data"):
            if "encoder" not in known:
                findings.append(head.encoder_is_there(study))
            if "data" not in known:
                findings.append(head.data_is_there(study))
    yield from findings


def _of_any(nodes: Sequence[Node], in_cluster: bool) -> Iterator[Finding]:
    token = checks.token_is_secret(nodes, in_cluster)
    if token is not None:
        yield token
    yield from checks.disks_have_space(nodes)
    yield checks.shared_memory_suffices(nodes)
    yield checks.files_can_be_opened(nodes)


def _text(storage: Place | None) -> str | None:
    return None if storage is None else str(storage)
