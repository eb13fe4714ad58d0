"""The stores of runs, by the text that names one: ``sqlite:PATH``, ``postgres:DSN``, ``default`` (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.errors import StoreError, UsageError, reason
from ergo_cli.stores.artifacts import ArtifactStore, FileArtifacts
from ergo_cli.stores.database import RunTables
from ergo_cli.stores.journals import EventJournal, SnapshotStore
from ergo_cli.stores.lease_rows import MemoryLeases, TableLeases
from ergo_cli.stores.leases import NONE_HELD, Driver, HeldLease, LeaseOf, Leases, own_lease
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal, MemorySnapshots
from ergo_cli.stores.objects import URL_FORM, ObjectArtifacts, artifacts_url
from ergo_cli.stores.remedies import remedy, store_code

_FIX = "write sqlite:PATH, postgres:DSN or default"


class RunStore(Struct, frozen=True):
    """Journals, snapshots, artifacts and leases of the runs of one kind; a context manager that closes them.

    The snapshots and attempts of a kind without tables for them are kept in memory. Without ``leases`` runs are driven
    unseen by others.
    """

    journal: EventJournal
    snapshots: SnapshotStore
    attempts: EventJournal
    artifacts: ArtifactStore
    close: Callable[[], None]
    leases: Leases | None = None

    def driving(self, run: str) -> AbstractContextManager[HeldLease | None]:
        """Hold the lease of a run while the block drives it. Raises StoreError ``store.run_busy``."""
        return nullcontext() if self.leases is None else self.leases.driving(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def memory_store() -> RunStore:
    """A new store that lasts as long as the process; ``run`` and ``capture`` use it unless a store is named."""
    return RunStore(MemoryJournal(), MemorySnapshots(), MemoryJournal(), MemoryArtifacts(), lambda: None)


def shared_memory(driver: Driver, beside: RunStore | None = None, *, lease_of: LeaseOf = own_lease) -> RunStore:
    """A store in memory whose runs are driven under leases; ``beside`` is one of another driver, with the same runs."""
    if beside is None:
        leases = Leases(MemoryLeases(), driver)
        store = memory_store()
        journal = MemoryJournal(leases.held, lease_of)
    else:
        assert beside.leases is not None
        assert isinstance(beside.journal, MemoryJournal)
        leases = Leases(beside.leases.rows, driver)
        store = beside
        journal = beside.journal.under(leases.held)
    return replace(store, journal=journal, leases=leases, close=leases.close)


def open_store(
    named: str,
    user_folder: Path,
    wall_ms: Callable[[], int],
    tables: RunTables,
    *,
    create: bool = True,
    driver: Driver | None = None,
    artifacts: str | None = None,
) -> RunStore:
    """The store that ``named`` means, opened at its first use; ``user_folder`` holds the one of ``default``.

    ``tables`` are those of the kind of program whose runs it keeps. Artifacts lie at the URL ``artifacts``, else in the
    folder ``artifacts`` beside a SQLite file, else in that of ``user_folder``. Unless ``create``, a store without these
    tables is an empty one in memory, and nothing is made. ``driver`` takes the leases; without it there are none.
    Raises UsageError ``cli.invalid_option_value``; StoreError ``store.not_found``, unless ``create``, for a file that
    does not exist, and for a module that cannot be read, and ``store.unreachable`` where the client of an object store
    is missing or cannot be set up.
    """
    objects = None if artifacts is None else _objects(artifacts)
    try:
        store = _store(named, user_folder, wall_ms, tables, create, driver)
    except OSError as error:
        message = f"the store cannot be opened: {reason(error)}"
        fix = remedy(error, "name another store")
        raise StoreError(store_code(error), message, where=named, fix=fix) from error
    return store if objects is None else replace(store, artifacts=objects)


def _objects(url: str) -> ObjectArtifacts:
    try:
        artifacts_url(url)
    except ValueError:
        message = f"'{url}' names no place in an object store"
        fix = f"write {URL_FORM}; credentials come from the environment"
        raise UsageError("cli.invalid_option_value", message, where="artifacts", fix=fix) from None
    return ObjectArtifacts(url)


def _store(
    named: str,
    user_folder: Path,
    wall_ms: Callable[[], int],
    tables: RunTables,
    create: bool,
    driver: Driver | None,
) -> RunStore:
    if named == "default":
        return _sqlite(str(user_folder / "runs.db"), wall_ms, tables, create, driver)
    match named.partition(":"):
        case "sqlite", ":", path if path:
            return _sqlite(path, wall_ms, tables, create, driver)
        case (("postgres" | "postgresql"), ":", dsn):
            return _postgres(named if dsn.startswith("//") else dsn, user_folder, tables, create, driver)
        case _:
            message = f"there is no kind of store '{named}'"
            raise UsageError("cli.invalid_option_value", message, fix=_FIX)


def artifact_folder(named: str, user_folder: Path) -> Path:
    """The folder in which a store keeps its artifacts."""
    kind, _, place = named.partition(":")
    return Path(place).with_name("artifacts") if kind == "sqlite" else user_folder / "artifacts"


def database_place(named: str) -> str | None:
    """The place of a database that keeps its artifacts in the user data folder; None for a SQLite file."""
    kind, _, dsn = named.partition(":")
    if kind not in ("postgres", "postgresql"):
        return None
    from ergo_cli.stores.postgres import PostgresDatabase

    return PostgresDatabase(named if dsn.startswith("//") else dsn, RunTables("")).place


def store_files(named: str, user_folder: Path) -> tuple[Path, ...]:
    """The files of the SQLite store that ``named`` means, whether they exist or not; none of another store."""
    kind, _, place = named.partition(":")
    path = user_folder / "runs.db" if named == "default" else Path(place)
    if named != "default" and kind != "sqlite":
        return ()
    return tuple(Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm", "-journal"))


def _sqlite(path: str, wall_ms: Callable[[], int], tables: RunTables, create: bool, driver: Driver | None) -> RunStore:
    from ergo_cli.stores.sqlite import IN_MEMORY, SqliteDatabase, SqliteJournal, SqliteSnapshots

    in_memory = path == IN_MEMORY
    if not (create or in_memory or Path(path).exists()):
        message = f"there is no store '{path}'"
        raise StoreError("store.not_found", message, where=path, fix="name the store that the run was kept in")
    database = SqliteDatabase(path, wall_ms, tables)
    if not create and database.lacks_tables():
        return memory_store()
    leases = None if driver is None else Leases(TableLeases(database), driver)
    return RunStore(
        SqliteJournal(database, held=NONE_HELD if leases is None else leases.held),
        MemorySnapshots() if tables.snapshots is None else SqliteSnapshots(database),
        MemoryJournal() if tables.attempts is None else SqliteJournal(database, tables.attempts),
        MemoryArtifacts() if in_memory else FileArtifacts(Path(path).with_name("artifacts")),
        partial(_close, leases, database.close),
        leases,
    )


def _postgres(dsn: str, user_folder: Path, tables: RunTables, create: bool, driver: Driver | None) -> RunStore:
    from ergo_cli.stores.postgres import PostgresDatabase, PostgresJournal, PostgresSnapshots

    database = PostgresDatabase(dsn, tables)
    if not create and database.lacks_tables():
        return memory_store()
    leases = None if driver is None else Leases(TableLeases(database), driver)
    return RunStore(
        PostgresJournal(database, held=NONE_HELD if leases is None else leases.held),
        MemorySnapshots() if tables.snapshots is None else PostgresSnapshots(database),
        MemoryJournal() if tables.attempts is None else PostgresJournal(database, tables.attempts),
        FileArtifacts(user_folder / "artifacts", lambda: database.place),
        partial(_close, leases, database.close),
        leases,
    )


def _close(leases: Leases | None, close: Callable[[], None]) -> None:
    if leases is not None:
        leases.close()
    close()
