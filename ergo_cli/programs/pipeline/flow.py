"""What the stages and the supervisor of one flow share: names and ids, journals, clock, the effects of its handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from msgspec import Struct

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


class FlowClock(Protocol):
    """The time of a flow."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        ...


class OutputGate(Protocol):
    """Lets the events of one stage into its data journal, as far as its readers follow (§19.3)."""

    async def reserve(self) -> None:
        """Wait until one more event may be written. Raises StageFault where the stage is to end instead."""
        ...

    def commit(self) -> None:
        """The event is written."""
        ...

    def release(self) -> None:
        """The event is not written."""
        ...

    def acknowledge(self, reader: StageId) -> None:
        """A reader has written all that it made of one event."""
        ...


class OpenGate:
    """Lets every event through."""

    async def reserve(self) -> None:
        """Wait for nothing."""

    def commit(self) -> None:
        """Nothing follows."""

    def release(self) -> None:
        """Nothing follows."""

    def acknowledge(self, reader: StageId) -> None:
        """Nothing follows."""


OPEN_GATE = OpenGate()


class Flow(Struct, frozen=True):
    """One flow. ``call`` calls a handler with its arguments, and waits for an ``async`` one.

    ``gate`` gives the gate of a stage's outputs. ``is_timed``: the clock runs, and readers report by it. ``consumed``
    hears of every event that a sink has consumed: the name of the sink, type and payload of the event.
    ``effect_recorded`` is called after each append of what is recorded of an effect; it raises JournalError.
    """

    program: PipelineProgram
    id: FlowId
    system_id: SystemId
    topology: Topology
    ids: IdSource
    clock: FlowClock
    system: Journal[SystemEvent]
    data: Mapping[StageId, Journal[ChainEvent]]
    errors: Mapping[StageId, Journal[ChainEvent]]
    effects: EffectsOfFlow
    call: Callable[..., Awaitable[object]]
    gate: Callable[[StageId], OutputGate]
    is_timed: bool
    consumed: Callable[[str, str, object], object]
    effect_recorded: Callable[[], object]

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
