"""The connection to a cluster's head by its dashboard's address, which fails closed.

Anyone who reaches a job API without tokens can run anything on the whole cluster
(CVE-2023-48022), and a token that is sent over plain http can be read on the way.
"""

from __future__ import annotations

import json
import os
import shlex
import ssl
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from tuner.cluster.private import NO_AGENT
from tuner.errors import UserError
from tuner.shown import printable
from tuner.timing import within

PATIENCE, IN_ALL = 30.0, 120.0
"""Seconds that the head has for each part of an answer, and for the whole answer."""
SLOWEST = 100_000
"""Bytes per second of the slowest network, by which large bodies get more time."""
NO_JOB = "/api/jobs/tuner-asks-whether-a-token-is-needed"
"""The path to request without a token: a job that does not exist."""
TURN_ON = (
    "Turn tokens on: RAY_AUTH_MODE=token in the environment of `ray start` on every node, with one "
    "token in ~/.ray/auth_token there and here (`ray get-auth-token --generate` makes it; make the "
    "file 0600)."
)
HAVE_TOKEN = (
    "Put the cluster's token into RAY_AUTH_TOKEN, into the file that RAY_AUTH_TOKEN_PATH names, or "
    "into ~/.ray/auth_token; on the head, `ray get-auth-token` prints it."
)


@dataclass(frozen=True)
class Head:
    """The head of a cluster.

    Attributes:
        address: the address of its dashboard, such as `https://head:8265`.
        token: the token that it asks for; None if it asks for none.
    """

    address: str
    token: str | None = field(default=None, repr=False)

    @property
    def options(self) -> str:
        """The command line options that reach it: `--address URL`, and `--insecure` if needed."""
        safe = self.token is not None and not _in_clear(self.address)
        return f"--address {shlex.quote(self.address)}" + ("" if safe else " --insecure")

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers with the token."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(
        self, method: str, path: str, body: bytes | None = None, patience: float = PATIENCE
    ) -> tuple[int, bytes]:
        """Send a request, and return the status and body of the answer.

        Raises:
            UserError: no answer came.
        """
        headers = self.headers | ({"Content-Type": "application/octet-stream"} if body else {})
        request = Request(self.address + path, body, headers, method=method)
        handlers: list[Any] = [_NoRedirect()]
        if is_loopback(self.address):
            handlers.append(ProxyHandler({}))  # bypass proxies for this machine
        try:
            whole = IN_ALL + len(body or b"") / SLOWEST
            return within(whole, partial(_send, handlers, request, patience), "asking the head")
        except (OSError, HTTPException) as error:
            raise unreachable(self.address, error) from None

    def ask_json(self, method: str, path: str, body: Any = None) -> Any:
        """Send a JSON request, and return the decoded answer.

        Raises:
            UserError: no answer came, or its status was not 200.
        """
        status, answer = self.ask(method, path, None if body is None else json.dumps(body).encode())
        if status != 200:
            raise refused(self.address, status, answer)
        return json.loads(answer)


def _send(handlers: list[Any], request: Request, patience: float) -> tuple[int, bytes]:
    try:
        with build_opener(*handlers).open(request, timeout=patience) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirects, since a token is for one address only."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


def connect(address: str, insecure: bool = False) -> Head:
    """Return the head at an address after checking that it demands a token and accepts ours.

    Args:
        address: the dashboard's address, such as `https://head` or `http://127.0.0.1:8265`.
        insecure: accept a head without tokens, and plain http.

    Raises:
        UserError: the head is not safe, does not answer, is not a Ray dashboard, requires a
            different token, or runs a different version of Ray.
    """
    address = _checked(address, insecure)
    nobody = Head(address)
    status, _ = nobody.ask("GET", NO_JOB)
    if status not in (401, 403):
        _check_ray(nobody)
        if not insecure:
            raise UserError(
                f"the job API at {address} answers without a token: anyone who can reach it can "
                "run anything on the cluster",
                f"{TURN_ON} Or give --insecure if nobody else can reach it.",
            )
        return nobody
    token = find_token()
    if token is None:
        raise UserError(
            f"the cluster at {address} asks for a token, but none was found", HAVE_TOKEN
        )
    head = Head(address, token)
    status, _ = head.ask("GET", NO_JOB)
    if status in (401, 403):
        raise UserError(
            f"the cluster at {address} does not accept the token found here", HAVE_TOKEN
        )
    _check_ray(head)
    return head


