"""What a stage writes into its data and error journals (spec 60 §6, §18, §28)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError, decode, free_text
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.pipeline.authoring import Event, HandlerError
from ergo_cli.programs.pipeline.chain_events import (
    Causality,
    ChainEvent,
    Content,
    CorrelationPayload,
    Data,
    Delivery,
    FlowContext,
    FlowSignal,
    Lifecycle,
    ProcessingInfo,
)
from ergo_cli.programs.pipeline.effects import EffectRecord
from ergo_cli.programs.pipeline.errors import UnfitRecord
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.ids import EventId, StageWriter
from ergo_cli.programs.pipeline.observations import Custom, MetricsObservation
from ergo_cli.programs.pipeline.receipts import Receipt
from ergo_cli.programs.pipeline.records import Envelope
from ergo_cli.programs.pipeline.signals import Signal
from ergo_cli.programs.pipeline.stages.counters import StageCounters
from ergo_cli.programs.pipeline.status import Error, Filtered, Status, Success
from ergo_cli.programs.pipeline.topology import Stage

ChainRecord = Envelope[ChainEvent]
"""An event in a stage's journal."""

UNKNOWN_STAGE = "unknown"
"""The stage that reports of readers, and a source's own contract, name (§28)."""

ERROR_HOPS = 1
"""How many stages an event that is marked as an error may still pass."""

NANOS_A_MS = 1_000_000


