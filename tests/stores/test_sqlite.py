"""What can be wrong with a SQLite store."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from ergo_cli.errors import StoreError, exit_code
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store
from ergo_cli.stores.database import RunTables
from ergo_cli.stores.leases import Driver, Owner
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal, SqliteSnapshots, sqlite_fault
from ergo_cli.testing.stores import refused

USE_STORE = Path(__file__).with_name("use_store.py")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store that holds one run of three records."""
    path = tmp_path / "runs.db"
    with open_store(f"sqlite:{path}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        store.journal.append("r", ['"a"', '"b"', '"c"'])
    return path


@pytest.fixture
def database(file: Path) -> Generator[SqliteDatabase]:
    database = SqliteDatabase(str(file), lambda: 0, KERNEL_TABLES, busy_seconds=0.01)
    yield database
    database.close()


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def everything(database: SqliteDatabase) -> list[Callable[[], object]]:
    """Each thing that can be asked of a store."""
    journal, snapshots = SqliteJournal(database), SqliteSnapshots(database)
    return [
        lambda: journal.append("r", ["1"]),
        lambda: list(journal.scan("r")),
        lambda: journal.head("r"),
        journal.runs,
        lambda: snapshots.save("r", 1, "1"),
        lambda: snapshots.load_latest("r"),
        lambda: snapshots.prune("r", 1),
        lambda: snapshots.drop("r"),
    ]


@pytest.mark.parametrize("seq", [1, 2])
def test_a_gap_is_told_where_it_is(file: Path, database: SqliteDatabase, seq: int) -> None:
    change(file, f"DELETE FROM kernel_events WHERE seq = {seq}")
    journal = SqliteJournal(database)
    with refused("store.corrupt", f"run 'r' seq {seq}"):
        list(journal.scan("r"))
    with refused("store.corrupt", f"run 'r' seq {seq}"):
        list(journal.scan("r", seq))
    assert list(journal.scan("r", 3)) == [(3, '"c"')]
    assert journal.head("r") == 3


@pytest.mark.parametrize("broken", ["'{\"a\":'", "''", "x'22ff22'", "'NaN'", "'1 2'", "x''", f"'{'[' * 100_000}'"])
def test_a_broken_record_is_told_where_it_is(file: Path, database: SqliteDatabase, broken: str) -> None:
    change(file, f"UPDATE kernel_events SET event_json = {broken} WHERE seq = 2")
    journal = SqliteJournal(database)
    with refused("store.corrupt", "run 'r' seq 2", "row decode"):
        list(journal.scan("r"))
    assert list(journal.scan("r", 3)) == [(3, '"c"')]
    assert journal.append("r", ["4"]) == 4


def test_a_number_that_is_none(file: Path, database: SqliteDatabase) -> None:
    change(file, "UPDATE kernel_events SET seq = 'three' WHERE seq = 3")
    with refused("store.corrupt", "'r'"):
        SqliteJournal(database).head("r")
    with refused("store.corrupt", "'r'"):
        SqliteJournal(database).append("r", ["4"])


def test_a_broken_snapshot(file: Path, database: SqliteDatabase) -> None:
    change(file, "INSERT INTO kernel_snapshots VALUES ('r', 3, x'ff', 0)")
    with refused("store.corrupt", "run 'r' seq 3"):
        SqliteSnapshots(database).load_latest("r")


def test_a_file_of_a_newer_ergo(file: Path, database: SqliteDatabase) -> None:
    change(file, "PRAGMA user_version=2")
    for ask in everything(database):
        with refused("store.schema_newer", "form 2", str(file)):
            ask()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be taken for one\n" * 100)
    database = SqliteDatabase(str(path), lambda: 0, KERNEL_TABLES)
    for ask in everything(database):
        with refused("store.corrupt", str(path)):
            ask()
    database.close()
    assert path.read_text().startswith("not a database")


def test_a_damaged_database(file: Path, database: SqliteDatabase) -> None:
    SqliteJournal(database).append("r", [f'"{"x" * 1000}"'] * 100)
    database.close()
    pages = file.read_bytes()
    file.write_bytes(pages[:4096] + b"\xa5" * (len(pages) - 4096))
    with refused("store.corrupt", str(file)):
        list(SqliteJournal(database).scan("r"))


@pytest.mark.parametrize("table", ["kernel_events", "kernel_snapshots"])
def test_a_missing_table(file: Path, database: SqliteDatabase, table: str) -> None:
    change(file, f"DROP TABLE {table}")
    ask = {"kernel_events": SqliteJournal(database).head, "kernel_snapshots": SqliteSnapshots(database).load_latest}
    with refused("store.corrupt", table):
        ask[table]("r")


DAMAGED_LEASE = """\
holder = x'ff'
owner = '{}'
owner = x'ff'
taken_ms = 'x'
beat_ms = 'x'
beat_ms = 1.5
parent = x'ff'
is_cancelled = 'x'
is_cancelled = 2
owner = '{"x":' || replace(hex(zeroblob(50000)), '0', '[')
"""


@pytest.mark.parametrize("column", DAMAGED_LEASE.splitlines())
def test_a_damaged_lease(file: Path, column: str) -> None:
    driver = Driver(Owner("here", 7, "a"), lambda: 0, lambda _: False, "a")
    with open_store(f"sqlite:{file}", file.parent, lambda: 0, KERNEL_TABLES, driver=driver) as store:
        leases = store.leases
        assert leases is not None
        with store.driving("r"):
            change(file, f"UPDATE run_leases SET {column}")
            for look in (leases.owners, lambda: leases.owner_of("r")):
                with refused("store.corrupt", "the lease of run 'r' is damaged"):
                    look()
            change(file, "DELETE FROM run_leases")


def test_a_locked_database(file: Path, database: SqliteDatabase) -> None:
    journal, snapshots = SqliteJournal(database), SqliteSnapshots(database)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refused("store.locked", str(file)):
            journal.append("r", ['"d"'])
        with refused("store.locked"):
            snapshots.save("r", 3, "3")
        assert journal.head("r") == 3
        other.execute("ROLLBACK")
    assert journal.append("r", ['"d"']) == 4


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    for ask in everything(SqliteDatabase(str(tmp_path), lambda: 0, KERNEL_TABLES)):
        with refused("store.unreachable", str(tmp_path)):
            ask()


@pytest.mark.parametrize("path", ["file/runs.db", "nul\0/runs.db", "n" * 300 + "/runs.db"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with refused("store.unreachable", "its folder cannot be made"):
        SqliteJournal(SqliteDatabase(f"{tmp_path}/{path}", lambda: 0, KERNEL_TABLES)).head("r")


def test_a_full_database_keeps_what_it_has(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(sqlite3.OperationalError) as raised:
            connection.execute("INSERT INTO kernel_events VALUES ('r', 4, ?, 0)", ("x" * 100_000,))
    fault = sqlite_fault(str(file), raised.value)
    assert (fault.code, exit_code(fault.code)) == ("store.full", 6)


def appending(file: Path, size: int, through: Sequence[str]) -> list[str]:
    command = [*through, sys.executable, "-B", str(USE_STORE), f"sqlite:{file}", "r", "x" * 5000, "1000", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.split()


def test_a_file_that_may_grow_no_more(file: Path, database: SqliteDatabase) -> None:
    *heads, code = appending(file, 10, through=["/bin/sh", "-c", 'ulimit -f 600; exec "$@"', "sh"])
    assert (code, exit_code(code)) == ("store.unreachable", 6)
    assert SqliteJournal(database).head("r") == int(heads[-1])


@pytest.mark.parametrize("prepared", [True, False])
def test_a_file_that_may_only_be_read(file: Path, tmp_path: Path, prepared: bool) -> None:
    if not prepared:
        file.unlink()
        sqlite3.connect(file).close()
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    (code,) = appending(file, 1, through=without_privileges())
    tmp_path.chmod(0o755)
    assert (code, exit_code(code)) == ("store.read_only", 6)


def without_privileges() -> list[str]:
    """What makes modes of files count for whoever may do anything."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], check=False).returncode != 0:
        pytest.skip("needs to give up the privilege to write everywhere")
    return command


def test_looking_at_a_store_does_not_change_it(file: Path) -> None:
    before = file.read_bytes()
    with open_store(f"sqlite:{file}", file.parent, lambda: 0, KERNEL_TABLES, create=False) as store:
        assert store.journal.runs() == ["r"]
        assert store.snapshots.load_latest("r") is None
    assert file.read_bytes() == before


def test_a_file_of_the_original_is_taken_over(tmp_path: Path) -> None:
    """It has the same two tables and no version of their form."""
    file = tmp_path / "theirs.db"
    columns = "created_at_ms INTEGER NOT NULL, PRIMARY KEY"
    change(
        file,
        f"CREATE TABLE kernel_events (run_id TEXT, seq INTEGER, event_json TEXT, {columns} (run_id, seq))",
        f"CREATE TABLE kernel_snapshots (run_id TEXT, at_seq INTEGER, state_json TEXT, {columns} (run_id, at_seq))",
        "INSERT INTO kernel_events VALUES ('r', 1, '\"Completed\"', 0)",
        "INSERT INTO kernel_snapshots VALUES ('r', 1, '7', 0)",
    )
    with open_store(f"sqlite:{file}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        assert list(store.journal.scan("r")) == [(1, '"Completed"')]
        snapshot = store.snapshots.load_latest("r")
        assert snapshot is not None
        assert (snapshot.at_seq, snapshot.text, snapshot.version) == (1, "7", 0)
        assert store.journal.append("r", ["2"]) == 2


def test_a_file_of_an_earlier_ergo_gets_the_tables_of_a_kind_of_program_that_it_lacked(file: Path) -> None:
    """It came with empty tables of records for kinds of programs that were still to be written."""
    change(
        file,
        "CREATE TABLE other_events (run_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT NOT NULL,"
        " created_at_ms INTEGER NOT NULL, PRIMARY KEY (run_id, seq))",
    )
    tables = RunTables("other_events", "other_attempts", "other_snapshots", "other_snapshot_versions")
    with open_store(f"sqlite:{file}", file.parent, lambda: 0, tables) as store:
        assert store.journal.append("r", ["1"]) == 1
        store.snapshots.save("r", 1, "1", 2)
    with open_store(f"sqlite:{file}", file.parent, lambda: 0, KERNEL_TABLES) as store:
        assert store.journal.head("r") == 3


def test_the_tables_are_defined_as_they_always_were(file: Path) -> None:
    """Other programs read them, and a file's form has one version."""
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        defined = [" ".join(sql.split()) for (sql,) in connection.execute(query)]
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    run = "run_id TEXT NOT NULL,"
    record = f"{run} seq INTEGER NOT NULL, event_json TEXT NOT NULL, created_at_ms INTEGER NOT NULL,"
    state = f"{run} at_seq INTEGER NOT NULL, state_json TEXT NOT NULL, created_at_ms INTEGER NOT NULL,"
    version = f"{run} at_seq INTEGER NOT NULL, version INTEGER NOT NULL,"
    assert defined == [
        "CREATE INDEX idx_kernel_events_run_seq ON kernel_events (run_id, seq)",
        "CREATE INDEX idx_kernel_snapshots_run_seq ON kernel_snapshots (run_id, at_seq DESC)",
        f"CREATE TABLE kernel_attempts ( {record} PRIMARY KEY (run_id, seq) )",
        f"CREATE TABLE kernel_events ( {record} PRIMARY KEY (run_id, seq) )",
        f"CREATE TABLE kernel_snapshot_versions ( {version} PRIMARY KEY (run_id, at_seq) )",
        f"CREATE TABLE kernel_snapshots ( {state} PRIMARY KEY (run_id, at_seq) )",
    ]


def test_connections_of_threads_that_ended_are_given_back(file: Path, database: SqliteDatabase) -> None:
    journal = SqliteJournal(database)
    for _ in range(20):
        thread = Thread(target=journal.head, args=("r",))
        thread.start()
        thread.join()
    open_files = [os.readlink(f"/proc/self/fd/{number}") for number in open_descriptors()]
    assert open_files.count(str(file)) <= 1


def open_descriptors() -> list[str]:
    return [name for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")]


def test_pruned_rows_are_gone(file: Path, database: SqliteDatabase) -> None:
    snapshots = SqliteSnapshots(database)
    for at_seq in range(1, 8):
        snapshots.save("r", at_seq, str(at_seq), 3)
    snapshots.prune("r", 2)
    with closing(sqlite3.connect(file)) as connection:
        for table in ("kernel_snapshots", "kernel_snapshot_versions"):
            assert connection.execute(f"SELECT at_seq FROM {table} ORDER BY at_seq").fetchall() == [(6,), (7,)]


def test_an_error_in_the_middle_of_a_batch_ends_the_transaction(database: SqliteDatabase) -> None:
    journal = SqliteJournal(database)
    with pytest.raises(ValueError, match="surrogates"):
        journal.append("r", ["1", "\ud800"])
    with pytest.raises(StoreError):
        journal.append("r", ["1"], expected_head=9)
    assert journal.append("r", ["4"]) == 4
