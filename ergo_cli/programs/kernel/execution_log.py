"""Two more views of a run's events: the execution log and the trace (spec 40 §3.14, §11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel.events import Event, Seq
from ergo_cli.programs.kernel.reducers import Reducer, fold_one
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.programs.kernel.timeline import ids_of
from ergo_cli.stores.journals import EventJournal

S = TypeVar("S")


class ExecutionLog(Struct, frozen=True):
    """An event with the run it belongs to; ``state_hash`` is the 32 bytes of the state's hash after it."""

    thread_id: str
    step_id: str | None
    event_index: Seq
    event: Event
    state_hash: list[int] | None = None


class KernelTraceEvent(Struct, frozen=True, omit_defaults=True):
    """An event by its kind and ids alone; the time is left out where there is none."""

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
