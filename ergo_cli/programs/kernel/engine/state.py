"""The state of a run, always the fold of its log: codec, reducers, snapshots, first states, the fold itself.

Spec 40 §3.9 and §4 (states, reducers), §5.2–5.4 (folding and snapshots while driving), §7 (replay).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from hashlib import sha256
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from ergo_cli.core.json import NotCanonicalError, record_text
from ergo_cli.core.json import decode as decode_json
from ergo_cli.errors import described
from ergo_cli.programs.kernel.engine.errors import Category, KernelError, at, driver_error
from ergo_cli.programs.kernel.engine.events import (
    Batch,
    Completed,
    Event,
    Interrupted,
    RunLog,
    SequencedEvent,
    StateUpdated,
    store_errors,
)
from ergo_cli.programs.kernel.engine.policy import Budget
from ergo_cli.stores.journals import EventJournal, SnapshotStore, StoredSnapshot

S = TypeVar("S")


class StateCodec(Generic[S]):
    """Writes and reads the states of one program: values of a declared type, else plain JSON values."""

    def __init__(self, kind: Any = None, version: int = 0) -> None:
        self._kind = kind
        self.version = version
        """The version of the form of the states; snapshots carry it."""

    def encode(self, state: S) -> bytes:
        """The canonical text. Raises KernelError ``kernel.not_canonical`` naming the place."""
        try:
            return record_text(state)
        except NotCanonicalError as error:
            raise driver_error(f"state{error.place}: {error}", code="kernel.not_canonical") from error

    def decode(self, text: bytes) -> S:
        """The state that a text holds. Raises ValueError for a text that does not hold a state of this program."""
        return self.of_value(decode_json(text))

    def of_value(self, value: Any) -> S:
        """The state that a decoded JSON value holds. Raises ValueError (``msgspec.ValidationError``)."""
        return value if self._kind is None else msgspec.convert(value, self._kind)

    def copy(self, state: S) -> S:
        """A copy of a state that shares nothing with it.

        Raises KernelError: ``kernel.not_canonical``, ``kernel.driver`` for a state that is not of the declared type.
        """
        if self._kind is None and isinstance(state, Struct):
            return deepcopy(state)
        text = self.encode(state)
        try:
            return self.decode(text)
        except ValueError as error:
            raise driver_error(f"the state is not of the type that the program declares: {error}") from error

    def digest(self, state: S) -> str:
        """Lower-case hex SHA-256 of the canonical text. Raises KernelError ``kernel.not_canonical``."""
        return sha256(self.encode(state)).hexdigest()


Reducer = Callable[[S, SequencedEvent], S]
"""``reduce(state, event)``: the state after an event. Pure; sees every event of a run, in order, once per fold."""


class StateUpdatedOnly:
    """Makes the payload of each StateUpdated the whole new state, of the declared type if there is one."""

    def __init__(self, kind: Any = None) -> None:
        self._codec: StateCodec[Any] = StateCodec(kind)

    def __call__(self, state: Any, event: SequencedEvent) -> Any:
        """The new state. Raises KernelError of category EventStore for a payload of another type."""
        if not isinstance(event.event, StateUpdated):
            return state
        try:
            return self._codec.of_value(event.event.payload)
        except ValueError as error:
            raise KernelError(Category.EVENT_STORE, str(error)) from error


state_updated_only = StateUpdatedOnly()
"""The default reducer of a program; ``KernelProgram`` gives it the declared type of the states."""


def fold_one(reducer: Reducer[S], state: S, event: SequencedEvent, run_id: str) -> S:
    """The state after one event.

    Raises KernelError: the reducer's own as it is, any other exception of it as category Reducer.
    """
    try:
        return reducer(state, event)
    except KernelError as error:
        error.where = error.where or at(run_id, event.seq)
        raise
    except (Exception, SystemExit) as error:
        raise KernelError(Category.REDUCER, described(error), where=at(run_id, event.seq)) from error


def fold(reducer: Reducer[S], state: S, events: Iterable[SequencedEvent], run_id: str) -> S:
    """The state after these events. Raises KernelError as ``fold_one`` does."""
    for event in events:
        state = fold_one(reducer, state, event, run_id)
    return state


class Snapshot(Struct, Generic[S], frozen=True):
    """The state after the event ``at_seq``: ``{"run_id":"r","at_seq":2,"state":7}``."""

    run_id: str
    at_seq: int
    state: S


class SnapshotCadence(Struct, frozen=True, kw_only=True):
    """When to take a snapshot: after every ``every`` events (0: not by count), and at interrupts and completion.

    ``keep`` is the number of snapshots that a run retains, None all of them.
    """

    every: int = 1
    keep: int | None = None

    def wants(self, event: SequencedEvent) -> bool:
        """Whether to take a snapshot after this event."""
        if isinstance(event.event, Interrupted | Completed):
            return True
        return self.every > 0 and event.seq % self.every == 0


class Snapshots(Generic[S]):
    """The snapshots of one run in a store, as states. Raises errors of the store under category SnapshotStore."""

    def __init__(
        self, store: SnapshotStore, run_id: str, codec: StateCodec[S], cadence: SnapshotCadence = SnapshotCadence()
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._codec = codec
        self._cadence = cadence

    def latest(self) -> Snapshot[S] | None:
        """The snapshot with the highest seq. Raises KernelError ``kernel.schema_version`` if it cannot be decoded."""
        with store_errors(Category.SNAPSHOT_STORE, self._run_id):
            stored = self._store.load_latest(self._run_id)
        return None if stored is None else Snapshot(self._run_id, stored.at_seq, self._decoded(stored))

    def latest_within(self, log: RunLog) -> Snapshot[S] | None:
        """The latest snapshot. Raises KernelError ``kernel.snapshot_ahead`` if the log ends before it."""
        snapshot = self.latest()
        if snapshot is not None and snapshot.at_seq > (head := log.head()):
            message = f"the snapshot at seq {snapshot.at_seq} is ahead of the log, which ends at {head}"
            raise self._error(message, "kernel.snapshot_ahead", snapshot.at_seq)
        return snapshot

    def folded(self, event: SequencedEvent, state: S) -> None:
        """Take a snapshot of ``state``, the state after ``event``, if the cadence asks for one."""
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


class InitialStates(Generic[S]):
    """Keeps the first state of each run: a log alone does not say what it is folded from.

    It is stored beside the run's snapshots under a name that no run can have (run ids hold no control characters), so
    that neither pruning nor dropping snapshots removes it.
    """

    def __init__(self, store: SnapshotStore, codec: StateCodec[S]) -> None:
        self._store = store
        self._codec = codec

    def keep(self, run_id: str, state: S) -> None:
        """Store the first state of a run about to begin. Raises KernelError of category SnapshotStore."""
        text = self._codec.encode(state).decode()
        with store_errors(Category.SNAPSHOT_STORE, run_id):
            self._store.save(initial_name(run_id), 0, text, self._codec.version)

    def find(self, run_id: str) -> S | None:
        """The first state of a run, None if none was stored. Raises KernelError as ``Snapshots.latest`` does."""
        kept = Snapshots(self._store, initial_name(run_id), self._codec).latest()
        return None if kept is None else kept.state


def copy_initial_state(store: SnapshotStore, source: str, branch: str) -> None:
    """Give the run ``branch`` the first state of ``source``, if one is stored. Raises StoreError."""
    kept = store.load_latest(initial_name(source))
    if kept is not None:
        store.save(initial_name(branch), kept.at_seq, kept.text, kept.version)


def initial_name(run_id: str) -> str:
    """The name under which the first state of a run is kept."""
    return f"{run_id}\ninitial state"


class FoldedRun(Generic[S]):
    """A run's log and its fold, the state, while the run is driven.

    ``head`` is the seq of the last event folded, which every append names. ``fold_first`` folds events into a copy
    before they are appended, so that an event that the reducer refuses, or that leads to a state that is not canonical
    JSON, never reaches the log. ``fold_twice`` repeats every fold on a copy to detect a reducer that is not pure (K-3).
    """

    def __init__(
        self,
        log: RunLog,
        reducer: Reducer[S],
        codec: StateCodec[S],
        snapshots: Snapshots[S] | None,
        budget: Budget,
        *,
        fold_first: bool,
        fold_twice: bool,
    ) -> None:
        self._log = log
        self._reducer = reducer
        self._codec = codec
        self._snapshots = snapshots
        self._budget = budget
        self._fold_first = fold_first
        self._fold_twice = fold_twice
        self.state: S
        self.head = 0

    def restore(self, initial: S) -> None:
        """Fold the log, from the latest snapshot or else from ``initial``."""
        snapshot = self._snapshots.latest_within(self._log) if self._snapshots is not None else None
        self.state, self.head = (initial, 0) if snapshot is None else (snapshot.state, snapshot.at_seq)
        for event in self._log.scan(self.head + 1):
            self._fold(event)
        if self._budget.is_limited:
            self._budget.observe(event.event for event in self._log.scan())

    def batch(self, *events: Event) -> Batch:
        """Encode events for the end of the log. Raises KernelError ``kernel.not_canonical``."""
        return self._log.batch(events, self.head)

    def append(self, batch: Batch, *, behind: int | None = None) -> None:
        """Append all events of a batch or none, then fold them; ``behind`` is the head that they were made for.

        Without ``fold_first`` a reducer that raises leaves them in the log. Raises KernelError ``kernel.seq_conflict``
        if another process has appended since.
        """
        if not batch.events:
            return
        if self._fold_first:
            self._codec.encode(fold(self._reducer, self._codec.copy(self.state), batch.events, self._log.run_id))
        self._log.append(batch, self.head if behind is None else behind)
        self._budget.observe(event.event for event in batch.events)
        for event in batch.events:
            self._fold(event)

    def last_event(self) -> Event | None:
        """The last event of the log."""
        return next((event.event for event in self._log.scan(self.head, self.head)), None) if self.head else None

    def _fold(self, event: SequencedEvent) -> None:
        copy = self._codec.copy(self.state) if self._fold_twice else None
        self.state = fold_one(self._reducer, self.state, event, self._log.run_id)
        if copy is not None:
            self._check_purity(copy, event)
        self.head = event.seq
        if self._snapshots is not None:
            self._snapshots.folded(event, self.state)

    def _check_purity(self, copy: S, event: SequencedEvent) -> None:
        again = fold_one(self._reducer, copy, event, self._log.run_id)
        if self._codec.encode(again) != self._codec.encode(self.state):
            message = f"two folds of one {event.kind} came to different states: `reduce` must be pure"
            raise KernelError(Category.REDUCER, message, where=at(self._log.run_id, event.seq))


class ReplayCursor(Generic[S]):
    """Replays runs of a journal: folds stored events, with no executor, step, policy or sink in reach.

    The codec reads snapshots and copies states; nothing is written.
    """

    def __init__(
        self,
        journal: EventJournal,
        reducer: Reducer[S],
        snapshots: SnapshotStore | None = None,
        codec: StateCodec[S] | None = None,
    ) -> None:
        self._journal = journal
        self._reducer = reducer
        self._snapshots = snapshots
        self._codec: StateCodec[S] = codec or StateCodec()

    def replay(self, run_id: str, initial_state: S) -> S:
        """The state of the whole log, the initial state for an unknown run. Raises KernelError as ``fold_one`` does."""
        return self.replay_from(run_id, initial_state, None)

    def replay_from(self, run_id: str, initial_state: S, snapshot: Snapshot[S] | None) -> S:
        """The state of the whole log, folded from a snapshot if one is given."""
        state, start = (initial_state, 1) if snapshot is None else (snapshot.state, snapshot.at_seq + 1)
        return fold(self._reducer, state, RunLog(self._journal, run_id).scan(start), run_id)

    def replay_from_checkpoint(self, run_id: str, initial_state: S) -> S:
        """The state of the whole log, folded from the latest snapshot if there is one."""
        if self._snapshots is None:
            return self.replay(run_id, initial_state)
        snapshots = Snapshots(self._snapshots, run_id, self._codec)
        return self.replay_from(run_id, initial_state, snapshots.latest_within(RunLog(self._journal, run_id)))

    def replay_step(self, run_id: str, state_before: S, from_seq: int) -> ReplaySteps[S]:
        """The states after each event from ``from_seq`` on, given the state just before it."""
        events = list(RunLog(self._journal, run_id).scan(from_seq))
        return ReplaySteps(run_id, state_before, events, self._reducer, self._codec)


class ReplaySteps(Iterator[tuple[S, SequencedEvent]], Generic[S]):
    """Folds one event per step and yields ``(state, event)``; the events are read beforehand."""

    def __init__(
        self, run_id: str, state: S, events: list[SequencedEvent], reducer: Reducer[S], codec: StateCodec[S]
    ) -> None:
        self._run_id = run_id
        self._events = iter(events)
        self._reducer = reducer
        self._codec = codec
        self.current_state = state
        """The state so far."""

    def __next__(self) -> tuple[S, SequencedEvent]:
        """The next event and a copy of the state after it. Keeps raising StopIteration after the last."""
        event = next(self._events)
        self.current_state = fold_one(self._reducer, self.current_state, event, self._run_id)
        return self._codec.copy(self.current_state), event
