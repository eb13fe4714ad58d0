"""One SQLite file: connections, transactions, errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import RLock

from ergo_cli.errors import reason
from ergo_cli.stores.connections import ThreadConnections
from ergo_cli.stores.sqlite.faults import sqlite_fault, store_fault
from ergo_cli.stores.sqlite.schema import ensure_schema

IN_MEMORY = ":memory:"
"""The path of a database that is gone when it is closed."""


class SqliteDatabase:
    """A database that journals and snapshots share; nothing is opened before its first use.

    ``wall_ms`` gives the time that rows are marked with; ``busy_seconds`` is how long a writer waits for its turn. Each
    thread has its own connection, but for ``:memory:``, whose one connection the threads take in turns. Texts come back
    as bytes.
    """

    def __init__(self, path: str, wall_ms: Callable[[], int], busy_seconds: float = 5.0) -> None:
        self.path = path
        self.wall_ms = wall_ms
        self._busy_seconds = busy_seconds
        self._connections = ThreadConnections(self._connect)
        self._shared = self._connect() if path == IN_MEMORY else None
        self._turn = RLock() if path == IN_MEMORY else nullcontext()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """A connection for single queries. Raises StoreError."""
        with self._faults(), self._turn:
            yield self._shared or self._connections.current()

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """A transaction that begins by waiting for its turn to write; committed unless an error leaves it.

        Raises StoreError.
        """
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def close(self) -> None:
        """Close every connection; what was in memory only is gone."""
        self._connections.close()
        if self._shared is not None:
            self._shared.close()

    def _connect(self) -> sqlite3.Connection:
        if self.path != IN_MEMORY:
            self._make_folder()
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            connection.text_factory = bytes
            connection.execute("PRAGMA synchronous=FULL")
            ensure_schema(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_folder(self) -> None:
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            code = "store.read_only" if isinstance(error, PermissionError) else "store.unreachable"
            raise store_fault(code, self.path, f"its folder cannot be made: {reason(error)}") from error

    @contextmanager
    def _faults(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_fault(self.path, error) from error


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite itself has ended it after errors such as a full disk
        connection.execute("ROLLBACK")
