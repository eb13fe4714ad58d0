"""Write rows as JSON lines, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from importlib import import_module
from itertools import islice
from pathlib import PurePath
from typing import Any

import msgspec

from ergo_cli.core.json import JsonValue, without_controls
from ergo_cli.errors import UsageError
from ergo_cli.stores.files import is_compressed
from ergo_cli.tools.export.columns import Content, Row, Rows, columns_of
from ergo_cli.tools.export.rows import Holds

_encode = msgspec.json.Encoder().encode

_TOGETHER = 2048  # rows of a row group of Parquet: what is in memory at once


class RowForm(Enum):
    """The form of the rows."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


_SUFFIXES = {".csv": RowForm.CSV, ".parquet": RowForm.PARQUET}
_OF_LINES = (".jsonl", ".ndjson", ".json", ".txt", "")

Write = Callable[[bytes], object]


def row_form(output: str, asked: RowForm | None) -> RowForm:
    """The form that was asked for, else that of the file's suffix, in front of that of a compression, else JSON lines.

    Raises UsageError: ``cli.conflicting_options`` where the suffix says CSV or Parquet and another form was asked for,
    ``cli.parquet_unavailable`` for Parquet without its library, ``cli.missing_required_option`` for an unknown suffix.
    """
    path = PurePath(output)
    suffix = (PurePath(path.stem) if is_compressed(output) else path).suffix.lower()
    named = _SUFFIXES.get(suffix)
    if asked is None and named is None and suffix not in _OF_LINES:
        message = f"'{output}' does not say by its suffix which form its rows have"
        fix = "name a file that ends in .jsonl, .csv or .parquet, or say the form with --as"
        raise UsageError("cli.missing_required_option", message, where="option --as", fix=fix)
    form = asked or named or RowForm.JSONL
    if named is not None and form is not named:
        message = f"'{output}' would not hold {named.value} but {form.value}"
        fix = "leave --as out, or name another file"
        raise UsageError("cli.conflicting_options", message, where="option --as", fix=fix)
    if form is RowForm.PARQUET:
        _arrow()
    return form


def write_rows(form: RowForm, rows: Rows, fixed: Mapping[str, Holds], write: Write) -> int:
    """Write all rows; returns their number. Tables go through them twice: first for their columns.

    Raises UsageError ``cli.too_many_columns`` and what ``rows`` and ``write`` raise.
    """
    match form:
        case RowForm.JSONL:
            return _write_lines(rows(), write)
        case RowForm.CSV:
            return _write_csv(rows(), list(columns_of(rows(), fixed)), write)
        case RowForm.PARQUET:
            return _write_parquet(rows(), columns_of(rows(), fixed), write)


def _write_lines(rows: Iterable[Row], write: Write) -> int:
    number = 0
    for row in rows:
        write(without_controls(_encode(row)) + b"\n")
        number += 1
    return number


def _write_csv(rows: Iterable[Row], columns: Sequence[str], write: Write) -> int:
    write(_csv_line(columns))
    number = 0
    for row in rows:
        write(_csv_line(row.get(column) for column in columns))
        number += 1
    return number


def _csv_line(values: Iterable[JsonValue]) -> bytes:
    return (",".join(map(_cell, values)) + "\n").encode()


def _cell(value: JsonValue) -> str:
    """A cell as RFC 4180 has it: null is empty, an empty text is two quotes, arrays and objects are JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else _encode(value).decode()
    if text == "" or any(character in text for character in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _write_parquet(rows: Iterator[Row], columns: Mapping[str, Content], write: Write) -> int:
    arrow, parquet = _arrow()
    types = {name: _type(content) for name, content in columns.items()}
    schema = arrow.schema([(name, getattr(arrow, kind or "string")()) for name, kind in types.items()])
    number = 0
    with parquet.ParquetWriter(_Sink(write), schema) as writer:
        while together := list(islice(rows, _TOGETHER)):
            values = {name: [_held(row.get(name), kind) for row in together] for name, kind in types.items()}
            writer.write_table(arrow.table(values, schema=schema))
            number += len(together)
    return number


def _type(content: Content) -> str | None:
    """The Arrow type of a column; None where only their JSON holds its values."""
    match content:
        case Content.NONE | Content.TEXT:
            return "string"
        case Content.BOOLEAN:
            return "bool_"
        case Content.FLOAT:
            return "float64"
        case _ if content in Content.INTEGER | Content.LARGE:
            return "int64"
        case _ if content in Content.INTEGER | Content.FLOAT:
            return "float64"
        case _:
            return None


def _held(value: JsonValue, kind: str | None) -> JsonValue:
    return _encode(value).decode() if kind is None and value is not None else value


class _Sink:
    """What Arrow writes to."""

    closed = False

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: Any) -> int:
        """Append bytes."""
        self._write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held here."""

    def close(self) -> None:
        """The file is closed by the one who opened it."""


def _arrow() -> tuple[Any, Any]:
    """The library of Parquet, imported at first use. Raises UsageError ``cli.parquet_unavailable``."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        message = "Parquet needs pyarrow, which is not installed"
        fix = "pip install 'ergo-replay[data]'"
        raise UsageError("cli.parquet_unavailable", message, where="option --as", fix=fix) from error
