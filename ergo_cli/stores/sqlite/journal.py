"""Journals in a SQLite database (spec 40 §13.2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from ergo_cli.stores.journals import HIGHEST_SEQ, JournalTable, check_head, checked, checked_head
from ergo_cli.stores.sqlite.database import SqliteDatabase

_PAGE = 256  # no query stays open between two pages, so that whoever scans may write


class SqliteJournal:
    """An EventJournal in one table of a database."""

    def __init__(self, database: SqliteDatabase, table: JournalTable = JournalTable.KERNEL) -> None:
        self._database = database
        self._head = f"SELECT max(seq) FROM {table} WHERE run_id = ?"
        self._insert = f"INSERT INTO {table} (run_id, seq, event_json, created_at_ms) VALUES (?, ?, ?, ?)"
        self._page = (
            f"SELECT seq, event_json FROM {table} WHERE run_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT {_PAGE}"
        )
        self._runs = f"SELECT DISTINCT run_id FROM {table} ORDER BY run_id"

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Number and keep all of ``texts``, or none; return the new head."""
        if not texts:
            head = self.head(run)
            check_head(run, head, expected_head)
            return head
        with self._database.writing() as connection:
            head = self._read_head(connection, run)
            check_head(run, head, expected_head)
            now = self._database.wall_ms()
            rows = [(run, seq, text, now) for seq, text in enumerate(texts, head + 1)]
            connection.executemany(self._insert, rows)
        return head + len(texts)

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """Numbers and texts from ``start`` to ``to``, read page by page."""
        start = max(start, 1)
        return checked(run, start, self._rows(run, start, HIGHEST_SEQ if to is None else min(to, HIGHEST_SEQ)))

    def head(self, run: str) -> int:
        """The highest number of the run; 0 for an unknown one."""
        with self._database.reading() as connection:
            return self._read_head(connection, run)

    def runs(self) -> list[str]:
        """The ids of all runs that have records, ascending."""
        with self._database.reading() as connection:
            return [run.decode(errors="replace") for (run,) in connection.execute(self._runs)]

    def _read_head(self, connection: sqlite3.Connection, run: str) -> int:
        return checked_head(run, connection.execute(self._head, (run,)).fetchone()[0])

    def _rows(self, run: str, start: int, to: int) -> Iterator[tuple[int, bytes]]:
        while start <= to:
            with self._database.reading() as connection:
                page = connection.execute(self._page, (run, start, to)).fetchall()
            yield from page
            if len(page) < _PAGE:
                break
            start = page[-1][0] + 1
