"""The supervisor of a sink: every event that it consumes leaves one receipt (spec 60 §18.5)."""

from __future__ import annotations

from ergo_cli.core.wire import Timestamp
from ergo_cli.errors import described
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import Delivery, Event, Handler, HandlerError, Sink
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.receipts import NotDelivered, Receipt
from ergo_cli.programs.pipeline.signals import Eof
from ergo_cli.programs.pipeline.stage_machines import StageAction
from ergo_cli.programs.pipeline.stages.given import unread
from ergo_cli.programs.pipeline.stages.reading import ReadingStage, is_data
from ergo_cli.programs.pipeline.stages.subscription import Delivered, signal_of
from ergo_cli.programs.pipeline.stages.supervisor import HandlerCrash, StageFault, event_of
from ergo_cli.programs.pipeline.topology import Stage

_ORDINARY = Delivery()


class SinkSupervisor(ReadingStage):
    """Drives a sink. Events that are marked as errors are consumed like others (§28)."""

    machine = machines.SINK

    def __init__(self, flow: Flow, stage: Stage, sink: Sink) -> None:
        super().__init__(flow, stage, sink)
        self._sink = sink

    async def step(self, at_rest: bool) -> bool:
        """Consume one event, or pass a signal on."""
        match self.state:
            case machines.Running():
                delivered = self.take(at_rest=at_rest)
                if delivered is None:
                    return False
                if is_data(delivered):
                    await self._consume(delivered)
                elif not isinstance(signal_of(delivered.record.event), Eof):
                    self.output.forward(delivered.record)
                self.report(delivered)
                if self.subscription.have_all_ended:
                    await self.handle(machines.ReceivedEOF())
                return True
            case machines.Draining():
                await self.handle(machines.BeginDrain())
                return True
            case _:
                return False

    async def act(self, action: StageAction) -> None:
        """Write what ``flush()`` and ``drain()`` have to say; these receipts are for no event."""
        if not isinstance(action, machines.FlushBuffers):
            await super().act(action)
            return
        for name, handler in (("flush", self._sink.flush), ("drain", self._sink.drain)):
            try:
                given = await self._given(handler)
            except HandlerError as error:
                raise StageFault(f"Handler error: Failed to {name}: {error.form}") from error
            if given is not None:
                await self.output.receipt(self._receipt(given))

    async def _consume(self, delivered: Delivered) -> None:
        record = delivered.record
        event = event_of(record.event)
        try:
            given = await self._given(self._sink.consume, event)
        except HandlerError as error:
            failed = NotDelivered(error_type="sink_error", error_message=error.text, final_attempt=False)
            await self._leave_receipt(delivered, Delivery(failed))
            self.output.failed_delivery(record, "Sink handler error", error)
        except HandlerCrash as crash:
            text = str(crash) if crash.__cause__ is None else described(crash.__cause__)
            failed = NotDelivered(error_type="handler_panic", error_message=text, final_attempt=True)
            await self._leave_receipt(delivered, Delivery(failed))
            raise
        else:
            await self._leave_receipt(delivered, Delivery() if given is None else given)

    async def _leave_receipt(self, delivered: Delivered, delivery: Delivery) -> None:
        record = delivered.record
        self.begin_input(delivered)
        event = event_of(record.event)
        self.flow.consumed(self.stage.name, event.event_type, event.payload)
        receipt = await self.output.receipt(self._receipt(delivery), record)
        self.edges.receipted(delivered, receipt)

    async def _given(self, handler: Handler, *arguments: Event) -> Delivery | None:
        given = await self.call(handler, *arguments)
        if given is None or (isinstance(given, Delivery) and given == _ORDINARY):
            return given
        if not isinstance(given, Delivery):
            raise self.unfit(f"a handler of '{self.stage.name}' gave {type(given).__name__}, not a Delivery")
        fault = unread(self._receipt(given), Receipt, "a Delivery that is wrong")
        if fault is not None:
            raise self.unfit(f"a handler of '{self.stage.name}' gave {fault}")
        return given

    def _receipt(self, delivery: Delivery) -> Receipt:
        return Receipt(
            result=delivery.result,
            destination=self.stage.name,
            delivery_method=delivery.method,
            processing_duration=0,
            bytes_processed=delivery.bytes_processed,
            processed_at=Timestamp.of_millis(self.flow.clock.wall_ms()),
        )
