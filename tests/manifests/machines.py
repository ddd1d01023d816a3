"""Machines that answer Ray's ssh and rsync, and write down what they were asked to do."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

HOME = "/home/ray"
_ANSWERS = {  # to what Ray asks before it starts a container
    "printenv HOME": HOME,
    "json .Config.Env": f'["HOME={HOME}"]',
    "command -v docker": "/usr/bin/docker",
    ".Runtimes": "map[nvidia:{nvidia-container-runtime}]",
    "/proc/meminfo": "MemAvailable: 16000000 kB",
}


class Machines:
    """In place of `subprocess`, where Ray runs ssh and rsync."""

    DEVNULL = subprocess.DEVNULL
    PIPE = subprocess.PIPE
    CalledProcessError = subprocess.CalledProcessError

    def __init__(self) -> None:
        self.commands: list[str] = []

    def check_call(self, command: list[str], **_: Any) -> int:
        self.commands.append(_readable(command))
        return 0

    call = check_call

    def check_output(self, command: list[str], **_: Any) -> bytes:
        """Answer a command that only asks; nothing runs there yet."""
        asked = _readable(command)
        answer = next((answer for part, answer in _ANSWERS.items() if part in asked), "")
        return answer.encode()

    def matching(self, *parts: str) -> list[str]:
        return [command for command in self.commands if all(part in command for part in parts)]


def _readable(command: list[str]) -> str:
    """The command without the quotes of the shells inside one another."""
    text = " ".join(command)
    while True:
        try:
            inner = " ".join(shlex.split(text))
        except ValueError:
            return text
        if inner == text:
            return text
        text = inner
