"""The Ray cluster that a study runs on: joined, or started on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

from tuner.errors import UserError
from tuner.interrupts import kept
from tuner.progress import Progress
from tuner.study.parts import ResourcesConfig

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the journal and our view replace Ray's
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we have our own
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def cluster(progress: Progress) -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS names (as in a Ray job), or start one on this machine.

    Raises:
        UserError: the cluster does not answer, or wants a token that it was not given.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    keys = {name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    ENV_VARS_TO_PROPAGATE.difference_update(keys)  # Ray writes what it hands on to its logs
    address = os.environ.get("RAY_ADDRESS") or "local"
    at = "on this machine" if address == "local" else f"at {address}"
    try:
        # Ray puts in a handler of its own for SIGTERM, which exits.
        with kept(), progress.task(f"{'starting' if address == 'local' else 'joining'} Ray {at}"):
            ray.init(
                address=address,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={
                    "env_vars": {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
                },
            )
        held = ray.cluster_resources()  # type: ignore[no-untyped-call]
        progress.tell(f"Ray {at}: {held.get('CPU', 0):g} CPUs, {held.get('GPU', 0):g} GPUs")
    except ConnectionError as error:
        raise UserError(
            f"no Ray cluster at {address} takes us in",
            "Start it, or unset RAY_ADDRESS to run on this machine. Where it wants a token: "
            "RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token.",
        ) from error
    try:
        yield
    finally:
        with progress.task("stopping Ray" if address == "local" else "leaving Ray"):
            ray.shutdown()


def concurrency(resources: ResourcesConfig) -> int:
    """How many trials run at once: as declared, or as many as the cluster can grow to hold.

    Raises:
        UserError: not even one fits.
    """
    declared = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    present = ray.cluster_resources()  # type: ignore[no-untyped-call]
    held = {kind: max(declared.get(kind, 0), present.get(kind, 0)) for kind in ("CPU", "GPU")}
    asked = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    fits = min(int(held[kind] // amount) for kind, amount in asked.items() if amount > 0)
    if fits == 0:
        short = next(kind for kind, amount in asked.items() if amount > held[kind])
        raise UserError(
            f"a trial asks for {asked[short]:g} {short} and there are {held[short]:g}",
            f"Lower it: --set resources.{short.lower()}s_per_trial={held[short]:g}",
        )
    return min(fits, resources.max_concurrent_trials or fits)
