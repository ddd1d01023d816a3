"""`tuner doctor`: everything looked at, one finding after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuner.doctor import checks, head
from tuner.doctor.examine import examine_cluster, examine_here
from tuner.doctor.findings import Finding, Node
from tuner.progress import Progress
from tuner.search.address import named
from tuner.search.cluster import capacity, cluster
from tuner.storage.folders import Place
from tuner.storage.location import is_shared
from tuner.study import StudyConfig
from tuner.tracking import default_uri, store_of


@dataclass(frozen=True)
class Asked:
    """What the doctor is to look at beside the machines.

    Attributes:
        study: its storage, MLflow, encoder, data and resources; None: none in particular.
        storage: the folder of the studies; None: it is not looked at.
    """

    study: StudyConfig | None
    storage: Place | None


def diagnose(asked: Asked, progress: Progress) -> list[Finding]:
    """Look at the cluster that RAY_ADDRESS names, or else at this machine; no Ray is started.

    Raises:
        UserError: the cluster does not take us in.
    """
    if named() is not None:
        with cluster(progress, None, meanwhile=lambda: None):
            return list(_of_cluster(asked, progress))
    return list(_of_machine(asked, progress))


def _of_machine(asked: Asked, progress: Progress) -> Iterator[Finding]:
    with progress.task("looking at this machine"):
        nodes = examine_here(_text(asked.storage))
    yield checks.versions_agree(nodes)
    yield from checks.gpus_work(nodes)
    if asked.storage is not None:
        yield from checks.storage_shared(nodes, str(asked.storage), shared=True, grows=False)
    yield from _of_head(asked, progress)
    yield from _of_any(nodes, in_cluster=False)


def _of_cluster(asked: Asked, progress: Progress) -> Iterator[Finding]:
    holds = capacity()
    with progress.task("looking at each node"):
        nodes = examine_cluster(_text(asked.storage))
    yield checks.nodes_answer(nodes)
    yield checks.versions_agree(nodes)
    yield from checks.gpus_work(nodes)
    if asked.study is not None:
        yield head.study_fits(asked.study, holds)
    if asked.storage is None:
        yield Finding(
            "storage",
            "warn",
            "not looked at: no study is named",
            "Name one, tuner doctor SPACE.yaml, or the folder of studies: --storage s3://…",
        )
    else:
        shared, grows = is_shared(asked.storage), holds.most_growing > 0
        yield from checks.storage_shared(nodes, str(asked.storage), shared, grows)
    yield from _of_head(asked, progress)
    yield head.tokens_on()
    if (clocks := checks.clocks_agree(nodes)) is not None:
        yield clocks
    yield from _of_any(nodes, in_cluster=True)


def _of_head(asked: Asked, progress: Progress) -> Iterator[Finding]:
    """What a driver needs, here or on the head."""
    study = asked.study
    with progress.task("asking MLflow"):
        if study is not None:
            yield head.mlflow_answers(store_of(study), study.tracking.experiment)
        elif asked.storage is not None:
            yield head.mlflow_answers(default_uri(asked.storage))
    if study is not None:
        with progress.task("looking for the encoder and the data"):
            yield head.encoder_is_there(study)
            yield head.data_is_there(study)


def _of_any(nodes: Sequence[Node], in_cluster: bool) -> Iterator[Finding]:
    token = checks.token_is_secret(nodes, in_cluster)
    if token is not None:
        yield token
    yield from checks.disks_have_space(nodes)
    yield checks.shared_memory_suffices(nodes)
    yield checks.files_can_be_opened(nodes)


def _text(storage: Place | None) -> str | None:
    return None if storage is None else str(storage)
