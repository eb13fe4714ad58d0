"""Runs in one SQLite file that many threads and processes may use at once (spec 00 §13.3, 40 §13.2)."""

from ergo_cli.stores.sqlite.database import IN_MEMORY, SqliteDatabase
from ergo_cli.stores.sqlite.journal import SqliteJournal
from ergo_cli.stores.sqlite.snapshots import SqliteSnapshots

__all__ = ["IN_MEMORY", "SqliteDatabase", "SqliteJournal", "SqliteSnapshots"]
