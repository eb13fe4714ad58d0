"""What the supervisors of all stages have in common: requests, lifecycle, failures (spec 60 §8.1, §18.6)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

from ergo_cli.errors import described, escaped
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import EOF, AuthoredStage, Event, Handler, HandlerError, Output, StrictMiss
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data
from ergo_cli.programs.pipeline.effects import EffectsOfStage
from ergo_cli.programs.pipeline.errors import JournalError, PipelineError, UnfitRecord
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.handlers import takes_effects
from ergo_cli.programs.pipeline.signals import Signal
from ergo_cli.programs.pipeline.stage_machines import StageAction, StageEvent, StageMachine, StageState
from ergo_cli.programs.pipeline.stages.counters import StageCounters
from ergo_cli.programs.pipeline.stages.given import output_fault
from ergo_cli.programs.pipeline.stages.output import StageOutput, UnfitOutput
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.stop_intent import stop_reason
from ergo_cli.programs.pipeline.system_events import (
    StageCancelled,
    StageCompleted,
    StageFailed,
    StageLifecycle,
    StageRunning,
)
from ergo_cli.programs.pipeline.topology import Stage


class StageFault(Exception):
    """The stage cannot go on; the text is what it reports."""


class HandlerCrash(StageFault):
    """A handler raised what is no HandlerError, or gave what it must not give."""


class StageSupervisor:
    """Drives one stage. ``state`` is where its lifecycle is; ``crash`` is the exception that ended it, if one did."""

    machine: StageMachine

    def __init__(self, flow: Flow, stage: Stage, authored: AuthoredStage) -> None:
        self.flow = flow
        self.stage = stage
        self.state: StageState = machines.Created()
        self.counters = StageCounters()
        self.output = StageOutput(flow, stage, self.counters)
        self.effects = EffectsOfStage(flow.effects, stage.name, authored.logic_version, self.output.effects)
        self.inputs = 0
        self.crash: BaseException | None = None

    async def initialize(self) -> None:
        """Allocate what the stage needs. Raises StageFault."""
        await self.handle(machines.Initialize())

    async def ready(self) -> None:
        """Let the stage start, or a source wait for its start."""
        await self.handle(machines.Ready())

    async def start(self) -> None:
        """Start the stage."""
        await self.handle(machines.Ready())

    async def begin_drain(self) -> None:
        """Let the stage come to its end."""
        if self.machine.handles(self.state, machines.BeginDrain()):
            await self.handle(machines.BeginDrain())

    async def fail(self, text: str, cause: BaseException | None = None) -> None:
        """Fail the stage because of what its driver met."""
        if not self.has_ended:
            self.crash = cause
            await self.handle(machines.Error(text))

    async def force_shutdown(self, text: str) -> None:
        """End the stage at once; it has been cancelled."""
        if not self.has_ended:
            await self.handle(machines.Error(text))

    async def join(self, deadline_ns: int) -> None:
        """Wait for the stage to end; one that is stepped has ended with the request."""

    @property
    def is_ready(self) -> bool:
        """Whether the stage runs."""
        return not isinstance(self.state, machines.Created | machines.Initialized | machines.Failed)

    @property
    def has_ended(self) -> bool:
        """Whether the stage has completed, failed or been cancelled."""
        return isinstance(self.state, machines.Drained | machines.Failed)

    @property
    def is_idle(self) -> bool:
        """Whether a step would do nothing for sure."""
        return False

    async def visit(self, *, at_rest: bool) -> bool:
        """Do one step: take at most one input, write all outputs; returns whether anything was done.

        ``at_rest``: nothing else in the flow moves. Raises StoreError.
        """
        if self.has_ended:
            return False
        try:
            return await self.step(at_rest)
        except StageFault as fault:
            if isinstance(fault, HandlerCrash):
                self.crash = fault.__cause__ or fault
            await self.handle(machines.Error(str(fault)))
            return True

    async def step(self, at_rest: bool) -> bool:
        """The step of this kind of stage. Raises StageFault."""
        raise NotImplementedError

    async def act(self, action: StageAction) -> None:
        """Run an action that not all kinds have. Raises StageFault."""
        raise NotImplementedError

    async def handle(self, event: StageEvent) -> None:
        """Feed an event to the lifecycle and run its actions; the rest is left out after one that fails (§8.1)."""
        taken = self.machine.step(self.state, event, None)
        self.state = taken.state
        try:
            for action in taken.actions:
                await self._act(action)
        except StageFault as fault:
            if isinstance(fault, HandlerCrash):
                self.crash = fault.__cause__ or fault
            await self.handle(machines.Error(str(fault)))

    async def call(self, handler: Handler, *arguments: object) -> object:
        """What a handler gives. Raises HandlerError, HandlerCrash for all else that it raises, and JournalError."""
        effects = self.effects.begin(self.inputs)
        if takes_effects(handler):
            arguments = (*arguments, effects)
        try:
            given = await self.flow.call(handler, *arguments)
        except HandlerError:
            self._check_effects()
            raise
        except (Exception, SystemExit) as error:
            self._check_effects()
            raise self.unfit(f"{_named(handler)} raised {described(error)}") from error
        finally:
            self.effects.end()
        self._check_effects()
        return given

    async def outputs(self, handler: Handler, *arguments: object) -> list[Output]:
        """The outputs that a handler gives. Raises as ``call``."""
        given = await self.call(handler, *arguments)
        if given is None:
            return []
        if not isinstance(given, list | tuple):
            raise self.unfit(f"{_named(handler)} gave {type(given).__name__}, not a list of events")
        for output in cast("list[object]", given):
            if not isinstance(output, Event | EOF | StrictMiss | Signal):
                raise self.unfit(f"{_named(handler)} gave {type(output).__name__}, which is no event")
            fault = output_fault(output)
            if fault is not None:
                raise self.unfit(f"{_named(handler)} gave {fault}")
        return cast("list[Output]", list(cast("list[object]", given)))

    def unfit(self, text: str) -> HandlerCrash:
        """The fault of a handler that raised, or gave what it must not give."""
        return HandlerCrash(escaped(f"dispatch_state error in {name_of(self.state)}: {text}"))

    @contextmanager
    def writing(self) -> Generator[None]:
        """Turns an output that cannot be written into a fault of the stage."""
        try:
            yield
        except (UnfitOutput, UnfitRecord) as error:
            unfit = PipelineError("pipeline.not_canonical", escaped(str(error)), where=f"stage '{self.stage.name}'")
            raise self.unfit(str(error)) from unfit

    async def _act(self, action: StageAction) -> None:
        match action:
            case machines.PublishRunning():
                self._publish(StageRunning())
                self.after_start()
            case machines.SendCompletion():
                self._publish(StageCompleted(self.counters.metrics()))
            case machines.SendFailure(message):
                reason = stop_reason(message)
                if reason is None:
                    self._publish(StageFailed(message, recoverable=False, metrics=self.counters.metrics()))
                else:
                    self._publish(StageCancelled(reason, self.counters.metrics()))
            case machines.Cleanup():
                pass
            case _:
                await self.act(action)

    def after_start(self) -> None:
        """What a stage does as soon as it runs."""

    def _publish(self, fact: StageRunning | StageCompleted | StageCancelled | StageFailed) -> None:
        self.flow.note_of_stage(self.stage.id, StageLifecycle(self.stage.id, fact))

    def _check_effects(self) -> None:
        """Raise the fault of an effect, and the error of a journal, whatever the handler made of it."""
        match self.effects.fault:
            case None:
                pass
            case JournalError() as error:
                raise error
            case fault:
                raise HandlerCrash(str(fault)) from fault


def event_of(event: ChainEvent) -> Event:
    """A data event as handlers get it; its payload is theirs."""
    assert isinstance(event.content, Data)
    payload = _copied(event.content.payload)
    return Event(event.content.event_type, payload, event.processing_info.status, str(event.id))


def _copied(value: object) -> object:
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in cast("dict[str, object]", value).items()}
    return [_copied(item) for item in cast("list[object]", value)] if isinstance(value, list) else value


def _named(handler: Callable[..., object]) -> str:
    return getattr(handler, "__qualname__", type(handler).__name__)
