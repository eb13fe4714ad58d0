"""Snapshots in a SQLite database (spec 40 §13.2)."""

from __future__ import annotations

from ergo_cli.stores.snapshots import StoredSnapshot, read_snapshot
from ergo_cli.stores.sqlite.database import SqliteDatabase

_LATEST = """
SELECT at_seq, state_json, coalesce(version, 0)
FROM kernel_snapshots LEFT JOIN kernel_snapshot_versions USING (run_id, at_seq)
WHERE run_id = ? ORDER BY at_seq DESC LIMIT 1"""

_SAVE = """
INSERT INTO kernel_snapshots (run_id, at_seq, state_json, created_at_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (run_id, at_seq) DO UPDATE SET state_json = excluded.state_json, created_at_ms = excluded.created_at_ms"""

_SAVE_VERSION = "INSERT OR REPLACE INTO kernel_snapshot_versions (run_id, at_seq, version) VALUES (?, ?, ?)"

_PRUNE = """
DELETE FROM {table} WHERE run_id = :run AND at_seq NOT IN (
    SELECT at_seq FROM kernel_snapshots WHERE run_id = :run ORDER BY at_seq DESC LIMIT :keep)"""

# the versions first: what stays is looked up among the snapshots
_TABLES = ("kernel_snapshot_versions", "kernel_snapshots")


class SqliteSnapshots:
    """A SnapshotStore in a database."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def load_latest(self, run: str) -> StoredSnapshot | None:
        """The snapshot with the highest ``at_seq``; None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(_LATEST, (run,)).fetchone()
        return None if row is None else read_snapshot(run, *row)

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        """Keep a snapshot; one of the same run and ``at_seq`` is replaced."""
        with self._database.writing() as connection:
            connection.execute(_SAVE, (run, at_seq, text, self._database.wall_ms()))
            connection.execute(_SAVE_VERSION, (run, at_seq, version))

    def prune(self, run: str, keep: int) -> None:
        """Remove all snapshots of a run but the ``keep`` highest."""
        with self._database.writing() as connection:
            for table in _TABLES:
                connection.execute(_PRUNE.format(table=table), {"run": run, "keep": max(keep, 0)})

    def drop(self, run: str) -> None:
        """Remove every snapshot of a run."""
        self.prune(run, 0)
