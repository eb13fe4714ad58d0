"""Which stores a text names: ``sqlite:PATH``, ``postgres:DSN``, ``default`` (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from msgspec import Struct

from ergo_cli.errors import StoreError, UsageError
from ergo_cli.stores.artifact_files import FileArtifacts
from ergo_cli.stores.artifacts import ArtifactStore
from ergo_cli.stores.journals import EventJournal, JournalTable
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal, MemorySnapshots
from ergo_cli.stores.snapshots import SnapshotStore

_FIX = "write sqlite:PATH, postgres:DSN or default"


class RunStore(Struct, frozen=True):
    """Everything that runs of one kind are kept in; a context manager that closes what is open."""

    journal: EventJournal
    snapshots: SnapshotStore
    attempts: EventJournal
    artifacts: ArtifactStore
    close: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def memory_store() -> RunStore:
    """A store of its own that is gone with the process: what run and capture use unless told otherwise."""
    return RunStore(MemoryJournal(), MemorySnapshots(), MemoryJournal(), MemoryArtifacts(), lambda: None)


def open_store(
    named: str,
    user_folder: Path,
    wall_ms: Callable[[], int],
    *,
    table: JournalTable = JournalTable.KERNEL,
    create: bool = True,
) -> RunStore:
    """The store that ``named`` means, opened at its first use; ``user_folder`` holds the one of ``default``.

    Artifacts lie in the folder ``artifacts`` beside a SQLite file, else in that of ``user_folder``. Raises UsageError
    ``cli.invalid_option_value``, and, unless ``create``, StoreError ``store.not_found`` for a file that does not exist.
    """
    if named == "default":
        return _sqlite(str(user_folder / "runs.db"), wall_ms, table, create)
    match named.partition(":"):
        case "sqlite", ":", path if path:
            return _sqlite(path, wall_ms, table, create)
        case (("postgres" | "postgresql"), ":", dsn):
            return _postgres(named if dsn.startswith("//") else dsn, user_folder, table)
        case _:
            message = f"there is no kind of store '{named}'"
            raise UsageError("cli.invalid_option_value", message, fix=_FIX)


def _sqlite(path: str, wall_ms: Callable[[], int], table: JournalTable, create: bool) -> RunStore:
    from ergo_cli.stores.sqlite import IN_MEMORY, SqliteDatabase, SqliteJournal, SqliteSnapshots

    in_memory = path == IN_MEMORY
    if not (create or in_memory or Path(path).exists()):
        message = f"there is no store '{path}'"
        raise StoreError("store.not_found", message, where=path, fix="name the store that the run was kept in")
    database = SqliteDatabase(path, wall_ms)
    return RunStore(
        SqliteJournal(database, table),
        SqliteSnapshots(database),
        SqliteJournal(database, JournalTable.ATTEMPTS),
        MemoryArtifacts() if in_memory else FileArtifacts(Path(path).with_name("artifacts")),
        database.close,
    )


def _postgres(dsn: str, user_folder: Path, table: JournalTable) -> RunStore:
    from ergo_cli.stores.postgres import PostgresDatabase, PostgresJournal, PostgresSnapshots

    database = PostgresDatabase(dsn)
    return RunStore(
        PostgresJournal(database, table),
        PostgresSnapshots(database),
        PostgresJournal(database, JournalTable.ATTEMPTS),
        FileArtifacts(user_folder / "artifacts"),
        database.close,
    )
