"""The rows of leases, in memory and in a database (spec 50 §23, B-12)."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Generic, Literal

import msgspec
from msgspec import Struct

from ergo_cli.errors import StoreError
from ergo_cli.stores.database import LEASES, Database, Statement, turn_of
from ergo_cli.stores.leases import Lease, Owner


class MemoryLeases:
    """LeaseRows in memory."""

    def __init__(self) -> None:
        self._rows: dict[str, Lease] = {}
        self._lock = Lock()

    def insert(self, lease: Lease) -> bool:
        """Add the row of a run; False if there is one."""
        return self._rows.setdefault(lease.run, lease) is lease

    def replace(self, known: Lease, lease: Lease) -> bool:
        """Write ``lease`` in place of ``known``; False if the row has changed since."""
        with self._lock:
            if self._rows.get(known.run) != known:
                return False
            self._rows[known.run] = lease
            return True

    def find(self, run: str) -> Lease | None:
        """The row of a run; None if there is none."""
        return self._rows.get(run)

    def every(self) -> list[Lease]:
        """All rows, ascending by run."""
        with self._lock:
            return [self._rows[run] for run in sorted(self._rows)]

    def remove(self, known: Lease) -> bool:
        """Remove the row of a run; False if it has another holder or request by now."""
        with self._lock:
            found = self._rows.get(known.run)
            if found is None or (found.holder, found.is_cancelled) != (known.holder, known.is_cancelled):
                return False
            del self._rows[known.run]
            return True


_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    events TEXT NOT NULL,
    run_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    owner TEXT NOT NULL,
    taken_ms BIGINT NOT NULL,
    beat_ms BIGINT NOT NULL,
    parent TEXT,
    is_cancelled INTEGER NOT NULL,
    PRIMARY KEY (events, run_id)
)"""
_COLUMNS = "run_id, holder, owner, taken_ms, beat_ms, parent, is_cancelled"
_INSERT = f"""
INSERT INTO {{table}} (events, {_COLUMNS}) VALUES ('{{events}}', ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (events, run_id) DO NOTHING"""
_THIS = "events = '{events}' AND run_id = ? AND holder = ? AND is_cancelled = ?"
_REPLACE = f"""
UPDATE {{table}} SET holder = ?, owner = ?, taken_ms = ?, beat_ms = ?, parent = ?, is_cancelled = ?
WHERE {_THIS} AND beat_ms = ?"""
_REMOVE = f"DELETE FROM {{table}} WHERE {_THIS}"
_FIND = f"SELECT {_COLUMNS} FROM {{table}} WHERE events = '{{events}}' AND run_id = ?"
_EVERY = f"SELECT {_COLUMNS} FROM {{table}} WHERE events = '{{events}}'"


class TableLeases(Generic[Statement]):
    """LeaseRows in the table ``run_leases`` of a database, those of one kind's runs; made with the first lease.

    A row is replaced only between two appends to its run.
    """

    def __init__(self, database: Database[Statement]) -> None:
        self._database = database
        self._events = database.tables.events
        name = database.named(LEASES)
        self._make, self._insert, self._replace, self._remove, self._find, self._every = (
            database.statement(text.format(table=name, events=self._events))
            for text in (_TABLE, _INSERT, _REPLACE, _REMOVE, _FIND, _EVERY)
        )
        self._is_made = False

    def insert(self, lease: Lease) -> bool:
        """Add the row of a run; False if there is one."""
        if not self._has_table():
            with self._database.writing(LEASES) as connection:
                connection.execute(self._make)
        return self._changed(lease.run, self._insert, (lease.run, *_values(lease)))

    def replace(self, known: Lease, lease: Lease) -> bool:
        """Write ``lease`` in place of ``known``; False if the row has changed since."""
        return self._changed(known.run, self._replace, (*_values(lease), *_this(known), known.beat_ms))

    def find(self, run: str) -> Lease | None:
        """The row of a run; None if there is none."""
        found = self._read(self._find, (run,))
        return found[0] if found else None

    def every(self) -> list[Lease]:
        """All rows, ascending by run."""
        return sorted(self._read(self._every, ()), key=lambda lease: lease.run)

    def remove(self, known: Lease) -> bool:
        """Remove the row of a run; False if it has another holder or request by now."""
        return self._changed(known.run, self._remove, _this(known))

    def _has_table(self) -> bool:
        self._is_made = self._is_made or self._database.has_table(LEASES)
        return self._is_made

    def _changed(self, run: str, statement: Statement, parameters: tuple[object, ...]) -> bool:
        with self._database.writing(turn_of(self._events, run), lasting=False) as connection:
            return connection.execute(statement, parameters).rowcount > 0

    def _read(self, statement: Statement, parameters: tuple[object, ...]) -> list[Lease]:
        if not self._has_table():
            return []
        with self._database.reading() as connection:
            return [_lease(row) for row in connection.execute(statement, parameters).fetchall()]


def _this(lease: Lease) -> tuple[object, ...]:
    return lease.run, lease.holder, int(lease.is_cancelled)


def _values(lease: Lease) -> tuple[object, ...]:
    owner = msgspec.json.encode(lease.owner).decode()
    return lease.holder, owner, lease.taken_ms, lease.beat_ms, lease.parent, int(lease.is_cancelled)


class _Row(Struct, frozen=True):
    """A row as a database holds it: SQLite keeps values of any type in any column."""

    run: str
    holder: str
    owner: str
    taken_ms: int
    beat_ms: int
    parent: str | None
    is_cancelled: Literal[0, 1]


def _lease(columns: Sequence[object]) -> Lease:
    """A row as a lease. Raises StoreError ``store.corrupt``."""
    try:
        values = (each.decode() if isinstance(each, bytes) else each for each in columns)
        row = msgspec.convert(dict(zip(_Row.__struct_fields__, values, strict=True)), _Row)
        owner = msgspec.json.decode(row.owner, type=Owner)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        run = columns[0].decode(errors="replace") if isinstance(columns[0], bytes) else columns[0]
        message = f"the lease of run '{run}' is damaged: {error}"
        fix = f"delete its row from the table {LEASES}, if no process drives the run"
        raise StoreError("store.corrupt", message, where=f"run '{run}'", fix=fix) from error
    return Lease(row.run, row.holder, owner, row.taken_ms, row.beat_ms, row.parent, bool(row.is_cancelled))
