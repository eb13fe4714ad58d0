"""The tables of a SQLite store (spec 40 §13.2), and the version of their form, which is the file's ``user_version``."""

from __future__ import annotations

import sqlite3
import time

from ergo_cli.errors import StoreError
from ergo_cli.stores.journals import JournalTable

SCHEMA_VERSION = 1
"""The form of the tables that this ergo writes. A file of 0 is new, or the original's, whose tables are the same."""

_JOURNAL = """
CREATE TABLE IF NOT EXISTS {table} (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event_json TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
)"""

_SNAPSHOTS = """
CREATE TABLE IF NOT EXISTS kernel_snapshots (
    run_id TEXT NOT NULL,
    at_seq INTEGER NOT NULL,
    state_json TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, at_seq)
)"""

# beside the table, not in it: that one has the columns that other programs know
_SNAPSHOT_VERSIONS = """
CREATE TABLE IF NOT EXISTS kernel_snapshot_versions (
    run_id TEXT NOT NULL,
    at_seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (run_id, at_seq)
)"""

_STATEMENTS = (
    *(_JOURNAL.format(table=table) for table in JournalTable),
    _SNAPSHOTS,
    _SNAPSHOT_VERSIONS,
    "CREATE INDEX IF NOT EXISTS idx_kernel_events_run_seq ON kernel_events (run_id, seq)",
    "CREATE INDEX IF NOT EXISTS idx_kernel_snapshots_run_seq ON kernel_snapshots (run_id, at_seq DESC)",
    f"PRAGMA user_version={SCHEMA_VERSION}",
)

_PAUSE_SECONDS = 0.010
_PAUSES = 500


def ensure_schema(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables where they are missing; a file that has them is only read.

    Raises StoreError ``store.schema_newer`` and sqlite3.Error.
    """
    if _version(connection, path) < SCHEMA_VERSION:
        _write_ahead(connection)
        connection.execute("BEGIN IMMEDIATE")
        for statement in _STATEMENTS:
            connection.execute(statement)
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: str) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        message = f"the store '{path}' has form {version}; this version of ergo knows form {SCHEMA_VERSION}"
        fix = "use the version of ergo that wrote it, or a newer one"
        raise StoreError("store.schema_newer", message, where=path, fix=fix)
    return version


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log. SQLite does not wait by itself while another process does the same."""
    for _ in range(_PAUSES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_PAUSE_SECONDS)
    connection.execute("PRAGMA journal_mode=WAL")
