"""What would have become of a run if another event had happened (spec 40 §3.17, §11.3)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel.events import Event, Seq, SequencedEvent
from ergo_cli.programs.kernel.reducers import Reducer, fold
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.stores.journals import EventJournal

S = TypeVar("S")


class ForkMode(Enum):
    """Whether the alternate event comes before the source's next event, as in the original, or in its place."""

    INSERT = "insert"
    REPLACE = "replace"


class TimelineFork(Struct, frozen=True):
    """Where a branch leaves its source."""

    source_run_id: str
    branch_id: str
    fork_point_seq: Seq
    alternate_event: Event | None


class ForkResult(Struct, Generic[S], frozen=True):
    """A branch and the state it comes to."""

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
    """Fold the source with the alternate event behind the fork point.

    The source's later events keep their seqs in the fold, whatever the mode. With ``persist`` the branch is written
    as a run of its own, in one append: raises KernelError ``kernel.seq_conflict`` if there is such a run.
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
    """Fold the whole source under another name. Nothing is written."""
    return fork(journal, TimelineFork(source_run_id, branch_id, 0, None), initial_state, reducer)


def _branch(source: RunLog, branching: TimelineFork, mode: ForkMode) -> Iterator[SequencedEvent]:
    at, alternate = branching.fork_point_seq, branching.alternate_event
    yield from source.scan(1, at) if at else ()
    if alternate is not None:
        yield SequencedEvent(at + 1, alternate)
    replaced = alternate is not None and mode is ForkMode.REPLACE
    yield from source.scan(at + 2 if replaced else at + 1)
