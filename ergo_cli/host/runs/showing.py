"""One run of a store: where it stands, what it waits for, what happened (spec 40 §11.1)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.host.runs.opening import check_run_exists
from ergo_cli.programs.kernel.events import ActionRequested, Interrupted, SequencedEvent
from ergo_cli.programs.kernel.lifecycle import DerivedStatus, end_of_log
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.timeline import RunStatusSummary, RunTimeline, derived_status, run_timeline
from ergo_cli.stores.locating import RunStore
from ergo_cli.stores.snapshots import StoredSnapshot

_LAST_EVENTS = 5


class ShownRun(Struct, frozen=True):
    """A run at its end; ``status`` is the original's word for it, ``derived_status`` the truthful one.

    ``interrupt`` is the one that nobody has answered, ``request`` the last event if it is a request without result.
    """

    run_id: str
    head: int
    status: RunStatusSummary
    derived_status: DerivedStatus
    snapshot: StoredSnapshot | None
    interrupt: Interrupted | None
    request: ActionRequested | None
    last_events: list[SequencedEvent]


class TimedRun(Struct, frozen=True):
    """A run event by event."""

    timeline: RunTimeline
    derived_status: DerivedStatus


def show_run(store: RunStore, run_id: str) -> ShownRun:
    """Where a run stands; its log is read from the first event to the last.

    Raises StoreError ``store.not_found``, and KernelError for a log that cannot be read.
    """
    timed = time_run(store, run_id)
    log = RunLog(store.journal, run_id)
    end = end_of_log(log)
    return ShownRun(
        run_id=run_id,
        head=end.head,
        status=timed.timeline.final_status,
        derived_status=timed.derived_status,
        snapshot=store.snapshots.load_latest(run_id),
        interrupt=end.lifecycle if isinstance(end.lifecycle, Interrupted) else None,
        request=end.last if isinstance(end.last, ActionRequested) else None,
        last_events=list(log.scan(max(end.head - _LAST_EVENTS + 1, 1))),
    )


def time_run(store: RunStore, run_id: str) -> TimedRun:
    """The timeline of a run. Raises as ``show_run``."""
    check_run_exists(store, run_id)
    return TimedRun(run_timeline(store.journal, run_id), derived_status(store.journal, run_id))
