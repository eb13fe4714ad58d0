"""Sort the lines of events by their times in bounded memory: sorted parts in a temporary file, then merged."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from operator import itemgetter
from struct import Struct
from typing import Self

from ergo_cli.core.time import NANOS
from ergo_cli.errors import ErgoError, reason
from ergo_cli.stores.durable import close_quietly
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import unnamed_file

_HEAD = Struct("<QII")
_PART = 64 * 1024 * 1024
_BLOCK = 256 * 1024
_COST = 120  # bytes that an entry takes beside its line

Entry = tuple[int, bytes]
_at = itemgetter(0)


class TimeSort:
    """Takes lines in any order and gives them by time, those of one time in the order they came.

    A context manager that closes its temporary file. Raises ErgoError ``cli.import_write_failed``.
    """

    def __init__(self, part: int = _PART) -> None:
        with _faults():
            self._file = unnamed_file()
        self._part = part
        self._entries: list[Entry] = []
        self._held = 0
        self._ends: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close_quietly(self._file)

    def add(self, at: int, line: bytes) -> None:
        """Take a line."""
        self._entries.append((at, line))
        self._held += len(line) + _COST
        if self._held >= self._part:
            self._set_aside()

    def lines(self) -> Iterator[bytes]:
        """All lines, once the last has been taken."""
        self._entries.sort(key=_at)
        starts = [0, *self._ends]
        parts = [self._stored(start, end) for start, end in zip(starts, self._ends, strict=False)]
        for _, line in heapq.merge(*parts, self._entries, key=_at):
            yield line

    def _set_aside(self) -> None:
        self._entries.sort(key=_at)
        with _faults():
            for at, line in self._entries:
                self._file.write(_HEAD.pack(*divmod(at, NANOS), len(line)))
                self._file.write(line)
            self._ends.append(self._file.tell())
        self._entries, self._held = [], 0

    def _stored(self, position: int, end: int) -> Iterator[Entry]:
        buffer, at = b"", 0
        while position < end or at < len(buffer):
            if len(buffer) - at < _HEAD.size or len(buffer) - at < _HEAD.size + _HEAD.unpack_from(buffer, at)[2]:
                with _faults():
                    self._file.seek(position)
                    more = self._file.read(min(_BLOCK, end - position))
                position += len(more)
                buffer, at = buffer[at:] + more, 0
                continue
            secs, nanos, size = _HEAD.unpack_from(buffer, at)
            start = at + _HEAD.size
            yield secs * NANOS + nanos, buffer[start : start + size]
            at = start + size


@contextmanager
def _faults() -> Generator[None]:
    try:
        yield
    except OSError as error:
        message = f"the events cannot be sorted in a temporary file: {reason(error)}"
        fix = temporary_remedy(error)
        raise ErgoError("cli.import_write_failed", message, where="option --sort-by", fix=fix) from error
