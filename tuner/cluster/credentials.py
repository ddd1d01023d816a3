"""A study's credentials, on their way from `tuner submit` to the driver and to its workers.

The driver, and each worker that needs them, puts the credentials into its own environment. They
are in no file, runtime environment, metadata or log. In transit they are in the store of the
cluster's head, under a name that cannot be guessed.
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

from tuner.cluster import private
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
"""Environment variables with credentials, by the scheme of a storage. Access to gs:// uses the
machine's role."""
SHARED = "TUNER_LENT"
"""Environment variable of a worker: the name under which its credentials are stored."""
PATIENCE = 30.0
"""Seconds that a worker waits for its credentials."""
HEADER = b"tuner credentials"
"""Prefix of the stored credentials, longer than what Ray quotes of a value that it cannot store."""

DISABLED = "disabled"
"""The value of RAY_AUTH_MODE with which a cluster asks for no token."""


def auth_mode() -> str:
    """Return RAY_AUTH_MODE, empty if it is unset. Ray treats unknown values as disabled."""
    mode = os.environ.get("RAY_AUTH_MODE", "").strip().lower()
    return mode if mode in ("", "token") else DISABLED


def check_tokens(insecure: bool) -> None:
    """Refuse to run a study if the environment turns Ray's tokens off, unless the user insists.

    Args:
        insecure: True if the user gave --insecure.

    Raises:
        UserError: RAY_AUTH_MODE turns tokens off.
    """
    if auth_mode() != DISABLED or insecure:
        return
    raise UserError(
        f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} turns Ray's tokens off: everyone who can "
        "reach its ports, including every user of this machine, can run anything as you",
        "Unset RAY_AUTH_MODE, or give --insecure if nobody else is on the machine or network.",
    )


def make_private() -> str | None:
    """Make Ray's token file private, because Ray creates it with mode 0644.

    Only Ray's default file is changed, and only if it is in use. A file that the user named in
    RAY_AUTH_TOKEN_PATH stays as it is, because its group may be meant to read it.

    Returns:
        A message for the user; None if the file was private already or is not used.
    """
    if os.environ.get("RAY_AUTH_TOKEN", "").strip() or auth_mode() == DISABLED:
        return None
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    try:
        path = Path(named or Path.home() / ".ray" / "auth_token").expanduser()
        if not path.is_file():
            return None
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, RuntimeError):  # the home folder is missing or not readable
        return None
    if named:
        return f"everybody can read the Ray token {path}: run chmod o-r" if mode & 0o004 else None
    if not mode & 0o077:
        return None
    try:
        path.chmod(0o600)
    except OSError as error:
        return f"others can read the Ray token {path}: run chmod 600 ({error.strerror})"
    return f"others could read the Ray token {path} (mode {mode:04o}): its mode is 0600 now"


def load_job_credentials() -> None:
    """Move the credentials sent with this job from the head's store into the environment.

    Raises:
        UserError: the credentials have expired.
    """
    name = os.environ.pop(SENT, None)
    if name is None:
        return
    client = private.store(os.environ["RAY_ADDRESS"])
    key = f"gcs://{name}".encode()
    content = client.internal_kv_get(key, None)
    if content is None:
        raise UserError(
            "the credentials that were sent with this job have expired: it began more than "
            "ten minutes after it was submitted",
            "Submit it again: its packages are installed now, so it will begin sooner.",
        )
    client.internal_kv_del(key, False, None)
    os.environ.update(json.loads(content.removeprefix(HEADER)))


class SharedCredentials:
    """A context manager that lends workers of a joined cluster the credentials of a storage.

    Args:
        storage: the storage that workers write to; None if they write nowhere.

    Attributes:
        runtime_env: Ray's runtime environment with which workers find and take the credentials;
            empty if nothing is lent.
    """

    def __init__(self, storage: Place | None) -> None:
        names = OBJECT_STORES.get(str(storage).partition("://")[0], ())
        self._shared = {name: value for name in names if (value := os.environ.get(name))}
        self._name = f"tuner-{secrets.token_hex(16)}"
        self.runtime_env: dict[str, Any] = {}
        if self._shared:
            hook = f"{load_shared_credentials.__module__}.{load_shared_credentials.__qualname__}"
            self.runtime_env = {
                "env_vars": {SHARED: self._name},
                "worker_process_setup_hook": hook,
            }

    def __enter__(self) -> Self:
        if self._shared:
            private.put(self._name, json.dumps(self._shared))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shared:
            private.delete(self._name)


def load_shared_credentials() -> None:
    """Put the lent credentials into a worker's environment before anything else runs there.

    Raises:
        RuntimeError: no credentials were found: the driver has ended.
    """
    deadline = time.monotonic() + PATIENCE
    while (content := private.get(os.environ[SHARED])) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("this worker found no credentials: its driver has ended")
        time.sleep(0.2)  # workers may start before the driver has joined
    os.environ.update(json.loads(content))
