"""A run of its own made of the beginning of another (spec 40 §11.3)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.errors import UsageError
from ergo_cli.host.runs.opening import check_run_exists
from ergo_cli.programs.kernel.errors import Category, KernelError, at
from ergo_cli.programs.kernel.events import Event
from ergo_cli.programs.kernel.fork import TimelineFork
from ergo_cli.programs.kernel.initial_states import copy_initial_state
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.stores.locating import RunStore


class ForkedRun(Struct, frozen=True):
    """A branch that was written, and the number of its events."""

    fork: TimelineFork
    head: int


def fork_run(store: RunStore, branching: TimelineFork) -> ForkedRun:
    """Write the branch: the source's events up to the fork point, then the alternate event, in one append.

    What the source did behind the fork point stays out, so that the branch can go its own way, and the source's later
    events need not be readable. Raises StoreError ``store.not_found``, KernelError ``kernel.seq_conflict`` for a branch
    that has events already, UsageError ``cli.invalid_option_value`` for a fork point that is not in the log.
    """
    source, branch = RunLog(store.journal, branching.source_run_id), RunLog(store.journal, branching.branch_id)
    check_run_exists(store, source.run_id)
    _check_fork_point(branching, source.head())
    if branch.head():
        raise _branch_exists(branch.run_id)
    store.snapshots.drop(branch.run_id)
    copy_initial_state(store.snapshots, source.run_id, branch.run_id)
    events: list[Event] = [event.event for event in source.scan(1, branching.fork_point_seq)]
    if branching.alternate_event is not None:
        events.append(branching.alternate_event)
    branch.append(branch.batch(events, 0), 0)
    return ForkedRun(branching, len(events))


def _check_fork_point(branching: TimelineFork, head: int) -> None:
    seq = branching.fork_point_seq
    if seq > head:
        message = f"run '{branching.source_run_id}' has no event {seq}: its last one is {head}"
    elif seq == 0 and branching.alternate_event is None:
        message = "a branch without events cannot be kept"
    else:
        return
    fix = f"choose --at between 1 and {head}"
    raise UsageError("cli.invalid_option_value", message, where="option --at", fix=fix)


def _branch_exists(run_id: str) -> KernelError:
    fix = "choose another name with --as"
    text = f"there is a run '{run_id}' already"
    return KernelError(Category.EVENT_STORE, text, code="kernel.seq_conflict", where=at(run_id), fix=fix)
