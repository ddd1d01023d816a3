"""The address of a Ray cluster to join: checks of its form, and that a cluster answers there."""

from __future__ import annotations

import os
import re
import socket
from threading import Thread

from tuner.errors import UserError

DASHBOARD, CLIENT = 8265, 10001
"""Default ports on which Ray's head serves its dashboard and Ray Client."""
PATIENCE = 8.0
"""Seconds within which a head must answer: name lookup, connection and first frame together."""
FORM = (
    "RAY_ADDRESS is host:port of the cluster's head, as `ray start --head` prints it "
    "(6379 by default); unset it to run on this machine."
)
SUBMIT = "From another machine, use the cluster's dashboard: tuner submit SPACE.yaml --address URL"
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The start of an HTTP/2 connection (RFC 9113, section 3.4): a preface, then an empty SETTINGS
frame."""
SETTINGS = 4
"""The type of a SETTINGS frame; a gRPC server also sends one first."""


def configured_address() -> str | None:
    """Return the cluster address in RAY_ADDRESS; None if the study starts a Ray of its own here.

    Raises:
        UserError: RAY_ADDRESS does not name a head.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "local"):
        return None
    check_form(address)
    return address


def check_form(address: str) -> None:
    """Refuse an address that does not name a head.

    Args:
        address: the value of RAY_ADDRESS; `auto` and `local` are Ray's keywords.

    Raises:
        UserError: the address is not host:port, or names a dashboard or Ray Client; the message
            says which.
    """
    if address in ("auto", "local"):
        return
    shown = f"RAY_ADDRESS={address!r}"
    scheme, separator, _ = address.partition("://")
    if separator:
        if scheme in ("http", "https"):
            raise UserError(f"{shown} is the address of a dashboard, not of a head", SUBMIT)
        if scheme == "ray":
            raise UserError(f"{shown} is a Ray Client address, where no study can run", SUBMIT)
        raise UserError(f"{shown} is not the address of a head", FORM)
    host, port = _parts(address)
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"{shown} is not host:port", FORM)
    configured_address = {DASHBOARD: "the dashboard's port", CLIENT: "the port of Ray Client"}.get(
        int(port)
    )
    if configured_address is not None:
        raise UserError(f"{shown} names {configured_address}, not the head's", f"{FORM} {SUBMIT}")


def check_answers(address: str) -> None:
    """Refuse an address at which no cluster head answers; takes PATIENCE seconds at most.

    Args:
        address: `host:port`.

    Raises:
        UserError: no head answers; the message says what answers instead, or what failed.
    """
    said: list[bytes | OSError] = []
    asking = Thread(target=lambda: said.append(_greeted(*_parts(address))), daemon=True)
    asking.start()
    asking.join(PATIENCE)  # a name lookup has no timeout of its own
    answer = said[0] if said else TimeoutError()
    start = f"Start it (`ray start --head` on its head) or correct RAY_ADDRESS. {FORM}"
    if isinstance(answer, TimeoutError):
        raise UserError(f"no Ray cluster answers at {address} within {PATIENCE:.0f} s", start)
    if isinstance(answer, socket.gaierror):
        raise UserError(f"the host of {address} is unknown: {answer.strerror}", start)
    if isinstance(answer, OSError):
        why = answer.strerror or str(answer)
        raise UserError(f"no Ray cluster answers at {address}: {why}", start)
    if answer.startswith(b"HTTP/"):
        raise UserError(f"a web server answers at {address}, for instance a dashboard", FORM)
    encrypted = os.environ.get("RAY_USE_TLS") == "1"
    if not encrypted and (len(answer) < len(HELLO[-9:]) or answer[3] != SETTINGS):
        raise UserError(f"the server at {address} is not the head of a Ray cluster", FORM)


def _parts(address: str) -> tuple[str, str]:
    """Split an address into host and port; an IPv6 address is in brackets."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(\S+)", address)
    return (found[1].strip("[]"), found[2]) if found else ("", "")


def _greeted(host: str, port: str) -> bytes | OSError:
    """Send the start of an HTTP/2 connection and return the first bytes of the answer.

    These bytes tell what kind of server it is. Where the connection fails, return the error.
    """
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(HELLO)
            return connection.recv(64)
    except OSError as error:
        return error
