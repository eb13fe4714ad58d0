"""The supervisor of a join (spec 60 §18.4)."""

from __future__ import annotations

from ergo_cli.core.json import free_text
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import EOF, HandlerError, Join, Output, StrictMiss
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.signals import Eof
from ergo_cli.programs.pipeline.stage_machines import StageAction
from ergo_cli.programs.pipeline.stages.output import ChainRecord
from ergo_cli.programs.pipeline.stages.reading import ReadingStage, is_data, seen_with
from ergo_cli.programs.pipeline.stages.subscription import Delivered, UpstreamReader
from ergo_cli.programs.pipeline.stages.supervisor import StageFault, event_of
from ergo_cli.programs.pipeline.topology import Stage


class JoinSupervisor(ReadingStage):
    """Drives a join. Its reference side needs no EOF where it is live (§28)."""

    def __init__(self, flow: Flow, stage: Stage, join: Join) -> None:
        self.machine = machines.JOIN_LIVE if join.live else machines.JOIN_FINITE_EOF
        super().__init__(flow, stage, join)
        assert stage.inputs is not None
        by_id = {reader.upstream: reader for reader in self.subscription.readers}
        self._reference = by_id[stage.inputs.reference]
        self._stream = by_id[stage.inputs.stream]
        self._join = join
        self.is_live = join.live
        self._rows: object = None
        self._batch = 0
        self._seen: ChainRecord | None = None

    async def step(self, at_rest: bool) -> bool:
        """Take one event of the side that is read; a draining join takes what is there, then ends."""
        match self.state:
            case machines.Hydrating():
                return await self._read(at_rest, self._reference)
            case machines.Enriching():
                return await self._read(at_rest, self._stream)
            case machines.Live():
                return await self._read(at_rest, self._live_side())
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

    async def act(self, action: StageAction) -> None:
        """Make the first state when the join starts."""
        if isinstance(action, machines.InitializeHandlerState):
            try:
                self._rows = await self.call(self._join.initial_state)
            except HandlerError as error:
                raise StageFault(error.text) from error
        else:
            await super().act(action)

    async def _read(self, at_rest: bool, side: UpstreamReader | None) -> bool:
        delivered = self.take(at_rest=at_rest, of=side)
        if delivered is None:
            return False
        await self._take_in(delivered)
        self.report(delivered)
        if self._has_side_ended() and not self.has_ended:
            await self.handle(machines.ReceivedEOF())
        return True

    def _has_side_ended(self) -> bool:
        match self.state:
            case machines.Hydrating():
                return self._reference.has_ended
            case machines.Enriching() | machines.Live():
                return self._stream.has_ended
            case _:
                return False

    def _live_side(self) -> UpstreamReader | None:
        """The stream, once so many reference events in a row were served and it has an event; else either."""
        return self._stream if self._batch >= self._join.reference_batch and self._stream.head() is not None else None

    async def _take_in(self, delivered: Delivered) -> None:
        self._batch = self._batch + 1 if delivered.reader is self._reference else 0
        if is_data(delivered):
            await self._take_data_in(delivered)
            return
        self.output.forward(delivered.record)
        if delivered.own_eof is not None:
            await self.write_gathered(await self._outputs_of_eof(delivered), self._seen)

    async def _take_data_in(self, delivered: Delivered) -> None:
        record = delivered.record
        if record.event.is_error:
            self.begin_input(delivered)
            await self.output.passed_through(record)
            return
        self._seen = seen_with(self._seen, record)
        event, writer = event_of(record.event), record.event.writer_id
        try:
            outputs = await self.outputs(self._join.process_event, self._rows, event, delivered.reader.name, writer.id)
        except HandlerError as error:
            self.begin_input(delivered)
            await self._fail(record, error, delivered.reader)
            return
        self.begin_input(delivered)
        self.counters.accumulated += 1
        await self._write(outputs, record)

    async def _fail(self, record: ChainRecord, error: HandlerError, reader: UpstreamReader) -> None:
        """Mark the input; while the reference is read before the stream, fail the stage."""
        match self.state:
            case machines.Hydrating():
                self.counters.failed(error.kind)
                raise StageFault(f"Join handler hydration error: {error.form}")
            case machines.Live():
                side = "reference" if reader is self._reference else "stream"
                await self.output.failed_input(record, f"Join handler error during live {side}", error)
            case _:
                await self.output.failed_input(record, "Join handler error during enrichment", error)

    async def _outputs_of_eof(self, delivered: Delivered) -> list[Output]:
        writer = delivered.record.event.writer_id
        try:
            return await self.outputs(self._join.on_source_eof, self._rows, delivered.reader.name, writer.id)
        except HandlerError as error:
            raise StageFault(f"Join handler error at EOF: {error.form}") from error

    async def _drain(self) -> None:
        if not self._stream.has_ended or not self._reference.has_ended:
            self.edges.conclude()
        await self.write_gathered(await self._drained(), self._seen)
        await self.handle(machines.DrainComplete())

    async def _drained(self) -> list[Output]:
        try:
            return await self.outputs(self._join.drain, self._rows)
        except HandlerError as error:
            raise StageFault(f"Drain error: {error.text}") from error

    async def _write(self, outputs: list[Output], cause: ChainRecord) -> None:
        for output in outputs:
            match output:
                case StrictMiss(key):
                    await self._miss(free_text(key).decode(), cause)
                case EOF(natural=False):
                    await self._miss("unknown", cause)
                case _:
                    await self.derive([output], cause)

    async def _miss(self, key: str, cause: ChainRecord) -> None:
        """End the stage for a row that must be there: its last outputs, a poison EOF, a failure (H-23)."""
        if not isinstance(self.state, machines.Draining):
            await self.handle(machines.BeginDrain())
            await self.write_gathered(await self._drained(), self._seen)
        poison = Eof(
            natural=False,
            timestamp=self.flow.clock.wall_ms(),
            writer_id=self.output.writer,
            writer_seq=self.output.writer_seq,
        )
        self.output.handler_signal(poison)
        raise StageFault(f"strict join miss for key {key}")
