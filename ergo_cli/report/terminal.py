"""Text and progress on a terminal, drawn by Rich. Imported only for terminals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from ergo_cli.core.diagnostics import counted
from ergo_cli.report.layout import table_width, terminal_lines
from ergo_cli.report.text import Block, Table, Tone, printable

_STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "bold green",
    Tone.BAD: "bold red",
    Tone.FAINT: "dim",
    Tone.STRONG: "bold",
    Tone.REMOVED: "red",
    Tone.ADDED: "green",
}


_FRAME = 3
"""The columns that the frame of a table takes, besides one more for each of its columns."""


def console(file: TextIO, *, colored: bool, width: int | None = None) -> Console:
    """A console that draws on ``file`` as on a terminal, with or without colour; without ``width`` as wide as it is."""
    return Console(
        file=file, force_terminal=True, no_color=not colored, highlight=False, markup=False, emoji=False, width=width
    )


def draw(blocks: Iterable[Block], on: Console) -> None:
    """Draw ``blocks`` one below the other. Tables that do not fit are drawn without frame."""
    for block in blocks:
        if isinstance(block, Table) and table_width(block) + len(block.columns) + _FRAME <= on.width:
            on.print(_table(block))
            continue
        for text, tone in terminal_lines(block, on.width):
            on.print(Text(text, style=_STYLES[tone]), soft_wrap=True)


def _table(table: Table) -> RichTable:
    drawn = RichTable()
    for name in table.columns:
        drawn.add_column(name, justify="right" if name in table.numeric else "left", no_wrap=True)
    for row, tone in table.toned_rows:
        drawn.add_row(*(Text(printable(cell), style=_STYLES[tone]) for cell in row))
    return drawn


_PATIENCE = 1.0


class EventProgress:
    """Counts events and, after a second, shows them on a transient line. A context manager."""

    def __init__(
        self,
        label: str,
        file: TextIO,
        *,
        colored: bool,
        done: Callable[[], tuple[int, int, str]] | None = None,
        counts: str = "event",
    ) -> None:
        self._label = label
        self._counter = _Counter(done, counts)
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
        """Count one event, and nothing else: it is called for every event of a run."""
        self._counter.events += 1

    def _show(self) -> None:
        self._bar.add_task(self._label, total=None)
        self._bar.tasks[0].start_time = self._counter.begun
        self._bar.start()


class _Counter(ProgressColumn):
    """How much of the whole is done, if that is known, and events, or what else is counted, so far and per second."""

    def __init__(self, done: Callable[[], tuple[int, int, str]] | None, counts: str) -> None:
        super().__init__()
        self._done = done
        self._counts = counts
        self.events = 0
        self.begun = time.monotonic()

    def render(self, task: Task) -> Text:
        speed = self.events / (time.monotonic() - self.begun)
        return Text(f"{self._share()}{counted(self.events, self._counts)}, {speed:,.0f}/s")

    def _share(self) -> str:
        part, whole, unit = (0, 0, "") if self._done is None else self._done()
        if whole <= 0:
            return ""
        if unit == "bytes":
            return f"{min(100, 100 * part // whole)} %, "
        return f"{part:,} of {whole:,} {unit}, "
