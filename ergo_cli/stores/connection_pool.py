"""A bounded number of connections to a server, lent to the threads that need one (spec 00 §13.3)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock, Semaphore, local
from typing import Generic, TypeVar

from ergo_cli.stores.database import Closable

C = TypeVar("C", bound=Closable)


class PoolExhausted(Exception):
    """Every connection was in use for too long."""


class ConnectionPool(Generic[C]):
    """At most ``size`` connections, each opened when no other is free, and kept open.

    A thread that holds one gets the same again, so that what it does within a transaction belongs to it. ``connect``
    opens one. A thread waits for a connection for ``patience_s`` seconds.
    """

    def __init__(self, connect: Callable[[], C], size: int, patience_s: float) -> None:
        self._connect = connect
        self._patience_s = patience_s
        self._free = Semaphore(size)
        self._lock = Lock()
        self._idle: list[C] = []
        self._lent: dict[int, C] = {}
        self._held = local()

    @contextmanager
    def lent(self) -> Generator[C]:
        """Lend a connection to this thread for a block. Raises PoolExhausted, and what ``connect`` raises."""
        held: C | None = getattr(self._held, "connection", None)
        if held is not None:
            yield held
            return
        if not self._free.acquire(timeout=self._patience_s):
            raise PoolExhausted
        try:
            connection = self._taken()
            self._held.connection = connection
            try:
                yield connection
            finally:
                self._held.connection = None
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close every connection, those that are lent when they come back; a later use opens one again."""
        with self._lock:
            closing, self._idle = self._idle, []
            self._lent.clear()
        for connection in closing:
            connection.close()

    def _taken(self) -> C:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        with self._lock:
            self._lent[id(connection)] = connection
        return connection

    def _give_back(self, connection: C) -> None:
        """Keep a connection for the next thread, unless all have been closed meanwhile."""
        with self._lock:
            is_kept = self._lent.pop(id(connection), None) is not None
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()
