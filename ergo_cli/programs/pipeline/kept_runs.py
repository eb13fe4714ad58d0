"""Flows of a store: listed, shown, told record by record, cancelled (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct, UnsetType

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, record_text
from ergo_cli.core.time import Clock
from ergo_cli.programs.pipeline.archive_export import FORM, export_archive
from ergo_cli.programs.pipeline.cancelling import append_cancelled
from ergo_cli.programs.pipeline.causes import OtherCause, ViolationCause, cause_text
from ergo_cli.programs.pipeline.errors import JournalError, PipelineError
from ergo_cli.programs.pipeline.flow_records import (
    CausalPlace,
    StoredFlow,
    StoredRecord,
    every_flow,
    is_flow_id,
)
from ergo_cli.programs.pipeline.flow_summary import FlowSummary, StageSummary
from ergo_cli.programs.pipeline.leases import driving
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.record_lines import name_of, parts_of
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES, MANIFEST, end_of, flow_of, journal_run
from ergo_cli.programs.pipeline.system_events import (
    ContractResult,
    ContractStatus,
    PipelineCancelled,
    PipelineCompleted,
    PipelineFailed,
    StageLifecycle,
    SystemEvent,
)
from ergo_cli.programs.pipeline.terminal_facts import TerminalFact
from ergo_cli.programs.runs import (
    CancelledRun,
    Export,
    ForkedRun,
    ListedRun,
    ResumedRun,
    Resumption,
    RunParts,
    RunRecord,
    RunTable,
    ShownRun,
    Standing,
    TimedRun,
    run_not_found,
)
from ergo_cli.programs.seat import CallWithin
from ergo_cli.stores.backends import RunStore
from ergo_cli.stores.database import RunTables

_OF_ONE_FLOW = ("pipeline.journal_corrupt", "pipeline.journal_foreign")
_COUNTS = frozenset({"in", "out", "errors"})


class FlowTimelineEntry(Struct, frozen=True, omit_defaults=True):
    """One record of a flow: its journal, its number there, its event, the stage that it is about."""

    seq: int
    kind: str
    journal: str
    stage: str | None = None


class PipelineRuns(Struct, frozen=True):
    """What ``ergo runs`` can do with flows. Every method raises JournalError."""

    tables: RunTables = FLOW_TABLES
    exports: Mapping[str, Export] = MappingProxyType({FORM: export_archive})

    def is_run_id(self, text: str) -> bool:
        """Whether a text is the id of a flow: ``flow_`` and a ULID."""
        return is_flow_id(text)

    def run_ids(self, store: RunStore) -> list[str]:
        """The ids of all flows, ascending."""
        return [flow.id for flow in every_flow(store.journal)]

    def has(self, store: RunStore, run_id: str) -> bool:
        """Whether the store has anything of a flow."""
        return run_id in self.run_ids(store)

    def list(self, store: RunStore) -> list[ListedRun]:
        """Every flow, ascending by id; of its journals only the numbers of records and the system's end are read."""
        return [_listed(flow) for flow in every_flow(store.journal)]

    def show(self, store: RunStore, run_id: str) -> ShownRun:
        """The status of a flow, and the last record of each journal; only the system journal is read whole.

        Raises StoreError ``store.not_found``.
        """
        flow = _flow(store, run_id)
        history = flow.history
        summary = history.summary
        return ShownRun(
            run_id=run_id,
            head=flow.count,
            status=wire.encode(summary),
            standing=_standing(history.end),
            snapshot=None,
            interrupt=None,
            question=None,
            request=None,
            last_records=list(map(_shown_record, flow.last_records())),
            about=list(_about(summary, has_ended=history.end is not None)),
            tables=(_stage_table(summary), _contract_table(summary)),
        )

    def timeline(self, store: RunStore, run_id: str) -> TimedRun:
        """All records of a flow in causal order; holds a line of each, not its content. Raises as ``show``."""
        flow = _flow(store, run_id)
        history = flow.history
        names = {stage.stage_id: name for name, stage in flow.manifest.stages.items()}
        entries = [entry for _, entry in sorted(_placed_entries(flow, names))]
        return TimedRun(
            run_id=run_id,
            records=list(map(wire.encode, entries)),
            rows=[(entry.seq, entry.journal, entry.stage, entry.kind) for entry in entries],
            final_status=wire.encode(history.summary),
            standing=_standing(history.end),
            columns=("seq", "journal", "stage", "event"),
        )

    def resume(
        self,
        store: RunStore,
        program: PipelineProgram,
        run_id: str,
        asked: Resumption,
        clock: Clock,
        entropy: Callable[[int], bytes] = bytes,
        within: CallWithin | None = None,
    ) -> ResumedRun:
        """Refuse: a flow needs its events to go on.

        Raises StoreError ``store.not_found``, PipelineError ``pipeline.already_completed``, ``pipeline.not_resumable``.
        """
        flow = _flow(store, run_id)
        _check_unended(flow)
        raise PipelineError(
            "pipeline.not_resumable",
            "a flow goes on with the events that it was begun with, and the store does not have them",
            where=_where(run_id),
        )

    def parts(self, store: RunStore, run_id: str) -> RunParts:
        """The journals of a flow; that of its manifest, which begins it, is the last."""
        manifest = journal_run(run_id, MANIFEST)
        journals = [name for name in store.journal.runs() if self.is_part(run_id, name) and name != manifest]
        return RunParts([*journals, manifest])

    def is_part(self, run_id: str, name: str) -> bool:
        """Whether a name is that of a journal of the flow."""
        return flow_of(name) == run_id

    def artifacts(self, store: RunStore, run_id: str) -> tuple[()]:
        """None: flows name no artifacts."""
        return ()

    def cancel(self, store: RunStore, run_id: str, *, was_asked: bool) -> CancelledRun:
        """Append the end of a flow that no process drives.

        Raises StoreError ``store.not_found``; PipelineError ``pipeline.run_busy``, ``pipeline.already_completed`` for a
        flow that has ended, unless as cancelled by the driver that was asked.
        """
        flow = _flow(store, run_id)
        with driving(store.leases, run_id) as lease:
            is_done = was_asked and isinstance(end_of(flow.journal, run_id), PipelineCancelled)
            if not is_done:
                _check_unended(flow)
                append_cancelled(flow)
            if lease is not None:
                lease.has_ended = True
            return CancelledRun(run_id, _flow(store, run_id).count, was_driven=is_done)

    def fork(self, store: RunStore, source: str, at: int, branch: str, event: JsonValue | UnsetType) -> ForkedRun:
        """Refuse: the records of a flow are in journals that go on together.

        Raises StoreError ``store.not_found``, PipelineError ``pipeline.not_forkable``.
        """
        _flow(store, source)
        message = "a flow has a journal for each stage, and no record that all of them could be cut off at"
        raise PipelineError("pipeline.not_forkable", message, where=_where(source))


