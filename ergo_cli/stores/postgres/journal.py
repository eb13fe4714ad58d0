"""Journals in a PostgreSQL database (spec 40 §13.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ergo_cli.stores.journals import HIGHEST_SEQ, JournalTable, check_head, check_texts, checked, checked_head
from ergo_cli.stores.postgres.database import PostgresDatabase

if TYPE_CHECKING:
    from psycopg import Connection

_PAGE = 256


class PostgresJournal:
    """An EventJournal in one table of a database. Appends to one run wait for each other, also between processes."""

    def __init__(self, database: PostgresDatabase, table: JournalTable = JournalTable.KERNEL) -> None:
        self._database = database
        self._table = table
        self._head = database.query(f"SELECT max(seq) FROM {{schema}}.{table} WHERE run_id = %s")
        self._insert = database.query(f"INSERT INTO {{schema}}.{table} (run_id, seq, event_json) VALUES (%s, %s, %s)")
        self._page = database.query(
            f"SELECT seq, event_json FROM {{schema}}.{table} "
            f"WHERE run_id = %s AND seq BETWEEN %s AND %s ORDER BY seq LIMIT {_PAGE}"
        )
        self._runs = database.query(
            f'SELECT run_id FROM (SELECT DISTINCT run_id FROM {{schema}}.{table}) AS runs ORDER BY run_id COLLATE "C"'
        )

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Number and keep all of ``texts``, or none; return the new head."""
        if not texts:
            head = self.head(run)
            check_head(run, head, expected_head)
            return head
        check_texts(texts)
        with self._database.writing(f"{self._table}/{run}") as connection:
            head = self._read_head(connection, run)
            check_head(run, head, expected_head)
            rows = [(run, seq, text) for seq, text in enumerate(texts, head + 1)]
            connection.cursor().executemany(self._insert, rows)
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
            return [run for (run,) in connection.execute(self._runs)]

    def _read_head(self, connection: Connection[Any], run: str) -> int:
        row = connection.execute(self._head, (run,)).fetchone()
        return checked_head(run, row and row[0])

    def _rows(self, run: str, start: int, to: int) -> Iterator[tuple[int, str]]:
        while start <= to:
            with self._database.reading() as connection:
                page = connection.execute(self._page, (run, start, to)).fetchall()
            yield from page
            if len(page) < _PAGE:
                break
            start = page[-1][0] + 1
