"""Read the events of a run: byte sources, streams, reading ahead (spec 00 §4, §12.2, 30 §11)."""

from __future__ import annotations

import os
import selectors
import stat
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from os import fstat
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from ergo_cli.channels.interruption import End
from ergo_cli.channels.timeouts import STOP_LATENCY_NS
from ergo_cli.core.beginnings import WITHOUT_MARK, marked, marked_encoding, may_become_mark
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import EventError, StepError, reason
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.external import HostedEvent
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.run_plan import EventLines, PreparedRun
from ergo_cli.host.timing import RunControl
from ergo_cli.programs.kinds import BUILT_IN_ID
from ergo_cli.stores.durable import only_read
from ergo_cli.stores.files import STANDARD_INPUT, broken_data, compression_in, open_binary, open_compressed
from ergo_cli.stores.inflation import Inflated, InflationError
from ergo_cli.stores.locations import RemoteError, is_remote, local_path
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import unnamed_file

ShouldStop = Callable[[], bool]

_CHUNK = 32 * 1024
_LATENCY = STOP_LATENCY_NS / 1e9


class Reading:
    """How much of a file of events a run has read; asked from another thread, so that reading itself counts nothing."""

    def __init__(self) -> None:
        self._tell: Callable[[], int] | None = None
        self._size = 0

    def begin(self, file: BinaryIO) -> None:
        """Follow ``file``, as it is opened, if it is a plain file: the size of anything else is unknown."""
        found = fstat(file.fileno())
        if stat.S_ISREG(found.st_mode):
            self._tell, self._size = file.tell, found.st_size

    @property
    def done(self) -> tuple[int, int]:
        """The bytes read, and those of the whole, 0 while it is unknown; of a compressed file as it is stored."""
        if self._tell is None:
            return 0, 0
        try:
            return self._tell(), self._size
        except (OSError, ValueError):  # ValueError: the run has read all and closed the file
            return self._size, self._size


class SourceStopped(Exception):
    """The run must stop; raised while waiting for more bytes of a pipe."""


def source_label(path: str) -> str:
    """The source's name in errors: its path, or ``<stdin>``."""
    return "<stdin>" if path == STANDARD_INPUT else path


def is_rereadable(path: str) -> bool:
    """Whether the source can be read twice: a file can, standard input and pipes cannot."""
    return path != STANDARD_INPUT and os.path.isfile(path)


@contextmanager
def open_source(
    path: str, should_stop: ShouldStop = lambda: False, reading: Reading | None = None
) -> Generator[Iterator[bytes]]:
    """Open a file or standard input (``-``) as an iterator of chunks of at most 32 KiB, read lazily.

    Gzip and Zstandard are decompressed, whatever the name; a byte order mark is skipped. Raises EventError
    (``driver.input_invalid``) if the file cannot be opened, and from the iterator if it cannot be read on; from the
    iterator also SourceStopped where a pipe keeps the reader waiting, or has ended, and ``should_stop`` returns True.
    """
    if path == STANDARD_INPUT:
        yield _without_mark(_read_chunks(_standard_input(), path, None, should_stop), path)
        return
    form = _form(path)
    with only_read(_open(path, form)) as file:
        if reading is not None:
            reading.begin(file.source if isinstance(file, Inflated) else file)
        yield _without_mark(_read_chunks(file, path, form, should_stop), path)


def _without_mark(chunks: Iterator[bytes], path: str) -> Iterator[bytes]:
    """The chunks without the byte order mark that some editors write before a text. Refuses that of UTF-16."""
    start = b""
    for chunk in chunks:
        start += chunk
        if not may_become_mark(start):
            break
    encoding = marked_encoding(start)
    if encoding not in (None, "UTF-8"):
        message = f"cannot read '{path}': {marked(encoding)}"
        raise EventError("driver.input_invalid", message, where=source_label(path), fix=WITHOUT_MARK)
    yield start.removeprefix(BOM_UTF8)
    yield from chunks


def _form(path: str) -> str | None:
    try:
        return compression_in(path)
    except (OSError, ValueError) as error:
        raise _not_opened(path, error) from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        message, fix = "standard input is closed", "send the events to standard input, or name a file"
        raise EventError("driver.input_invalid", message, where=source_label(STANDARD_INPUT), fix=fix)
    return cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def _open(path: str, form: str | None) -> BinaryIO:
    try:
        return open_compressed(path, form) if form else _opened(path)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _not_opened(path, error) from error


