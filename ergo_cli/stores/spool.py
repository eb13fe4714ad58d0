"""Unnamed temporary files: what cannot stay in memory and must not be left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

_BUFFER = 1 << 18


class Spool:
    """Lines, written once and then read once in order. ``fail`` is called with every error of the system."""

    def __init__(self, folder: str, fail: Callable[[OSError], NoReturn]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER)  # noqa: SIM115 - closed by `close`
        self._fail = fail

    def append(self, lines: bytes) -> None:
        """Add one line or several; the last has no line feed of its own."""
        try:
            self._file.write(lines)
            self._file.write(b"\n")
        except OSError as error:
            self._fail(error)

    def blocks(self) -> Iterator[bytes]:
        """Every line in the order of writing, many at a time, the last of a block without its line feed."""
        try:
            self._file.seek(0)
            while block := self._file.read(_BUFFER):
                yield (block if block.endswith(b"\n") else block + self._file.readline())[:-1]
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Give the space back. What was not read is lost, so that errors do not matter."""
        with suppress(OSError):
            self._file.close()
