"""Snapshots: a shorter way to a state, never a truth of their own (spec 40 §5.2–5.3, §20)."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel.errors import Category, KernelError, at
from ergo_cli.programs.kernel.events import Completed, Interrupted, SequencedEvent
from ergo_cli.programs.kernel.run_log import RunLog, store_errors
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.stores.snapshots import SnapshotStore, StoredSnapshot

S = TypeVar("S")


class Snapshot(Struct, Generic[S], frozen=True):
    """The state after the event ``at_seq``: ``{"run_id":"r","at_seq":2,"state":7}``."""

    run_id: str
    at_seq: int
    state: S


class SnapshotCadence(Struct, frozen=True, kw_only=True):
    """When a state is kept: every so many events (0: never so), and at every interrupt and completion.

    ``keep`` is how many snapshots of a run remain, None all of them.
    """

    every: int = 1
    keep: int | None = None

    def wants(self, event: SequencedEvent) -> bool:
        """Whether the state after this event is to be kept."""
        if isinstance(event.event, Interrupted | Completed):
            return True
        return self.every > 0 and event.seq % self.every == 0


class Snapshots(Generic[S]):
    """The snapshots of one run in a store, as states. Errors of the store are of category SnapshotStore."""

    def __init__(
        self, store: SnapshotStore, run_id: str, codec: StateCodec[S], cadence: SnapshotCadence = SnapshotCadence()
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._codec = codec
        self._cadence = cadence

    def latest(self) -> Snapshot[S] | None:
        """The one with the highest seq. Raises KernelError ``kernel.schema_version`` if it is no state of today's."""
        with store_errors(Category.SNAPSHOT_STORE, self._run_id):
            stored = self._store.load_latest(self._run_id)
        return None if stored is None else Snapshot(self._run_id, stored.at_seq, self._decoded(stored))

    def latest_within(self, log: RunLog) -> Snapshot[S] | None:
        """The latest one. Raises KernelError ``kernel.snapshot_ahead`` if the log does not reach that far."""
        snapshot = self.latest()
        if snapshot is not None and snapshot.at_seq > (head := log.head()):
            message = f"the snapshot at seq {snapshot.at_seq} is ahead of the log, which ends at {head}"
            raise self._error(message, "kernel.snapshot_ahead", snapshot.at_seq)
        return snapshot

    def folded(self, event: SequencedEvent, state: S) -> None:
        """``state`` is that after ``event``: keep it if it is time to."""
        if not self._cadence.wants(event):
            return
        text = self._codec.encode(state).decode()
        with store_errors(Category.SNAPSHOT_STORE, self._run_id):
            self._store.save(self._run_id, event.seq, text, self._codec.version)
            if self._cadence.keep is not None:
                self._store.prune(self._run_id, self._cadence.keep)

    def _decoded(self, stored: StoredSnapshot) -> S:
        if stored.version != self._codec.version:
            message = f"the snapshot holds a state of version {stored.version}, the program's is {self._codec.version}"
            raise self._error(message, "kernel.schema_version", stored.at_seq)
        try:
            return self._codec.decode(stored.text.encode())
        except ValueError as error:
            raise self._error(f"decode state: {error}", "kernel.schema_version", stored.at_seq) from error

    def _error(self, message: str, code: str, seq: int) -> KernelError:
        return KernelError(Category.SNAPSHOT_STORE, message, code=code, where=at(self._run_id, seq))
