"""The shared parts of SQLite and PostgreSQL stores: names of tables, connections of threads, journals in tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from threading import Lock, Thread, current_thread
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from ergo_cli.stores.journals import (
    HIGHEST_SEQ,
    EventJournal,
    check_head,
    check_texts,
    checked,
    checked_head,
    checked_run,
)
from ergo_cli.stores.leases import NONE_HELD, HeldLease, LeaseOf, own_lease

LEASES = "run_leases"
"""The table of leases, one for all kinds of programs; made with the first lease."""

_PAGE = 256  # no query stays open between two pages, so that readers do not block writers


class RunTables(Struct, frozen=True):
    """The names of the tables that one kind of program keeps its runs in; indexes are named after their tables.

    Several kinds of programs share a database, each with tables of its own. A kind has all of them, or events alone.
    """

    events: str
    attempts: str | None = None
    """Failed attempts, which are not part of any run's log (spec 40 §20)."""
    snapshots: str | None = None
    snapshot_versions: str | None = None
    """SQLite only: kept apart, because the table of snapshots has a fixed layout that other programs read."""
    lease_of: LeaseOf = own_lease
    """Names the lease that an append to a run needs, for kinds that drive several runs as one."""

    @property
    def sign(self) -> str:
        """The table whose presence shows that a database has all tables of this kind."""
        return self.attempts or self.events

    @property
    def of_runs(self) -> tuple[str, ...]:
        """The tables that say which runs there are; an earlier ergo made those of some kinds without attempts."""
        return (self.events,) if self.attempts is None else (self.events, self.attempts)


class Closable(Protocol):
    """A connection, as those who keep it open see it."""

    def close(self) -> None:
        """Close the connection. May be called from another thread than the one it was opened for."""
        ...


C = TypeVar("C", bound=Closable)


class ThreadConnections(Generic[C]):
    """One connection per thread (spec 00 §13.3); those of ended threads are closed when the next one opens."""

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._open: dict[Thread, C] = {}
        self._lock = Lock()

    def current(self) -> C:
        """The calling thread's connection. Raises what ``connect`` raises; the next call tries again."""
        thread = current_thread()
        connection = self._open.get(thread)
        if connection is None:
            self._close_ended()
            connection = self._connect()
            with self._lock:
                self._open[thread] = connection
        return connection

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


Statement = TypeVar("Statement", str, bytes)
"""A statement as the driver takes it."""

_StatementIn = TypeVar("_StatementIn", str, bytes, contravariant=True)


class Cursor(Protocol[_StatementIn]):
    """The part of a driver's cursor that journals use."""

    @property
    def rowcount(self) -> int:
        """The number of rows that a statement has changed."""
        ...

    def executemany(self, statement: _StatementIn, rows: Sequence[tuple[object, ...]], /) -> object:
        """Execute ``statement`` with each of ``rows``."""
        ...

    def fetchone(self) -> Any:
        """The next row of the result, a tuple; None if there is none left."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows of the result that are left."""
        ...


class Connection(Protocol[_StatementIn]):
    """The part of a driver's connection that journals use."""

    def execute(self, statement: _StatementIn, parameters: tuple[object, ...] = ..., /) -> Cursor[_StatementIn]:
        """Execute ``statement`` and return its result."""
        ...

    def cursor(self) -> Cursor[_StatementIn]:
        """A cursor without a result."""
        ...


class Database(Protocol[Statement]):
    """A database that journals and snapshots share."""

    @property
    def tables(self) -> RunTables:
        """The names of its tables."""
        ...

    def named(self, table: str) -> str:
        """A table as statements name it."""
        ...

    def statement(self, text: str) -> Statement:
        """A statement whose parameters are written ``?``, as the driver takes it."""
        ...

    def stamp(self) -> tuple[object, ...]:
        """The parameters of an inserted record that follow run, number and text."""
        ...

    def reading(self) -> AbstractContextManager[Connection[Statement]]:
        """A connection for single queries. Raises StoreError."""
        ...

    def writing(self, turn: str, *, lasting: bool = True) -> AbstractContextManager[Connection[Statement]]:
        """A transaction that waits until no other with the same ``turn`` is open. Raises StoreError.

        Unless ``lasting``, what it writes may be lost in a power cut, and is not waited for until it is on the disk.
        """
        ...

    def sync(self) -> None:
        """Wait until all that was committed is on the disk. Raises StoreError."""
        ...

    def has_table(self, table: str) -> bool:
        """Whether there is a table of this name. Raises StoreError."""
        ...


