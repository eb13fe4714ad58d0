"""The supervisor of a stateful stage (spec 60 §18.3)."""

from __future__ import annotations

from ergo_cli.errors import described
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import Handler, HandlerError, Stateful
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.stage_machines import StageAction
from ergo_cli.programs.pipeline.stages.output import ChainRecord
from ergo_cli.programs.pipeline.stages.reading import ReadingStage, is_data, seen_with
from ergo_cli.programs.pipeline.stages.subscription import Delivered
from ergo_cli.programs.pipeline.stages.supervisor import StageFault, event_of
from ergo_cli.programs.pipeline.topology import Stage


class StatefulSupervisor(ReadingStage):
    """Drives a stateful stage. Its outputs come after all that it has read, which their clock says."""

    machine = machines.STATEFUL

    def __init__(self, flow: Flow, stage: Stage, stateful: Stateful) -> None:
        super().__init__(flow, stage, stateful)
        self._stateful = stateful
        self._memory: object = None
        self._seen: ChainRecord | None = None
        self._since_heartbeat = 0
        self._emitted = 0
        self.emit_interval_ms = stateful.emit_interval_ms

    async def step(self, at_rest: bool) -> bool:
        """Take one event in, and emit if the state says so; a draining stage takes what is there, then ends."""
        match self.state:
            case machines.Accumulating():
                delivered = self.take(at_rest=at_rest)
                if delivered is None:
                    return False
                await self._take_in(delivered)
                self.report(delivered)
                if self.subscription.have_all_ended:
                    await self.handle(machines.ReceivedEOF())
                return True
            case machines.Draining():
                delivered = self.take(at_rest=True)
                if delivered is not None:
                    await self._take_in(delivered)
                self.report(delivered)
                if delivered is None:
                    await self._drain()
                return True
            case _:
                return False

    async def emit_idle(self) -> bool:
        """Emit because the emit interval has passed, if events were gathered since; returns whether the stage could."""
        if not isinstance(self.state, machines.Accumulating) or self.counters.accumulated == self._emitted:
            return False
        await self._emit()
        return True

    async def act(self, action: StageAction) -> None:
        """Make the first state when resources are allocated."""
        if isinstance(action, machines.AllocateResources):
            try:
                self._memory = await self.call(self._stateful.initial_state)
            except HandlerError as error:
                raise StageFault(error.text) from error
        else:
            await super().act(action)

    async def _take_in(self, delivered: Delivered) -> None:
        if is_data(delivered):
            await self._take_data_in(delivered)
        else:
            self.output.forward(delivered.record)

    async def _take_data_in(self, delivered: Delivered) -> None:
        record = delivered.record
        if record.event.is_error:  # neither gathered, nor passed on, nor written (§28)
            return
        self._seen = seen_with(self._seen, record)
        try:
            memory = await self.call(self._stateful.accumulate, self._memory, event_of(record.event))
        except HandlerError as error:
            self.begin_input(delivered)
            await self.output.failed_input(record, "Stateful handler error", error)
            return
        self.begin_input(delivered)
        self._memory = self._memory if memory is None else memory
        self.counters.accumulated += 1
        self._since_heartbeat += 1
        if isinstance(self.state, machines.Accumulating) and await self._should_emit():
            await self._emit()

    async def _should_emit(self) -> bool:
        try:
            decided = await self.call(self._stateful.should_emit, self._memory)
        except HandlerError as error:
            raise StageFault(f"Emit error: {error.text}") from error
        try:
            return bool(decided)
        except Exception as error:
            raise self.unfit(f"should_emit gave {type(decided).__name__}: {described(error)}") from error

    async def _emit(self) -> None:
        self._emitted = self.counters.accumulated
        await self.handle(machines.ShouldEmit())
        await self._write(self._stateful.emit, "Emit error")
        await self.handle(machines.EmitComplete())

    async def _drain(self) -> None:
        if self._since_heartbeat:
            gathered = {
                "events_accumulated_since_last_heartbeat": self._since_heartbeat,
                "events_processed_total": self.counters.processed,
            }
            self.output.observation("accumulator_heartbeat", gathered)
        await self._write(self._stateful.drain, "Drain error")
        await self.handle(machines.DrainComplete())

    async def _write(self, handler: Handler, what: str) -> None:
        try:
            outputs = await self.outputs(handler, self._memory)
        except HandlerError as error:
            if isinstance(self.state, machines.Emitting):  # errors of the last outputs count in none of the totals
                self.counters.failed(error.kind)
            raise StageFault(f"{what}: {error.text}") from error
        await self.write_gathered(outputs, self._seen)
