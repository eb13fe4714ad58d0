"""Where a run's events come from, one readable seam for files and processes (spec 30 §11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Protocol

from ergo_cli.errors import EventError
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.stream import EventStream
from ergo_cli.host.interruption import Interruption
from ergo_cli.host.sources import SourceStopped


class End(Enum):
    """Why no further event arrives."""

    FINISHED = "finished"
    """The source said so."""
    STOPPED = "stopped"
    """The run must stop, found out while waiting."""


class IngressFailure(Exception):
    """A source that broke off: ``error`` before the first committed step, ``interruption`` after it."""

    def __init__(self, error: EventError, interruption: Interruption) -> None:
        super().__init__(error.message)
        self.error = error
        self.interruption = interruption


class Arrivals(Protocol):
    """A source of events."""

    @property
    def opened(self) -> Sequence[tuple[str, int]]:
        """The label of every episode begun so far, and how many events came before it."""
        ...

    @property
    def place(self) -> str:
        """Where the event last given stands, for errors."""
        ...

    def next(self, should_stop: Callable[[], bool]) -> HostedEvent | End:
        """The next event, or why there is none. Raises EventError for a bad stream, IngressFailure for a process."""
        ...


class StreamArrivals:
    """The events of a file, of standard input or of a list; a source that is waited for asks itself whether to stop."""

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
        """``<label>:<line>:1`` of the record read last; of a batch, of the event that was ``reached``."""
        return self._stream.place_of(self._reached)

    def next(self, should_stop: Callable[[], bool]) -> HostedEvent | End:
        """The next event of the stream. Raises EventError at its first fault."""
        try:
            return next(self._events, End.FINISHED)
        except SourceStopped:
            return End.STOPPED

    def together(self) -> Sequence[HostedEvent] | End:
        """The next events, one at least and as many as are at hand, for whoever never asks for one alone.

        Raises EventError as ``next``.
        """
        self._reached = 0
        try:
            return next(self._batches, End.FINISHED)
        except SourceStopped:
            return End.STOPPED

    def reached(self, index: int) -> None:
        """Which event of the batch given last ``place`` is to tell."""
        self._reached = index
