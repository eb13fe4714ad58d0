"""Rows of Parquet and Arrow files, by batches of columns; needs pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import isfinite
from typing import Any

from ergo_cli.core.json import JsonValue
from ergo_cli.errors import ErgoError, UsageError, reason
from ergo_cli.host.event_input import open_source, source_label
from ergo_cli.stores.durable import only_read
from ergo_cli.stores.files import STANDARD_INPUT, compression_in, open_binary
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import unnamed_file
from ergo_cli.tools.importing.batches import Batch
from ergo_cli.tools.importing.faults import quoted, source_fault, value_fault

_ROWS = 8192
_READ_AHEAD = 1 << 20
_MAGIC = b"ARROW1"
_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"
_FIX_FILE = "write the file again, or get the whole of it"


@contextmanager
def open_arrow(
    source: str, *, is_parquet: bool, nulls: frozenset[str], unread: frozenset[str]
) -> Generator[Iterator[Batch]]:
    """The rows of a file. What cannot be read at random, compressed files and pipes, is kept in a temporary file.

    Raises UsageError ``cli.parquet_unavailable`` without pyarrow, EventError ``import.source_invalid`` for a file that
    is not of its form, from the iterator too.
    """
    arrow, label = _arrow(), source_label(source)
    with _opened(source) as file:
        open_ = _parquet if is_parquet else _ipc
        try:
            names, batches = open_(arrow, file)
        except (arrow.ArrowException, OSError, ValueError) as error:
            what = "Parquet" if is_parquet else "Arrow"
            raise source_fault(f"not a whole {what} file: {_first_line(error)}", label, _FIX_FILE) from error
        _check_names(names, label)
        yield _batches(arrow, batches, label, nulls, unread)


@contextmanager
def _opened(source: str) -> Generator[Any]:
    if source != STANDARD_INPUT and _form(source) is None:
        try:
            file = open_binary(source)
        except (OSError, ValueError) as error:
            where = source_label(source)
            raise source_fault(
                f"cannot open the file: {reason(error)}", where, "check the path and the file"
            ) from error
        with only_read(file):
            yield file
        return
    try:
        spool = unnamed_file()
    except OSError as error:
        raise _not_spooled(source, error) from error
    with only_read(spool), open_source(source) as chunks:
        for chunk in chunks:
            try:
                spool.write(chunk)
            except OSError as error:
                raise _not_spooled(source, error) from error
        spool.seek(0)
        yield spool


def _form(source: str) -> str | None:
    try:
        return compression_in(source)
    except (OSError, ValueError) as error:
        where = source_label(source)
        raise source_fault(f"cannot open the file: {reason(error)}", where, "check the path and the file") from error


def _parquet(arrow: Any, file: Any) -> tuple[Sequence[str], Iterator[Any]]:
    opened = import_module("pyarrow.parquet").ParquetFile(file, buffer_size=_READ_AHEAD, pre_buffer=False)
    return opened.schema_arrow.names, opened.iter_batches(batch_size=_ROWS, use_threads=False)


def _ipc(arrow: Any, file: Any) -> tuple[Sequence[str], Iterator[Any]]:
    ipc = import_module("pyarrow.ipc")
    begins, _ = file.read(len(_MAGIC)), file.seek(0)
    if begins != _MAGIC:
        file.seek(-min(len(_STREAM_END), file.seek(0, 2)), 2)
        if file.read() != _STREAM_END:
            raise ValueError("its end is missing")
        file.seek(0)
        stream = ipc.open_stream(file)
        return stream.schema.names, iter(stream)
    opened = ipc.open_file(file)
    return opened.schema.names, (opened.get_batch(index) for index in range(opened.num_record_batches))


def _check_names(names: Sequence[str], label: str) -> None:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        message = f"two columns are called {quoted(repeated)}"
        raise source_fault(message, label, "give each column a name of its own")


def _batches(
    arrow: Any, record_batches: Iterator[Any], label: str, nulls: frozenset[str], unread: frozenset[str]
) -> Iterator[Batch]:
    before = 0
    try:
        for whole in record_batches:
            for begin in range(0, whole.num_rows, _ROWS):
                part = whole.slice(begin, _ROWS)
                place = _places(label, before)
                names = part.schema.names
                columns = [
                    [None] * part.num_rows
                    if name in unread and not _is_json(arrow.types, column.type)
                    else _values(arrow, name, column, place, nulls)
                    for name, column in zip(names, part.columns, strict=True)
                ]
                yield Batch([dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)], place)
                before += part.num_rows
    except (arrow.ArrowException, OSError, ValueError) as error:
        where = f"{label} row {before + 1}"
        raise source_fault(f"the file cannot be read on: {_first_line(error)}", where, _FIX_FILE) from error


def _places(label: str, before: int) -> Callable[[int], str]:
    return lambda index: f"{label} row {before + index + 1}"


def _values(
    arrow: Any, name: str, column: Any, place: Callable[[int], str], nulls: frozenset[str]
) -> Sequence[JsonValue]:
    """The values of a column as JSON has them. Raises EventError ``import.value_invalid`` for what it cannot have."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_timestamp(kind):
        return _in_range(_timestamps(arrow, column), name, place)
    if types.is_date(kind):
        return _in_range(column.cast(arrow.date32()).cast(arrow.string()).to_pylist(), name, place)
    if types.is_decimal(kind):
        return [None if value is None else float(value) for value in column.to_pylist()]
    if not _is_json(types, kind):
        message = f"column {quoted(name)} holds values of type {kind}, which JSON has not"
        raise value_fault(message, place(0), f"leave it out with --drop {name}, or convert it before")
    values: list[Any] = column.to_pylist()
    if types.is_floating(kind):
        return [value if value is None or isfinite(value) else _infinite(value, name, place(index), nulls)
                for index, value in enumerate(values)]  # fmt: skip
    if types.is_nested(kind):
        for index, value in enumerate(values):
            _refuse_infinite(value, name, place, index)
    elif nulls and types.is_string(kind):
        return [None if value in nulls else value for value in values]
    return values


