"""The signals that flow between stages beside their data (spec 60 §6.1)."""

from __future__ import annotations

from typing import cast

from msgspec import Struct, field

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.pipeline.causes import ViolationCause
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.ids import EventId, StageId, WriterId


class _Signal(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="flow_control_type"):
    """A signal."""

    @property
    def name(self) -> str:
        """The signal's name in journals and texts: ``control.eof``."""
        return f"control.{cast('str', self.__struct_config__.tag)}"


class Eof(_Signal, frozen=True, kw_only=True, tag="eof"):
    """The end of a writer's data; ``natural`` is false for a poison one. An absent time is read as 0."""

    natural: bool
    timestamp: Count = field(default_factory=int)
    writer_id: WriterId | None = None
    writer_seq: Count | None = None
    vector_clock: VectorClock | None = None
    last_event_id: EventId | None = None


class Watermark(_Signal, frozen=True, kw_only=True, tag="watermark"):
    """No older event follows."""

    timestamp: Count
    stage_id: str | None = None


class Checkpoint(_Signal, frozen=True, kw_only=True, tag="checkpoint"):
    """A place to come back to."""

    id: str
    metadata: FreeValue = None


class Drain(_Signal, frozen=True, kw_only=True, tag="drain"):
    """Work off what there is; no end of data."""


class PipelineAbort(_Signal, frozen=True, kw_only=True, tag="pipeline_abort"):
    """The flow is given up."""

    reason: ViolationCause
    upstream: StageId | None = None


class SourceContract(_Signal, frozen=True, kw_only=True, tag="source_contract"):
    """What a source promises to write."""

    expected_count: Count | None
    source_id: StageId
    route: str | None = None
    journal_path: str
    journal_index: Count
    writer_seq: Count | None = None
    vector_clock: VectorClock | None = None


class ConsumptionProgress(_Signal, frozen=True, kw_only=True, tag="consumption_progress"):
    """How far a reader is."""

    reader_seq: Count
    last_event_id: EventId | None = None
    vector_clock: VectorClock | None = None
    eof_seen: bool
    reader_path: str
    reader_index: Count
    advertised_writer_seq: Count | None = None
    advertised_vector_clock: VectorClock | None = None
    stalled_since: Count | None = None


class ConsumptionGap(_Signal, frozen=True, kw_only=True, tag="consumption_gap"):
    """A reader missed events, both ends included."""

    from_seq: Count
    to_seq: Count
    upstream: StageId


class ConsumptionFinal(_Signal, frozen=True, kw_only=True, tag="consumption_final"):
    """What a reader has read in the end, and whether that is what it should be."""

    passed: bool = field(name="pass")
    consumed_count: Count
    expected_count: Count | None = None
    eof_seen: bool
    last_event_id: EventId | None = None
    reader_seq: Count
    advertised_writer_seq: Count | None = None
    advertised_vector_clock: VectorClock | None = None
    failure_reason: ViolationCause | None = None


class ReaderStalled(_Signal, frozen=True, kw_only=True, tag="reader_stalled"):
    """A reader makes no progress, since a moment in milliseconds."""

    upstream: StageId
    stalled_since: Count


class AtLeastOnceViolation(_Signal, frozen=True, kw_only=True, tag="at_least_once_violation"):
    """A reader cannot have read everything."""

    upstream: StageId
    reason: ViolationCause
    reader_seq: Count
    advertised_writer_seq: Count | None = None


Signal = (
    Eof
    | Watermark
    | Checkpoint
    | Drain
    | PipelineAbort
    | SourceContract
    | ConsumptionProgress
    | ConsumptionGap
    | ConsumptionFinal
    | ReaderStalled
    | AtLeastOnceViolation
)
