"""How a flow of a store stands, from what its system journal has: the flow, its stages, its contracts (spec 60 §7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from ergo_cli.programs.pipeline.causes import ViolationCause
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.metrics import StageMetrics
from ergo_cli.programs.pipeline.system_events import (
    ContractStatus,
    PipelineCancelled,
    PipelineCompleted,
    PipelineDrained,
    PipelineDraining,
    PipelineFact,
    PipelineFailed,
    PipelineLifecycle,
    StageCancelled,
    StageCompleted,
    StageDraining,
    StageFact,
    StageFailed,
    StageLifecycle,
    SystemEvent,
)
from ergo_cli.programs.pipeline.terminal_facts import TerminalFact

NOT_BEGUN = "created"
"""The state of a flow, or of a stage, that has said nothing yet."""

CUT_OFF = "cut off"
"""The state of a stage of a flow that has ended, if it does not say how it ended itself."""

StageEnd = StageCompleted | StageCancelled | StageFailed


class StageSummary(Struct, frozen=True, omit_defaults=True):
    """A stage: what it said last of itself, and its counters, which it reports when it drains and when it ends."""

    stage: str
    type: str
    state: str
    events_in: int | None = None
    events_out: int | None = None
    errors: int | None = None
    reason: str | None = None


class ContractSummary(Struct, frozen=True, omit_defaults=True):
    """A contract that failed, or of which nothing is reported though the flow drains or has ended."""

    upstream: str = field(name="from")
    reader: str = field(name="to")
    state: str
    cause: ViolationCause | None = None


class FlowSummary(Struct, frozen=True, omit_defaults=True):
    """The status of a flow: ``state`` is what its supervisor said last; ``failed_stage`` is the first that failed."""

    flow_name: str
    state: str
    reason: str | None = None
    failure_cause: ViolationCause | None = None
    failed_stage: str | None = None
    stages: tuple[StageSummary, ...] = ()
    contracts: tuple[ContractSummary, ...] = ()


class SystemHistory:
    """What the events of a system journal say; of stages that the manifest does not have, nothing."""

    def __init__(self, manifest: FlowManifest, events: Iterable[SystemEvent]) -> None:
        self._manifest = manifest
        self._name_of = {stage.stage_id: name for name, stage in manifest.stages.items()}
        self._state = NOT_BEGUN
        self._is_draining = False
        self._said: dict[str, tuple[str, StageFact]] = {}
        self._metrics: dict[str, StageMetrics] = {}
        self._contracts: dict[tuple[str, str], ContractStatus] = {}
        self._failed_stage: str | None = None
        self.end: TerminalFact | None = None
        for event in events:
            self._read(event)

    @property
    def summary(self) -> FlowSummary:
        """The status of the flow."""
        end = self.end if isinstance(self.end, PipelineFailed | PipelineCancelled) else None
        return FlowSummary(
            flow_name=self._manifest.flow_name,
            state=self._state,
            reason=None if end is None else end.reason,
            failure_cause=None if end is None else end.failure_cause,
            failed_stage=self._failed_stage,
            stages=tuple(map(self._stage, self._manifest.order)),
            contracts=tuple(self._contracts_not_kept()),
        )

    def _read(self, event: SystemEvent) -> None:
        name = event.type_name.rpartition(".")[2]
        match event.event:
            case PipelineLifecycle(fact):
                self._read_of_flow(name, fact)
            case StageLifecycle(stage_id, fact) if stage_id.display in self._name_of:
                self._read_of_stage(self._name_of[stage_id.display], name, fact)
            case ContractStatus(upstream=upstream, reader=reader) as status:
                upstream_name, reader_name = (self._name_of.get(each.display, "") for each in (upstream, reader))
                self._contracts[upstream_name, reader_name] = status
            case _:
                pass

    def _read_of_flow(self, name: str, fact: PipelineFact) -> None:
        match fact:
            case PipelineDrained():
                return
            case PipelineDraining():
                self._is_draining = True
            case PipelineCompleted() | PipelineFailed() | PipelineCancelled():
                self.end = fact
            case _:
                pass
        self._state = name

    def _read_of_stage(self, stage: str, name: str, fact: StageFact) -> None:
        self._said[stage] = name, fact
        if isinstance(fact, StageDraining | StageEnd) and fact.metrics is not None:
            self._metrics[stage] = fact.metrics
        if isinstance(fact, StageFailed) and self._failed_stage is None:
            self._failed_stage = stage

    def _stage(self, name: str) -> StageSummary:
        state, fact = self._said.get(name, (NOT_BEGUN, None))
        metrics = self._metrics.get(name)
        return StageSummary(
            stage=name,
            type=self._manifest.stages[name].stage_type.display,
            state=CUT_OFF if self.end is not None and not isinstance(fact, StageEnd) else state,
            events_in=None if metrics is None else metrics.events_processed_total,
            events_out=None if metrics is None else metrics.events_emitted_total,
            errors=None if metrics is None else metrics.errors_total,
            reason=_reason_of(fact),
        )

    def _contracts_not_kept(self) -> Iterator[ContractSummary]:
        """In the order of the edges."""
        for edge in self._manifest.edges:
            status = self._contracts.get((edge.upstream, edge.reader))
            if status is not None and not status.passed:
                yield ContractSummary(edge.upstream, edge.reader, "failed", status.reason)
            elif status is None and (self._is_draining or self.end is not None):
                yield ContractSummary(edge.upstream, edge.reader, "missing")


def _reason_of(fact: StageFact | None) -> str | None:
    match fact:
        case StageFailed(error=text) | StageCancelled(reason=text):
            return text
        case _:
            return None
