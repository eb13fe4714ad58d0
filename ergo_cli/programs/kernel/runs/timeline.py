"""Views of a run's events: derived status, timeline, execution log, trace (spec 40 §3.13–3.14, §11.1–11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TypeVar, assert_never

from msgspec import Struct

from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    Resumed,
    RunLog,
    Seq,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.state import Reducer, StateCodec, fold_one
from ergo_cli.programs.runs import TimelineEntry
from ergo_cli.stores.journals import EventJournal

S = TypeVar("S")


class DerivedStatus(Enum):
    """The status of a run by its last event."""

    EMPTY = "Empty"
    ACTIVE = "Active"
    BLOCKED = "Blocked"
    FAILED = "Failed"
    COMPLETED = "Completed"


def status_after(event: Event) -> DerivedStatus:
    """The status of a run after this event."""
    match event:
        case Interrupted():
            return DerivedStatus.BLOCKED
        case Completed():
            return DerivedStatus.COMPLETED
        case ActionFailed():
            return DerivedStatus.FAILED
        case StateUpdated() | ActionRequested() | ActionSucceeded() | Resumed():
            return DerivedStatus.ACTIVE
        case _:
            assert_never(event)


class CompletedSummary(Struct, frozen=True, tag_field="status", tag="Completed"):
    """``{"status":"Completed"}``: also for a run that neither failed nor blocked."""


class BlockedSummary(Struct, frozen=True, tag_field="status", tag="Blocked"):
    """``{"status":"Blocked","interrupt":true}``."""

    interrupt: bool = True


class FailedSummary(Struct, frozen=True, tag_field="status", tag="Failed"):
    """``{"status":"Failed","recoverable":false}``."""

    recoverable: bool = False


RunStatusSummary = CompletedSummary | BlockedSummary | FailedSummary


class RunTimeline(Struct, frozen=True):
    """A run's events and its final status.

    ``final_status`` follows the original: the last of ActionFailed, Interrupted and Completed decides, else Completed.
    """

    run_id: str
    events: list[TimelineEntry]
    final_status: RunStatusSummary


def run_timeline(journal: EventJournal, run_id: str) -> RunTimeline:
    """The timeline of a run. Raises KernelError for a log that cannot be read."""
    entries: list[TimelineEntry] = []
    status: RunStatusSummary = CompletedSummary()
    for event in RunLog(journal, run_id).scan():
        step_id, action_id = ids_of(event.event)
        entries.append(TimelineEntry(event.seq, event.kind, step_id, action_id))
        status = _summary_after(event.event, status)
    return RunTimeline(run_id, entries, status)


def derived_status(journal: EventJournal, run_id: str) -> DerivedStatus:
    """The current status of a run: blocked only until resumed, failed only until continued.

    Reads only its last event. Raises KernelError if that cannot be decoded.
    """
    log = RunLog(journal, run_id)
    head = log.head()
    last = next(log.scan(head, head), None)
    return DerivedStatus.EMPTY if last is None else status_after(last.event)


def ids_of(event: Event) -> tuple[str | None, str | None]:
    """The step id and the action id of an event, None where it has none."""
    match event:
        case StateUpdated(step_id):
            return step_id, None
        case ActionRequested(action_id) | ActionSucceeded(action_id) | ActionFailed(action_id):
            return None, action_id
        case _:
            return None, None


def _summary_after(event: Event, before: RunStatusSummary) -> RunStatusSummary:
    match event:
        case ActionFailed():
            return FailedSummary()
        case Interrupted():
            return BlockedSummary()
        case Completed():
            return CompletedSummary()
        case _:
            return before


class ExecutionLog(Struct, frozen=True):
    """An event with the run it belongs to; ``state_hash`` is the 32 bytes of the state's hash after it."""

    thread_id: str
    step_id: str | None
    event_index: Seq
    event: Event
    state_hash: list[int] | None = None


class KernelTraceEvent(Struct, frozen=True, omit_defaults=True):
    """An event as kind and ids; a missing time is omitted."""

    run_id: str
    seq: Seq
    step_id: str | None
    action_id: str | None
    kind: str
    timestamp_ms: int | None = None


def scan_execution_log(journal: EventJournal, run_id: str, start: int = 1) -> Iterator[ExecutionLog]:
    """The entries from seq ``start`` on, without state hashes."""
    for event in RunLog(journal, run_id).scan(start):
        step_id, _ = ids_of(event.event)
        yield ExecutionLog(run_id, step_id, event.seq, event.event)


def scan_execution_trace(journal: EventJournal, run_id: str, start: int = 1) -> Iterator[KernelTraceEvent]:
    """The trace from seq ``start`` on."""
    return map(trace_of, scan_execution_log(journal, run_id, start))


def trace_of(entry: ExecutionLog) -> KernelTraceEvent:
    """The trace event of a log entry."""
    _, action_id = ids_of(entry.event)
    return KernelTraceEvent(entry.thread_id, entry.event_index, entry.step_id, action_id, type(entry.event).__name__)


def scan_execution_log_with_state_hashes(
    journal: EventJournal,
    run_id: str,
    state_before: S,
    reducer: Reducer[S],
    codec: StateCodec[S],
    start: int = 1,
) -> Iterator[ExecutionLog]:
    """The entries from seq ``start`` on, each with the hash of the state after it."""
    state = state_before
    for event in RunLog(journal, run_id).scan(start):
        state = fold_one(reducer, state, event, run_id)
        step_id, _ = ids_of(event.event)
        digest = list(bytes.fromhex(codec.digest(state)))
        yield ExecutionLog(run_id, step_id, event.seq, event.event, digest)
