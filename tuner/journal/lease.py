"""A driver's lease on a study that several machines can reach: a heartbeat with expiry.

The n-th driver of a study creates `drivers/00000n.json`, which only one process can do, and renews
it while it works. The study is free if its last driver has ended, has not renewed its lease for a
minute, or was a process of this machine that no longer exists. So after a kill, `resume` continues
at once on the same machine, and within a minute elsewhere. If two drivers find the study free, one
creates the next number; the other looks again and finds it taken.

Only the storage's clock decides the age of a lease: the time of the lease's last write is compared
with that of a file written there now. The machines' clocks may differ. If the storage's clock was
set back, a lease has expired once a waiting driver has watched it for its whole time without a
renewal. A driver trusts its own lease by its own monotonic clock, counted from before it asked for
the lease, so it stops before others take over. A driver might still sleep between that check and a
write. The journal's records are therefore exclusively created: see `segments`.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import uuid
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tuner.errors import UserError
from tuner.invocation import command
from tuner.progress import Progress
from tuner.storage.access import create, listed, modified, probe, read, write
from tuner.storage.folders import Place

FOLDER = "drivers"
RENEW_EVERY, EXPIRY = 10.0, 60.0
"""Seconds between renewals, and seconds after which a lease expires."""
GRACE = 2.0
"""Seconds by which a lease may seem too old if the storage's clock gives whole seconds."""
_NAME = re.compile(r"(\d{6,})\.json")


class Holder(BaseModel):
    """The content of a lease file: the driver that holds the lease.

    Attributes:
        owner: a random id of the lease.
        host, pid: host and process id, shown to people.
        machine: the boot and the container in which `pid` is a process.
        renewed: how often the lease was renewed, so that a waiting driver sees it change.
        ended: True if the driver has ended cleanly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str
    host: str
    pid: int
    machine: str
    renewed: int = 0
    ended: bool = False

    @property
    def has_exited(self) -> bool:
        """True if the holder was a process of this machine that no longer exists."""
        if self.machine != _this_machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):  # another user's process, or an invalid process id
            return False
        return _has_ended(self.pid)


@dataclass(frozen=True)
class _Written:
    number: int
    holder: Holder
    time: float  # by the storage's clock


class Lease:
    """The lease on a study; a thread renews it until it is released.

    Args:
        folder: the study's folder.
        progress: shows the wait until the lease of a possibly dead driver expires or is renewed.
            Without it, the constructor does not wait.
        renew_every, expiry: seconds.

    Raises:
        UserError: another driver works on the study, or may do so; or the storage cannot be used.
    """

    def __init__(
        self,
        folder: Place,
        progress: Progress | None = None,
        renew_every: float = RENEW_EVERY,
        expiry: float = EXPIRY,
    ) -> None:
        self._folder = folder
        self._renew_every, self._expiry = renew_every, expiry
        self._holder = Holder(
            owner=uuid.uuid4().hex,
            host=socket.gethostname(),
            pid=os.getpid(),
            machine=_this_machine(),
        )
        self._lost = False
        self._until = 0.0  # monotonic
        self._released = threading.Event()
        self._number = self._acquired(progress)
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Refuse to continue if another driver may be working on the study.

        Raises:
            UserError: another driver has taken over, or the lease has expired.
        """
        if self._lost:
            raise overtaken(self._folder)
        if time.monotonic() > self._until:
            raise UserError(
                f"the lease on study {self._folder.name} has expired: {self._folder} could not be "
                f"written to for {self._expiry:g} s, and another driver may have taken over",
                f"When it can be reached again, run: {command('resume', self._folder)}",
            )

    def release(self) -> None:
        """Write that this driver has ended; if the write fails, the lease expires."""
        self._released.set()
        self._thread.join(self._renew_every)
        if not self._lost and time.monotonic() < self._until:
            with suppress(UserError):
                self._write(ended=True)

    def _acquired(self, progress: Progress | None) -> int:
        clock = probe(self._folder)  # the storage's current time
        while True:
            last = _last(self._folder)
            left = 0.0 if last is None else self._seconds_left(last, clock)
            if last is not None and not self._is_free(last, left):
                self._await(last, left, progress)
            number = last.number + 1 if last else 1
            started = time.monotonic()
            if create(_path(self._folder, number), self._content()):
                self._until = started + self._expiry
                return number

    def _is_free(self, last: _Written, left: float) -> bool:
        return last.holder.ended or last.holder.has_exited or left <= 0

    def _seconds_left(self, last: _Written, clock: float) -> float:
        """Return the seconds until a lease expires; the full time if it is dated in the future."""
        return self._expiry + GRACE - max(0.0, clock - last.time)

    def _await(self, last: _Written, left: float, progress: Progress | None) -> None:
        """Wait until the lease has expired or its driver has ended.

        Raises:
            UserError: the lease was renewed, or `progress` is None.
        """
        until = time.monotonic() + left
        if progress is None:
            raise _at_work(self._folder, last.holder, f"If it died, wait {left:.0f} s.")
        name = f"{_who(last.holder)} may have died: its lease expires in {left:.0f} s"
        with progress.task(name) if left > 1 else nullcontext():
            while not self._is_free(last, until - time.monotonic()):
                time.sleep(min(1.0, self._renew_every / 4))
                now = _last(self._folder)
                assert now is not None
                if (now.number, now.holder.renewed) != (last.number, last.holder.renewed):
                    raise _at_work(self._folder, now.holder)
                last = now  # the driver may have ended

    def _renew(self) -> None:
        while not self._released.wait(self._renew_every):
            started = time.monotonic()
            with suppress(UserError):  # retried even after expiry, while no other driver has it
                last = _last(self._folder)
                if last is None:
                    continue  # the storage is not the same, for instance no longer mounted
                if last.number > self._number:
                    self._lost = True
                    return
                self._write()
                self._until = started + self._expiry

    def _write(self, ended: bool = False) -> None:
        update = {"renewed": self._holder.renewed + 1, "ended": ended}
        self._holder = self._holder.model_copy(update=update)
        write(_path(self._folder, self._number), self._content())

    def _content(self) -> bytes:
        return self._holder.model_dump_json().encode() + b"\n"


