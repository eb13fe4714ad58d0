"""Snapshots in a PostgreSQL database (spec 40 §13.3)."""

from __future__ import annotations

from ergo_cli.stores.postgres.database import PostgresDatabase
from ergo_cli.stores.snapshots import StoredSnapshot

_LATEST = """
SELECT at_seq, state_json, state_version FROM {schema}.kernel_snapshots
WHERE run_id = %s ORDER BY at_seq DESC LIMIT 1"""

_SAVE = """
INSERT INTO {schema}.kernel_snapshots (run_id, at_seq, state_json, state_version) VALUES (%s, %s, %s, %s)
ON CONFLICT (run_id, at_seq) DO UPDATE
SET state_json = excluded.state_json, state_version = excluded.state_version, created_at = excluded.created_at"""

_PRUNE = """
DELETE FROM {schema}.kernel_snapshots WHERE run_id = %(run)s AND at_seq NOT IN (
    SELECT at_seq FROM {schema}.kernel_snapshots WHERE run_id = %(run)s ORDER BY at_seq DESC LIMIT %(keep)s)"""


class PostgresSnapshots:
    """A SnapshotStore in a database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._latest, self._save, self._prune = map(database.query, (_LATEST, _SAVE, _PRUNE))

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
