"""Rows of CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence

from ergo_cli.core.json import JsonValue
from ergo_cli.events.stream import LineTooLong, split_lines
from ergo_cli.tools.importing.batches import TOGETHER, Batch, Row
from ergo_cli.tools.importing.cells import Cells, Notation, unknown_texts
from ergo_cli.tools.importing.faults import quoted, source_fault

OnSkip = Callable[[str, str], None]
"""Is told the reason and the place of each row that is passed over."""

_BLANK = "blank line"


class TextLines:
    """The lines of a table as texts; ``exhausted`` once the last one has been read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._lines = split_lines(chunks)
        self.line = 0
        self.exhausted = False

    def __iter__(self) -> Iterator[str]:
        for number, text in self._lines:
            self.line = number
            yield text.decode("utf-8-sig" if number == 1 else "utf-8") + "\n"
        self.exhausted = True


def table_batches(
    chunks: Iterable[bytes], label: str, delimiter: str, notation: Notation, on_skip: OnSkip
) -> Iterator[Batch]:
    """The rows of a text table whose first line names the columns.

    Raises EventError for what is no table, and for a cell that cannot be used.
    """
    records = _records(chunks, label, delimiter, on_skip)
    first = next(records, None)
    if first is None:
        raise source_fault("the table is empty", label, "begin it with a line of column names")
    names = _names(first[1], first[0])
    for unknown in unknown_texts(notation.texts, names):
        message = f"there is no column {quoted(unknown)}, which --text names"
        raise source_fault(message, first[0], f"name one of {', '.join(map(quoted, names))}")
    cells = Cells(notation)
    rows: list[Row] = []
    places: list[str] = []
    for place, texts in records:
        if len(texts) != len(names):
            message = f"the row has {len(texts)} cells, the header has {len(names)}"
            fix = "give every row as many cells as the header has; a cell that holds the separator goes in quotes"
            raise source_fault(message, place, fix)
        row: dict[str, JsonValue] = {}
        for name, text in zip(names, texts, strict=True):
            row[name] = cells.value(text, name, place)
        rows.append(row)
        places.append(place)
        if len(rows) == TOGETHER:
            yield Batch(rows, places.__getitem__)
            rows, places = [], []
    if rows:
        yield Batch(rows, places.__getitem__)


def _records(
    chunks: Iterable[bytes], label: str, delimiter: str, on_skip: OnSkip
) -> Iterator[tuple[str, Sequence[str]]]:
    """The records with their places and trimmed cells, without blank lines."""
    lines = TextLines(chunks)
    begun = 1
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if lines.exhausted:  # the reader asked for one more line: the last quote is still open
                raise _bad_line(label, begun, "a quoted cell is not closed")
            place, begun = f"{label}:{begun}:1", lines.line + 1
            if cells:
                yield place, [cell.strip() for cell in cells]
            else:
                on_skip(_BLANK, place)
    except LineTooLong as error:
        raise _bad_line(label, error.line, str(error)) from error
    except UnicodeDecodeError as error:
        raise _bad_line(label, lines.line, "it is not UTF-8") from error
    except csv.Error as error:
        closed = not lines.exhausted
        words = str(error) if closed else "a quoted cell is not closed"
        raise _bad_line(label, lines.line if closed else begun, words) from error


def _names(names: Sequence[str], where: str) -> Sequence[str]:
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            message = f"column {number} has no name"
            raise source_fault(message, where, "name every column in the first line")
        if name in seen:
            message = f"two columns are called {quoted(name)}"
            raise source_fault(message, where, "give each column a name of its own in the first line")
        seen.add(name)
    return names


def _bad_line(label: str, line: int, words: str) -> Exception:
    message = f"line {line} is not part of a table: {words}"
    return source_fault(message, f"{label}:{line}:1", "write the table as RFC 4180 has it, in UTF-8")
