"""What the supervisor of a pipeline knows beside its state (spec 60 §9, §10, §16)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.time import NANOS
from ergo_cli.programs.pipeline.completion import Evidence
from ergo_cli.programs.pipeline.counters import raised
from ergo_cli.programs.pipeline.ids import EventId, StageId
from ergo_cli.programs.pipeline.metrics import FlowMetrics, StageMetrics
from ergo_cli.programs.pipeline.modes import StartupMode
from ergo_cli.programs.pipeline.stop_intent import StopIntent
from ergo_cli.programs.pipeline.system_events import (
    AllStagesCompleted,
    StageCancelled,
    StageCompleted,
    StageDraining,
    StageFact,
    StageFailed,
    StageLifecycle,
    SystemEvent,
)
from ergo_cli.programs.pipeline.topology import StageType, Topology


class Throttle(Struct, frozen=True):
    """A line that is logged at most once in ``interval_ns``; exactly the interval logs again (C-57)."""

    interval_ns: int
    logged_ns: int | None = None

    def is_due(self, now_ns: int) -> bool:
        """Whether the line is logged now."""
        return self.logged_ns is None or now_ns - self.logged_ns >= self.interval_ns


class Read(Struct, frozen=True):
    """An event of the system journal, and how many records end with it."""

    position: int
    event: SystemEvent


class PipelineContext(Struct, frozen=True, kw_only=True):
    """Everything that a decision of the supervisor looks at; a decision returns the next one."""

    evidence: Evidence
    startup: StartupMode = StartupMode.AUTO
    drain_timeout_ms: int | None = None
    """How long completed stages wait for missing contracts; None is without limit."""
    stop: StopIntent = StopIntent()
    running: frozenset[StageId] = frozenset()
    """The stages that have said that they run."""
    settled: frozenset[StageId] = frozenset()
    """The upstream stages whose contract has been decided: of all sources, these have ended."""
    is_marked: bool = False
    """Whether ``all_stages_completed`` is written."""
    metrics: Mapping[StageId, StageMetrics] = {}
    position: int = 0
    """How many records of the system journal are read."""
    last_event: EventId | None = None
    started_ns: int | None = None
    """When the sources were started."""
    idle_drains: int = 0
    """How often a draining pipeline found nothing to read."""
    evidence_awaited_ns: int | None = None
    """Since when all stages have completed while contracts are missing."""
    barrier_log: Throttle = Throttle(NANOS)
    manual_wait_log: Throttle = Throttle(5 * NANOS)

    @property
    def topology(self) -> Topology:
        """The stages and edges of the pipeline."""
        return self.evidence.topology

    def after_reading(self, read: Read) -> PipelineContext:
        """The context after an event was taken from the journal."""
        return replace(self, position=read.position, last_event=read.event.id)

    def with_metrics(self, stage: StageId, metrics: StageMetrics | None) -> PipelineContext:
        """The context with the metrics of a stage, where there are any."""
        return self if metrics is None else replace(self, metrics={**self.metrics, stage: metrics})

    def with_completed(self, stage: StageId) -> tuple[PipelineContext, AllStagesCompleted | None]:
        """What ``HandleStageCompleted`` does: note the completion, and write the marker after the last one, once."""
        evidence = self.evidence.with_completed(stage)
        noted = replace(self, evidence=evidence)
        if evidence is self.evidence or not evidence.has_all_stages or self.is_marked:
            return noted, None
        return replace(noted, is_marked=True), AllStagesCompleted()


def last_metrics(context: PipelineContext, tail: Iterable[Read]) -> PipelineContext:
    """The context with the metrics that stages reported after the last event that was read (§16, C-60).

    ``tail`` holds what follows ``context.position`` (H-2). The end of a stage replaces its metrics, its drain only adds
    missing ones. A pipeline that has read nothing takes nothing in.
    """
    if context.last_event is None:
        return context
    for read in tail:
        match read.event.event:
            case StageLifecycle(stage_id=stage, fact=fact):
                context = context.with_metrics(stage, _reported(context, stage, fact))
            case _:
                pass
        context = context.after_reading(read)
    return context


def flow_metrics(context: PipelineContext) -> FlowMetrics:
    """What the sources read, the sinks wrote and all stages counted as errors (§16, C-61)."""
    read = written = errors = 0
    for stage, metrics in context.metrics.items():
        if stage in context.topology.expected_sources:
            read = raised(read, metrics.events_processed_total)
        if stage in context.topology.by_id and context.topology.by_id[stage].type is StageType.SINK:
            written = raised(written, metrics.events_processed_total)
        errors = raised(errors, metrics.errors_total)
    return FlowMetrics(read, written, errors)


def _reported(context: PipelineContext, stage: StageId, fact: StageFact) -> StageMetrics | None:
    match fact:
        case StageCompleted(metrics) | StageCancelled(metrics=metrics) | StageFailed(metrics=metrics):
            return metrics
        case StageDraining(metrics) if stage not in context.metrics:
            return metrics
        case _:
            return None
