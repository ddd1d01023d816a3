"""What lets a study in elsewhere, as it comes from `tuner submit` and goes on to its workers.

It stands in the environment of the driver and of workers that need it, set from inside: there is no
file of it, and it is in no runtime environment, metadata or log. On its way it is in the store of
the cluster's head, under a name that cannot be guessed.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tuner.errors import UserError
from tuner.invocation import SENT

if TYPE_CHECKING:
    from tuner.storage.folders import Place

OBJECT_STORES = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    )
}
"""By the scheme of a storage: what lets us in there. For gs:// there are roles of machines."""
LENT = "TUNER_LENT"
"""Variable of a worker that names what is lent to it."""
PATIENCE = 30.0
"""Seconds."""
HEADER = b"tuner credentials"
"""Ray repeats the first 15 bytes of what it could not store."""

DISABLED = "disabled"
"""The value of RAY_AUTH_MODE by which a cluster asks for no token."""


def auth_mode() -> str:
    """The value of RAY_AUTH_MODE, empty where it is unset. Ray takes unknown words for disabled."""
    mode = os.environ.get("RAY_AUTH_MODE", "").strip().lower()
    return mode if mode in ("", "token") else DISABLED


def check_tokens(insecure: bool) -> None:
    """Refuse to run a study where the environment turns tokens off, unless it was said aloud.

    Args:
        insecure: it was.

    Raises:
        UserError: names what turns them off.
    """
    if auth_mode() != DISABLED or insecure:
        return
    raise UserError(
        f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} turns Ray's tokens off: whoever reaches its "
        "ports, as every user of this machine does, may run anything as you",
        "Unset RAY_AUTH_MODE, or give --insecure where nobody else is on the machine or network.",
    )


def make_private() -> str | None:
    """Take the right to read a cluster's token from everybody else: Ray writes its file mode 0644.

    That file alone, and only where it is used. The group may be meant to read one that a user has
    named, so that it stays as it is.

    Returns:
        What to tell the user; None where nobody reads it who should not.
    """
    if os.environ.get("RAY_AUTH_TOKEN", "").strip() or auth_mode() == DISABLED:
        return None
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    try:
        path = Path(named or Path.home() / ".ray" / "auth_token").expanduser()
        if not path.is_file():
            return None
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, RuntimeError):  # a home that is not there, or not ours to look into
        return None
    if named:
        return f"everybody may read {path}, a Ray token: chmod o-r it" if mode & 0o004 else None
    if not mode & 0o077:
        return None
    try:
        path.chmod(0o600)
    except OSError as error:
        return f"others may read {path}, a Ray token: chmod 600 it ({error.strerror})"
    return f"{path}, a Ray token, could be read by others (mode {mode:04o}): it is 0600 now"


def take() -> None:
    """Put what was sent to this process into its environment, and away from the head's store.

    Raises:
        UserError: it was not called for in time.
    """
    name = os.environ.pop(SENT, None)
    if name is None:
        return
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    client = GcsClient(address=os.environ["RAY_ADDRESS"])
    key = f"gcs://{name}".encode()
    content = client.internal_kv_get(key, None)
    if content is None:
        raise UserError(
            "the credentials that were sent with this job are no longer there: it began more than "
            "ten minutes after it was submitted",
            "Submit it again: what had to be installed first is there now.",
        )
    client.internal_kv_del(key, False, None)
    os.environ.update(json.loads(content.removeprefix(HEADER)))


class Loan:
    """What workers of a joined cluster are lent to be let into a storage; a context manager.

    Args:
        storage: that they write to; None where they write nowhere.

    Attributes:
        runtime_env: of workers, by which they find it and take it; empty where nothing is lent.
    """

    def __init__(self, storage: Place | None) -> None:
        names = OBJECT_STORES.get(str(storage).partition("://")[0], ())
        self._lent = {name: value for name in names if (value := os.environ.get(name))}
        self._name = f"tuner-{secrets.token_hex(16)}"
        self.runtime_env: dict[str, Any] = {}
        if self._lent:
            hook = f"{borrow.__module__}.{borrow.__qualname__}"
            self.runtime_env = {
                "env_vars": {LENT: self._name},
                "worker_process_setup_hook": hook,
            }

    def __enter__(self) -> Self:
        from ray.experimental.internal_kv import _internal_kv_put

        if self._lent:
            _internal_kv_put(self._name, json.dumps(self._lent))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from ray.experimental.internal_kv import _internal_kv_del

        if self._lent:
            _internal_kv_del(self._name)


def borrow() -> None:
    """Put what is lent into the environment of a worker, before anything else is run there.

    Raises:
        RuntimeError: there is nothing: the driver has gone.
    """
    from ray.experimental.internal_kv import _internal_kv_get

    deadline = time.monotonic() + PATIENCE
    while (content := _internal_kv_get(os.environ[LENT])) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("no credentials are lent to this worker: its driver has gone")
        time.sleep(0.2)  # workers may start before the driver has joined
    os.environ.update(json.loads(content))
