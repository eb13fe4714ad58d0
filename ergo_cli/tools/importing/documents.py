"""Rows of JSON: the lines of a file, the items of one array, or documents behind each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ergo_cli.core.json import JsonError, JsonValue, decode
from ergo_cli.events.stream import LINE_LIMIT, LineTooLong, split_lines
from ergo_cli.tools.importing.batches import TOGETHER, Batch, Row
from ergo_cli.tools.importing.faults import quoted, source_fault

VALUE = "value"
"""The column of a row that is no object."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|["\[\]{},]', re.DOTALL)
_BLANK = b" \t\r\n"
_FIX = "write JSON as RFC 8259 has it, in UTF-8"


def line_batches(chunks: Iterable[bytes], label: str) -> Iterator[Batch]:
    """The rows of JSON lines. Raises EventError."""

    def texts() -> Iterator[tuple[str, bytes]]:
        try:
            for number, line in split_lines(chunks):
                if line.strip():
                    yield f"{label}:{number}", line
        except LineTooLong as error:
            raise source_fault(str(error), f"{label}:{error.line}:{error.column}", error.fix) from error

    yield from _batches(texts())


def document_batches(chunks: Iterable[bytes], label: str) -> Iterator[Batch]:
    """The rows of an array, or of documents behind each other; one in memory at a time. Raises EventError."""
    yield from _batches((f"{label} item {number}", text) for number, text in enumerate(_items(chunks, label), 1))


def _batches(texts: Iterator[tuple[str, bytes]]) -> Iterator[Batch]:
    while together := list(islice(texts, TOGETHER)):
        places = [place for place, _ in together]
        yield Batch([_row(text, place) for place, text in together], places.__getitem__)


class _Repeated(ValueError):
    pass


def _row(text: bytes, place: str) -> Row:
    try:
        value: JsonValue = decode(text)
        json.loads(text, object_pairs_hook=_once)
    except JsonError as error:
        raise source_fault(f"not JSON: {error}", f"{place}:{error.offset + 1}", _FIX) from error
    except _Repeated as error:
        raise source_fault(str(error), place, "give each member of an object a name of its own") from error
    return value if isinstance(value, dict) else {VALUE: value}


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise _Repeated(f"two members are called {quoted(repeated)}")


def _items(chunks: Iterable[bytes], label: str) -> Iterator[bytes]:
    """The texts of the items of an array, or of the documents."""
    arriving = iter(chunks)
    buffer = b""
    while not buffer.strip(_BLANK):
        chunk = next(arriving, None)
        if chunk is None:
            return
        buffer += chunk
    buffer = buffer.lstrip(_BLANK)
    if buffer.startswith(b"["):
        yield from _of_array(buffer[1:], arriving, label)
    else:
        yield from _documents(buffer, arriving, label)


def _of_array(buffer: bytes, arriving: Iterator[bytes], label: str) -> Iterator[bytes]:
    depth = position = number = 0
    is_open = True
    while True:
        while token := _TOKEN.search(buffer, position):
            mark = token[0]
            if mark == b'"':  # a string that goes on in the next chunk
                position = token.start()
                break
            position = token.end()
            if not is_open:
                break
            if mark in (b"[", b"{"):
                depth += 1
            elif depth and mark in (b"]", b"}"):
                depth -= 1
            elif depth == 0 and mark in (b",", b"]"):
                item = buffer[: token.start()].strip(_BLANK)
                is_open = mark == b","
                if item or is_open or number:
                    number += 1
                    yield item
                buffer, position = buffer[position:], 0
        else:
            position = len(buffer)
        if not is_open and buffer.strip(_BLANK):
            raise source_fault("there is more behind the array", label, "keep one array in the file, or use JSON lines")
        chunk = next(arriving, None)
        if chunk is None:
            break
        buffer = buffer + chunk if is_open else chunk.strip(_BLANK)
        _check_size(buffer, f"{label} item {number + 1}")
    if is_open:
        message = "the array is not closed: the file was cut off"
        raise source_fault(message, f"{label} item {number + 1}", "get the whole file")


def _documents(buffer: bytes, arriving: Iterator[bytes], label: str) -> Iterator[bytes]:
    depth = position = number = 0
    while True:
        while token := _TOKEN.search(buffer, position):
            mark = token[0]
            if mark == b'"':
                position = token.start()
                break
            position = token.end()
            if mark in (b"[", b"{"):
                depth += 1
            elif depth and mark in (b"]", b"}"):
                depth -= 1
                if depth == 0:
                    number += 1
                    yield buffer[:position].strip(_BLANK)
                    buffer, position = buffer[position:], 0
        else:
            position = len(buffer)
        chunk = next(arriving, None)
        if chunk is None:
            break
        buffer += chunk
        _check_size(buffer, f"{label} item {number + 1}")
    if buffer.strip(_BLANK):
        yield buffer.strip(_BLANK)


def _check_size(buffer: bytes, where: str) -> None:
    if len(buffer) > LINE_LIMIT:
        message = f"an item is longer than {LINE_LIMIT // 2**20} MiB"
        raise source_fault(message, where, "split it, or keep large data out of events")
