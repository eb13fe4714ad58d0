"""The tables of a PostgreSQL store (spec 40 §13.3), and a row with the version of their form.

Records and states are kept as TEXT: JSONB would rewrite numbers, and with them the hashes of logs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ergo_cli.stores.journals import JournalTable
from ergo_cli.stores.postgres.faults import store_fault

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA_VERSION = 1
"""The form of the tables that this ergo writes."""

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
CREATE TABLE IF NOT EXISTS {schema}.kernel_snapshots (
    run_id TEXT NOT NULL,
    at_seq BIGINT NOT NULL,
    state_json TEXT NOT NULL,
    state_version BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, at_seq)
)"""

_EVENTS_INDEX = """
CREATE INDEX IF NOT EXISTS idx_kernel_events_run_created ON {schema}.kernel_events (run_id, created_at)"""

_SNAPSHOTS_INDEX = """
CREATE INDEX IF NOT EXISTS idx_kernel_snapshots_run_created ON {schema}.kernel_snapshots (run_id, created_at DESC)"""

_STATEMENTS = (
    *(_JOURNAL.replace("{table}", table) for table in JournalTable),
    _SNAPSHOTS,
    _EVENTS_INDEX,
    _SNAPSHOTS_INDEX,
    "CREATE TABLE IF NOT EXISTS {schema}.ergo_schema (version INTEGER PRIMARY KEY)",
    f"INSERT INTO {{schema}}.ergo_schema VALUES ({SCHEMA_VERSION}) ON CONFLICT DO NOTHING",
)


def query(text: str, schema: str) -> bytes:
    """A statement of ours about tables of ``schema``, a name that ``check_schema_name`` let pass."""
    return text.replace("{schema}", f'"{schema}"').encode()


def check_schema_name(schema: str, place: str) -> None:
    """Raise StoreError unless ``schema`` is a name of ASCII letters, digits and underscores."""
    if not _NAME.fullmatch(schema):
        raise store_fault("store.not_found", place, f"invalid schema: {schema}")


def ensure_schema(connection: Connection[Any], schema: str, place: str) -> None:
    """Make schema and tables where they are missing; a database that has them is only read.

    Raises StoreError ``store.schema_newer`` and psycopg.Error.
    """
    version = _version(connection, schema)
    if version > SCHEMA_VERSION:
        message = f"the store '{place}' has form {version}; this version of ergo knows form {SCHEMA_VERSION}"
        raise store_fault("store.schema_newer", place, message)
    if version < SCHEMA_VERSION:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('ergo_schema', 0))")
            connection.execute(query("CREATE SCHEMA IF NOT EXISTS {schema}", schema))
            for statement in _STATEMENTS:
                connection.execute(query(statement, schema))


def _version(connection: Connection[Any], schema: str) -> int:
    """The version of the tables; 0 where there are none."""
    found = connection.execute("SELECT to_regclass(%s)", (f'"{schema}".ergo_schema',)).fetchone()
    if found is None or found[0] is None:
        return 0
    newest = connection.execute(query("SELECT max(version) FROM {schema}.ergo_schema", schema)).fetchone()
    return (newest and newest[0]) or 0
