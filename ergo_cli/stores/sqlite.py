"""Runs in one SQLite file that many threads and processes may use at once (spec 00 §13.3, 40 §13.2).

The version of the schema is the file's ``user_version``.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import RLock

from ergo_cli.errors import StoreError, reason
from ergo_cli.stores.database import RunTables, TableJournal, ThreadConnections
from ergo_cli.stores.durable import sync_folder
from ergo_cli.stores.journals import StoredSnapshot, read_snapshot
from ergo_cli.stores.leases import NONE_HELD, HeldLease
from ergo_cli.stores.private import opened_privately, private_folder
from ergo_cli.stores.remedies import remedy, store_code

_PRIMARY = 0xFF  # the low byte is the primary error code

_CODES = {
    sqlite3.SQLITE_BUSY: "store.locked",
    sqlite3.SQLITE_LOCKED: "store.locked",
    sqlite3.SQLITE_PERM: "store.read_only",
    sqlite3.SQLITE_AUTH: "store.read_only",
    sqlite3.SQLITE_READONLY: "store.read_only",
    sqlite3.SQLITE_FULL: "store.full",
    sqlite3.SQLITE_TOOBIG: "store.full",
    sqlite3.SQLITE_CONSTRAINT: "store.conflict",
    sqlite3.SQLITE_CORRUPT: "store.corrupt",
    sqlite3.SQLITE_NOTADB: "store.corrupt",
    sqlite3.SQLITE_ERROR: "store.corrupt",  # ergo's statements are well-formed: a table or a column is missing
    sqlite3.SQLITE_MISMATCH: "store.corrupt",
}

_FIXES = {
    "store.locked": "wait until the program that writes to it is done, then try again",
    "store.read_only": "make the file and its folder writable, or name another store",
    "store.full": "free some space, or name another store",
    "store.conflict": "another process drives this run: wait until it is done, then run again",
    "store.corrupt": "name a file that ergo wrote, or restore this one from a copy",
    "store.unreachable": "check that the path leads to a file that can be opened, or name another store",
}

# by number, the fixes that are not those of the code
_CHECK_DISK = "check the disk, quotas and the limit on the size of files (ulimit -f), or name another store"
_FIXES_BY_NUMBER = {
    sqlite3.SQLITE_IOERR: _CHECK_DISK,  # a full disk has a number of its own, a quota does not
    sqlite3.SQLITE_TOOBIG: "make what is kept smaller: it exceeds the largest row of SQLite",
}


def sqlite_fault(path: str, error: sqlite3.Error) -> StoreError:
    """The StoreError for an SQLite error about the database at ``path``."""
    number: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN)  # errors of the module have no code
    primary = number & _PRIMARY
    code = _CODES.get(primary, "store.unreachable")
    return _store_fault(code, path, str(error), _FIXES_BY_NUMBER.get(primary) or _FIXES[code])


def _store_fault(code: str, path: str, why: str, fix: str) -> StoreError:
    return StoreError(code, f"the store '{path}' cannot be used: {why}", where=path, fix=fix)


SCHEMA_VERSION = 1
"""The schema version that this ergo writes. Version 0 is a new file, or one of the original, with the same tables."""

_JOURNAL = """
CREATE TABLE IF NOT EXISTS {table} (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event_json TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
)"""

_SNAPSHOTS = """
CREATE TABLE IF NOT EXISTS {table} (
    run_id TEXT NOT NULL,
    at_seq INTEGER NOT NULL,
    state_json TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, at_seq)
)"""

_SNAPSHOT_VERSIONS = """
CREATE TABLE IF NOT EXISTS {table} (
    run_id TEXT NOT NULL,
    at_seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (run_id, at_seq)
)"""

_EVENTS_INDEX = "CREATE INDEX IF NOT EXISTS idx_{table}_run_seq ON {table} (run_id, seq)"
_SNAPSHOTS_INDEX = "CREATE INDEX IF NOT EXISTS idx_{table}_run_seq ON {table} (run_id, at_seq DESC)"
_HAS_TABLE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"

_PAUSE_SECONDS = 0.010
_PAUSES = 500


def _ensure_schema(connection: sqlite3.Connection, path: str, tables: RunTables) -> None:
    """Make the tables if they are missing; a file that has them is only read.

    A file of this version may lack the table of attempts: it has never had runs of this kind of program, or an earlier
    ergo kept them without it. Any other missing table is damage. Raises StoreError ``store.schema_newer`` and
    sqlite3.Error.
    """
    if _version(connection, path) == SCHEMA_VERSION and _has_table(connection, tables.sign):
        return
    _write_ahead(connection)
    connection.execute("BEGIN IMMEDIATE")
    for statement in _definitions(tables):
        connection.execute(statement)
    connection.execute("COMMIT")


def _definitions(tables: RunTables) -> Iterator[str]:
    yield _JOURNAL.format(table=tables.events)
    yield _EVENTS_INDEX.format(table=tables.events)
    if tables.attempts is not None:
        yield _JOURNAL.format(table=tables.attempts)
    if tables.snapshots is not None:
        yield _SNAPSHOTS.format(table=tables.snapshots)
        yield _SNAPSHOT_VERSIONS.format(table=tables.snapshot_versions)
        yield _SNAPSHOTS_INDEX.format(table=tables.snapshots)
    yield f"PRAGMA user_version={SCHEMA_VERSION}"


def _has_table(connection: sqlite3.Connection, table: str) -> bool:
    return bool(connection.execute(_HAS_TABLE, (table,)).fetchone()[0])


def _version(connection: sqlite3.Connection, path: str) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        message = f"the store '{path}' has form {version}; this version of ergo knows form {SCHEMA_VERSION}"
        fix = "use the version of ergo that wrote it, or a newer one"
        raise StoreError("store.schema_newer", message, where=path, fix=fix)
    return version


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log. Retries: SQLite's busy timeout does not apply to this change."""
    for _ in range(_PAUSES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_PAUSE_SECONDS)
    connection.execute("PRAGMA journal_mode=WAL")


