"""The address of a Ray cluster to join: what form it has, and whether a cluster answers there."""

from __future__ import annotations

import os
import re
import socket
from threading import Thread

from tuner.errors import UserError

DASHBOARD, CLIENT = 8265, 10001
"""Ports on which Ray's head serves its dashboard and Ray Client, where nothing else was said."""
PATIENCE = 8.0
"""Seconds that a head has to answer: a lookup of its name, a connection, a first frame."""
FORM = (
    "RAY_ADDRESS is host:port of the cluster's head, as `ray start --head` prints it "
    "(6379 where nothing else was said); unset it to run on this machine."
)
SUBMIT = "From elsewhere, run a study there by its dashboard: tuner submit SPACE.yaml --address URL"
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How HTTP/2 begins (RFC 9113, section 3.4): a preface, then a frame of settings, here empty."""
SETTINGS = 4
"""The type of that frame, with which a server of gRPC begins as well."""


def named() -> str | None:
    """What RAY_ADDRESS names to be joined; None: a study runs in a Ray of its own, here.

    Raises:
        UserError: it does not name a head.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "local"):
        return None
    check_form(address)
    return address


def check_form(address: str) -> None:
    """Refuse what does not name a head.

    Args:
        address: as RAY_ADDRESS has it; `auto` and `local` are Ray's words.

    Raises:
        UserError: says what it is instead, and what is expected.
    """
    if address in ("auto", "local"):
        return
    shown = f"RAY_ADDRESS={address!r}"
    scheme, separator, _ = address.partition("://")
    if separator:
        if scheme in ("http", "https"):
            raise UserError(f"{shown} is the address of a dashboard, not of a head", SUBMIT)
        if scheme == "ray":
            raise UserError(f"{shown} is an address of Ray Client, on which no study runs", SUBMIT)
        raise UserError(f"{shown} is not an address of a head", FORM)
    host, port = _parts(address)
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"{shown} is not host:port", FORM)
    named = {DASHBOARD: "the dashboard's port", CLIENT: "the port of Ray Client"}.get(int(port))
    if named is not None:
        raise UserError(f"{shown} names {named}, not the head's", f"{FORM} {SUBMIT}")


def check_answers(address: str) -> None:
    """Refuse an address where no head of a cluster answers; takes PATIENCE at most.

    Args:
        address: as `host:port`.

    Raises:
        UserError: says what answers there, or what hinders.
    """
    said: list[bytes | OSError] = []
    asking = Thread(target=lambda: said.append(_greeted(*_parts(address))), daemon=True)
    asking.start()
    asking.join(PATIENCE)  # a lookup of a name cannot be bounded by itself
    answer = said[0] if said else TimeoutError()
    start = f"Start it (`ray start --head` on its head) or correct RAY_ADDRESS. {FORM}"
    if isinstance(answer, TimeoutError):
        raise UserError(f"no Ray cluster answers at {address} within {PATIENCE:.0f} s", start)
    if isinstance(answer, socket.gaierror):
        raise UserError(f"the host of {address} is not known: {answer.strerror}", start)
    if isinstance(answer, OSError):
        why = answer.strerror or str(answer)
        raise UserError(f"no Ray cluster answers at {address}: {why}", start)
    if answer.startswith(b"HTTP/"):
        raise UserError(f"a web server answers at {address}, for instance a dashboard", FORM)
    encrypted = os.environ.get("RAY_USE_TLS") == "1"
    if not encrypted and (len(answer) < len(HELLO[-9:]) or answer[3] != SETTINGS):
        raise UserError(f"what answers at {address} is not the head of a Ray cluster", FORM)


def _parts(address: str) -> tuple[str, str]:
    """Host and port; an IPv6 address stands in brackets."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(\S+)", address)
    return (found[1].strip("[]"), found[2]) if found else ("", "")


def _greeted(host: str, port: str) -> bytes | OSError:
    """What a server says to a client of gRPC, of which the first bytes tell what it is."""
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(HELLO)
            return connection.recv(64)
    except OSError as error:
        return error
