"""End a flow that no process drives, as its supervisor does when it is stopped (spec 60 §17.4)."""

from __future__ import annotations

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.build import SYSTEM
from ergo_cli.programs.pipeline.causes import OtherCause
from ergo_cli.programs.pipeline.flow_records import StoredFlow
from ergo_cli.programs.pipeline.ids import EventId, JournalId, SystemId, SystemWriter
from ergo_cli.programs.pipeline.journal import Journal
from ergo_cli.programs.pipeline.stop_intent import USER_STOP
from ergo_cli.programs.pipeline.stored_flows import journal_run
from ergo_cli.programs.pipeline.system_events import (
    PipelineCancelled,
    PipelineDrained,
    PipelineLifecycle,
    PipelineRunning,
    SystemEvent,
    read_system_event,
)


def append_cancelled(flow: StoredFlow) -> None:
    """Append the facts ``cancelled`` and ``drained`` to the system journal of a flow that has not ended.

    They have the time of the last fact there, and no metrics: stages that were cut off report none. The manifest is not
    needed. Raises JournalError.
    """
    made_for = f"ergo.pipeline:cancel:{flow.id}"
    system_id, started_ms, now_ms = SystemId.digest_of(made_for), None, 0
    for fact in flow.system_events():
        now_ms = fact.timestamp
        if isinstance(fact.writer_id, SystemWriter):
            system_id = fact.writer_id.id
        if isinstance(fact.event, PipelineLifecycle) and isinstance(fact.event.fact, PipelineRunning):
            started_ms = now_ms
    ran_ms = 0 if started_ms is None else max(now_ms - started_ms, 0)
    journal = Journal(
        flow.journal,
        journal_run(flow.id, SYSTEM),
        journal_id=JournalId.digest_of(made_for),
        owner=system_id,
        read_event=read_system_event,
        now=lambda: Timestamp.of_millis(now_ms),
    )
    for said in (PipelineCancelled(USER_STOP, ran_ms, failure_cause=OtherCause(USER_STOP)), PipelineDrained()):
        event_id = EventId.digest_of(f"{made_for}:{journal.head}")
        journal.append(SystemEvent(event_id, SystemWriter(system_id), PipelineLifecycle(said), now_ms))
