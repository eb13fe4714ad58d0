"""Unnamed temporary files: what cannot stay in memory and must not be left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

_BUFFER = 1 << 16


class Spool:
    """Blocks of bytes, written once and then read once as they were. ``fail`` is called with errors of the system."""

    def __init__(self, folder: str, fail: Callable[[OSError], NoReturn]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER)  # noqa: SIM115 - closed by `close`
        self._fail = fail
        self._sizes: list[int] = []

    def append(self, block: bytes) -> None:
        """Add a block."""
        try:
            self._file.write(block)
        except OSError as error:
            self._fail(error)
        self._sizes.append(len(block))

    def blocks(self) -> Iterator[bytes]:
        """Every block in the order of writing."""
        try:
            self._file.seek(0)
            for size in self._sizes:
                yield self._file.read(size)
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Give the space back. What was not read is lost, so that errors do not matter."""
        with suppress(OSError):
            self._file.close()
