"""Cleaning of untrusted text before it is shown or stored: secrets and control characters."""

from __future__ import annotations

import re

SECRET = re.compile("pass|pwd|token|secret|credential|signature|key|odbc", re.IGNORECASE)
"""Names, for instance of query parameters, whose values are secret."""

_USERINFO = re.compile(r"(:/+)\S*@")  # greedy: a password may hold any character
_PARAMETER = re.compile(rf"([?&;][^=&;\s]*(?:{SECRET.pattern})[^=&;\s]*=)[^&;\s'\"]*", SECRET.flags)
_PASSWORD = re.compile(r"://[^\s/@]*:\S*@|\bhttps?://[^\s/@]*@")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def without_secrets(text: str) -> str:
    """Return the text with `user:password@` and values such as `?password=…` masked."""
    return _PARAMETER.sub(r"\1***", _USERINFO.sub(r"\1***@", text))


def has_secret(text: str) -> bool:
    """Return whether a text holds an address with a password or another secret.

    A user name alone counts only in an http or https address.
    """
    return bool(_PASSWORD.search(text) or ("://" in text and _PARAMETER.search(text)))


def printable(text: str) -> str:
    r"""Return a text that cannot move the cursor, colour the terminal or reverse text direction.

    Control characters are written as Python escapes, such as `\x1b`; newlines and tabs stay.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def is_printable(text: str) -> bool:
    """Return whether `printable` would leave a text unchanged."""
    return _UNPRINTABLE.search(text) is None