def find_token() -> str | None:
    """Return the token from the places where Ray looks for it, in Ray's order; None if missing.

    Raises:
        UserError: the file that RAY_AUTH_TOKEN_PATH names cannot be read.
    """
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    try:
        path = Path(named or Path.home() / ".ray" / "auth_token").expanduser()
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        if named:
            raise UserError(
                f"RAY_AUTH_TOKEN_PATH={named} cannot be read: {error}", HAVE_TOKEN
            ) from None
        return None


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unreachable(address: str, error: Exception) -> UserError:
    """Return the error for a request without an answer."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLError) and reason.reason == "WRONG_VERSION_NUMBER":
        return UserError(
            f"the server at {address} does not speak TLS",
            f"Did you mean http://{urlsplit(address).netloc}?",
        )
    if isinstance(reason, HTTPException):
        return UserError(
            f"the server at {address} does not speak HTTP",
            "Give the dashboard's address; its port is 8265 by default.",
        )
    if isinstance(reason, ssl.SSLError):
        return UserError(
            f"the certificate of {address} cannot be trusted: {reason}",
            "Name the authority that issued it in SSL_CERT_FILE, or reach the head through a "
            "tunnel.",
        )
    return UserError(
        f"nothing answers at {address}: {reason or type(reason).__name__}",
        "Check that the cluster is up and that its dashboard can be reached from here, for "
        "instance through a tunnel: ssh -N -L 8265:127.0.0.1:8265 HEAD, then http://127.0.0.1:8265",
    )


def refused(address: str, status: int, answer: bytes) -> UserError:
    """Return the error for an answer that refuses a request."""
    said = printable(answer.decode(errors="replace")).strip()
    last = said.splitlines()[-1][:300] if said else "no reason given"
    if NO_AGENT in said:
        return UserError(
            f"the head at {address} cannot run jobs: Ray's agent has not started there",
            "Another Ray on that machine may hold its port: stop that one first, or start the head "
            "with `ray start --head --dashboard-agent-listen-port=PORT …`. See "
            "the head's logs/dashboard_agent.log.",
        )
    return UserError(
        f"the cluster at {address} refused a request ({status}): {last}",
        "See the head's logs/dashboard.log.",
    )


def _checked(address: str, insecure: bool) -> str:
    """Validate an address, and return it without a slash at its end."""
    remedy = "Give the dashboard's address, such as https://head or http://127.0.0.1:8265."
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"{address!r} is not an address: {error}", remedy) from None
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(f"{address!r} is not the address of a dashboard", remedy)
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError("an address may contain neither a login nor a query", remedy)
    if _in_clear(address) and not insecure:
        raise UserError(
            f"{address} is plain http over a network: others can read the token and all that is "
            "sent",
            "Reach it by https://, or through a tunnel: ssh -N -L 8265:127.0.0.1:8265 HEAD, then "
            "http://127.0.0.1:8265. Or give --insecure if the network is your own.",
        )
    return address.rstrip("/")


def _in_clear(address: str) -> bool:
    return urlsplit(address).scheme == "http" and not is_loopback(address)


def _check_ray(head: Head) -> None:
    """Raise UserError unless the head is a Ray dashboard of the version installed here."""
    status, answer = head.ask("GET", "/api/version")
    try:
        there = json.loads(answer)["ray_version"] if status == 200 else None
    except (ValueError, TypeError, KeyError):
        there = None
    if not isinstance(there, str):
        raise UserError(
            f"the server at {head.address} is not a Ray dashboard",
            "Give the dashboard's address; its port is 8265 by default, and its job API needs "
            "ray[default] on the head.",
        )
    if there != version("ray"):
        raise UserError(
            f"the cluster at {head.address} runs Ray {printable(there)[:30]}, but "
            f"{version('ray')} is installed here",
            f"Use an image with Ray {version('ray')}, or install the cluster's version here.",
        )
