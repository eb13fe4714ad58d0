"""What all stages with upstream stages have in common: reading, counting, checking contracts (spec 60 §18, §19)."""

from __future__ import annotations

from msgspec.structs import replace

from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import EOF, AuthoredStage, Event, Output, StrictMiss
from ergo_cli.programs.pipeline.chain_events import Data
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.signals import Eof, PipelineAbort
from ergo_cli.programs.pipeline.stage_machines import StageAction
from ergo_cli.programs.pipeline.stages.edges import EdgeReports
from ergo_cli.programs.pipeline.stages.output import ChainRecord
from ergo_cli.programs.pipeline.stages.subscription import Delivered, Subscription, UpstreamReader, signal_of
from ergo_cli.programs.pipeline.stages.supervisor import StageSupervisor
from ergo_cli.programs.pipeline.topology import Stage


class ReadingStage(StageSupervisor):
    """Drives a stage that reads other stages."""

    def __init__(self, flow: Flow, stage: Stage, authored: AuthoredStage) -> None:
        super().__init__(flow, stage, authored)
        upstream = flow.topology.upstream_stages(stage.id)
        readers = [UpstreamReader(each, flow.topology.name_of(each), flow.data[each].reader()) for each in upstream]
        self.subscription = Subscription(readers, is_ordered=authored.ordered_delivery)
        self.edges = EdgeReports(flow, stage, self.output, readers)
        self._last_eof: Eof | None = None
        self._is_given_up = False
        self._unacknowledged: Delivered | None = None

    def take(self, *, at_rest: bool, of: UpstreamReader | None = None) -> Delivered | None:
        """The next event, counted by the contracts. Once the flow is given up there is none."""
        delivered = None if self._is_given_up else self.subscription.poll(at_rest=at_rest, of=of)
        if delivered is None:
            return None
        if isinstance(signal_of(delivered.record.event), PipelineAbort):
            self._is_given_up = True
            return None
        self.edges.read(delivered)
        self._last_eof = delivered.own_eof or self._last_eof
        self._unacknowledged = delivered if is_data(delivered) else None
        return delivered

    @property
    def is_idle(self) -> bool:
        """Whether the stage runs and there is nothing to read."""
        return isinstance(self.state, machines.Running) and all(
            reader.is_at_end for reader in self.subscription.readers
        )

    async def visit(self, *, at_rest: bool) -> bool:
        """Do one step; the input is acknowledged once all outputs of it are written (C-77, C-78)."""
        moved = await super().visit(at_rest=at_rest)
        if self._unacknowledged is not None:
            self.flow.gate(self._unacknowledged.reader.upstream).acknowledge(self.stage.id)
            self._unacknowledged = None
        return moved

    def report(self, delivered: Delivered | None) -> None:
        """Check the contracts after a step (§14.4): after each one where the clock stands (§23.2).

        Where it runs, ticks do that, and steps only at an EOF and once nothing is left to read.
        """
        if not self.flow.is_timed or delivered is None or delivered.own_eof is not None:
            self.edges.check()

    def tick(self) -> None:
        """Check the contracts because time has passed (§14.4)."""
        if self.is_ready and not self.has_ended:
            self.edges.check()

    def begin_input(self, delivered: Delivered) -> ChainRecord:
        """Count an event of data; returns its record."""
        self.inputs += 1
        self.counters.processed += 1
        return delivered.record

    async def derive(self, outputs: list[Output], cause: ChainRecord) -> None:
        """Write what a handler made of one event."""
        for output in outputs:
            match output:
                case Event():
                    with self.writing():
                        await self.output.derived(output, cause)
                case EOF() | StrictMiss():
                    raise self.unfit(f"a handler of '{self.stage.name}' gave {type(output).__name__}")
                case signal:
                    self.output.handler_signal(signal)

    async def write_gathered(self, outputs: list[Output], seen: ChainRecord | None) -> None:
        """Write what a handler made of all data that the stage has seen."""
        for output in outputs:
            match output:
                case Event():
                    with self.writing():
                        await self.output.gathered(output, seen)
                case EOF() | StrictMiss():
                    raise self.unfit(f"a handler of '{self.stage.name}' gave {type(output).__name__}")
                case signal:
                    self.output.handler_signal(signal)

    def write_eof(self) -> None:
        """Write the stage's own EOF, as natural as that of its upstream (§18.6)."""
        self.output.signal(
            Eof(
                natural=True if self._last_eof is None else self._last_eof.natural,
                timestamp=self.flow.clock.wall_ms(),
                writer_id=self.output.writer,
                writer_seq=self.output.writer_seq,
                last_event_id=self.output.last_emitted,
            )
        )

    async def act(self, action: StageAction) -> None:
        """Write the own EOF; the other actions that reach a stage here have nothing to do."""
        if isinstance(action, machines.ForwardEOF):
            self.write_eof()


def is_data(delivered: Delivered) -> bool:
    """Whether an event holds data."""
    return isinstance(delivered.record.event.content, Data)


def seen_with(seen: ChainRecord | None, record: ChainRecord) -> ChainRecord:
    """A record, with the clock of having seen it and all before it."""
    if seen is None:
        return record
    counts = dict(record.vector_clock.clocks)
    for writer, count in seen.vector_clock.clocks.items():
        counts[writer] = max(count, counts.get(writer, 0))
    return replace(record, vector_clock=VectorClock(counts))