def turn_of(table: str, run: str) -> str:
    """The turn of those who write the records of a run."""
    return f"{table}/{run}"


def as_text(value: str | bytes) -> str:
    """A text as a database gives it; bytes that are not UTF-8 are replaced."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class TableJournal(Generic[Statement]):
    """An EventJournal in one table of a database.

    ``insert`` takes run, number, text and the database's stamp; ``runs`` selects the ids of all runs, ascending. An
    append to a run whose lease is in ``held`` is refused, in the same transaction, once that lease is another's.
    """

    def __init__(
        self,
        database: Database[Statement],
        table: str,
        insert: str,
        runs: str,
        held: Mapping[str, HeldLease] = NONE_HELD,
    ) -> None:
        self._database = database
        self._table = table
        self._held = held
        self._lease_of = database.tables.lease_of
        self._is_lasting = True
        name = database.named(table)
        self._insert = database.statement(insert.format(table=name))
        self._runs = database.statement(runs.format(table=name))
        self._head = database.statement(f"SELECT max(seq) FROM {name} WHERE run_id = ?")
        lease = f"FROM {database.named(LEASES)} WHERE events = '{table}' AND run_id = ?"
        self._leased_head = database.statement(
            f"SELECT max(seq), (SELECT holder {lease}), (SELECT is_cancelled {lease}) FROM {name} WHERE run_id = ?"
        )
        self._page = database.statement(
            f"SELECT seq, event_json FROM {name} WHERE run_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT {_PAGE}"
        )

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Number and keep all of ``texts``, or none; return the new head."""
        if not texts:
            head = self.head(run)
            check_head(run, head, expected_head)
            return head
        check_texts(texts)
        leased = self._lease_of(run)
        with self._database.writing(turn_of(self._table, leased), lasting=self._is_lasting) as connection:
            lease = self._held.get(leased)
            head = self._read_head(connection, run) if lease is None else self._checked_head(connection, run, lease)
            check_head(run, head, expected_head)
            stamp = self._database.stamp()
            rows = [(run, seq, text, *stamp) for seq, text in enumerate(texts, head + 1)]
            connection.cursor().executemany(self._insert, rows)
        return head + len(texts)

    def unsynced(self) -> EventJournal:
        """The same records, with appends that do not wait for the disk."""
        journal = copy(self)
        journal._is_lasting = False
        return journal

    def sync(self) -> None:
        """Wait until all that was appended is on the disk."""
        self._database.sync()

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """Numbers and texts from ``start`` to ``to``, read page by page."""
        start = max(start, 1)
        return checked(run, start, self._rows(run, start, HIGHEST_SEQ if to is None else min(to, HIGHEST_SEQ)))

    def head(self, run: str) -> int:
        """The highest number of the run; 0 for an unknown one."""
        with self._database.reading() as connection:
            return self._read_head(connection, run)

    def runs(self) -> list[str]:
        """The ids of all runs that have records, ascending."""
        with self._database.reading() as connection:
            ids: list[object] = [run for (run,) in connection.execute(self._runs).fetchall()]
        return [checked_run(run) for run in ids]

    def _read_head(self, connection: Connection[Statement], run: str) -> int:
        row = connection.execute(self._head, (run,)).fetchone()
        return checked_head(run, row and row[0])

    def _checked_head(self, connection: Connection[Statement], run: str, lease: HeldLease) -> int:
        leased = lease.lease.run
        highest, holder, is_cancelled = connection.execute(self._leased_head, (leased, leased, run)).fetchone()
        lease.seen(as_text(holder or ""), bool(is_cancelled))
        return checked_head(run, highest)

    def _rows(self, run: str, start: int, to: int) -> Iterator[tuple[int, bytes | str]]:
        while start <= to:
            with self._database.reading() as connection:
                page = connection.execute(self._page, (run, start, to)).fetchall()
            yield from page
            if len(page) < _PAGE:
                break
            start = page[-1][0] + 1
