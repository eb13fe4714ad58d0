"""Texts that are gzip or Zstandard compressed by the suffix of their file (spec 00 §4–5).

The libraries are imported only when a name asks for them.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast

BLOCK = 1 << 18
"""How many bytes are read at a time."""

_GZIP_WINDOW = 31  # zlib's way to say: a gzip header, here without name and time
_LEVEL = 6


class Compressor(Protocol):
    """Something that turns a stream of bytes into a shorter one."""

    def compress(self, data: bytes, /) -> bytes:
        """The next part of the output, perhaps empty."""
        ...

    def flush(self) -> bytes:
        """The end of the output."""
        ...


class CompressionError(ValueError):
    """A file with a compressing suffix that does not hold what the suffix says."""


def compressor_for(path: str) -> Compressor | None:
    """What ``path`` must be compressed with by its suffix, ``.gz`` or ``.zst``; None for any other."""
    if path.endswith(".gz"):
        return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    if path.endswith(".zst"):
        return _zstd().ZstdCompressor()
    return None


def read_blocks(path: str) -> Iterator[bytes]:
    """The content of a file in blocks, decompressed by its suffix. Raises OSError, and CompressionError on bad data."""
    try:
        with open_compressed(path) if is_compressed(path) else open(path, "rb") as file:
            yield from iter(lambda: file.read(BLOCK), b"")
    except broken_data(path) as error:
        form = "gzip" if path.endswith(".gz") else "Zstandard"
        raise CompressionError(f"not a whole {form} file: {error}") from error


def is_compressed(path: str) -> bool:
    """Whether the suffix of ``path`` names a compression."""
    return path.endswith((".gz", ".zst"))


def open_compressed(path: str) -> BinaryIO:
    """The content of a file with such a suffix, decompressed as it is read. Raises OSError, then ``broken_data``."""
    return cast(BinaryIO, _zstd().open(path) if path.endswith(".zst") else _gzip().open(path, "rb"))


def broken_data(path: str) -> tuple[type[Exception], ...]:
    """What reading the file raises where its data is not what its suffix says."""
    if path.endswith(".zst"):
        return (EOFError, _zstd().ZstdError)
    return (EOFError, zlib.error, _gzip().BadGzipFile) if path.endswith(".gz") else ()


def _gzip() -> Any:
    return import_module("gzip")


def _zstd() -> Any:
    """The Zstandard module: of the standard library from Python 3.14 on, before that its backport."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
