"""Text on a terminal, drawn by Rich. Imported only where there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO, assert_never

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ergo_cli.report.blocks import Block, Fields, Line, Table, Tone
from ergo_cli.report.errors import printable

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
