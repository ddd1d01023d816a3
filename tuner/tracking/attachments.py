"""Attachment of files to a study's run in MLflow, such as its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tuner.study.parts import SQLITE
from tuner.tracking.addresses import database_file, without_credentials
from tuner.tracking.refusals import failed
from tuner.tracking.store import connect
from tuner.tracking.tracker import PAGE

if TYPE_CHECKING:
    from mlflow import MlflowClient


def attach(uri: str, experiment: str, study_id: str, texts: Mapping[str, str]) -> bool:
    """Put files into a study's run, replacing files of the same names; change nothing else.

    Args:
        uri: the address of the store.
        experiment: the name of the study's experiment.
        study_id: the id in the study's record.
        texts: contents by name.

    Returns:
        Whether the store has a run of the study.

    Raises:
        Unreachable: a server does not answer.
        UserError: the store cannot be used, or does not accept the files.
    """
    if uri.startswith(SQLITE) and not database_file(uri).exists():
        return False
    client = connect(uri)
    try:
        run_id = _run_of(client, experiment, study_id)
        for name, text in texts.items() if run_id else ():
            client.log_text(run_id, without_credentials(text, uri), name)
    except Exception as error:
        raise failed(uri, error) from None
    return bool(run_id)


def _run_of(client: MlflowClient, experiment: str, study_id: str) -> str:
    """Return the id of the study's own run, which began before its trials' runs; "" if missing."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return ""
    token = None
    while token != "":
        page = client.search_runs(
            [found.experiment_id],
            f"tags.`tuner.study_id` = '{study_id}'",
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        for run in page:
            if "tuner.trial" not in run.data.tags:
                return str(run.info.run_id)
        token = page.token or ""
    return ""
