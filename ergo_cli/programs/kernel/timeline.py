"""What happened in a run, event by event (spec 40 §3.13, §11.1)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.kernel.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    StateUpdated,
)
from ergo_cli.programs.kernel.lifecycle import DerivedStatus, status_after
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.stores.journals import EventJournal


class CompletedSummary(Struct, frozen=True, tag_field="status", tag="Completed"):
    """``{"status":"Completed"}``: also of a run that never failed nor blocked."""


class BlockedSummary(Struct, frozen=True, tag_field="status", tag="Blocked"):
    """``{"status":"Blocked","interrupt":true}``."""

    interrupt: bool = True


class FailedSummary(Struct, frozen=True, tag_field="status", tag="Failed"):
    """``{"status":"Failed","recoverable":false}``."""

    recoverable: bool = False


RunStatusSummary = CompletedSummary | BlockedSummary | FailedSummary


class TimelineEntry(Struct, frozen=True, omit_defaults=True):
    """One event of a run; ids that the event does not have are left out."""

    seq: int
    kind: str
    step_id: str | None = None
    action_id: str | None = None


class RunTimeline(Struct, frozen=True):
    """A run's events and what they came to.

    ``final_status`` is the original's: the last of ActionFailed, Interrupted and Completed decides, else Completed.
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
    """Where a run really stands: blocked only until it was resumed, failed only until it went on.

    Reads its last event alone. Raises KernelError for one that cannot be read.
    """
    log = RunLog(journal, run_id)
    head = log.head()
    last = next(log.scan(head, head), None)
    return DerivedStatus.EMPTY if last is None else status_after(last.event)


def ids_of(event: Event) -> tuple[str | None, str | None]:
    """The step id and the action id of an event, where it has them."""
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
