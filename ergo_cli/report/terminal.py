"""Text and progress on a terminal, drawn by Rich. Imported only for terminals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TextIO, assert_never

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from ergo_cli.report.text import Block, Fields, Line, Table, Tone, printable

_STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.FAINT: "dim",
    Tone.STRONG: "bold",
}


def console(file: TextIO, *, colored: bool) -> Console:
    """A console that draws on ``file`` as on a terminal, with or without colour."""
    return Console(file=file, force_terminal=True, no_color=not colored, highlight=False, markup=False, emoji=False)


def draw(blocks: Iterable[Block], on: Console) -> None:
    """Draw ``blocks`` one below the other."""
    for block in blocks:
        match block:
            case Line():
                on.print(Text(printable(block.text), style=_STYLES[block.tone]), soft_wrap=True)
            case Table():
                on.print(_table(block))
            case Fields():
                _draw_fields(block, on)
            case _:
                assert_never(block)


def _table(table: Table) -> RichTable:
    drawn = RichTable()
    for name in table.columns:
        drawn.add_column(name, justify="right" if name in table.numeric else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    return drawn


def _draw_fields(block: Fields, on: Console) -> None:
    width = max((len(name) for name, _ in block.pairs), default=0)
    for name, value in block.pairs:
        label = Text(f"{'':{block.indent}}{name:{width}}  ", style="dim")
        on.print(label.append(printable(value), style="not dim"), soft_wrap=True)


_PATIENCE = 1.0


class EventProgress:
    """Counts events and, after a second, shows them on a transient line. A context manager."""

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
        """Count one event, and nothing else: it is called for every event of a run."""
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
