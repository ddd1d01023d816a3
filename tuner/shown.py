"""What may be shown and kept of texts that others wrote: no secrets, no control characters."""

from __future__ import annotations

import re

SECRET = re.compile("pass|pwd|token|secret|credential|signature|key|odbc", re.IGNORECASE)
"""Names, as of query parameters, of what is a secret."""

_USERINFO = re.compile(r"(:/+)\S*@")  # greedy: a password may hold any character
_PARAMETER = re.compile(rf"([?&;][^=&;\s]*(?:{SECRET.pattern})[^=&;\s]*=)[^&;\s'\"]*", SECRET.flags)
_PASSWORD = re.compile(r"://[^\s/@]*:\S*@|\bhttps?://[^\s/@]*@")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def without_secrets(text: str) -> str:
    """A text in which no address keeps its `user:password@`, nor a `?password=…` its value."""
    return _PARAMETER.sub(r"\1***", _USERINFO.sub(r"\1***@", text))


def has_secret(text: str) -> bool:
    """Whether there is an address with a password in a text; a user's name alone is none."""
    return bool(_PASSWORD.search(text) or ("://" in text and _PARAMETER.search(text)))


def printable(text: str) -> str:
    r"""A text that cannot move the cursor, colour the terminal or turn its words around.

    Control characters are written as in Python, `\x1b`; newlines and tabs stay.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def is_printable(text: str) -> bool:
    """Whether `printable` would leave a text as it is."""
    return _UNPRINTABLE.search(text) is None