IN_MEMORY = ":memory:"
"""The path of a database that is lost when it is closed."""


class SqliteDatabase:
    """A database that journals and snapshots share; nothing is opened before its first use.

    ``wall_ms`` gives the time stamp of rows; ``busy_seconds`` is how long a writer waits for its turn. Each
    thread has its own connection, but for ``:memory:``, whose one connection the threads take in turns. Texts come back
    as bytes.
    """

    def __init__(self, path: str, wall_ms: Callable[[], int], tables: RunTables, busy_seconds: float = 5.0) -> None:
        self.path = path
        self.wall_ms = wall_ms
        self.tables = tables
        self._busy_seconds = busy_seconds
        self._connections = ThreadConnections(self._connect)
        self._shared = self._connect() if path == IN_MEMORY else None
        self._turn = RLock() if path == IN_MEMORY else nullcontext()

    def named(self, table: str) -> str:
        """The table's own name."""
        return table

    def statement(self, text: str) -> str:
        """The statement as it is."""
        return text

    def stamp(self) -> tuple[int]:
        """The time stamp of a record."""
        return (self.wall_ms(),)

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """A connection for single queries. Raises StoreError."""
        with self._faults(), self._turn:
            yield self._shared or self._connections.current()

    @contextmanager
    def writing(self, turn: str = "", *, lasting: bool = True) -> Generator[sqlite3.Connection]:
        """A transaction that begins by waiting for its turn to write; committed unless an error leaves it.

        SQLite lets one write at a time, so that ``turn`` makes no difference. Unless ``lasting``, the commit does not
        wait for the disk. Raises StoreError.
        """
        with self.reading() as connection, nullcontext() if lasting else _unsynced(connection):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def sync(self) -> None:
        """Wait until all that was committed is on the disk: the write-ahead log, whose checkpoints sync by themselves.

        Raises StoreError.
        """
        log = Path(f"{self.path}-wal")
        try:
            if self._shared is None and log.exists():
                with log.open("r+b") as opened:
                    os.fsync(opened.fileno())
                sync_folder(log.parent)
        except OSError as error:
            why, fix = f"it cannot be synced: {reason(error)}", _CHECK_DISK
            raise _store_fault(store_code(error), self.path, why, fix) from error

    def has_table(self, table: str) -> bool:
        """Whether there is a table of this name. Raises StoreError."""
        with self.reading() as connection:
            return _has_table(connection, table)

    def lacks_tables(self) -> bool:
        """Whether it is a database of this version without the tables of this kind of program; nothing is made.

        Raises StoreError.
        """
        if self._shared is not None:
            return False
        with self._faults(), closing(self._opened()) as connection:
            is_made = _version(connection, self.path) == SCHEMA_VERSION
            return is_made and not any(_has_table(connection, table) for table in self.tables.of_runs)

    def close(self) -> None:
        """Close every connection; a database in memory is lost."""
        self._connections.close()
        if self._shared is not None:
            self._shared.close()

    def _connect(self) -> sqlite3.Connection:
        if self.path != IN_MEMORY:
            self._make_file()
        connection = self._opened()
        try:
            connection.text_factory = bytes
            connection.execute("PRAGMA synchronous=FULL")
            _ensure_schema(connection, self.path, self.tables)
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False)

    def _make_file(self) -> None:
        """Make folder and file for the owner alone; SQLite gives the file's mode to those that it makes beside it."""
        try:
            private_folder(Path(self.path).parent)
        except (OSError, ValueError) as error:
            why, fix = f"its folder cannot be made: {reason(error)}", remedy(error, "name another store")
            raise _store_fault(store_code(error), self.path, why, fix) from error
        with suppress(OSError), open(self.path, "xb", opener=opened_privately):  # SQLite reports what cannot be opened
            pass

    @contextmanager
    def _faults(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_fault(self.path, error) from error


@contextmanager
def _unsynced(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous=FULL")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite has rolled back already after errors such as a full disk
        connection.execute("ROLLBACK")


_INSERT = "INSERT INTO {table} (run_id, seq, event_json, created_at_ms) VALUES (?, ?, ?, ?)"
_RUNS = "SELECT DISTINCT run_id FROM {table} ORDER BY run_id"


class SqliteJournal(TableJournal[str]):
    """An EventJournal in one table of a database, by default that of events, whose leases may be ``held``."""

    def __init__(
        self, database: SqliteDatabase, table: str | None = None, held: Mapping[str, HeldLease] = NONE_HELD
    ) -> None:
        super().__init__(database, table or database.tables.events, _INSERT, _RUNS, held)


_LATEST = """
SELECT at_seq, state_json, coalesce(version, 0)
FROM {0.snapshots} LEFT JOIN {0.snapshot_versions} USING (run_id, at_seq)
WHERE run_id = ? ORDER BY at_seq DESC LIMIT 1"""

_SAVE = """
INSERT INTO {0.snapshots} (run_id, at_seq, state_json, created_at_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (run_id, at_seq) DO UPDATE SET state_json = excluded.state_json, created_at_ms = excluded.created_at_ms"""

_SAVE_VERSION = "INSERT OR REPLACE INTO {0.snapshot_versions} (run_id, at_seq, version) VALUES (?, ?, ?)"

_PRUNE = """
DELETE FROM {1} WHERE run_id = :run AND at_seq NOT IN (
    SELECT at_seq FROM {0.snapshots} WHERE run_id = :run ORDER BY at_seq DESC LIMIT :keep)"""


class SqliteSnapshots:
    """A SnapshotStore in a database."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        tables = database.tables
        self._latest, self._save, self._save_version = (text.format(tables) for text in (_LATEST, _SAVE, _SAVE_VERSION))
        # the versions first: the statement selects from the snapshots which to keep
        self._prune = [_PRUNE.format(tables, table) for table in (tables.snapshot_versions, tables.snapshots)]

    def load_latest(self, run: str) -> StoredSnapshot | None:
        """The snapshot with the highest ``at_seq``; None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(self._latest, (run,)).fetchone()
        return None if row is None else read_snapshot(run, *row)

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        """Keep a snapshot; one of the same run and ``at_seq`` is replaced."""
        with self._database.writing() as connection:
            connection.execute(self._save, (run, at_seq, text, self._database.wall_ms()))
            connection.execute(self._save_version, (run, at_seq, version))

    def prune(self, run: str, keep: int) -> None:
        """Remove all snapshots of a run but the ``keep`` highest."""
        with self._database.writing() as connection:
            for statement in self._prune:
                connection.execute(statement, {"run": run, "keep": max(keep, 0)})

    def drop(self, run: str) -> None:
        """Remove every snapshot of a run."""
        self.prune(run, 0)


def databases_in(folder: Path) -> Iterator[Path]:
    """The SQLite files in a folder, ascending by name. Raises StoreError."""
    try:
        for file in sorted(folder.iterdir()):
            if file.is_file():
                with file.open("rb") as opened:
                    if opened.read(len(_HEADER)) == _HEADER:
                        yield file
    except OSError as error:
        why, fix = f"its folder cannot be read: {reason(error)}", remedy(error, "name another store")
        raise _store_fault(store_code(error), str(folder), why, fix) from error


def has_table_in(file: Path, table: str) -> bool:
    """Whether a SQLite file has a table of this name; nothing is made. Raises StoreError."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return _has_table(connection, table)
    except sqlite3.Error as error:
        raise sqlite_fault(str(file), error) from error


_HEADER = b"SQLite format 3\0"