def _opened(path: str) -> BinaryIO:
    if is_remote(path):
        return open_binary(path)
    return cast(BinaryIO, Path(local_path(path)).open("rb", buffering=0))


def _read_chunks(file: BinaryIO, path: str, form: str | None, should_stop: ShouldStop) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)  # returns what is available instead of filling the buffer
    try:
        if _keeps_waiting(file):
            yield from _arriving(file, should_stop)
            return
        while chunk := read(_CHUNK):
            yield chunk
    except InflationError as error:
        message = f"cannot read '{path}' on: {error}"
        raise EventError("driver.input_invalid", message, where=source_label(path), fix=error.fix) from error
    except broken_data(form) as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise _not_read(path, error) from error


def _keeps_waiting(file: BinaryIO) -> bool:
    """Whether a read may block: pipes, sockets and terminals, as far as the system can watch them.

    Decompressed input is read without watching.
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
                _raise_if_stopped(should_stop)
            chunk = file.read(_CHUNK)
            if not chunk:
                _raise_if_stopped(should_stop)  # stopping the run may have ended the writer as well
                return
            yield chunk


def _raise_if_stopped(should_stop: ShouldStop) -> None:
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
        case RemoteError():
            reason, fix = str(error.strerror), error.fix
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


class Arrivals(Protocol):
    """A source of events."""

    @property
    def opened(self) -> Sequence[tuple[str, int]]:
        """The label of every episode begun so far, and how many events came before it."""
        ...

    @property
    def place(self) -> str:
        """The place of the last returned event, for errors."""
        ...

    def next(self, should_stop: Callable[[], bool]) -> HostedEvent | End:
        """The next event, or why there is none. Raises EventError for a bad stream, IngressFailure for a process."""
        ...


class StreamArrivals:
    """The events of a file, of standard input or of a list; a source that blocks checks ``should_stop`` itself."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._events: Iterator[HostedEvent] = iter(stream)
        self._batches: Iterator[Sequence[HostedEvent]] = stream.batches()
        self._reached = 0

    @property
    def opened(self) -> Sequence[tuple[str, int]]:
        """The label of every episode begun so far, and how many events came before it."""
        return self._stream.opened

    @property
    def place(self) -> str:
        """``<label>:<line>:1`` of the last record read; within a batch, of the event passed to ``reached``."""
        return self._stream.place_of(self._reached)

    def next(self, should_stop: Callable[[], bool]) -> HostedEvent | End:
        """The next event of the stream. Raises EventError at its first fault."""
        try:
            return next(self._events, End.FINISHED)
        except SourceStopped:
            return End.STOPPED

    def together(self) -> Sequence[HostedEvent] | End:
        """The next batch: at least one event, and all that were read together. Do not mix with ``next``.

        Raises EventError as ``next``.
        """
        self._reached = 0
        try:
            return next(self._batches, End.FINISHED)
        except SourceStopped:
            return End.STOPPED

    def reached(self, index: int) -> None:
        """Set the event of the last batch that ``place`` refers to."""
        self._reached = index


@contextmanager
def open_stream(
    path: str, run: PreparedRun, control: RunControl, reading: Reading | None = None
) -> Generator[StreamArrivals]:
    """Open the events of ``path`` (``-`` is standard input), read lazily; ``reading`` follows. Raises EventError."""
    with open_source(path, control.should_stop, reading) as chunks:
        yield StreamArrivals(_stream(chunks, path, run))


@contextmanager
def open_checked_stream(
    path: str, run: PreparedRun, control: RunControl, reading: Reading | None = None
) -> Generator[StreamArrivals]:
    """As ``open_stream``, but read and check the whole stream first; a source that can be read only once is spooled.

    Raises EventError and StepError at the first fault that can be found without running the program: the run itself
    validates payloads into which values written by earlier episodes may be merged.
    """
    if is_rereadable(path):
        with open_source(path) as chunks:
            _check(_stream(chunks, path, run), run, control)
        with open_stream(path, run, control, reading) as arrivals:
            yield arrivals
        return
    with only_read(_spool(path)) as spool:
        _fill(spool, path, control)
        _check(_stream(_spooled_chunks(spool, path), path, run), run, control)
        yield StreamArrivals(_stream(_spooled_chunks(spool, path), path, run))


