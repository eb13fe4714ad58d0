"""Runs in a PostgreSQL database (spec 40 §13.3); needs the extra ``postgres``."""

from ergo_cli.stores.postgres.database import PostgresDatabase
from ergo_cli.stores.postgres.journal import PostgresJournal
from ergo_cli.stores.postgres.snapshots import PostgresSnapshots

__all__ = ["PostgresDatabase", "PostgresJournal", "PostgresSnapshots"]
