"""What the stages and the supervisor of one flow share: names and ids, journals, clock, the effects of its handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from ergo_cli.core.time import Clock
from ergo_cli.programs.pipeline.chain_events import ChainEvent
from ergo_cli.programs.pipeline.effects import EffectsOfFlow
from ergo_cli.programs.pipeline.ids import (
    EventId,
    FlowId,
    IdSource,
    StageId,
    StageWriter,
    SystemId,
    SystemWriter,
    WriterId,
)
from ergo_cli.programs.pipeline.journal import Journal
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.system_events import SystemEvent, SystemFact
from ergo_cli.programs.pipeline.topology import Topology


class Flow(Struct, frozen=True):
    """One flow. ``call`` calls a handler with its arguments, and waits for an ``async`` one.

    ``consumed`` hears of every event that a sink has consumed: the name of the sink, type and payload of the event.
    """

    program: PipelineProgram
    id: FlowId
    system_id: SystemId
    topology: Topology
    ids: IdSource
    clock: Clock
    system: Journal[SystemEvent]
    data: Mapping[StageId, Journal[ChainEvent]]
    errors: Mapping[StageId, Journal[ChainEvent]]
    effects: EffectsOfFlow
    call: Callable[..., Awaitable[object]]
    consumed: Callable[[str, str, object], object]

    @property
    def name(self) -> str:
        """The flow's name in its events."""
        return self.program.name

    @property
    def writer(self) -> SystemWriter:
        """The pipeline's supervisor as a writer."""
        return SystemWriter(self.system_id)

    def note(self, writer: WriterId, fact: SystemFact) -> None:
        """Append a fact to the system journal. Raises StoreError."""
        self.system.append(SystemEvent(self.ids.mint(EventId), writer, fact, self.clock.wall_ms()))

    def note_of_stage(self, stage: StageId, fact: SystemFact) -> None:
        """Append a fact that a stage states."""
        self.note(StageWriter(stage), fact)
