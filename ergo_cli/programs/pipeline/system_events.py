"""The events of a system journal: lifecycles, contracts, replay, metrics (spec 60 §7)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, cast, get_args

from msgspec import Struct, field

from ergo_cli.core import wire
from ergo_cli.core.wire import FLAT, REPEATED, FreeValue
from ergo_cli.programs.pipeline.causes import ContractCause, ViolationCause
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.ids import EventId, StageId, WriterId
from ergo_cli.programs.pipeline.metrics import FlowMetrics, StageMetrics


class _StageFact(Struct, frozen=True, omit_defaults=True, tag_field="lifecycle_event"):
    """What a stage says about itself."""


class StageRunning(_StageFact, frozen=True, tag="running"):
    """It runs."""


class StageDraining(_StageFact, frozen=True, tag="draining"):
    """It takes no new input."""

    metrics: StageMetrics | None = None


class StageDrained(_StageFact, frozen=True, tag="drained"):
    """It has worked off what it had."""


class StageCompleted(_StageFact, frozen=True, tag="completed"):
    """It is done: the fact that completion is made of."""

    metrics: StageMetrics | None = None


class StageCancelled(_StageFact, frozen=True, tag="cancelled"):
    """It was stopped."""

    reason: str
    metrics: StageMetrics | None = None


class StageFailed(_StageFact, frozen=True, tag="failed"):
    """It cannot go on."""

    error: str
    recoverable: bool | None = None
    metrics: StageMetrics | None = None


StageFact = StageRunning | StageDraining | StageDrained | StageCompleted | StageCancelled | StageFailed


class StopMode(Enum):
    """How a stop was asked for."""

    CANCEL = "cancel"
    GRACEFUL = "graceful"


class _PipelineFact(Struct, frozen=True, omit_defaults=True, tag_field="pipeline_event"):
    """What a pipeline's supervisor says about the flow."""


class PipelineStarting(_PipelineFact, frozen=True, tag="starting"):
    """Sources are about to start."""


class PipelineReadyForRun(_PipelineFact, frozen=True, tag="ready_for_run"):
    """All stages but the sources run."""

    stage_count: Count | None = None


class PipelineRunning(_PipelineFact, frozen=True, tag="running"):
    """The flow runs."""

    stage_count: Count | None = None


class PipelineStopRequested(_PipelineFact, frozen=True, tag="stop_requested"):
    """A stop was asked for, a graceful one with its time."""

    mode: StopMode
    timeout_ms: Count | None = None


class PipelineDraining(_PipelineFact, frozen=True, tag="draining"):
    """The sources are done, the flow works off what it has."""

    metrics: FlowMetrics | None = None


class AllStagesCompleted(_PipelineFact, frozen=True, tag="all_stages_completed"):
    """Every stage is done."""

    metrics: FlowMetrics | None = None


class PipelineDrained(_PipelineFact, frozen=True, tag="drained"):
    """The supervisor is done; how the flow ended stands before."""


class PipelineCompleted(_PipelineFact, frozen=True, tag="completed"):
    """Terminal: the flow is done."""

    duration_ms: Count
    metrics: FlowMetrics


class PipelineFailed(_PipelineFact, frozen=True, tag="failed"):
    """Terminal: the flow could not go on."""

    reason: str
    duration_ms: Count
    metrics: FlowMetrics | None = None
    failure_cause: ViolationCause | None = None


class PipelineCancelled(_PipelineFact, frozen=True, tag="cancelled"):
    """Terminal: the flow was stopped."""

    reason: str
    duration_ms: Count
    metrics: FlowMetrics | None = None
    failure_cause: ViolationCause | None = None


PipelineFact = (
    PipelineStarting
    | PipelineReadyForRun
    | PipelineRunning
    | PipelineStopRequested
    | PipelineDraining
    | AllStagesCompleted
    | PipelineDrained
    | PipelineCompleted
    | PipelineFailed
    | PipelineCancelled
)

TERMINAL_FACTS = (PipelineCompleted, PipelineFailed, PipelineCancelled)
"""The facts of which a run has exactly one."""


class ArchiveStatus(Enum):
    """How the run of an archive ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class StatusDerivation(Struct, frozen=True, omit_defaults=True):
    """How the status of an archive was found: the last of so many terminal events."""

    terminal_events_found: Count
    chosen: ArchiveStatus
    warning: str | None = None


class _ReplayFact(Struct, frozen=True, tag_field="replay_event"):
    """What a replay of an archive says."""


class ReplayStarted(_ReplayFact, frozen=True, tag="started"):
    """Before the first event."""

    archive_path: str
    archive_flow_id: str
    archive_status: ArchiveStatus
    archive_status_derivation: StatusDerivation
    allow_incomplete: bool
    source_stages: tuple[str, ...]


class ReplayCompleted(_ReplayFact, frozen=True, tag="completed"):
    """At the end."""

    replayed_count: Count
    skipped_count: Count
    duration_ms: Count


ReplayFact = ReplayStarted | ReplayCompleted


class _MetricsFact(Struct, frozen=True, tag_field="metrics_event"):
    """What the aggregator of metrics and the supervisor say to each other."""


class MetricsReady(_MetricsFact, frozen=True, tag="ready"):
    """The aggregator reads."""


class MetricsDrainRequested(_MetricsFact, frozen=True, tag="drain_requested"):
    """The aggregator is to finish."""


class MetricsDrained(_MetricsFact, frozen=True, tag="drained"):
    """The aggregator has read everything."""


class MetricsShutdown(_MetricsFact, frozen=True, tag="shutdown"):
    """The aggregator is done."""


class MetricsExported(_MetricsFact, frozen=True, tag="exported"):
    """The aggregator has exported what happened up to a clock."""

    watermark: VectorClock


MetricsFact = MetricsReady | MetricsDrainRequested | MetricsDrained | MetricsShutdown | MetricsExported


class _SystemFact(Struct, frozen=True, omit_defaults=True, tag_field="system_event_type"):
    """What a system event says."""


class StageLifecycle(_SystemFact, frozen=True, tag="stage_lifecycle"):
    """A fact about one stage."""

    stage_id: StageId
    fact: Annotated[StageFact, FLAT]


class PipelineLifecycle(_SystemFact, frozen=True, tag="pipeline_lifecycle"):
    """A fact about the flow."""

    fact: Annotated[PipelineFact, FLAT]


class ContractStatus(_SystemFact, frozen=True, kw_only=True, tag="contract_status"):
    """The gating fact of an edge; final where the writer's total is known."""

    upstream: StageId
    reader: StageId
    selected_event_type: str | None = None
    feed_role: str | None = None
    passed: bool = field(name="pass")
    reader_seq: Count | None = None
    advertised_writer_seq: Count | None = None
    reason: ViolationCause | None = None


