"""Where the bytes of an event stream come from: a file, compressed or not, or standard input (spec 00 §4)."""

from __future__ import annotations

import selectors
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from io import FileIO
from os import fstat
from pathlib import Path
from typing import BinaryIO, cast

from ergo_cli.errors import EventError
from ergo_cli.host.stopping import STOP_LATENCY_NS
from ergo_cli.stores.compression import broken_data, is_compressed, open_compressed

STANDARD_INPUT = "-"
"""The name that stands for standard input."""

ShouldStop = Callable[[], bool]

_CHUNK = 32 * 1024
_LATENCY = STOP_LATENCY_NS / 1e9


class SourceStopped(Exception):
    """The run must stop; found out while waiting for more of a pipe."""


def source_label(path: str) -> str:
    """What errors call the source: its path, or ``<stdin>``."""
    return "<stdin>" if path == STANDARD_INPUT else path


def is_rereadable(path: str) -> bool:
    """Whether the source can be read twice: a file can, standard input and pipes cannot."""
    return path != STANDARD_INPUT and Path(path).is_file()


@contextmanager
def open_source(path: str, should_stop: ShouldStop = lambda: False) -> Generator[Iterator[bytes]]:
    """The bytes of a file or of standard input (``-``), in chunks of at most 32 KiB, read as they are asked for.

    Names that end in ``.gz`` or ``.zst`` are decompressed. Raises EventError (``driver.input_invalid``) if the file
    cannot be opened, and from the iterator if it cannot be read on; from the iterator also SourceStopped where a pipe
    keeps the reader waiting, or has ended, and ``should_stop`` says so.
    """
    if path == STANDARD_INPUT:
        yield _chunks(_standard_input(), path, should_stop)
        return
    with _open(path) as file:
        yield _chunks(file, path, should_stop)


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        message, fix = "standard input is closed", "send the events to standard input, or name a file"
        raise EventError("driver.input_invalid", message, where=source_label(STANDARD_INPUT), fix=fix)
    return cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def _open(path: str) -> BinaryIO:
    try:
        return open_compressed(path) if is_compressed(path) else cast(BinaryIO, Path(path).open("rb", buffering=0))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _not_opened(path, error) from error


def _chunks(file: BinaryIO, path: str, should_stop: ShouldStop) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)  # what is there already, where a buffer lies in between
    try:
        if _keeps_waiting(file):
            yield from _arriving(file, should_stop)
            return
        while chunk := read(_CHUNK):
            yield chunk
    except broken_data(path) as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise _not_read(path, error) from error


def _keeps_waiting(file: BinaryIO) -> bool:
    """Whether a read may have to wait for somebody: pipes, sockets and terminals, as far as the system can watch them.

    What is decompressed is read without watching.
    """
    if sys.platform == "win32" or not isinstance(file, FileIO):
        return False
    mode = fstat(file.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()


def _arriving(file: BinaryIO, should_stop: ShouldStop) -> Iterator[bytes]:
    with selectors.SelectSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        while True:
            while not selector.select(_LATENCY):
                _check(should_stop)
            chunk = file.read(_CHUNK)
            if not chunk:
                _check(should_stop)  # who stops the run may have ended the writer as well
                return
            yield chunk


def _check(should_stop: ShouldStop) -> None:
    if should_stop():
        raise SourceStopped


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
