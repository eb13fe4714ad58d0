"""Connections to a database: one for each thread, opened when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread, current_thread
from typing import Generic, Protocol, TypeVar


class Connection(Protocol):
    """What this room does with a connection."""

    def close(self) -> None:
        """Give it back. May be called from another thread than the one it was opened for."""
        ...


C = TypeVar("C", bound=Connection)


class ThreadConnections(Generic[C]):
    """One connection a thread (spec 00 §13.3); those of threads that have ended are closed when the next one opens."""

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._open: dict[Thread, C] = {}
        self._lock = Lock()

    def current(self) -> C:
        """The calling thread's connection. Raises whatever opening one raises; it is tried again at the next call."""
        thread = current_thread()
        connection = self._open.get(thread)
        if connection is None:
            self._close_ended()
            connection = self._connect()
            with self._lock:
                self._open[thread] = connection
        return connection

    def discard(self) -> None:
        """Close the calling thread's connection: its next use opens another."""
        with self._lock:
            connection = self._open.pop(current_thread(), None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the connections of all threads; a later use opens one again."""
        self._close(lambda _: True)

    def _close_ended(self) -> None:
        self._close(lambda thread: not thread.is_alive())

    def _close(self, chosen: Callable[[Thread], bool]) -> None:
        with self._lock:
            closing = [self._open.pop(thread) for thread in list(self._open) if chosen(thread)]
        for connection in closing:
            connection.close()
