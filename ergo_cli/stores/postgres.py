"""Runs in a PostgreSQL database (spec 40 §13.3); needs the extra ``postgres``, whose driver is imported at first use.

Records and states are kept as TEXT: JSONB would rewrite numbers, and with them the hashes of logs. A row of the table
``ergo_schema`` holds the version of the tables' form.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from ergo_cli.errors import StoreError
from ergo_cli.stores.connection_pool import ConnectionPool, PoolExhausted
from ergo_cli.stores.database import RunTables, TableJournal
from ergo_cli.stores.journals import StoredSnapshot
from ergo_cli.stores.leases import NONE_HELD, HeldLease

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection


# by SQLSTATE, the longest prefix that is listed
_CODES = {
    "23505": "store.conflict",
    "25006": "store.read_only",
    "40": "store.locked",
    "42": "store.corrupt",  # ergo's statements are well-formed: a table or a column is missing
    "42501": "store.read_only",
    "53100": "store.full",
    "54": "store.full",
    "55": "store.locked",
    "57014": "store.locked",
    "XX001": "store.corrupt",
    "XX002": "store.corrupt",
}

_FIXES = {
    "store.conflict": "another process drives this run: wait until it is done, then run again",
    "store.corrupt": "name a database that ergo has written, or restore this one from a copy",
    "store.full": "free some space on the server, or name another store",
    "store.locked": "wait until the program that writes to it is done, then try again",
    "store.not_found": "use ASCII letters, digits and underscores only",
    "store.read_only": "give the user the right to create and write tables, or name another store",
    "store.schema_newer": "use the version of ergo that wrote it, or a newer one",
    "store.unreachable": "check that the server runs and that host, port, database and user of the store are right",
}

# by SQLSTATE or its class, the fixes that are not those of the code
_FIXES_BY_STATE = {
    "53": "raise the limits of the server on memory and connections, or name another store",
    "53100": _FIXES["store.full"],
    "54": "make what is kept smaller: it exceeds a limit of the server",
    "58": "check the disk of the server, or name another store",
}


def postgres_fault(place: str, error: psycopg.Error, secrets: Iterable[str] = ()) -> StoreError:
    """The StoreError for an error of the server or the driver about the database ``place``, without ``secrets``."""
    state = error.sqlstate or ""
    code = _by_state(_CODES, state) or "store.unreachable"
    why = error.diag.message_primary or " ".join(str(error).split())
    if any(secret in why for secret in secrets):
        why = "the driver's message is left out, because it holds the password"
    return store_fault(code, place, f"the store '{place}' cannot be used: {why}", _by_state(_FIXES_BY_STATE, state))


def _is_lost(error: psycopg.Error) -> bool:
    """Whether an error is that of a connection which cannot be used any more, or of none that could be opened."""
    return not error.sqlstate or error.sqlstate.startswith(("08", "57P"))


def _by_state(table: Mapping[str, str], state: str) -> str | None:
    """The entry of the longest prefix of a SQLSTATE that is listed."""
    return table.get(state) or table.get(state[:2])


def store_fault(code: str, place: str, message: str, fix: str | None = None) -> StoreError:
    """The error ``code`` about the database ``place``; ``fix`` is by default that of the code."""
    return StoreError(code, message, where=place, fix=fix or _FIXES[code])


SCHEMA_VERSION = 1
"""The schema version that this ergo writes."""

_NAME = re.compile(r"[A-Za-z0-9_]+")

_JOURNAL = """
CREATE TABLE IF NOT EXISTS {schema}.{table} (
    run_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    event_json TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, seq)
)"""

_SNAPSHOTS = """
CREATE TABLE IF NOT EXISTS {schema}.{table} (
    run_id TEXT NOT NULL,
    at_seq BIGINT NOT NULL,
    state_json TEXT NOT NULL,
    state_version BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, at_seq)
)"""

_EVENTS_INDEX = "CREATE INDEX IF NOT EXISTS idx_{table}_run_created ON {schema}.{table} (run_id, created_at)"
_SNAPSHOTS_INDEX = "CREATE INDEX IF NOT EXISTS idx_{table}_run_created ON {schema}.{table} (run_id, created_at DESC)"


def _check_schema_name(schema: str, place: str) -> None:
    """Raise StoreError unless ``schema`` is a name of ASCII letters, digits and underscores."""
    if not _NAME.fullmatch(schema):
        raise store_fault("store.not_found", place, f"invalid schema: {schema}")


def _ensure_schema(connection: Connection[Any], schema: str, place: str, tables: RunTables) -> None:
    """Make schema and tables if they are missing; a database that has them is only read.

    As with SQLite, one of this version may lack the table of attempts alone. Raises
    StoreError ``store.schema_newer`` and psycopg.Error.
    """
    version = _version(connection, schema, place)
    if version == SCHEMA_VERSION and _has_table(connection, schema, tables.sign):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('ergo_schema', 0))")
        for statement in _definitions(tables):
            connection.execute(statement.replace("{schema}", f'"{schema}"').encode())


def _definitions(tables: RunTables) -> Iterator[str]:
    yield "CREATE SCHEMA IF NOT EXISTS {schema}"
    yield _JOURNAL.replace("{table}", tables.events)
    yield _EVENTS_INDEX.replace("{table}", tables.events)
    if tables.attempts is not None:
        yield _JOURNAL.replace("{table}", tables.attempts)
    if tables.snapshots is not None:
        yield _SNAPSHOTS.replace("{table}", tables.snapshots)
        yield _SNAPSHOTS_INDEX.replace("{table}", tables.snapshots)
    yield "CREATE TABLE IF NOT EXISTS {schema}.ergo_schema (version INTEGER PRIMARY KEY)"
    yield f"INSERT INTO {{schema}}.ergo_schema VALUES ({SCHEMA_VERSION}) ON CONFLICT DO NOTHING"


def _version(connection: Connection[Any], schema: str, place: str) -> int:
    """The version of the tables; 0 if there are none. Raises StoreError ``store.schema_newer``."""
    if not _has_table(connection, schema, "ergo_schema"):
        return 0
    newest = connection.execute(f'SELECT max(version) FROM "{schema}".ergo_schema'.encode()).fetchone()
    version: int = (newest and newest[0]) or 0
    if version > SCHEMA_VERSION:
        message = f"the store '{place}' has form {version}; this version of ergo knows form {SCHEMA_VERSION}"
        raise store_fault("store.schema_newer", place, message)
    return version


def _has_table(connection: Connection[Any], schema: str, table: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s)", (f'"{schema}".{table}',)).fetchone()
    return found is not None and found[0] is not None


MOST_CONNECTIONS = 10
"""How many connections a process opens to a database for one kind of program; its threads take turns."""

_POOL_PATIENCE_S = 10.0
_PATIENCE = {"connect_timeout": 5, "options": "-c lock_timeout=5s"}


_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_SYNC = "SELECT pg_logical_emit_message(true, 'ergo', '')"  # a commit waits for the log only if it wrote to it
_UNSYNCED_TURN = f"{_TURN}, set_config('synchronous_commit', 'off', true)"


class PostgresDatabase:
    """A database that journals and snapshots share; making one never connects. Threads share its connections.

    ``dsn`` is a connection string or URI of libpq; without a connect timeout in it, 5 s apply. A connection that
    could not be opened, or that has broken, is opened anew at the next use, and the tables are checked again.
    """

    def __init__(self, dsn: str, tables: RunTables, schema: str = "public") -> None:
        self.tables = tables
        self._dsn = dsn
        self._schema = schema
        self._connections = ConnectionPool(self._connect, MOST_CONNECTIONS, _POOL_PATIENCE_S)
        self._place = "postgres"
        self._secrets: tuple[str, ...] = ()

    def named(self, table: str) -> str:
        """A table with its schema, whose name is checked before a statement is executed."""
        return f'"{self._schema}".{table}'

    def statement(self, text: str) -> bytes:
        """A statement with ``%s`` for every ``?``."""
        return text.replace("?", "%s").encode()

    def stamp(self) -> tuple[()]:
        """Empty: the server stamps records with its time."""
        return ()

    @contextmanager
    def reading(self) -> Generator[Connection[Any]]:
        """A connection for single queries. Raises StoreError."""
        with self._faults(), self._connections.lent() as connection:
            yield connection

    def lacks_tables(self) -> bool:
        """Whether it is a database of this version without the tables of this kind of program; nothing is made.

        Raises StoreError.
        """
        with self._faults(), closing(self._opened()) as connection:
            is_made = _version(connection, self._schema, self._place) == SCHEMA_VERSION
            return is_made and not any(_has_table(connection, self._schema, table) for table in self.tables.of_runs)

    @contextmanager
    def _faults(self) -> Generator[None]:
        _import_driver()
        import psycopg

        try:
            yield
        except PoolExhausted:
            message = f"the store '{self._place}' is in use: all {MOST_CONNECTIONS} connections of this process are"
            fix = "let fewer threads use the store at once, or keep what they write apart"
            raise store_fault("store.locked", self._place, message, fix) from None
        except psycopg.Error as error:
            if _is_lost(error):
                self._connections.close()  # what broke one, such as a server that was restarted, has broken the others
            fault = postgres_fault(self._place, error, self._secrets)
            if any(secret in str(error) for secret in self._secrets):
                raise fault from None
            raise fault from error

    @contextmanager
    def writing(self, turn: str, *, lasting: bool = True) -> Generator[Connection[Any]]:
        """A transaction that waits until no other with the same ``turn`` is open. Raises StoreError.

        Unless ``lasting``, the commit does not wait for the disk.
        """
        with self.reading() as connection, connection.transaction():
            connection.execute(_TURN if lasting else _UNSYNCED_TURN, (turn,))
            yield connection

    def sync(self) -> None:
        """Wait until all that was committed is on the disk: a commit that waits brings those before it there too.

        Raises StoreError.
        """
        with self.reading() as connection, connection.transaction():
            connection.execute(_SYNC)

    def has_table(self, table: str) -> bool:
        """Whether there is a table of this name. Raises StoreError."""
        with self.reading() as connection:
            return _has_table(connection, self._schema, table)

    @property
    def place(self) -> str:
        """Host, port and name of the database, as errors name it; nothing is connected. Raises StoreError."""
        _import_driver()
        self._parameters()
        return self._place

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def _opened(self) -> Connection[Any]:
        import psycopg

        _check_schema_name(self._schema, self._place)
        return psycopg.connect(**self._parameters(), autocommit=True)

    def _connect(self) -> Connection[Any]:
        connection = self._opened()
        try:
            _ensure_schema(connection, self._schema, self._place, self.tables)
        except BaseException:
            connection.close()
            raise
        return connection

    def _parameters(self) -> dict[str, Any]:
        """The parameters of the DSN with a connect timeout; sets the place named in errors, without the password."""
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            parameters = conninfo_to_dict(self._dsn)
        except ProgrammingError:
            message = "the store 'postgres' cannot be used: its connection string cannot be read"
            raise store_fault("store.unreachable", self._place, message) from None
        host, port, name = (parameters.get(part) for part in ("host", "port", "dbname"))
        if any("@" in str(part or "") for part in (host, port, name)):  # cut inside of a password, at its @ or slash
            message = "the store 'postgres' cannot be used: its host, port or database holds `@`"
            fault = store_fault("store.unreachable", self._place, message)
            fault.fix = "write `@` in a password as %40, and `/` as %2F"
            raise fault
        self._secrets = tuple(str(parameters[part]) for part in ("password", "sslpassword") if parameters.get(part))
        self._place = f"postgres:{host or ''}{f':{port}' if port else ''}/{name or ''}"
        return {**_PATIENCE, **parameters, "client_encoding": "UTF8"}


def _import_driver() -> None:
    """Raise StoreError ``store.unreachable`` unless psycopg can be imported."""
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport] - only checked for presence
    except ImportError as error:
        message = f"PostgreSQL stores need psycopg, which cannot be imported: {error}"
        raise StoreError("store.unreachable", message, fix="pip install 'ergo-replay[postgres]'") from error


_INSERT = "INSERT INTO {table} (run_id, seq, event_json) VALUES (?, ?, ?)"
_RUNS = 'SELECT run_id FROM (SELECT DISTINCT run_id FROM {table}) AS runs ORDER BY run_id COLLATE "C"'


class PostgresJournal(TableJournal[bytes]):
    """An EventJournal in one table of a database, by default that of events.

    Appends to one run wait for each other, also between processes. Its leases may be ``held``.
    """

    def __init__(
        self, database: PostgresDatabase, table: str | None = None, held: Mapping[str, HeldLease] = NONE_HELD
    ) -> None:
        super().__init__(database, table or database.tables.events, _INSERT, _RUNS, held)


_LATEST = """
SELECT at_seq, state_json, state_version FROM {table}
WHERE run_id = %s ORDER BY at_seq DESC LIMIT 1"""

_SAVE = """
INSERT INTO {table} (run_id, at_seq, state_json, state_version) VALUES (%s, %s, %s, %s)
ON CONFLICT (run_id, at_seq) DO UPDATE
SET state_json = excluded.state_json, state_version = excluded.state_version, created_at = excluded.created_at"""

_PRUNE = """
DELETE FROM {table} WHERE run_id = %(run)s AND at_seq NOT IN (
    SELECT at_seq FROM {table} WHERE run_id = %(run)s ORDER BY at_seq DESC LIMIT %(keep)s)"""


class PostgresSnapshots:
    """A SnapshotStore in a database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        assert database.tables.snapshots is not None, "the kind has snapshots"
        table = database.named(database.tables.snapshots)
        self._latest, self._save, self._prune = (
            database.statement(text.format(table=table)) for text in (_LATEST, _SAVE, _PRUNE)
        )

    def load_latest(self, run: str) -> StoredSnapshot | None:
        """The snapshot with the highest ``at_seq``; None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(self._latest, (run,)).fetchone()
        return None if row is None else StoredSnapshot(run, *row)

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        """Keep a snapshot; one of the same run and ``at_seq`` is replaced."""
        with self._database.reading() as connection:
            connection.execute(self._save, (run, at_seq, text, version))

    def prune(self, run: str, keep: int) -> None:
        """Remove all snapshots of a run but the ``keep`` highest."""
        with self._database.reading() as connection:
            connection.execute(self._prune, {"run": run, "keep": max(keep, 0)})

    def drop(self, run: str) -> None:
        """Remove every snapshot of a run."""
        self.prune(run, 0)
