"""Progress of long steps: live bars in a terminal, plain lines in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.progress import Advance
from tuner.wording import clock

SHOW_AFTER, LOG_AFTER, LOG_EVERY = 0.5, 1.0, 30.0
"""Seconds until a step appears in a terminal, until a log names it, and between reports there."""
REFRESHES = 2
"""Refreshes of a live display per second."""
MARGIN = 2
"""Columns kept free at the right, so that the ^C that a terminal prints does not wrap lines."""
WIDE = 80
"""Least width in columns of a console that shows optional details."""
BAR, BAR_DONE = "cyan", "green"


def say(console: Console, line: str | Text, style: str | None = None) -> None:
    """Print a line: wrapped at words and indented in a terminal, unwrapped in a log."""
    text = Text(line) if isinstance(line, str) else line
    if console.is_terminal:
        text = Text("\n  ").join(text.wrap(console, console.width - MARGIN))
    console.print(text, style=style, soft_wrap=not console.is_terminal)


def bar(done: float, total: float) -> ProgressBar:
    """Return a progress bar as wide as the space it gets."""
    return ProgressBar(total, done, complete_style=BAR, finished_style=BAR_DONE)


class ConsoleProgress:
    """`Progress` on a console; live displays disappear when they end, lines stay."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, line: str) -> None:
        """Print a fact in one line."""
        say(self._console, line, style="dim")

    @contextmanager
    def task(self, name: str, unit: str = "") -> Iterator[Advance]:
        """Show a step while the block runs; a short step is not shown."""
        task = _Task(name, unit)
        ended = threading.Event()
        show = self._animate if self._console.is_interactive else self._log
        shown = threading.Thread(target=show, args=(task, ended), name=name, daemon=True)
        shown.start()
        try:
            yield task.advance
        finally:
            ended.set()
            shown.join()

    def _animate(self, task: _Task, ended: threading.Event) -> None:
        if ended.wait(SHOW_AFTER):
            return
        with Live(
            console=self._console,
            get_renderable=lambda: task.render(self._console.width),
            refresh_per_second=REFRESHES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            ended.wait()

    def _log(self, task: _Task, ended: threading.Event) -> None:
        if ended.wait(LOG_AFTER):
            return
        self.tell(f"{task.name} …")
        while not ended.wait(LOG_EVERY):
            self.tell(task.in_words())
        self.tell(f"{task.name}: done after {clock(task.seconds)}")


@dataclass
class _Task:
    """A step under way; `total` is 0 until a count is known."""

    name: str
    unit: str
    done: int = 0
    total: int = 0
    began: float = field(default_factory=time.monotonic)

    def advance(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> str:
        """The time left at the pace so far, in words; "" before any progress."""
        if not self.done:
            return ""
        return f"about {clock(self.seconds * (self.total - self.done) / self.done)} left"

    def in_words(self) -> str:
        if not self.total:
            return f"{self.name}: {clock(self.seconds)} so far"
        count = f"{self.done:,} of {self.total:,} {self.unit}"
        return f"{self.name}: {count}, {self.left}" if self.left else f"{self.name}: {count}"

    def render(self, width: int) -> RenderableType:
        if not self.total:
            return Text(f"{self.name} … {clock(self.seconds)}")
        total = f"{self.total:,}"
        count = f"{self.done:>{len(total)},} of {total}"
        if width >= WIDE:
            cells = [self.name, f"{count} {self.unit}", clock(self.seconds), self.left]
        else:
            cells = [self.name, count, self.left]
        line = Table.grid(padding=(0, 1), expand=True)
        for column in range(len(cells) + 1):
            line.add_column(no_wrap=True, ratio=1 if column == 1 else None)
        line.add_row(cells[0], bar(self.done, self.total), *cells[1:])
        return Constrain(line, width - MARGIN)