class ContractResult(_SystemFact, frozen=True, tag="contract_result"):
    """How one contract of an edge stands: ``passed``, ``failed``, ``pending``, ``healthy``; gates nothing."""

    upstream: StageId
    reader: StageId
    contract_name: str
    status: str
    cause: str | None = None
    reader_seq: Count | None = None
    advertised_writer_seq: Count | None = None


class ContractOverrideByPolicy(_SystemFact, frozen=True, tag="contract_override_by_policy"):
    """A policy lets a failed contract pass."""

    upstream: StageId
    reader: StageId
    contract_name: str
    original_cause: ContractCause
    policy: str


class ReplayLifecycle(_SystemFact, frozen=True, tag="replay_lifecycle"):
    """A fact about the replay of an archive."""

    fact: Annotated[ReplayFact, FLAT]


class MetricsCoordination(_SystemFact, frozen=True, tag="metrics_coordination"):
    """A fact about the aggregation of metrics."""

    fact: Annotated[MetricsFact, FLAT]


class MiddlewareOrigin(Struct, frozen=True):
    """The event that a middleware event goes back to."""

    event_id: EventId
    writer_key: str
    seq: Count


class MiddlewareLifecycle(_SystemFact, frozen=True, tag="middleware_lifecycle"):
    """An event of a middleware of a stage, as it was written."""

    stage_id: StageId
    stage_name: str
    flow_id: str
    flow_name: str
    origin: MiddlewareOrigin
    middleware: FreeValue


class EdgeLiveness(_SystemFact, frozen=True, tag="edge_liveness"):
    """How an edge moves: ``healthy``, ``idle``, ``suspect``, ``stalled``, ``recovered``; gates nothing."""

    upstream: StageId
    reader: StageId
    state: str
    idle_ms: Count
    last_reader_seq: Count | None = None
    last_event_id: EventId | None = None


SystemFact = (
    StageLifecycle
    | PipelineLifecycle
    | ContractStatus
    | ContractResult
    | ContractOverrideByPolicy
    | ReplayLifecycle
    | MetricsCoordination
    | MiddlewareLifecycle
    | EdgeLiveness
)


class SystemEvent(Struct, frozen=True):
    """A record of the system journal; ``timestamp`` in milliseconds since the epoch."""

    id: EventId
    writer_id: Annotated[WriterId, REPEATED]
    event: Annotated[SystemFact, FLAT]
    timestamp: Count

    @property
    def type_name(self) -> str:
        """The name of the event in journals and texts: ``system.stage.running``."""
        match self.event:
            case StageLifecycle(fact=fact):
                return f"system.stage.{_tag(fact)}"
            case PipelineLifecycle(fact=fact):
                return f"system.pipeline.{_tag(fact)}"
            case ContractStatus(passed=passed):
                return "system.contract.pass" if passed else "system.contract.fail"
            case ContractResult(status="passed" | "failed" | "pending" as status):
                return f"system.contract.result.{status}"
            case ContractResult():
                return "system.contract.result"
            case ContractOverrideByPolicy():
                return "system.contract.override_by_policy"
            case ReplayLifecycle(fact=fact):
                return f"system.replay.{_tag(fact)}"
            case MetricsCoordination(fact=fact):
                return f"system.metrics.{_tag(fact)}"
            case MiddlewareLifecycle():
                return "system.middleware.lifecycle"
            case EdgeLiveness():
                return "system.edge.liveness"


def read_system_event(value: object) -> SystemEvent | None:
    """The event that decoded JSON holds; None for one whose tags are not known, which readers pass over and count.

    Raises WireError.
    """
    return None if _is_unknown(value) else wire.read(value, SystemEvent)


def _is_unknown(value: object) -> bool:
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    kind = members.get("system_event_type")
    if not isinstance(kind, str):
        return False
    if kind not in _KINDS:
        return True
    inner = _INNER_TAGS.get(kind)
    return inner is not None and isinstance(members.get(inner[0]), str) and members[inner[0]] not in inner[1]


def _tag(record: Struct) -> str:
    return cast("str", record.__struct_config__.tag)


def _tags(union: Any) -> tuple[str, ...]:
    kinds = cast("Sequence[type[Struct]]", get_args(union))
    return tuple(cast("str", kind.__struct_config__.tag) for kind in kinds)


_KINDS = _tags(SystemFact)
_INNER_TAGS = {
    "stage_lifecycle": ("lifecycle_event", _tags(StageFact)),
    "pipeline_lifecycle": ("pipeline_event", _tags(PipelineFact)),
    "replay_lifecycle": ("replay_event", _tags(ReplayFact)),
    "metrics_coordination": ("metrics_event", _tags(MetricsFact)),
}
