"""Snapshots of states: they shorten a replay and are never truth of their own (spec 40 §3.10, §4, §20)."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from ergo_cli.errors import StoreError


class StoredSnapshot(Struct, frozen=True):
    """The state of a run after its record ``at_seq``, as canonical JSON; ``version`` is that of the state's form."""

    run: str
    at_seq: int
    text: str
    version: int = 0


class SnapshotStore(Protocol):
    """Where snapshots are kept. Every method raises StoreError."""

    def load_latest(self, run: str) -> StoredSnapshot | None:
        """The snapshot with the highest ``at_seq``, whenever it was saved; None if there is none."""
        ...

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        """Keep a snapshot; one of the same run and ``at_seq`` is replaced."""
        ...

    def prune(self, run: str, keep: int) -> None:
        """Remove all snapshots of a run but the ``keep`` highest."""
        ...

    def drop(self, run: str) -> None:
        """Remove every snapshot of a run; nothing happens if there is none."""
        ...


def read_snapshot(run: str, at_seq: int, text: bytes, version: int) -> StoredSnapshot:
    """A snapshot from its stored bytes. Raises StoreError ``store.corrupt`` if they are no text."""
    try:
        return StoredSnapshot(run, at_seq, text.decode(), version)
    except UnicodeDecodeError as error:
        message = f"the snapshot of run '{run}' at {at_seq} is damaged: {error}"
        fix = "drop the run's snapshots: its state is folded anew from the log"
        raise StoreError("store.corrupt", message, where=f"run '{run}' seq {at_seq}", fix=fix) from error
