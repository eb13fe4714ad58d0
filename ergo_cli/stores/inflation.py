"""How much a compressed file may hold: counted while it is decompressed, before the memory or disk is taken (00 §12.4).

A few kilobytes can stand for gigabytes. What a file may hold follows from its size; a command raises the limit for
everything that it reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, BinaryIO, Self

from ergo_cli.stores.durable import close_quietly

MOST = 64 * 2**30
"""The most bytes that a compressed file may hold, whatever its size."""

RATIO = 1000
"""How many times its size a compressed file may hold."""

FLOOR = 64 * 2**20
"""What every compressed file may hold, however small it is: short files of equal events compress far better."""

_limit: ContextVar[int | None] = ContextVar("max_input", default=None)


class CompressionError(ValueError):
    """A file whose content is not in the compression that its suffix names; ``fix`` is the remedy."""

    def __init__(self, message: str, fix: str = "check that the file is there, whole and readable") -> None:
        super().__init__(message)
        self.fix = fix


class InflationError(CompressionError):
    """A file that holds more than it may."""

    def __init__(self, limit: int) -> None:
        fix = "check where the file comes from; if it may be so large, raise the limit with --max-input SIZE"
        super().__init__(f"it holds more than {limit} bytes once it is decompressed", fix)


@contextmanager
def reading_at_most(limit: int | None) -> Generator[None]:
    """Within, every compressed file may hold ``limit`` bytes; None leaves what follows from its size."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def limit_in_force() -> int | None:
    """What ``reading_at_most`` set, for a process that continues the work of this one."""
    return _limit.get()


class _Metered:
    """A source that counts the bytes which the decompressor takes."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self.taken += len(block)
        return block


class Inflated:
    """The content of a compressed ``source``, read through ``decompress``; raises InflationError beyond the limit.

    The size of a source that has none, such as a pipe, is what was taken from it so far.
    """

    def __init__(self, source: BinaryIO, decompress: Callable[[Any], Any]) -> None:
        self.source = source
        self._size = os.fstat(source.fileno()).st_size
        self._metered = _Metered(source)
        self._decompressed = decompress(self._metered)
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end."""
        return self._counted(self._decompressed.read(size))

    def read1(self, size: int) -> bytes:
        """Up to ``size`` bytes, with few reads of the source."""
        return self._counted(self._decompressed.read1(size))

    def close(self) -> None:
        """Close the source."""
        close_quietly(self._decompressed)
        close_quietly(self.source)

    def _counted(self, block: bytes) -> bytes:
        self._held += len(block)
        if self._held > FLOOR and self._held > (limit := self._limit()):
            raise InflationError(limit)
        return block

    def _limit(self) -> int:
        raised = _limit.get()
        return max(min(MOST, RATIO * (self._size or self._metered.taken)) if raised is None else raised, FLOOR)
