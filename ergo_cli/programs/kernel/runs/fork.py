"""Compute the result of a run with another event, or with a resumption (spec 40 §3.16–3.17, §10.6, §11.3)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.kernel.engine.events import Event, Resumed, RunLog, Seq, SequencedEvent
from ergo_cli.programs.kernel.engine.state import Reducer, fold, fold_one
from ergo_cli.stores.journals import EventJournal

S = TypeVar("S")


class ForkMode(Enum):
    """Whether the alternate event precedes the source's next event, as in the original, or replaces it."""

    INSERT = "insert"
    REPLACE = "replace"


class TimelineFork(Struct, frozen=True):
    """Where a branch leaves its source."""

    source_run_id: str
    branch_id: str
    fork_point_seq: Seq
    alternate_event: Event | None


class ForkResult(Struct, Generic[S], frozen=True):
    """A branch and its final state."""

    fork: TimelineFork
    final_state: S


def fork(
    journal: EventJournal,
    branching: TimelineFork,
    initial_state: S,
    reducer: Reducer[S],
    *,
    mode: ForkMode = ForkMode.INSERT,
    persist: bool = False,
) -> ForkResult[S]:
    """Fold the source with the alternate event after the fork point.

    The source's later events keep their seqs in the fold in both modes. ``persist`` writes the branch as a new run in
    one append; raises KernelError ``kernel.seq_conflict`` if that run exists.
    """
    source = RunLog(journal, branching.source_run_id)
    state = fold(reducer, initial_state, _branch(source, branching, mode), branching.source_run_id)
    if persist:
        branch = RunLog(journal, branching.branch_id)
        branch.append(branch.batch((event.event for event in _branch(source, branching, mode)), 0), 0)
    return ForkResult(branching, state)


def clone_timeline(
    journal: EventJournal, source_run_id: str, branch_id: str, initial_state: S, reducer: Reducer[S]
) -> ForkResult[S]:
    """Fold the whole source under another run id. Writes nothing."""
    return fork(journal, TimelineFork(source_run_id, branch_id, 0, None), initial_state, reducer)


def _branch(source: RunLog, branching: TimelineFork, mode: ForkMode) -> Iterator[SequencedEvent]:
    at, alternate = branching.fork_point_seq, branching.alternate_event
    yield from source.scan(1, at) if at else ()
    if alternate is not None:
        yield SequencedEvent(at + 1, alternate)
    replaced = alternate is not None and mode is ForkMode.REPLACE
    yield from source.scan(at + 2 if replaced else at + 1)


class ResumeDecision(Struct, frozen=True):
    """The value to resume with, and metadata for the caller's own use."""

    value: FreeValue
    metadata: FreeValue = None


class ResumeResult(Struct, Generic[S], frozen=True):
    """The state after the resumption; ``idempotent`` if the log already ends in one."""

    state: S
    events_replayed: int
    idempotent: bool


class ReplayResume(Generic[S]):
    """Folds a run without its resumptions and with one more at its end. Writes nothing."""

    def __init__(self, journal: EventJournal, reducer: Reducer[S]) -> None:
        self._journal = journal
        self._reducer = reducer

    def resume(self, run_id: str, decision: ResumeDecision, initial_state: S) -> ResumeResult[S]:
        """The state that the decision leads to; adds no second resumption to a log that ends in one."""
        state, replayed, last = initial_state, 0, None
        for event in RunLog(self._journal, run_id).scan():
            last = event.event
            if not isinstance(last, Resumed):
                state, replayed = fold_one(self._reducer, state, event, run_id), replayed + 1
        idempotent = isinstance(last, Resumed)
        if not idempotent:
            replayed += 1
            state = fold_one(self._reducer, state, SequencedEvent(replayed, Resumed(decision.value)), run_id)
        return ResumeResult(state, replayed, idempotent)

    def verify_idempotent(self, run_id: str, decision: ResumeDecision, initial_state: S) -> bool:
        """Whether two calls of ``resume`` agree in state and number of events (K-9)."""
        return self.resume(run_id, decision, initial_state) == self.resume(run_id, decision, initial_state)
