"""``ergo fixture from-csv``: convert a price table to a fixture (spec 10 §7.3, 30 §23.6)."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.json import canonical
from ergo_cli.errors import CaptureWriteError, ErgoError, EventError
from ergo_cli.events.external import EventKind
from ergo_cli.events.stream import LineTooLong
from ergo_cli.host.event_input import open_source, source_label
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.stores.files import Compressor, compressor_for
from ergo_cli.stores.standard_output import Output, open_output
from ergo_cli.tools.importing.text_tables import TextLines

_SPELLINGS = {"pump": EventKind.PUMP, "dataavailable": EventKind.DATA_AVAILABLE, "command": EventKind.COMMAND}

EVENT_KINDS = tuple(_SPELLINGS.values())
"""The kinds that the events of a converted fixture may have."""

_encode = msgspec.json.Encoder().encode


class ConversionOptions(Struct, frozen=True):
    """The members that all events of a converted fixture share."""

    semantic_kind: str = "price_bar"
    event_kind: EventKind = EventKind.DATA_AVAILABLE
    episode_id: str = "E1"


def parse_event_kind(spelling: str) -> EventKind:
    """The event kind of a spelling; case, ``_`` and ``-`` are ignored. ``Tick`` is refused.

    Raises ValueError that lists the accepted spellings.
    """
    kind = _SPELLINGS.get(spelling.lower().replace("_", "").replace("-", ""))
    if kind is None:
        raise ValueError(f"unknown event kind '{spelling}', expected one of {', '.join(k.value for k in EventKind)}")
    return kind


def convert_csv(source: str, destination: str, options: ConversionOptions = ConversionOptions()) -> int:
    """Write the fixture of a price table, one event a row, compressed by the suffix of ``destination``.

    ``-`` is standard input, as ``destination`` standard output. Returns the number of events. Raises EventError
    ``fixture.csv_invalid`` if the table cannot be read or used, UsageError ``cli.conflicting_options`` if the fixture
    would replace it, ErgoError ``cli.fixture_write_failed``. On an error ``destination`` is unchanged.
    """
    refuse_replacing(destination, [Read(source, "the table of prices")])
    try:
        with open_source(source) as chunks, open_output(destination) as file:
            fixture = _Fixture(file, compressor_for(destination))
            fixture.write(_Start("episode_start", options.episode_id))
            for event in _events(price_rows(chunks, source_label(source)), options):
                fixture.write(event)
            if fixture.events == 0:
                raise _no_rows(source_label(source))
            fixture.commit()
    except CaptureWriteError as error:
        raise ErgoError("cli.fixture_write_failed", error.message, where=error.where, fix=error.fix) from error
    except EventError as error:
        error.code = "fixture.csv_invalid"
        raise
    return fixture.events


class _Fixture:
    """The file being written; counts its events."""

    def __init__(self, file: Output, compressor: Compressor | None) -> None:
        self._file = file
        self._compressor = compressor
        self.events = 0

    def write(self, record: _Start | _Event) -> None:
        """Append a line."""
        line = _encode(record) + b"\n"
        self._file.write(self._compressor.compress(line) if self._compressor else line)
        self.events += isinstance(record, _Event)

    def commit(self) -> None:
        """Move the file to its destination."""
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        self._file.commit()


class _Start(Struct, frozen=True):
    kind: str
    id: str


class _Body(Struct, frozen=True):
    type: EventKind
    id: str
    semantic_kind: str
    payload: Raw


class _Event(Struct, frozen=True):
    kind: str
    event: _Body


def _events(rows: Iterable[Row], options: ConversionOptions) -> Iterator[_Event]:
    for number, row in enumerate(rows, 1):
        body = _Body(options.event_kind, f"csv_evt_{number}", options.semantic_kind, Raw(canonical(row)))
        yield _Event("event", body)


def _no_rows(label: str) -> EventError:
    message, fix = "the table has no data rows", "give it at least one row below the header"
    return EventError("fixture.csv_invalid", message, where=f"{label} row 2", fix=fix)


Row = Mapping[str, str | float]
"""The members of one event's payload."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "time", "datetime", "date"),
    "close": ("close", "c"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "volume": ("volume", "vol", "v"),
    "symbol": ("symbol", "ticker", "instrument"),
}
"""The accepted names of a column, in order of preference."""

