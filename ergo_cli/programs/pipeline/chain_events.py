"""The events of a stage's journals: data, signals, receipts, observations (spec 60 §6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Struct, field

from ergo_cli.core import wire
from ergo_cli.core.wire import FLAT, REPEATED, FreeValue, Timestamp
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.ids import EventId, StageId, WriterId
from ergo_cli.programs.pipeline.intents import Intent
from ergo_cli.programs.pipeline.observations import Observation, observation_name
from ergo_cli.programs.pipeline.receipts import Receipt
from ergo_cli.programs.pipeline.signals import Signal, Watermark
from ergo_cli.programs.pipeline.status import Error, Status
from ergo_cli.programs.pipeline.topology import StageType


class _Content(Struct, frozen=True, tag_field="content_type"):
    """What an event holds."""


class Data(_Content, frozen=True, tag="data"):
    """Data of the user; ``event_type`` is the event's own name."""

    event_type: str
    payload: FreeValue


class FlowSignal(_Content, frozen=True, tag="flow_signal"):
    """A signal to the stages downstream."""

    signal: Annotated[Signal, FLAT]


class Delivery(_Content, frozen=True, tag="delivery"):
    """A sink's receipt for the event that its causality names."""

    receipt: Annotated[Receipt, FLAT]


class Lifecycle(_Content, frozen=True, tag="lifecycle"):
    """An observation, which readers pass over."""

    observation: Annotated[Observation, FLAT]


Content = Data | FlowSignal | Delivery | Lifecycle


class Causality(Struct, frozen=True):
    """The events that an event was made of."""

    parent_ids: tuple[EventId, ...] = ()


class FlowContext(Struct, frozen=True):
    """Where an event was written; ``flow_id`` in its display form."""

    flow_name: str
    flow_id: str
    stage_name: str
    stage_id: StageId
    stage_type: StageType


class ProcessingInfo(Struct, frozen=True, omit_defaults=True):
    """How an event was made: ``processing_time`` in nanoseconds, ``event_time`` in milliseconds."""

    processed_by: str
    processing_time: Count
    event_time: Count
    status: Status
    error_hops_remaining: Count | None = None


class CorrelationPayload(Struct, frozen=True, omit_defaults=True):
    """Where an event's line began: at a source, with ``entry_event_id``."""

    entry_time_ns: Count
    entry_stage: str
    entry_event_id: EventId
    metadata: FreeValue = None


class ReplayContext(Struct, frozen=True):
    """The event of an archive that an event repeats."""

    original_event_id: EventId
    original_flow_id: str
    original_stage_id: StageId
    archive_path: str
    replayed_at: Timestamp


class RuntimeContext(Struct, frozen=True, kw_only=True):
    """A copy of a stage's counters, so that the tail of a journal needs no history (§17.1)."""

    in_flight: Count
    recent_p50_ms: Count
    recent_p90_ms: Count
    recent_p95_ms: Count
    recent_p99_ms: Count
    recent_p999_ms: Count
    processing_time_sum_nanos: Count = 0
    events_processed_total: Count
    events_accumulated_total: Count = 0
    events_emitted_total: Count = 0
    join_reference_since_last_stream: Count = 0
    errors_total: Count
    failures_total: Count
    event_loops_total: Count
    event_loops_with_work_total: Count
    errors_by_kind: Mapping[str, Count] = {}
    fsm_state: str
    time_in_state_ms: Count
    reader_seq: Count = 0
    writer_seq: Count = 0
    last_consumed_event_id: EventId | None
    last_consumed_writer: WriterId | None
    last_consumed_vector_clock: VectorClock | None
    last_emitted_event_id: EventId | None
    last_emitted_writer: WriterId | None
    cb_requests_total: Count = 0
    cb_successes_total: Count = 0
    cb_failures_total: Count = 0
    cb_rejections_total: Count = 0
    cb_opened_total: Count = 0
    cb_time_closed_seconds: float = 0.0
    cb_time_open_seconds: float = 0.0
    cb_time_half_open_seconds: float = 0.0
    cb_state: float = 0.0
    rl_events_total: Count = 0
    rl_delayed_total: Count = 0
    rl_tokens_consumed_total: float = 0.0
    rl_delay_seconds_total: float = 0.0
    rl_bucket_tokens: float = 0.0
    rl_bucket_capacity: float = 0.0


class ChainEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record of a stage's data or error journal."""

    id: EventId
    writer_id: Annotated[WriterId, REPEATED]
    content: Content
    causality: Causality
    flow_context: Annotated[FlowContext, REPEATED]
    processing_info: Annotated[ProcessingInfo, REPEATED]
    intent: Intent | None = field(default_factory=type(None))
    correlation_id: EventId | None = None
    correlation_payload: CorrelationPayload | None = None
    replay_context: ReplayContext | None = None
    cycle_depth: Count | None = None
    cycle_scc_id: EventId | None = None
    runtime_context: RuntimeContext | None = None
    observability: FreeValue = None
    effect_provenance: FreeValue = None
    admission_seq: Count | None = None

    @property
    def event_type(self) -> str:
        """The full name: that of the data, else ``control.eof``, ``sink.delivery``, ``lifecycle.stage.failed``."""
        match self.content:
            case Data(event_type):
                return event_type
            case FlowSignal(signal):
                return signal.name
            case Delivery():
                return "sink.delivery"
            case Lifecycle(observation):
                return observation_name(observation)[1]

    @property
    def type_name(self) -> str:
        """The event's name in its journal: ``data``, ``control.eof``, ``sink.delivery``, ``lifecycle.stage``."""
        match self.content:
            case Data():
                return "data"
            case Lifecycle(observation):
                return observation_name(observation)[0]
            case _:
                return self.event_type

    @property
    def is_replayable(self) -> bool:
        """Whether a replay of an archive admits the event again: data and watermarks."""
        match self.content:
            case Data() | FlowSignal(Watermark()):
                return True
            case _:
                return False

    @property
    def is_error(self) -> bool:
        """Whether the event is marked as an error."""
        return isinstance(self.processing_info.status, Error)


def read_chain_event(value: object) -> ChainEvent:
    """The event that decoded JSON holds; unknown members are ignored. Raises WireError."""
    return wire.read(value, ChainEvent)