def _flow(store: RunStore, run_id: str) -> StoredFlow:
    """A flow of a store. Raises StoreError ``store.not_found``."""
    flows = {flow.id: flow for flow in every_flow(store.journal)}
    if run_id not in flows:
        raise run_not_found(run_id, flows)
    return flows[run_id]


def _where(run_id: str) -> str:
    return f"run '{run_id}'"


def _check_unended(flow: StoredFlow) -> None:
    """Raise PipelineError ``pipeline.already_completed`` for a flow that has ended, saying how."""
    end = end_of(flow.journal, flow.id)
    if end is not None:
        reason = "" if isinstance(end, PipelineCompleted) else f": {end.reason}"
        message = f"the flow '{flow.id}' has ended: {_standing(end).value}{reason}"
        raise PipelineError("pipeline.already_completed", message, where=_where(flow.id))


def _standing(end: TerminalFact | None) -> Standing:
    match end:
        case None:
            return Standing.ACTIVE
        case PipelineCompleted():
            return Standing.COMPLETED
        case PipelineFailed():
            return Standing.FAILED
        case PipelineCancelled():
            return Standing.CANCELLED


def _listed(flow: StoredFlow) -> ListedRun:
    try:
        name, end = flow.manifest.flow_name, end_of(flow.journal, flow.id)
        return ListedRun(flow.id, flow.count, _standing(end), program=name)
    except JournalError as error:
        if error.code not in _OF_ONE_FLOW:
            raise
        return ListedRun(flow.id, error=error)


def _shown_record(stored: StoredRecord) -> RunRecord:
    name, fields = parts_of(stored.record)
    content = record_text(fields) if fields else None
    return RunRecord(stored.seq, name, stored.record.label, stored.record.text, content)


def _placed_entries(flow: StoredFlow, names: Mapping[str, str]) -> Iterator[tuple[CausalPlace, FlowTimelineEntry]]:
    """A line for each record, with its place in the causal order; ``names`` of stages by their ids."""
    for label in flow.labels:
        for stored in flow.records(label):
            yield stored.causal_place, _entry(stored, names)


def _entry(stored: StoredRecord, names: Mapping[str, str]) -> FlowTimelineEntry:
    record = stored.record
    stage = record.stage
    match record.envelope.event:
        case SystemEvent(event=StageLifecycle(stage_id=of) | ContractStatus(reader=of) | ContractResult(reader=of)):
            stage = names.get(of.display)
        case _:
            pass
    return FlowTimelineEntry(stored.seq, name_of(record), record.label, stage)


def _about(summary: FlowSummary, *, has_ended: bool) -> Iterator[tuple[str, str]]:
    yield "program", summary.flow_name
    if not has_ended:
        yield "state", summary.state
    if summary.reason is not None:
        yield "reason", summary.reason
    if summary.failure_cause is not None and summary.failure_cause != OtherCause(summary.reason or ""):
        yield "cause", _cause_text(summary.failure_cause)
    if summary.failed_stage is not None:
        yield "failed stage", summary.failed_stage


def _stage_table(summary: FlowSummary) -> RunTable:
    rows = [
        (stage.stage, stage.type, *map(_number, (stage.events_in, stage.events_out, stage.errors)), _state_text(stage))
        for stage in summary.stages
    ]
    return RunTable(("stage", "type", "in", "out", "errors", "state"), rows, _COUNTS)


def _contract_table(summary: FlowSummary) -> RunTable:
    rows = [
        (
            f"{broken.upstream} > {broken.reader}",
            broken.state,
            "-" if broken.cause is None else cause_text(broken.cause),
        )
        for broken in summary.contracts
    ]
    return RunTable(("contract", "state", "cause"), rows)


def _number(count: int | None) -> str:
    return "-" if count is None else str(count)


def _state_text(stage: StageSummary) -> str:
    return stage.state if stage.reason is None else f"{stage.state}: {stage.reason}"


def _cause_text(cause: ViolationCause | None) -> str:
    match cause:
        case None:
            return "-"
        case OtherCause(text):
            return text
        case _:
            return cause_text(cause)
