"""Every store against what all must do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from s3_server import Bucket

from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.artifacts import ArtifactStore, DifferenceStore, FileArtifacts
from ergo_cli.stores.backends import RunStore, memory_store, open_store, shared_memory
from ergo_cli.stores.database import RunTables
from ergo_cli.stores.journals import EventJournal, SnapshotStore
from ergo_cli.stores.leases import Driver, Owner
from ergo_cli.stores.memory import MemoryArtifacts
from ergo_cli.stores.objects import ObjectArtifacts
from ergo_cli.testing.stores import (
    ArtifactSuite,
    DifferenceSuite,
    DurabilitySuite,
    JournalSuite,
    LeaseSuite,
    Open,
    SnapshotSuite,
)

Reopen = Callable[[], RunStore]
EVENTS_ALONE = RunTables("plain_events")


class StoreOfFixture:
    """The parts of the store that the fixture ``store`` opens."""

    @pytest.fixture
    def journal(self, store: RunStore) -> EventJournal:
        return store.journal

    @pytest.fixture
    def snapshots(self, store: RunStore) -> SnapshotStore:
        return store.snapshots


class TestMemory(StoreOfFixture, JournalSuite, SnapshotSuite):
    @pytest.fixture
    def store(self) -> RunStore:
        return memory_store()


class TestSqlite(StoreOfFixture, JournalSuite, SnapshotSuite, DurabilitySuite):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: open_store(
            f"sqlite:{tmp_path}/deep/down/runs.db", tmp_path, lambda: 1_700_000_000_000, KERNEL_TABLES
        )

    @pytest.fixture
    def store(self, reopen: Reopen) -> Generator[RunStore]:
        with reopen() as store:
            yield store


class TestSqliteInMemory(StoreOfFixture, JournalSuite, SnapshotSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Generator[RunStore]:
        with open_store("sqlite::memory:", tmp_path, lambda: 0, KERNEL_TABLES) as store:
            yield store


class TestPostgres(StoreOfFixture, JournalSuite, SnapshotSuite, DurabilitySuite):
    @pytest.fixture
    def reopen(self, postgres: str, tmp_path: Path) -> Reopen:
        return lambda: open_store(f"postgres:{postgres}", tmp_path, lambda: 0, KERNEL_TABLES)

    @pytest.fixture
    def store(self, reopen: Reopen) -> Generator[RunStore]:
        with reopen() as store:
            yield store


class TestOtherTables(StoreOfFixture, JournalSuite, SnapshotSuite):
    """Those of another kind of program, beside runs of kernels."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Generator[RunStore]:
        with open_store("default", tmp_path, lambda: 0, KERNEL_TABLES) as kernels:
            kernels.journal.append("r", ["1"])
        tables = RunTables("other_events", "other_attempts", "other_snapshots", "other_snapshot_versions")
        with open_store("default", tmp_path, lambda: 0, tables) as store:
            yield store


class TestEventsAlone(StoreOfFixture, JournalSuite):
    """A kind of program that has neither snapshots nor attempts, beside runs of kernels."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Generator[RunStore]:
        with open_store("default", tmp_path, lambda: 0, KERNEL_TABLES) as kernels:
            kernels.journal.append("r", ["1"])
        with open_store("default", tmp_path, lambda: 0, EVENTS_ALONE) as store:
            yield store


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of runs of kernels."""
    where = f"{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    with open_store(f"{request.param}:{where}", tmp_path, lambda: 0, KERNEL_TABLES) as kernels:
        kernels.journal.append("r", ["1"])
    return f"{request.param}:{where}"


def test_a_store_that_is_only_looked_at_gets_no_tables_of_another_kind(named: str, tmp_path: Path) -> None:
    with open_store(named, tmp_path, lambda: 0, EVENTS_ALONE, create=False) as store:
        assert (store.journal.runs(), store.journal.head("r")) == ([], 0)
        store.journal.append("lost", ["1"])
    with open_store(named, tmp_path, lambda: 0, EVENTS_ALONE) as store:
        assert store.journal.runs() == []
        assert store.journal.append("kept", ["1"]) == 1
    with open_store(named, tmp_path, lambda: 0, EVENTS_ALONE, create=False) as store:
        assert store.journal.runs() == ["kept"]
    with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES, create=False) as kernels:
        assert kernels.journal.runs() == ["r"]


def test_a_store_of_an_earlier_ergo_has_runs_without_a_table_of_attempts(named: str, tmp_path: Path) -> None:
    kind, _, where = named.partition(":")
    drop = "DROP TABLE kernel_attempts"
    if kind == "sqlite":
        with closing(sqlite3.connect(where)) as database:
            database.execute(drop)
    else:
        with pytest.importorskip("psycopg").connect(where) as server:
            server.execute(drop)
    for create in (False, True):
        with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES, create=create) as store:
            assert store.journal.runs() == ["r"]
            assert store.attempts.append("r", ["1"]) == 1 + create


class TestMemoryLeases(LeaseSuite):
    @pytest.fixture
    def opened(self) -> Open:
        stores: list[RunStore] = []

        def opened(driver: Driver) -> RunStore:
            stores.append(shared_memory(driver, stores[0] if stores else None))
            return stores[-1]

        return opened


class TestDatabaseLeases(LeaseSuite):
    @pytest.fixture(params=["sqlite", "postgres"])
    def opened(self, request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Open]:
        where = f"{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
        with ExitStack() as stack:
            yield lambda driver: stack.enter_context(
                open_store(f"{request.param}:{where}", tmp_path, lambda: 0, EVENTS_ALONE, driver=driver)
            )


def test_kinds_of_runs_have_leases_of_their_own(named: str, tmp_path: Path) -> None:
    drivers = [Driver(Owner("here", 7, name), lambda: 0, lambda _: False, name) for name in "ab"]
    with (
        open_store(named, tmp_path, lambda: 0, KERNEL_TABLES, driver=drivers[0]) as kernels,
        open_store(named, tmp_path, lambda: 0, EVENTS_ALONE, driver=drivers[1]) as others,
        kernels.driving("r"),
        others.driving("r"),
    ):
        assert kernels.leases is not None
        assert [str(lease.owner) for lease in kernels.leases.owners().values()] == ["7@here (a)"]


def test_a_store_that_has_never_had_a_lease_is_only_read(named: str, tmp_path: Path) -> None:
    driver = Driver(Owner("here", 7, "a"), lambda: 0, lambda _: False, "a")
    with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES, create=False, driver=driver) as store:
        assert store.leases is not None
        assert (store.leases.owners(), store.leases.owner_of("r"), store.leases.children("r")) == ({}, None, [])


class TestMemoryArtifacts(ArtifactSuite, DifferenceSuite):
    @pytest.fixture
    def artifacts(self) -> DifferenceStore:
        return MemoryArtifacts()


class TestFileArtifacts(ArtifactSuite, DifferenceSuite):
    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> DifferenceStore:
        return FileArtifacts(tmp_path / "deep" / "artifacts")


class TestObjectArtifacts(ArtifactSuite):
    @pytest.fixture
    def artifacts(self, s3: Bucket) -> ArtifactStore:
        return ObjectArtifacts(s3.url)