@contextmanager
def open_lines(lines: EventLines, run: PreparedRun) -> Generator[StreamArrivals]:
    """Open the events of lines held in memory."""
    yield StreamArrivals(_labelled(lines.lines, lines.label, run))


@contextmanager
def open_checked_lines(lines: EventLines, run: PreparedRun, control: RunControl) -> Generator[StreamArrivals]:
    """As ``open_lines``, but check all of them first, as ``open_checked_stream`` does."""
    _check(_labelled(lines.lines, lines.label, run), run, control)
    with open_lines(lines, run) as arrivals:
        yield arrivals


def _stream(chunks: Iterator[bytes], path: str, run: PreparedRun) -> EventStream:
    return _labelled(chunks, source_label(path), run)


def _labelled(chunks: Iterable[bytes], label: str, run: PreparedRun) -> EventStream:
    kinds = _semantic_kinds(run)
    return EventStream(chunks, label, semantic_kinds=kinds, numbers=run.numbers, redaction=run.redaction)


def _semantic_kinds(run: PreparedRun) -> SemanticKinds:
    if run.program.graph_id == BUILT_IN_ID:
        return SemanticKinds.IGNORED
    return SemanticKinds.REFUSED if run.adapter is None else SemanticKinds.REQUIRED


def _spool(path: str) -> BinaryIO:
    try:
        return unnamed_file()
    except OSError as error:
        raise _not_spooled(path, error) from error


def _fill(spool: BinaryIO, path: str, control: RunControl) -> None:
    try:
        with open_source(path, control.should_stop) as chunks:
            for chunk in chunks:
                spool.write(chunk)
    except SourceStopped as stopped:
        raise stopped_too_soon() from stopped
    except OSError as error:
        raise _not_spooled(path, error) from error


def _spooled_chunks(spool: BinaryIO, path: str) -> Iterator[bytes]:
    try:
        spool.seek(0)
        while chunk := spool.read(_CHUNK):
            yield chunk
    except OSError as error:
        raise _not_spooled(path, error) from error


def _check(stream: EventStream, run: PreparedRun, control: RunControl) -> None:
    for event in stream:
        if control.should_stop():
            raise stopped_too_soon()
        try:
            _check_event(event, run)
        except StepError as error:
            error.where = f"{stream.place} {error.where}" if error.where else stream.place
            raise


def _check_event(event: HostedEvent, run: PreparedRun) -> None:
    acting = run.program.kind.acting
    if acting is not None:
        acting.admit(run.program.value, event)
    if run.adapter is not None:
        check_binding(event, run.adapter, run.numbers, is_merged=acting is None)


def check_binding(event: HostedEvent, adapter: Adapter, numbers: Numbers, *, is_merged: bool = True) -> None:
    """Raise StepError for an event that the adapter cannot bind, whatever earlier episodes write.

    ``is_merged``: values that earlier episodes stored are merged into the payload.
    """
    try:
        adapter.build_event(event, {}, numbers)
    except StepError as error:
        if is_merged and error.name == "Binding" and _may_be_mended(event, adapter):
            return
        raise


def _may_be_mended(event: HostedEvent, adapter: Adapter) -> bool:
    """Whether values that an episode writes may be merged into the payload, and make it fit."""
    kind = adapter.kinds.get(event.semantic_kind or "")
    return kind is not None and kind.remembers and not kind.is_hopeless(event.payload)


def _not_spooled(path: str, error: OSError) -> EventError:
    message = f"reading '{source_label(path)}' ahead failed: {reason(error)}"
    fix = f"{temporary_remedy(error)}, or name a file of events"
    return EventError("driver.input_invalid", message, where=source_label(path), fix=fix)


def stopped_too_soon() -> EventError:
    """The error of a run that was stopped before its first committed step."""
    message = "the run was stopped before its first event was committed: there is nothing to keep"
    fix = "let it run longer, or raise --max-events or --max-duration"
    return EventError("driver.output_incomplete", message, where="canonical host ingress", fix=fix)
