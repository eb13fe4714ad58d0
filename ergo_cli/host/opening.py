"""The event stream of a run opened, and read ahead to its end where effects could not be taken back (spec 00 §12.2)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO

from ergo_cli.errors import EventError, StepError, reason
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.arrivals import StreamArrivals
from ergo_cli.host.hosting import hosting
from ergo_cli.host.planning import EventLines
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.running import stopped_too_soon
from ergo_cli.host.sources import SourceStopped, is_rereadable, open_source, source_label
from ergo_cli.host.stopping import RunControl
from ergo_cli.programs.graph.program import SCHEDULE

_CHUNK = 32 * 1024


@contextmanager
def open_stream(path: str, run: PreparedRun, control: RunControl) -> Generator[StreamArrivals]:
    """The events of ``path``, ``-`` being standard input, read as they are asked for. Raises EventError."""
    with open_source(path, control.should_stop) as chunks:
        yield StreamArrivals(_stream(chunks, path, run))


@contextmanager
def open_checked_stream(path: str, run: PreparedRun, control: RunControl) -> Generator[StreamArrivals]:
    """As ``open_stream``, but the whole stream is read and checked first; what can be read only once is spooled.

    Raises EventError and StepError at the first fault that can be known without running the program: whether a payload
    fits its schema is left to the run where memory of earlier episodes may enter it.
    """
    if is_rereadable(path):
        with open_source(path) as chunks:
            _check(_stream(chunks, path, run), run, control)
        with open_stream(path, run, control) as arrivals:
            yield arrivals
        return
    with TemporaryFile() as spool:
        _fill(spool, path, control)
        _check(_stream(_chunks(spool, path), path, run), run, control)
        yield StreamArrivals(_stream(_chunks(spool, path), path, run))


@contextmanager
def open_lines(lines: EventLines, run: PreparedRun) -> Generator[StreamArrivals]:
    """The events of lines at hand."""
    yield StreamArrivals(_labelled(lines.lines, lines.label, run))


@contextmanager
def open_checked_lines(lines: EventLines, run: PreparedRun, control: RunControl) -> Generator[StreamArrivals]:
    """As ``open_lines``, but all of them are checked first, as ``open_checked_stream`` does it."""
    _check(_labelled(lines.lines, lines.label, run), run, control)
    with open_lines(lines, run) as arrivals:
        yield arrivals


def _stream(chunks: Iterator[bytes], path: str, run: PreparedRun) -> EventStream:
    return _labelled(chunks, source_label(path), run)


def _labelled(chunks: Iterable[bytes], label: str, run: PreparedRun) -> EventStream:
    return EventStream(chunks, label, semantic_kinds=_semantic_kinds(run), numbers=run.numbers)


def _semantic_kinds(run: PreparedRun) -> SemanticKinds:
    if run.program is SCHEDULE:
        return SemanticKinds.IGNORED
    return SemanticKinds.REFUSED if run.adapter is None else SemanticKinds.REQUIRED


def _fill(spool: BinaryIO, path: str, control: RunControl) -> None:
    try:
        with open_source(path, control.should_stop) as chunks:
            for chunk in chunks:
                spool.write(chunk)
    except SourceStopped as stopped:
        raise stopped_too_soon() from stopped
    except OSError as error:
        raise _not_spooled(path, error) from error


def _chunks(spool: BinaryIO, path: str) -> Iterator[bytes]:
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
        if run.adapter is not None:
            _check_event(event, run, run.adapter, stream.place)


def _check_event(event: HostedEvent, run: PreparedRun, adapter: Adapter, place: str) -> None:
    try:
        adapter.build_event(event, {}, run.numbers)
    except StepError as error:
        if error.name == "Binding" and _remembers(event, run, adapter):
            return
        error.where = f"{place} {error.where}" if error.where else place
        raise


def _remembers(event: HostedEvent, run: PreparedRun, adapter: Adapter) -> bool:
    """Whether something that an episode wrote may be merged into the payload of a later event of this kind."""
    if hosting(run.program).is_stateful:
        return False
    kind = adapter.kinds.get(event.semantic_kind or "")
    return kind is not None and kind.remembers


def _not_spooled(path: str, error: OSError) -> EventError:
    message = f"reading '{source_label(path)}' ahead failed: {reason(error)}"
    fix = "make room in the folder for temporary files, or name a file of events"
    return EventError("driver.input_invalid", message, where=source_label(path), fix=fix)
