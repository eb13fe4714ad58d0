"""The supervisor of a transform (spec 60 §18.2)."""

from __future__ import annotations

from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import HandlerError, Transform
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.signals import Drain
from ergo_cli.programs.pipeline.stage_machines import StageAction
from ergo_cli.programs.pipeline.stages.output import ChainRecord
from ergo_cli.programs.pipeline.stages.reading import ReadingStage, is_data, seen_with
from ergo_cli.programs.pipeline.stages.subscription import Delivered, signal_of
from ergo_cli.programs.pipeline.stages.supervisor import StageFault, event_of
from ergo_cli.programs.pipeline.topology import Stage


class TransformSupervisor(ReadingStage):
    """Drives a transform. The EOF that ends its input is copied when it has drained, others at once (§28).

    What ``drain()`` gives comes after all data that it has read, which its clock says.
    """

    machine = machines.TRANSFORM

    def __init__(self, flow: Flow, stage: Stage, transform: Transform) -> None:
        super().__init__(flow, stage, transform)
        self._transform = transform
        self._final_eof: ChainRecord | None = None
        self._seen: ChainRecord | None = None

    async def step(self, at_rest: bool) -> bool:
        """Process one event; a draining transform takes what is there, then ends."""
        match self.state:
            case machines.Running():
                delivered = self.take(at_rest=at_rest)
                if delivered is None:
                    return False
                await self._process(delivered)
                self.report(delivered)
                if self.subscription.have_all_ended:
                    await self.handle(machines.ReceivedEOF())
                elif isinstance(signal_of(delivered.record.event), Drain):
                    await self.handle(machines.BeginDrain())
                return True
            case machines.Draining():
                delivered = self.take(at_rest=True)
                if delivered is not None:
                    await self._process(delivered)
                self.report(delivered)
                if delivered is None:
                    await self.handle(machines.DrainComplete())
                return True
            case _:
                return False

    async def act(self, action: StageAction) -> None:
        """Write what ``drain()`` gives, copy the EOF that ended the input."""
        match action:
            case machines.DrainHandler():
                try:
                    outputs = await self.outputs(self._transform.drain)
                except HandlerError as error:
                    raise StageFault(f"Handler error: Failed to drain: {error.form}") from error
                await self.write_gathered(outputs, self._seen)
            case machines.ForwardEOF() if self._final_eof is not None:
                self.output.forward(self._final_eof, self.stage.id.display)
                await super().act(action)
            case _:
                await super().act(action)

    async def _process(self, delivered: Delivered) -> None:
        if is_data(delivered):
            await self._process_data(delivered)
        elif delivered.own_eof is not None and self.subscription.have_all_ended:
            self._final_eof = delivered.record
        else:
            self.output.forward(delivered.record, self.stage.id.display)

    async def _process_data(self, delivered: Delivered) -> None:
        record = delivered.record
        self._seen = seen_with(self._seen, record)
        if record.event.is_error:
            self.begin_input(delivered)
            await self.output.passed_through(record)
            return
        try:
            outputs = await self.outputs(self._transform.process, event_of(record.event))
        except HandlerError as error:
            self.begin_input(delivered)
            await self.output.failed_input(record, "Transform handler error", error, as_own=True)
            return
        self.begin_input(delivered)
        await self.derive(outputs, record)