def _in_range(texts: Sequence[JsonValue], name: str, place: Callable[[int], str]) -> Sequence[JsonValue]:
    """The texts of times, none of which the library could not write."""
    index = next((at for at, text in enumerate(texts) if isinstance(text, str) and text.startswith("<")), None)
    if index is not None:
        message = f"column {quoted(name)} holds a time beyond the years that can be written"
        raise value_fault(message, place(index), f"correct it, or leave the column out with --drop {name}")
    return texts


def _timestamps(arrow: Any, column: Any) -> Sequence[JsonValue]:
    """Times as texts of ISO 8601: in UTC, with ``Z``, where the column has a zone, else without any."""
    texts = column.cast(arrow.timestamp(column.type.unit)).cast(arrow.string()).to_pylist()
    end = "" if column.type.tz is None else "Z"
    return [None if text is None else text.replace(" ", "T", 1) + end for text in texts]


def _is_json(types: Any, kind: Any) -> bool:
    if types.is_struct(kind):
        return all(_is_json(types, kind.field(index).type) for index in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_json(types, kind.value_type)
    checks = (types.is_boolean, types.is_integer, types.is_floating, types.is_string, types.is_large_string,
              types.is_null)  # fmt: skip
    return any(check(kind) for check in checks)


def _infinite(value: float, name: str, where: str, nulls: frozenset[str]) -> JsonValue:
    if str(value) in nulls:
        return None
    message = f"column {quoted(name)} holds {value}, which JSON has not"
    raise value_fault(message, where, f"say that it stands for nothing: --null {value}")


def _refuse_infinite(value: Any, name: str, place: Callable[[int], str], index: int) -> None:
    match value:
        case float() if not isfinite(value):
            message = f"column {quoted(name)} holds {value} inside, which JSON has not"
            raise value_fault(message, place(index), f"leave the column out with --drop {name}, or convert it before")
        case dict():
            for part in value.values():  # pyright: ignore[reportUnknownVariableType]
                _refuse_infinite(part, name, place, index)
        case list():
            for part in value:  # pyright: ignore[reportUnknownVariableType]
                _refuse_infinite(part, name, place, index)
        case _:
            return


def _first_line(error: Exception) -> str:
    return (reason(error).strip() or type(error).__name__).splitlines()[0]


def _not_spooled(source: str, error: OSError) -> ErgoError:
    message = f"a copy of '{source_label(source)}' cannot be kept while it is read: {reason(error)}"
    return source_fault(message, source_label(source), temporary_remedy(error))


def _arrow() -> Any:
    """The library, imported at first use. Raises UsageError ``cli.parquet_unavailable``."""
    try:
        return import_module("pyarrow")
    except ImportError as error:
        message, fix = "Parquet and Arrow need pyarrow, which is not installed", "pip install 'ergo-replay[data]'"
        raise UsageError("cli.parquet_unavailable", message, where="option --from", fix=fix) from error