_REQUIRED = ("timestamp", "close")
_TEXTS = ("timestamp", "symbol")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


def price_rows(chunks: Iterable[bytes], label: str) -> Iterator[Row]:
    """The payload of each data row; ``label`` names the table in errors, which count the header as row 1.

    Quoting is that of RFC 4180; cells are trimmed, an empty optional cell gives no member. Raises EventError
    ``fixture.csv_invalid`` for the first row that cannot be used.
    """
    records = _records(chunks, label)
    header = next(records, None)
    if header is None:
        raise _invalid(label, 1, "the table is empty", "begin it with a row of column names")
    names = [name.lower() for name in header]
    columns = _columns(names, label)
    for number, cells in enumerate(records, 2):
        if len(cells) != len(names):
            message = f"row {number} has {len(cells)} cells, the header has {len(names)}"
            raise _invalid(label, number, message, "give every row as many cells as the header has")
        yield _row(cells, columns, label, number)


def _records(chunks: Iterable[bytes], label: str) -> Iterator[list[str]]:
    """The records with trimmed cells, without blank lines."""
    lines = TextLines(chunks)
    try:
        for cells in csv.reader(lines):
            if lines.exhausted:  # the reader requested another line: the last quote is still open
                raise _bad_line(label, lines.line, "a quoted cell is not closed")
            if cells:
                yield [cell.strip() for cell in cells]
    except LineTooLong as error:
        raise _bad_line(label, error.line, str(error)) from error
    except (csv.Error, UnicodeDecodeError) as error:
        words = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).partition(" - ")[0]
        raise _bad_line(label, lines.line, words) from error


def _columns(names: Sequence[str], label: str) -> dict[str, int]:
    """The index of each field's column; for a repeated column, that of the last."""
    places = {name: index for index, name in enumerate(names)}
    columns: dict[str, int] = {}
    for field, aliases in ALIASES.items():
        found = next((alias for alias in aliases if alias in places), None)
        if found is not None:
            columns[field] = places[found]
        elif field in _REQUIRED:
            message = f"required column '{field}' is missing: the header has {', '.join(names)}"
            fix = f"name a column {' or '.join(aliases)}, and put commas between the columns"
            raise _invalid(label, 1, message, fix)
    return columns


def _row(cells: Sequence[str], columns: Mapping[str, int], label: str, number: int) -> Row:
    row: dict[str, str | float] = {}
    for field, index in columns.items():
        text = cells[index]
        if text:
            row[field] = text if field in _TEXTS else _number(text, field, label, number)
        elif field in _REQUIRED:
            raise _invalid(label, number, f"row {number} has an empty {field}", f"give the row a {field}")
    return {**row, "x": row["close"]}


def _number(text: str, field: str, label: str, number: int) -> float:
    if _NUMBER.fullmatch(text) is None and _NOT_FINITE.fullmatch(text) is None:
        message = f"row {number}: {field} '{text}' is not a number"
        raise _invalid(label, number, message, "write it like 101.25, without separators of thousands")
    value = float(text)
    if not math.isfinite(value):
        message = f"row {number}: {field} '{text}' is not a finite number"
        raise _invalid(label, number, message, "write a finite number, or leave the row out")
    return value


def _bad_line(label: str, line: int, words: str) -> EventError:
    message, where = f"line {line} is not CSV: {words}", f"{label}:{line}:1"
    return EventError("fixture.csv_invalid", message, where=where, fix="write the table as RFC 4180 has it, in UTF-8")


def _invalid(label: str, row: int, message: str, fix: str) -> EventError:
    return EventError("fixture.csv_invalid", message, where=f"{label} row {row}", fix=fix)
