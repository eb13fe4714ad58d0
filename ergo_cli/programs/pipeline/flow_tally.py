"""Count what the records of a flow say of its stages and edges, record by record, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from msgspec import Struct, field

from ergo_cli.programs.pictures import NodeOutcome
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, Delivery
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.ids import EventId, StageId
from ergo_cli.programs.pipeline.receipts import Delivered
from ergo_cli.programs.pipeline.recorded import JournalRecord
from ergo_cli.programs.pipeline.stages.subscription import is_delivered
from ergo_cli.programs.pipeline.system_events import (
    ContractResult,
    ContractStatus,
    PipelineCancelled,
    PipelineCompleted,
    PipelineFact,
    PipelineFailed,
    PipelineLifecycle,
    StageCancelled,
    StageCompleted,
    StageFact,
    StageFailed,
    StageLifecycle,
    SystemEvent,
)
from ergo_cli.programs.pipeline.topology import StageType

_ENDS: Mapping[type, NodeOutcome] = {
    StageCompleted: NodeOutcome.COMPLETED,
    StageCancelled: NodeOutcome.CANCELLED,
    StageFailed: NodeOutcome.FAILED,
    PipelineCompleted: NodeOutcome.COMPLETED,
    PipelineCancelled: NodeOutcome.CANCELLED,
    PipelineFailed: NodeOutcome.FAILED,
}
_PASSING = (StageType.TRANSFORM, StageType.JOIN)
"""Stages that copy events which came marked as errors; the others keep them."""


class StageTally(Struct):
    """A stage so far.

    ``wrote`` counts the data events and receipts in its data journal, ``marked`` those events that it marked as errors
    itself, ``undelivered`` the receipts of events that were not delivered, or in part.
    """

    outcome: NodeOutcome = NodeOutcome.NOT_STARTED
    wrote: int = 0
    marked: int = 0
    undelivered: int = 0
    error_rows: int = 0


class EdgeTally(Struct):
    """An edge so far: ``read`` counts the events that its reader says it has read.

    ``marked`` are the events that came marked as errors and that the reader, if it ``is_passing``, has yet to copy.
    """

    is_passing: bool
    read: int = 0
    marked: deque[EventId] = field(default_factory=deque[EventId])


class FlowTally:
    """The tally of one flow. ``outcome`` is that of the flow itself."""

    def __init__(self, manifest: FlowManifest) -> None:
        self.outcome = NodeOutcome.NOT_STARTED
        self.stages = {name: StageTally() for name in manifest.stages}
        self.edges = {
            (edge.upstream, edge.reader): EdgeTally(manifest.stages[edge.reader].stage_type in _PASSING)
            for edge in manifest.edges
        }
        self._names = {stage.stage_id: name for name, stage in manifest.stages.items()}
        self._into = {name: [self.edges[pair] for pair in self.edges if pair[1] == name] for name in self.stages}
        self._out_of = {name: [self.edges[pair] for pair in self.edges if pair[0] == name] for name in self.stages}

    def take(self, record: JournalRecord) -> None:
        """Count one record."""
        event: object = record.envelope.event
        if isinstance(event, SystemEvent):
            self._take_fact(event)
        elif isinstance(event, ChainEvent) and record.stage is not None:
            self._take_row(record.stage, event, is_error_row=record.label.startswith("error:"))

    def outcome_of(self, name: str) -> NodeOutcome:
        """What became of a stage: one that still runs when the flow has ended is cut off."""
        outcome = self.stages[name].outcome
        return NodeOutcome.CUT_OFF if outcome is NodeOutcome.RUNNING and _is_end(self.outcome) else outcome

    def _take_fact(self, event: SystemEvent) -> None:
        """Take what a fact says; one of another flow's stage changes nothing."""
        match event.event:
            case StageLifecycle(stage_id, fact) if (name := self._name(stage_id)) is not None:
                stage = self.stages[name]
                stage.outcome = _after(stage.outcome, fact)
            case PipelineLifecycle(fact):
                self.outcome = _after(self.outcome, fact)
            case ContractResult() | ContractStatus() as report if report.reader_seq is not None:
                edge = self.edges.get((self._name(report.upstream) or "", self._name(report.reader) or ""))
                if edge is not None:
                    edge.read = max(edge.read, report.reader_seq)
            case _:
                pass

    def _name(self, stage: StageId) -> str | None:
        return self._names.get(stage.display)

    def _take_row(self, name: str, event: ChainEvent, *, is_error_row: bool) -> None:
        stage = self.stages[name]
        if is_error_row:
            stage.error_rows += 1
            return
        match event.content:
            case Delivery(receipt):
                stage.wrote += 1
                stage.undelivered += not isinstance(receipt.result, Delivered)
            case Data() if is_delivered(event):
                stage.wrote += 1
                if event.is_error:
                    stage.marked += not self._was_marked_before(name, event.id)
                    for edge in self._out_of[name]:
                        if edge.is_passing:
                            edge.marked.append(event.id)
            case _:
                pass

    def _was_marked_before(self, name: str, event: EventId) -> bool:
        """Whether a stage copies a marked event; copies keep their ids, and come in the order of each upstream."""
        for edge in self._into[name]:
            if edge.marked and edge.marked[0] == event:
                edge.marked.popleft()
                return True
        return False


def _after(outcome: NodeOutcome, fact: StageFact | PipelineFact) -> NodeOutcome:
    """What has become of a stage, or of the flow, that states a fact: an end stays, whatever follows."""
    return _ENDS.get(type(fact), outcome if _is_end(outcome) else NodeOutcome.RUNNING)


def _is_end(outcome: NodeOutcome) -> bool:
    return outcome in _ENDS.values()