class StageOutput:
    """Writes the events of one stage. ``writer_seq`` counts the data and receipts in its data journal (H-20)."""

    def __init__(self, flow: Flow, stage: Stage, counters: StageCounters) -> None:
        self._flow = flow
        self._stage = stage
        self._data = flow.data[stage.id]
        self._errors = flow.errors[stage.id]
        self._gate = flow.gate(stage.id)
        self._counters = counters
        self._own_context = self._context(stage.name)
        self.writer = StageWriter(stage.id)
        self.writer_seq = 0
        self.last_emitted: EventId | None = None

    async def source_event(self, event: Event) -> None:
        """Write an event of a source; one that is marked as an error goes to the error journal, whatever its kind."""
        event_id = self._flow.ids.mint(EventId)
        entry = CorrelationPayload(self._now_ms * NANOS_A_MS, self._stage.name, event_id)
        made = self._event(event_id, self._data_of(event), event.status, correlation_id=event_id, correlation=entry)
        if made.is_error:
            self._fail(event.status)
            self._errors.append(made)
        else:
            await self._append_data(made, None)

    async def readmitted(self, event: ChainEvent) -> None:
        """Write an event of an archive as this source's own: its content, its intent, status and time stay (§20.3)."""
        event_id = self._flow.ids.mint(EventId)
        entry = CorrelationPayload(self._now_ms * NANOS_A_MS, self._stage.name, event_id)
        info = event.processing_info
        made = self._event(event_id, event.content, info.status, correlation_id=event_id, correlation=entry)
        made = replace(
            made,
            processing_info=replace(made.processing_info, event_time=info.event_time),
            intent=event.intent,
            replay_context=event.replay_context,
        )
        if isinstance(event.content, Data):
            await self._append_data(made, None)
        else:
            self._data.append(made)

    async def derived(self, event: Event, cause: ChainRecord) -> None:
        """Write what a handler made of one event."""
        parent = cause.event
        made = self._event(
            self._flow.ids.mint(EventId),
            self._data_of(event),
            event.status,
            parents=(parent.id, *parent.causality.parent_ids),
            correlation_id=parent.correlation_id,
            correlation=parent.correlation_payload,
        )
        await self._route(made, cause)

    async def gathered(self, event: Event, seen: ChainRecord | None) -> None:
        """Write what a handler made of all data that it has seen, up to the clock of a record."""
        await self._route(self._event(self._flow.ids.mint(EventId), self._data_of(event), event.status), seen)

    async def failed_input(self, cause: ChainRecord, text: str, error: HandlerError, *, as_own: bool = False) -> None:
        """Write the input on which a handler failed, marked, where the kind of the error sends it (§4).

        It names this stage as its own among the data, and in the error journal if ``as_own``.
        """
        marked = self._marked(cause.event, Error(f"{text}: {error.form}", error.kind))
        if as_own or error.kind.stays_in_data:
            marked = replace(marked, flow_context=self._own_context)
        await self._route(marked, cause)

    def failed_delivery(self, cause: ChainRecord, text: str, error: HandlerError) -> None:
        """Write the input on which a sink failed into the error journal; the data journal has its receipt."""
        status = Error(f"{text}: {error.form}", error.kind)
        self._fail(status)
        self._errors.append(self._marked(cause.event, status), cause)
        self._counters.emitted += 1

    async def passed_through(self, cause: ChainRecord) -> None:
        """Copy an event that was marked before, under its own id."""
        await self._append_data(replace(cause.event, flow_context=self._own_context), cause)

    async def receipt(self, receipt: Receipt, cause: ChainRecord | None = None) -> ChainEvent:
        """Write a sink's receipt for an event, or for none."""
        parents = () if cause is None else (cause.event.id,)
        made = self._event(self._flow.ids.mint(EventId), Delivery(receipt), parents=parents)
        await self._append_data(made, cause)
        return made

    def signal(self, signal: Signal, status: Status = Success(), *, stage_name: str | None = None) -> None:
        """Write a signal of this stage."""
        context = None if stage_name is None else self._context(stage_name)
        self._data.append(self._event(self._flow.ids.mint(EventId), FlowSignal(signal), status, context=context))

    def handler_signal(self, signal: Signal) -> None:
        """Write a signal that a handler gave."""
        self.signal(signal, Filtered())

    def forward(self, cause: ChainRecord, stage_name: str | None = None) -> None:
        """Copy a signal of an upstream stage, under its own id."""
        context = self._own_context if stage_name is None else self._context(stage_name)
        self._data.append(replace(cause.event, flow_context=context), cause)

    def observation(self, name: str, value: FreeValue) -> None:
        """Write an observation of the stage into its data journal."""
        self._data.append(self._observed(name, value, Success()))

    def poll_error(self, name: str, value: FreeValue, error: Error) -> None:
        """Write an observation of an error into the error journal."""
        self._fail(error)
        self._errors.append(self._observed(name, value, error))

    def effects(self, records: Sequence[EffectRecord]) -> None:
        """Write the records of an effect, all or none. Raises UnfitRecord for an output that no record can hold."""
        events = [self._effect(record) for record in records]
        self._data.append_group(records[0].cursor.group_id, events)
        self._flow.effect_recorded()

    @property
    def _now_ms(self) -> int:
        return self._flow.clock.wall_ms()

    async def _route(self, made: ChainEvent, cause: ChainRecord | None) -> None:
        status = made.processing_info.status
        if isinstance(status, Error):
            self._fail(status)
            if status.kind is None or not status.kind.stays_in_data:
                self._errors.append(made, cause)
                return
        await self._append_data(made, cause)

    async def _append_data(self, made: ChainEvent, cause: ChainRecord | None) -> None:
        await self._gate.reserve()
        try:
            self._data.append(made, cause)
        except BaseException:
            self._gate.release()
            raise
        self._gate.commit()
        self.writer_seq += 1
        self._counters.emitted += 1
        self.last_emitted = made.id

    def _fail(self, status: Status) -> None:
        self._counters.failed(status.kind if isinstance(status, Error) else None)

    def _marked(self, event: ChainEvent, status: Error) -> ChainEvent:
        info = replace(event.processing_info, status=status, error_hops_remaining=ERROR_HOPS)
        return replace(event, processing_info=info)

    def _observed(self, name: str, value: FreeValue, status: Status) -> ChainEvent:
        content = Lifecycle(MetricsObservation(Custom(name, value)))
        return self._event(self._flow.ids.mint(EventId), content, status)

    def _effect(self, record: EffectRecord) -> ChainEvent:
        try:
            payload = decode(wire.encode(record))
        except JsonError as error:
            message = f"the effect of {record.cursor} cannot be recorded: {error}"
            raise UnfitRecord("pipeline.not_canonical", message, where=self._data.run) from error
        made = self._event(record.event_id, Data(record.event_type, payload))
        return replace(made, processing_info=replace(made.processing_info, event_time=record.cursor.event_time))

    def _data_of(self, event: Event) -> Data:
        try:
            return Data(event.event_type, decode(free_text(event.payload)))
        except NotCanonicalError as error:
            raise UnfitOutput(f"the payload of an event of type '{event.event_type}' is no JSON: {error}") from error

    def _event(
        self,
        event_id: EventId,
        content: Content,
        status: Status = Success(),
        *,
        parents: tuple[EventId, ...] = (),
        context: FlowContext | None = None,
        correlation_id: EventId | None = None,
        correlation: CorrelationPayload | None = None,
    ) -> ChainEvent:
        return ChainEvent(
            id=event_id,
            writer_id=self.writer,
            content=content,
            causality=Causality(parents),
            flow_context=context or self._own_context,
            processing_info=ProcessingInfo(
                processed_by=self._stage.name,
                processing_time=0,
                event_time=self._now_ms,
                status=status,
                error_hops_remaining=ERROR_HOPS if isinstance(status, Error) else None,
            ),
            correlation_id=correlation_id,
            correlation_payload=correlation,
        )

    def _context(self, stage_name: str) -> FlowContext:
        flow = self._flow
        return FlowContext(flow.name, flow.id.display, stage_name, self._stage.id, self._stage.type)


class UnfitOutput(Exception):
    """A handler gave what cannot be written."""
