"""Replay: the fold of stored events, with no executor, step, policy or sink in reach (spec 40 §7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from ergo_cli.programs.kernel.events import SequencedEvent
from ergo_cli.programs.kernel.reducers import Reducer, fold, fold_one
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.snapshotting import Snapshot, Snapshots
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.snapshots import SnapshotStore

S = TypeVar("S")


class ReplayCursor(Generic[S]):
    """Folds runs of a journal and never writes; the codec reads snapshots and copies states."""

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
        """The state of the whole log; of an unknown run the initial state. Raises what the reducer raises."""
        return self.replay_from(run_id, initial_state, None)

    def replay_from(self, run_id: str, initial_state: S, snapshot: Snapshot[S] | None) -> S:
        """The state of the whole log, folded from a snapshot on if one is given."""
        state, start = (initial_state, 1) if snapshot is None else (snapshot.state, snapshot.at_seq + 1)
        return fold(self._reducer, state, RunLog(self._journal, run_id).scan(start), run_id)

    def replay_from_checkpoint(self, run_id: str, initial_state: S) -> S:
        """The state of the whole log, folded from the latest snapshot on if there is one."""
        if self._snapshots is None:
            return self.replay(run_id, initial_state)
        snapshots = Snapshots(self._snapshots, run_id, self._codec)
        return self.replay_from(run_id, initial_state, snapshots.latest_within(RunLog(self._journal, run_id)))

    def replay_step(self, run_id: str, state_before: S, from_seq: int) -> ReplaySteps[S]:
        """The states after each event from ``from_seq`` on, given the state just before it."""
        events = list(RunLog(self._journal, run_id).scan(from_seq))
        return ReplaySteps(run_id, state_before, events, self._reducer, self._codec)


class ReplaySteps(Iterator[tuple[S, SequencedEvent]], Generic[S]):
    """Folds one event a step and yields ``(state, event)``; the events were read when it was made."""

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
        """The next event and a copy of the state after it. Raises StopIteration after the last, again and again."""
        event = next(self._events)
        self.current_state = fold_one(self._reducer, self.current_state, event, self._run_id)
        return self._codec.copy(self.current_state), event
