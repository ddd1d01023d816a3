"""A quick check of the Hugging Face hub: does it answer, and which commit does it have?

The hub's libraries retry for some 25 seconds before they report that the hub is unreachable. This
module therefore asks first. If the hub does not answer, the libraries go offline and read the cache
(`HF_HOME`) at once, as with `HF_HUB_OFFLINE=1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import huggingface_hub
import huggingface_hub.constants
from huggingface_hub.errors import (
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tuner.errors import UserError
from tuner.timing import within

ANSWER_SECONDS = 5.0
"""The time limit for the hub to accept a connection, and again to answer."""
BLOCK = {"dataset": "data", "model": "encoder"}
"""The block of a study that names a repository of each kind."""


@dataclass(frozen=True)
class HubReply:
    """The hub's answer about a repository.

    Attributes:
        commit: the commit of the revision; "" if the hub did not answer.
        silence: the reason why it did not answer, to follow "the hub ..."; "" if it did.
    """

    commit: str
    silence: str


def ask(kind: Literal["dataset", "model"], name: str, revision: str | None) -> HubReply:
    """Ask the hub for the commit of a repository; the process caches the answer.

    Raises:
        UserError: the hub answered that the repository or revision does not exist.
    """
    if huggingface_hub.is_offline_mode():
        return HubReply("", "was not asked (offline mode is set)")
    return _asked(kind, name, revision)


def cached_folder(name: str, revision: str | None) -> Path | None:
    """Return the folder of a model in this machine's cache; None if it is not cached."""
    try:
        config = huggingface_hub.try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None


@contextmanager
def offline(on: bool) -> Iterator[None]:
    """Set HF_HUB_OFFLINE=1 within a context: no request to the hub and no retry."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = before or on
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


def reason(error: BaseException) -> str:
    """Return the original cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


@cache
def _asked(kind: Literal["dataset", "model"], name: str, revision: str | None) -> HubReply:
    block = BLOCK[kind]
    api = huggingface_hub.HfApi()
    info = api.dataset_info if kind == "dataset" else api.model_info
    try:
        asked = partial(info, name, revision=revision, timeout=ANSWER_SECONDS)
        commit: str | None = within(2 * ANSWER_SECONDS, lambda: asked().sha, "asking the hub")
    except HFValidationError as error:
        raise UserError(
            f"{block}.name is not the id of a {kind} on the hub: {name!r}",
            "Ids have the form owner/name. The path of a folder begins with / ~ or .",
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(
            f"{name} has no revision {revision!r} on the hub",
            f"Name a commit of its repository in {block}.revision, or null for the newest.",
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"the hub has no {kind} {name!r}, or you may not access it",
            f"Check {block}.name: a folder would be {Path(name).absolute()}. If the {kind} is "
            "private or gated, give HF_TOKEN.",
        ) from error
    except Exception as error:  # the hub's HTTP library may raise anything
        return HubReply("", f"did not answer ({reason(error)})")
    assert commit is not None
    return HubReply(commit, "")
