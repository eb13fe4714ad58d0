"""One PostgreSQL database: connections, transactions, errors."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ergo_cli.errors import StoreError
from ergo_cli.stores.connections import ThreadConnections
from ergo_cli.stores.postgres.faults import postgres_fault, store_fault
from ergo_cli.stores.postgres.schema import check_schema_name, ensure_schema, query

if TYPE_CHECKING:
    from psycopg import Connection

_PATIENCE = {"connect_timeout": 5, "options": "-c lock_timeout=5s"}


class PostgresDatabase:
    """A database that journals and snapshots share; making one never connects.

    ``dsn`` is a connection string or URI of libpq; where it does not say how long to wait, it is 5 s. A connection that
    could not be opened, or that has broken, is opened anew at the next use, and the tables are looked for again.
    """

    def __init__(self, dsn: str, schema: str = "public") -> None:
        self._dsn = dsn
        self._schema = schema
        self._connections = ThreadConnections(self._connect)
        self._place = "postgres"

    def query(self, text: str) -> bytes:
        """A statement with ``{schema}`` filled in."""
        return query(text, self._schema)

    @contextmanager
    def reading(self) -> Generator[Connection[Any]]:
        """A connection for single queries. Raises StoreError."""
        import_driver()
        import psycopg

        try:
            yield self._connections.current()
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                self._connections.discard()
            raise postgres_fault(self._place, error) from error

    @contextmanager
    def writing(self, turn: str) -> Generator[Connection[Any]]:
        """A transaction that waits until no other with the same ``turn`` is open. Raises StoreError."""
        with self.reading() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (turn,))
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def _connect(self) -> Connection[Any]:
        import psycopg

        check_schema_name(self._schema, self._place)
        connection = psycopg.connect(**self._parameters(), autocommit=True)
        try:
            ensure_schema(connection, self._schema, self._place)
        except BaseException:
            connection.close()
            raise
        return connection

    def _parameters(self) -> dict[str, Any]:
        """What the DSN says, with a limit to waiting; errors name the place by it, never the password."""
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            parameters = conninfo_to_dict(self._dsn)
        except ProgrammingError:
            message = "the store 'postgres' cannot be used: its connection string cannot be read"
            raise store_fault("store.unreachable", self._place, message) from None
        host, port, name = (parameters.get(part) for part in ("host", "port", "dbname"))
        self._place = f"postgres:{host or ''}{f':{port}' if port else ''}/{name or ''}"
        return {**_PATIENCE, **parameters, "client_encoding": "UTF8"}


def import_driver() -> None:
    """Raise StoreError ``store.unreachable`` unless psycopg can be imported."""
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport] - looked for, not used
    except ImportError as error:
        message = f"PostgreSQL stores need psycopg, which cannot be imported: {error}"
        raise StoreError("store.unreachable", message, fix="pip install 'ergo[postgres]'") from error
