"""Text without colour, frames and wrapping: for pipes and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from ergo_cli.report.blocks import Block, Fields, Line, Table
from ergo_cli.report.errors import printable


def plain_lines(blocks: Iterable[Block]) -> Iterator[str]:
    """The lines of ``blocks``, without line ends."""
    for block in blocks:
        match block:
            case Line():
                yield printable(block.text)
            case Table():
                yield from _table(block)
            case Fields():
                yield from _fields(block)
            case _:
                assert_never(block)


def _table(table: Table) -> Iterator[str]:
    rows = [table.columns, *(tuple(printable(cell) for cell in row) for row in table.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    for row in rows:
        cells = (
            cell.rjust(width) if name in table.numeric else cell.ljust(width)
            for name, cell, width in zip(table.columns, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _fields(block: Fields) -> Iterator[str]:
    width = max((len(name) for name, _ in block.pairs), default=0)
    for name, value in block.pairs:
        yield f"{'':{block.indent}}{name:{width}}  {printable(value)}".rstrip()
