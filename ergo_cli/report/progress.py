"""Progress on a terminal: how many events so far, and how many a second."""

from __future__ import annotations

import threading
import time
from typing import TextIO

from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from ergo_cli.report.terminal import console

_PATIENCE = 1.0


class EventProgress:
    """Counts events and, after a second, shows them on a line that vanishes at the end. A context manager."""

    def __init__(self, label: str, file: TextIO, *, colored: bool) -> None:
        self._label = label
        self._counter = _Counter()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), self._counter, TimeElapsedColumn())
        self._bar = Progress(*columns, console=console(file, colored=colored), transient=True)
        self._timer = threading.Timer(_PATIENCE, self._show)
        self._timer.daemon = True

    def __enter__(self) -> EventProgress:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._bar.stop()

    def step(self) -> None:
        """One event more. Called in the loop that is watched, so it only counts."""
        self._counter.events += 1

    def _show(self) -> None:
        self._bar.add_task(self._label, total=None)
        self._bar.tasks[0].start_time = self._counter.begun
        self._bar.start()


class _Counter(ProgressColumn):
    """Events so far and per second."""

    def __init__(self) -> None:
        super().__init__()
        self.events = 0
        self.begun = time.monotonic()

    def render(self, task: Task) -> Text:
        speed = self.events / (time.monotonic() - self.begun)
        return Text(f"{self.events:,} events, {speed:,.0f}/s")
