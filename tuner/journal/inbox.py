"""The inbox of a study: requests that its driver journals, since a journal has one writer.

A request is a file in the study's folder `inbox/`. The driver that reads it journals what follows
with the request's id, and then removes the file: a request is carried out once, whenever a driver
dies. Where no driver works on the study, requests wait for the next one.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tuner.errors import UserError
from tuner.storage.access import create, listed, read, remove
from tuner.storage.folders import Place
from tuner.study.scores import Record

FOLDER = "inbox"
_NAME = re.compile(r"(\d{20}-[0-9a-f]{8})\.json")
MOST = 1000
"""The most requests that wait; more are a mistake."""


class AddTrial(Record):
    """Train a point of the space, before the sampler's next proposal."""

    kind: Literal["add"] = "add"
    params: dict[str, Any] = Field(description="values by dotted name, a point of the space")

    def in_words(self) -> str:
        """Describe what is asked for."""
        return "a trial with " + ", ".join(f"{name}={each}" for name, each in self.params.items())


class StopTrial(Record):
    """Stop a trial that runs, waits or has paused."""

    kind: Literal["stop"] = "stop"
    number: int = Field(ge=0)

    def in_words(self) -> str:
        """Describe what is asked for."""
        return f"the end of trial {self.number:03d}"


Request = AddTrial | StopTrial
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])


def send(folder: Place, request: Request) -> str:
    """Put a request into a study's inbox; return its id. Ids ascend with time.

    Raises:
        UserError: too many requests wait, or the storage cannot be used.
    """
    if len(listed(folder / FOLDER)) >= MOST:
        raise UserError(
            f"{MOST:,} requests wait in {folder / FOLDER}",
            "Let the study's driver read them, or remove what you do not want.",
        )
    id_ = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    created = create(folder / FOLDER / f"{id_}.json", _REQUEST.dump_json(request))
    assert created, f"two requests have the id {id_}"
    return id_


def waiting(folder: Place) -> dict[str, Request | None]:
    """Return the requests in a study's inbox by id, oldest first; None for an unreadable one.

    Raises:
        UserError: the storage cannot be used.
    """
    names = sorted(name for name in listed(folder / FOLDER) if _NAME.fullmatch(name))[:MOST]
    found: dict[str, Request | None] = {}
    for name, content in read(folder / FOLDER, names).items():
        try:
            found[name.removesuffix(".json")] = _REQUEST.validate_json(content)
        except ValidationError:
            found[name.removesuffix(".json")] = None
    return found


def answered(folder: Place, id_: str) -> None:
    """Remove a request that was carried out or refused.

    Raises:
        UserError: the storage cannot be used.
    """
    assert _NAME.fullmatch(f"{id_}.json"), id_
    remove(folder / FOLDER / f"{id_}.json")
