"""Spec 40 §21.9, stores, and of §21.13 what a store answers for."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import RunStore, memory_store, open_store
from ergo_cli.stores.journals import EventJournal, StoredSnapshot
from ergo_cli.testing.stores import refused

COMPLETED = '"Completed"'
USE_STORE = Path(__file__).parents[1] / "stores" / "use_store.py"

Reopen = Callable[[], RunStore]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def any_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[EventJournal]:
    match request.param:
        case "memory":
            store = memory_store()
        case "sqlite":
            store = open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, KERNEL_TABLES)
        case _:
            store = open_store(f"postgres:{request.getfixturevalue('postgres')}", tmp_path, lambda: 0, KERNEL_TABLES)
    with store:
        yield store.journal


@pytest.fixture(params=["sqlite", "postgres"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Opens the same store anew at every call."""
    named = f"sqlite:{tmp_path}/runs.db"
    if request.param == "postgres":
        named = f"postgres:{request.getfixturevalue('postgres')}"
    return lambda: open_store(named, tmp_path, lambda: 1_700_000_000_000, KERNEL_TABLES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite store with three events and a snapshot."""
    path = tmp_path / "file.db"
    with open_store(f"sqlite:{path}", tmp_path, lambda: 1_700_000_000_000, KERNEL_TABLES) as store:
        store.journal.append("r", [COMPLETED] * 3)
        store.snapshots.save("r", 3, "7")
    return path


def test_c40_94_heads_appends_and_scans(any_journal: EventJournal) -> None:
    assert any_journal.head("r") == 0
    assert any_journal.append("r", [COMPLETED]) == 1
    assert any_journal.append("r", [COMPLETED] * 2) == 3
    assert list(any_journal.scan("r", 2)) == [(2, COMPLETED), (3, COMPLETED)]
    assert any_journal.head("r") == 3
    assert any_journal.append("r", []) == 3
    assert any_journal.append("unknown", []) == 0
    assert list(any_journal.scan("unknown")) == []


def test_c40_95_a_snapshot_loads_back(reopen: Reopen) -> None:
    with reopen() as store:
        store.snapshots.save("r", 9, '{"k":"v"}')
        assert store.snapshots.load_latest("r") == StoredSnapshot("r", 9, '{"k":"v"}')


def test_c40_96_events_survive_reopening(reopen: Reopen) -> None:
    with reopen() as store:
        store.journal.append("r", [COMPLETED] * 3)
    with reopen() as store:
        assert store.journal.head("r") == 3
        assert [seq for seq, _ in store.journal.scan("r")] == [1, 2, 3]


def test_c40_97_a_snapshot_survives_reopening(reopen: Reopen) -> None:
    with reopen() as store:
        store.snapshots.save("r", 5, '{"counter":42}')
    with reopen() as store:
        assert store.snapshots.load_latest("r") == StoredSnapshot("r", 5, '{"counter":42}')


def test_c40_98_a_snapshot_and_its_tail_survive_reopening(reopen: Reopen) -> None:
    with reopen() as store:
        store.journal.append("r", [COMPLETED] * 2)
        store.snapshots.save("r", 2, "2")
        store.journal.append("r", [COMPLETED] * 3)
    with reopen() as store:
        snapshot = store.snapshots.load_latest("r")
        assert snapshot is not None
        assert snapshot.at_seq == 2
        assert len(list(store.journal.scan("r", 3))) == 3
        assert len(list(store.journal.scan("r", 1))) == 5
        assert store.journal.head("r") == 5


def test_c40_99_the_highest_snapshot_is_the_latest(reopen: Reopen) -> None:
    with reopen() as store:
        for at_seq in (3, 7, 5):
            store.snapshots.save("r", at_seq, str(at_seq))
    with reopen() as store:
        assert store.snapshots.load_latest("r") == StoredSnapshot("r", 7, "7")


def test_c40_100_appending_goes_on_after_reopening(reopen: Reopen) -> None:
    with reopen() as store:
        store.journal.append("r", [COMPLETED])
    with reopen() as store:
        assert store.journal.append("r", [COMPLETED]) == 2
        assert store.journal.head("r") == 2
        assert len(list(store.journal.scan("r"))) == 2


@pytest.mark.parametrize(
    ("table", "columns", "index"),
    [
        ("kernel_events", ["run_id", "seq", "event_json", "created_at_ms"], "idx_kernel_events_run_seq"),
        ("kernel_snapshots", ["run_id", "at_seq", "state_json", "created_at_ms"], "idx_kernel_snapshots_run_seq"),
    ],
)
def test_c40_101_tables_of_a_file(file: Path, table: str, columns: list[str], index: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')").fetchall()
        types = ["TEXT", "INTEGER", "TEXT", "INTEGER"]
        assert rows == [(*row, 1, key) for row, key in zip(zip(columns, types), (1, 2, 0, 0))]  # noqa: B905
        indexed = connection.execute(f"SELECT name, \"desc\" FROM pragma_index_xinfo('{index}') WHERE key").fetchall()
        assert indexed == [("run_id", 0), (columns[1], int(table == "kernel_snapshots"))]


def test_c40_101_texts_and_mode_of_a_file(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        rows = connection.execute("SELECT * FROM kernel_events").fetchall()
        assert rows == [("r", seq, '"Completed"', 1_700_000_000_000) for seq in (1, 2, 3)]
        assert connection.execute("SELECT * FROM kernel_snapshots").fetchall() == [("r", 3, "7", 1_700_000_000_000)]


def test_c40_102_two_processes_at_one_run(tmp_path: Path) -> None:
    command = [sys.executable, str(USE_STORE), f"sqlite:{tmp_path}/runs.db", "r", "w", "100", "1"]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    heads = [int(head) for writer in writers for head in writer.communicate(timeout=120)[0].split()]
    assert sorted(heads) == list(range(1, 201))
    with open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        assert [seq for seq, _ in store.journal.scan("r")] == list(range(1, 201))


def test_c40_103_a_batch_that_cannot_be_written_whole(any_journal: EventJournal) -> None:
    any_journal.append("r", [COMPLETED])
    with pytest.raises(ValueError, match="surrogates"):
        any_journal.append("r", [COMPLETED, COMPLETED, '"\ud800"'])
    assert list(any_journal.scan("r")) == [(1, COMPLETED)]


def test_c40_104_a_broken_row(file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE kernel_events SET event_json = '{\"Complet' WHERE seq = 2")
    with open_store(f"sqlite:{file}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        with refused("store.corrupt", "run 'r' seq 2"):
            list(store.journal.scan("r"))
        assert store.journal.head("r") == 3


def test_c40_105_a_snapshot_at_the_same_place_is_replaced(reopen: Reopen) -> None:
    with reopen() as store:
        store.snapshots.save("r", 3, "1")
        store.snapshots.save("r", 3, "2")
        assert store.snapshots.load_latest("r") == StoredSnapshot("r", 3, "2")


def test_c40_106_making_postgres_stores_never_connects(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with (
        open_store("postgres://127.0.0.1:1/runs", tmp_path, lambda: 0, KERNEL_TABLES) as store,
        refused("store.unreachable"),
    ):
        store.journal.head("r")


def test_c40_106_the_replay_case_of_postgres(postgres: str, tmp_path: Path) -> None:
    with open_store(f"postgres:{postgres}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        assert store.journal.append("r", [COMPLETED] * 2) == 2
        assert store.journal.append("r", [COMPLETED] * 2) == 4
        assert len(list(store.journal.scan("r", 3))) == 2
        assert store.journal.head("r") == 4
        store.snapshots.save("r", 7, '{"k":"v"}')
        assert store.snapshots.load_latest("r") == StoredSnapshot("r", 7, '{"k":"v"}')


def test_c40_106_a_schema_name_that_is_none() -> None:
    pytest.importorskip("psycopg")
    from ergo_cli.stores.postgres import PostgresDatabase, PostgresJournal

    with refused("store.not_found") as refusal:
        PostgresJournal(PostgresDatabase("host=127.0.0.1", KERNEL_TABLES, "bad-name")).head("r")
    assert refusal.error.message == "invalid schema: bad-name"


def test_c40_134_a_wrong_expected_head(any_journal: EventJournal) -> None:
    any_journal.append("r", [COMPLETED])
    with refused("store.conflict", "run 'r'"):
        any_journal.append("r", [COMPLETED], 0)
    assert list(any_journal.scan("r")) == [(1, COMPLETED)]
