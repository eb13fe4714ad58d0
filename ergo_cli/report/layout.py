"""Lay the blocks of a text report out as lines of a width, which is counted in columns of the display.

Words are never broken: a word that is wider than a line stands on a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from ergo_cli.report.text import Block, Fields, Line, Row, Rows, Table, Tone, printable

WIDTH = 80
"""The width that screens are made for."""

_GAP = "  "
_FURTHER = 4
_WORDS = re.compile(r" *[^ ]+")


def plain_lines(blocks: Iterable[Block], width: int = WIDTH) -> Iterator[str]:
    """The lines of ``blocks`` for pipes and files, without colour and frames; only facts are wrapped."""
    for block in blocks:
        match block:
            case Line():
                yield printable(block.text)
            case Table():
                yield from _table_lines(block)
            case Fields():
                yield from _field_lines(block)
            case Rows():
                yield from (text for text, _ in row_lines(block, width))
            case _:
                assert_never(block)


def terminal_lines(block: Line | Fields | Rows | Table, width: int) -> Iterator[tuple[str, Tone]]:
    """The lines of one block, wrapped at ``width``, each with its tone; of a table without frame."""
    match block:
        case Line(whole=True):
            yield printable(block.text), block.tone
        case Line():
            yield from ((text, block.tone) for text in wrapped(printable(block.text), width, _FURTHER))
        case Fields():
            for line in _field_lines(block):
                yield from ((text, Tone.PLAIN) for text in wrapped(line, width, block.indent + _FURTHER))
        case Rows():
            yield from row_lines(block, width)
        case Table():
            yield from _lowered_lines(block, width) if _fits_but_for_last(block, width) else _table_blocks(block, width)
        case _:
            assert_never(block)


def table_width(table: Table) -> int:
    """The columns that a table takes without frames."""
    return sum(_widths([table.columns, *_cells(table)])) + len(_GAP) * (len(table.columns) - 1)


def cell_width(text: str) -> int:
    """The columns that ``text`` takes on a display: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # only other scripts pay for it

    return cell_len(text)


def wrapped(text: str, width: int, hang: int) -> Iterator[str]:
    """``text`` in lines of ``width`` columns, broken at spaces; all but the first are indented by ``hang``."""
    if cell_width(text) <= width:
        yield text
        return
    line, margin = "", " " * min(hang, width // 4)
    if text.startswith(margin + " "):
        text = margin + text.lstrip(" ")
    for word in _WORDS.findall(text):
        if len(line.strip()) > 1 and cell_width(line + word) > width:  # a sign stays with what it is of
            yield line
            line = margin + word.lstrip(" ")
        else:
            line += word
    yield line


def row_lines(block: Rows, width: int) -> Iterator[tuple[str, Tone]]:
    """The lines of facts, each with its tone."""
    rows = [tuple(map(printable, row.cells)) for row in block.rows]
    columns = max(map(len, rows), default=0)
    widths = [max((_column_width(row, index) for row in rows), default=0) for index in range(columns)]
    margin = " " * block.indent
    lines = [margin + _aligned(row, widths, block.numeric) for row in rows]
    if all(cell_width(line) <= width for line in lines):
        yield from zip(lines, (row.tone for row in block.rows), strict=True)
        return
    for row, cells in zip(block.rows, rows, strict=True):
        yield from _apart(row, cells, (block.indent, block.indent + block.hang), width)


def _column_width(row: Sequence[str], index: int) -> int:
    """The columns that a cell needs; the last one of a row needs none where the rows below may have more cells."""
    return cell_width(row[index]) if any(row[index + 1 :]) or index == len(row) - 1 else 0


def _apart(row: Row, cells: Sequence[str], margins: tuple[int, int], width: int) -> Iterator[tuple[str, Tone]]:
    """One fact that is not aligned with others: a cell that does not fit stands below those before it."""
    first, *others = (cell for cell in cells if cell)
    indent, hang = margins
    if any(hang + cell_width(cell) > width for cell in others):
        hang = indent + _FURTHER
    line, below = " " * indent + first, " " * min(hang, width // 4)
    for cell in others:
        if cell_width(line + _GAP + cell) <= width:
            line += _GAP + cell
            continue
        yield from ((text, row.tone) for text in wrapped(line, width, hang))
        line = below + cell
    yield from ((text, row.tone) for text in wrapped(line, width, hang))


def _aligned(cells: Sequence[str], widths: Sequence[int], numeric: frozenset[int]) -> str:
    columns = enumerate(zip(cells, widths, strict=False))
    parts = (_padded(cell, width, right=index in numeric) for index, (cell, width) in columns if width or cell)
    return _GAP.join(parts).rstrip()


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_width(text))
    return space + text if right else text + space


def _cells(table: Table) -> list[tuple[str, ...]]:
    return [tuple(printable(cell) for cell in row) for row in table.rows]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_width, column)) for column in zip(*rows, strict=True)]


def _table_lines(table: Table) -> Iterator[str]:
    rows = [table.columns, *_cells(table)]
    numeric = frozenset(index for index, name in enumerate(table.columns) if name in table.numeric)
    widths = _widths(rows)
    yield from (_aligned(row, widths, numeric) for row in rows)


def _fits_but_for_last(table: Table, width: int) -> bool:
    return table_width(Table(table.columns[:-1], tuple(row[:-1] for row in table.rows))) <= width


def _lowered_lines(table: Table, width: int) -> Iterator[tuple[str, Tone]]:
    """Rows below column names; the last cell of a row stands below the others where it does not fit beside them."""
    rows = [table.columns, *_cells(table)]
    numeric = frozenset(index for index, name in enumerate(table.columns) if name in table.numeric)
    widths = _widths([row[:-1] for row in rows]) if len(table.columns) > 1 else []
    for row, tone in zip(rows, [Tone.PLAIN, *(tone for _, tone in table.toned_rows)], strict=True):
        line = _aligned(row, [*widths, cell_width(row[-1])], numeric)
        if cell_width(line) <= width:
            yield line, tone
            continue
        if widths:
            yield _aligned(row[:-1], widths, numeric), tone
        margin = " " * min(_FURTHER, width // 4) if widths else ""
        yield from ((text, tone) for text in wrapped(margin + row[-1], width, _FURTHER))


def _table_blocks(table: Table, width: int) -> Iterator[tuple[str, Tone]]:
    """One block a row, one line a cell: for tables whose columns are wider than the terminal."""
    names = max(map(cell_width, table.columns), default=0)
    for number, (row, (_, tone)) in enumerate(zip(_cells(table), table.toned_rows, strict=True)):
        if number:
            yield "", Tone.PLAIN
        for name, cell in zip(table.columns, row, strict=True):
            line = f"{_padded(name, names, right=False)}{_GAP}{cell}".rstrip()
            yield from ((text, tone) for text in wrapped(line, width, names + len(_GAP)))


def _field_lines(block: Fields) -> Iterator[str]:
    width = max((cell_width(name) for name, _ in block.pairs), default=0)
    for name, value in block.pairs:
        yield f"{'':{block.indent}}{_padded(name, width, right=False)}{_GAP}{printable(value)}".rstrip()