def at_work(folder: Place) -> bool:
    """Return whether a driver holds the lease on a study, without writing anything.

    This compares this machine's clock with the storage's, so use the result for display only.
    """
    last = _last(folder)
    if last is None or last.holder.ended or last.holder.has_exited:
        return False
    return time.time() - last.time < EXPIRY + GRACE


def overtaken(folder: Place) -> UserError:
    """Return the error for a driver whose study another driver has taken over."""
    return UserError(
        f"another driver has taken over study {folder.name}: this one writes nothing more",
        f"Watch it with: {command('status', folder)} --watch",
    )


def _at_work(folder: Place, holder: Holder, remedy: str = "") -> UserError:
    return UserError(
        f"another process is working on study {folder.name}: {_who(holder)}",
        f"Watch it with `{command('status', folder)} --watch`. When it has ended, or you have "
        f"stopped it with Ctrl-C, run this command again. {remedy}".rstrip(),
    )


def _who(holder: Holder) -> str:
    return f"the driver on {holder.host} (process {holder.pid})"


def _last(folder: Place) -> _Written | None:
    """Return the lease that was created last; None if no lease was created."""
    numbers = (int(match[1]) for match in map(_NAME.fullmatch, listed(folder / FOLDER)) if match)
    number = max(numbers, default=0)
    if number == 0:
        return None
    path = _path(folder, number)
    (content,) = read(path.parent, [path.name]).values()
    try:
        holder = Holder.model_validate_json(content)
    except ValidationError:  # damaged: the holder is unknown, but the time of writing is known
        holder = Holder(owner="", host="an unknown machine", pid=0, machine="")
    return _Written(number, holder, modified(path))


def _path(folder: Place, number: int) -> Place:
    return folder / FOLDER / f"{number:06d}.json"


def _has_ended(process: int) -> bool:
    """Return whether a process is a zombie: it has ended, and its parent has not reaped it yet.

    A driver that was killed is reaped by the first process of the machine or container, which may
    take its time.
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it is gone by now, or this system is not Linux
        return False
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")


def _this_machine() -> str:
    """Return an id of this boot of the machine and of the container whose processes we see."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: a random id, so no process counts as gone
        return uuid.uuid4().hex
