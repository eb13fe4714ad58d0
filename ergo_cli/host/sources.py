"""Where the bytes of an event stream come from: a file, compressed or not, or standard input (spec 00 §4)."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import cast

from ergo_cli.errors import EventError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STANDARD_INPUT = "-"
"""The name that stands for standard input."""

_CHUNK = 256 * 1024
_File = BufferedReader | gzip.GzipFile | zstd.ZstdFile
_BROKEN = (EOFError, zlib.error, zstd.ZstdError, gzip.BadGzipFile)


def source_label(path: str) -> str:
    """What errors call the source: its path, or ``<stdin>``."""
    return "<stdin>" if path == STANDARD_INPUT else path


@contextmanager
def open_source(path: str) -> Generator[Iterator[bytes]]:
    """The bytes of a file or of standard input (``-``), in chunks of at most 256 KiB, read as they are asked for.

    Names that end in ``.gz`` or ``.zst`` are decompressed. Raises EventError (``driver.input_invalid``) if the file
    cannot be opened, and from the iterator if it cannot be read on.
    """
    if path == STANDARD_INPUT:
        yield _chunks(_standard_input(), path)
        return
    with _open(path) as file:
        yield _chunks(file, path)


def _standard_input() -> BufferedReader:
    if sys.stdin is None:
        message, fix = "standard input is closed", "send the events to standard input, or name a file"
        raise EventError("driver.input_invalid", message, where=source_label(STANDARD_INPUT), fix=fix)
    return cast(BufferedReader, sys.stdin.buffer)


def _open(path: str) -> _File:
    try:
        if path.endswith(".gz"):
            return gzip.open(path)
        if path.endswith(".zst"):
            return zstd.open(path)
        return Path(path).open("rb")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _not_opened(path, error) from error


def _chunks(file: _File, path: str) -> Iterator[bytes]:
    try:
        while chunk := file.read1(_CHUNK):
            yield chunk
    except _BROKEN as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise _not_read(path, error) from error


def _not_opened(path: str, error: OSError | ValueError) -> EventError:
    match error:
        case FileNotFoundError():
            reason, fix = "there is no such file", "check the path, or give '-' to read standard input"
        case IsADirectoryError():
            reason, fix = "it is a folder", "name the file with the events"
        case PermissionError():
            reason, fix = "permission denied", "make the file readable"
        case _:
            reason, fix = str(error), "check the path and the file"
    return EventError("driver.input_invalid", f"cannot open events '{path}': {reason}", where=path, fix=fix)


def _broken(path: str, error: Exception) -> EventError:
    message = f"'{path}' is not sound compressed data: {error}"
    fix = "compress the events again, or rename the file if they are not compressed"
    return EventError("driver.input_invalid", message, where=source_label(path), fix=fix)


def _not_read(path: str, error: OSError) -> EventError:
    message = f"reading '{path}' failed: {error.strerror or error}"
    return EventError("driver.input_invalid", message, where=source_label(path), fix="check the file and its device")
