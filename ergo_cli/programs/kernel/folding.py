"""The state of a run while it is driven: always the fold of its log (spec 40 §5.2–5.4)."""

from __future__ import annotations

from typing import Generic, TypeVar

from ergo_cli.programs.kernel.budget import Budget
from ergo_cli.programs.kernel.errors import Category, KernelError, at
from ergo_cli.programs.kernel.events import Event, SequencedEvent
from ergo_cli.programs.kernel.reducers import Reducer, fold, fold_one
from ergo_cli.programs.kernel.run_log import Batch, RunLog
from ergo_cli.programs.kernel.snapshotting import Snapshots
from ergo_cli.programs.kernel.state import StateCodec

S = TypeVar("S")


class FoldedRun(Generic[S]):
    """A run's log and the state it folds to. ``head`` is the last event folded, which every append names.

    With ``fold_first`` events are folded into a copy before they are appended: what a reducer refuses, or turns into
    a state that is no canonical JSON, never reaches the log. With ``fold_twice`` every fold is repeated on a copy, and
    a reducer that is not pure is found out (K-3).
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
        """Fold the log: from the latest snapshot if there is one, else from ``initial``."""
        snapshot = self._snapshots.latest_within(self._log) if self._snapshots is not None else None
        self.state, self.head = (initial, 0) if snapshot is None else (snapshot.state, snapshot.at_seq)
        for event in self._log.scan(self.head + 1):
            self._fold(event)
        if self._budget.is_limited:
            self._budget.observe(event.event for event in self._log.scan())

    def batch(self, *events: Event) -> Batch:
        """Events as they will stand in the log. Raises KernelError ``kernel.not_canonical``."""
        return self._log.batch(events, self.head)

    def append(self, batch: Batch, *, behind: int | None = None) -> None:
        """Append all events of a batch or none, then fold them; ``behind`` is the head that was seen by their author.

        A reducer that raises leaves them in the log, unless it was asked first. Raises KernelError
        ``kernel.seq_conflict`` where the run has gone on since.
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
