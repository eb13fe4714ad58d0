"""What can be wrong with a PostgreSQL store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Semaphore

import pytest

from ergo_cli.errors import exit_code
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.database import RunTables
from ergo_cli.stores.journals import StoredSnapshot
from ergo_cli.stores.postgres import MOST_CONNECTIONS, PostgresDatabase, PostgresJournal, PostgresSnapshots
from ergo_cli.testing.stores import refused

psycopg = pytest.importorskip("psycopg")

OTHER_TABLES = RunTables("other_events", "other_attempts", "other_snapshots", "other_snapshot_versions")
NOWHERE = "postgresql://ergo:secret@127.0.0.1:1/runs"


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def database(postgres: str) -> Generator[PostgresDatabase]:
    """A store that holds one run of three records."""
    database = PostgresDatabase(f"{postgres}?options=-c%20lock_timeout%3D20", KERNEL_TABLES)
    PostgresJournal(database).append("r", ['"a"', '"b"', '"c"'])
    yield database
    database.close()


@pytest.fixture
def journal(database: PostgresDatabase) -> PostgresJournal:
    return PostgresJournal(database)


def everything(database: PostgresDatabase) -> list[Callable[[], object]]:
    """Each thing that can be asked of a store."""
    journal, snapshots = PostgresJournal(database), PostgresSnapshots(database)
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


def test_nobody_there() -> None:
    """Making the stores does not connect; using them tells where, and never the password."""
    for ask in everything(PostgresDatabase(NOWHERE, KERNEL_TABLES)):
        with refused("store.unreachable", "127.0.0.1:1/runs") as told:
            ask()
        assert "secret" not in f"{told.error.message}{told.error.where}{told.error.fix}"
    assert exit_code("store.unreachable") == 6


def test_a_connection_string_that_is_none() -> None:
    with refused("store.unreachable", "connection string") as told:
        PostgresJournal(PostgresDatabase("host=x secret pass", KERNEL_TABLES)).head("r")
    assert "secret" not in told.error.message


@pytest.mark.parametrize("name", ["bad-name", "", "ä", 'a"b', "a b", "x\n"])
def test_a_schema_name_that_is_none(name: str) -> None:
    for ask in everything(PostgresDatabase(NOWHERE, KERNEL_TABLES, name)):
        with refused("store.not_found", f"invalid schema: {name}"):
            ask()


def test_schemas_are_apart(postgres: str) -> None:
    one, other = (PostgresDatabase(postgres, KERNEL_TABLES, name) for name in ("One_1", "order"))
    assert PostgresJournal(one).append("r", ["1"]) == 1
    assert PostgresJournal(other).runs() == []
    assert PostgresJournal(one).runs() == ["r"]
    one.close()
    other.close()


def test_a_failed_start_is_tried_again(postgres_server: tuple[str, object]) -> None:
    dsn, _ = postgres_server
    journal = PostgresJournal(database := PostgresDatabase(f"{dsn}/made_later", KERNEL_TABLES))
    with refused("store.unreachable", "made_later"):
        journal.append("r", ["1"])
    execute(f"{dsn}/postgres", "CREATE DATABASE made_later")
    assert journal.append("r", ["1"]) == 1
    database.close()
    execute(f"{dsn}/postgres", "DROP DATABASE made_later")


def test_a_user_who_may_not_write(postgres: str, journal: PostgresJournal) -> None:
    """Neither make tables, nor write to those of others; what may be read is."""
    execute(
        postgres,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    database = PostgresDatabase(postgres.replace("ergo@", "reader@"), KERNEL_TABLES)
    assert PostgresJournal(database).head("r") == 3
    with refused("store.read_only"):
        PostgresJournal(database).append("r", ["4"])
    nothing_yet = PostgresDatabase(postgres.replace("ergo@", "reader@"), KERNEL_TABLES, "nothing_yet")
    with refused("store.read_only"):
        PostgresJournal(nothing_yet).head("r")
    database.close()
    nothing_yet.close()
    execute(postgres, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_database_that_is_only_read(postgres: str, database: PostgresDatabase, journal: PostgresJournal) -> None:
    database.close()
    execute(postgres, f"ALTER DATABASE {postgres.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert list(journal.scan("r", 3)) == [(3, '"c"')]
    with refused("store.read_only", "read-only"):
        journal.append("r", ["4"])


def test_a_database_of_a_newer_ergo(postgres: str, database: PostgresDatabase) -> None:
    execute(postgres, "INSERT INTO ergo_schema VALUES (2)")
    database.close()
    for ask in everything(database):
        with refused("store.schema_newer", "form 2"):
            ask()


def test_a_gap_and_a_broken_record_are_told_where_they_are(postgres: str, journal: PostgresJournal) -> None:
    execute(postgres, "UPDATE kernel_events SET event_json = '{\"a\":' WHERE seq = 3")
    with refused("store.corrupt", "run 'r' seq 3", "row decode"):
        list(journal.scan("r"))
    execute(postgres, "DELETE FROM kernel_events WHERE seq = 2")
    with refused("store.corrupt", "run 'r' seq 2"):
        list(journal.scan("r"))
    assert journal.head("r") == 3


def test_a_missing_table(postgres: str, journal: PostgresJournal) -> None:
    execute(postgres, "DROP TABLE kernel_events")
    with refused("store.corrupt", "kernel_events"):
        journal.head("r")


def test_tables_of_another_kind_of_program_stand_beside(postgres: str, journal: PostgresJournal) -> None:
    other = PostgresDatabase(postgres, OTHER_TABLES)
    execute(postgres, "CREATE TABLE other_events (LIKE kernel_events INCLUDING ALL)")
    assert PostgresJournal(other).append("r", ["1"]) == 1
    PostgresSnapshots(other).save("r", 1, "1", 2)
    assert PostgresSnapshots(other).load_latest("r") == StoredSnapshot("r", 1, "1", 2)
    other.close()
    assert journal.head("r") == 3


def test_a_locked_table(postgres: str, journal: PostgresJournal) -> None:
    with psycopg.connect(postgres) as other:
        other.execute("LOCK TABLE kernel_events")
        with refused("store.locked"):
            journal.append("r", ["4"])
    assert journal.append("r", ["4"]) == 4


def test_a_connection_that_breaks_is_opened_again(postgres: str, journal: PostgresJournal) -> None:
    execute(
        postgres,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    with refused("store.unreachable"):
        journal.append("r", ["4"])
    assert journal.append("r", ["4"], 3) == 4


def test_threads_share_a_bounded_number_of_connections(postgres: str, journal: PostgresJournal) -> None:
    workers, most = 4 * MOST_CONNECTIONS, list[int]()
    start = Barrier(workers)

    def work(number: int) -> None:
        start.wait()
        for text in ("1", "2", "3"):
            journal.append(f"run {number}", [text])
            if number == 0:
                most.append(open_connections(postgres))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    assert 1 <= max(most) <= MOST_CONNECTIONS
    assert all(journal.head(f"run {number}") == 3 for number in range(workers))


def open_connections(postgres: str) -> int:
    """How many connections there are to the database beside the one that asks."""
    with psycopg.connect(postgres) as asking:
        row = asking.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert row is not None
    return row[0]


def test_a_thread_that_gets_no_connection_is_told_so(
    postgres: str, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ergo_cli.stores.postgres._POOL_PATIENCE_S", 0.05)
    database = PostgresDatabase(postgres, KERNEL_TABLES)
    one = PostgresJournal(database)
    release, holding = Event(), Semaphore(0)

    def hold() -> None:
        with database.reading():
            holding.release()
            release.wait(60)

    with ThreadPoolExecutor(MOST_CONNECTIONS) as pool:
        held = [pool.submit(hold) for _ in range(MOST_CONNECTIONS)]
        for _ in held:
            assert holding.acquire(timeout=60)
        with refused("store.locked"):
            one.head("r")
        release.set()
        for each in held:
            each.result()
    assert one.head("r") == 3
    database.close()


def test_a_run_id_that_the_database_cannot_hold(journal: PostgresJournal) -> None:
    for run in ("a\0b", "x" * 1_000_000):
        with refused("store.unreachable" if "\0" in run else "store.full"):
            journal.append(run, ["1"])
    assert journal.runs() == ["r"]


def test_without_the_driver(tmp_path: Path) -> None:
    """The extra is only missed where it is used, and named."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from pathlib import Path\n"
        "from ergo_cli.errors import StoreError\n"
        "from ergo_cli.programs.kernel.tables import KERNEL_TABLES\n"
        "from ergo_cli.stores.backends import open_store\n"
        "store = open_store('postgres://h/d', Path(), lambda: 0, KERNEL_TABLES)\n"
        "try: store.journal.head('r')\n"
        "except StoreError as error: print(error.code, error.fix)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.stdout, done.stderr) == ("store.unreachable pip install 'ergo-replay[postgres]'\n", "")
