"""What the actions of a pipeline's transitions do (spec 60 §9.3). Stages are visited in topology order (H-7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace

from ergo_cli.errors import ErgoError
from ergo_cli.programs.pipeline import actions as do
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.actions import Action
from ergo_cli.programs.pipeline.chain_events import Causality, ChainEvent, FlowContext, FlowSignal, ProcessingInfo
from ergo_cli.programs.pipeline.context import PipelineContext
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.ids import EventId, StageId
from ergo_cli.programs.pipeline.journal import JournalReader
from ergo_cli.programs.pipeline.signals import PipelineAbort
from ergo_cli.programs.pipeline.stage_machines import StageState
from ergo_cli.programs.pipeline.stages.output import UNKNOWN_STAGE
from ergo_cli.programs.pipeline.status import Success
from ergo_cli.programs.pipeline.stop_intent import FORCED_SHUTDOWN
from ergo_cli.programs.pipeline.system_events import (
    PipelineDraining,
    PipelineFact,
    PipelineLifecycle,
    PipelineReadyForRun,
    PipelineRunning,
    PipelineStarting,
    SystemEvent,
)
from ergo_cli.programs.pipeline.terminal_facts import stop_requested
from ergo_cli.programs.pipeline.topology import Stage

NANOS_A_MS = 1_000_000


class ActionFailed(Exception):
    """An action could not be done; the text is what the pipeline fails with."""


class ManagedStage(Protocol):
    """A stage as the pipeline's supervisor sees it (§18.6). Every request raises StoreError."""

    @property
    def stage(self) -> Stage:
        """Its place in the topology."""
        ...

    @property
    def state(self) -> StageState:
        """Where its lifecycle is."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it runs."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it has completed, failed or been cancelled."""
        ...

    async def initialize(self) -> None:
        """Allocate what it needs."""
        ...

    async def ready(self) -> None:
        """Let it start, or a source wait for its start."""
        ...

    async def start(self) -> None:
        """Start it."""
        ...

    async def begin_drain(self) -> None:
        """Let it come to its end."""
        ...

    async def force_shutdown(self, text: str) -> None:
        """End it at once."""
        ...

    async def join(self, deadline_ns: int) -> None:
        """Wait for its end until a moment of the monotonic clock, then see to it."""
        ...


class Orchestration:
    """Runs actions over the stages of a flow. ``reader`` is the subscription to the system journal, if there is one."""

    def __init__(self, flow: Flow, stages: Sequence[ManagedStage]) -> None:
        sources = flow.topology.expected_sources
        self._flow = flow
        self._sources = [stage for stage in stages if stage.stage.id in sources]
        self._others = [stage for stage in stages if stage.stage.id not in sources]
        self.reader: JournalReader[SystemEvent] | None = None

    @property
    def initialized(self) -> int:
        """How many stages are initialised."""
        return sum(not isinstance(stage.state, machines.Created) for stage in self._all)

    @property
    def ready(self) -> frozenset[StageId]:
        """The stages that say that they run."""
        return frozenset(stage.stage.id for stage in self._all if stage.is_ready)

    async def run(self, action: Action, context: PipelineContext) -> PipelineContext:
        """Run one action; returns the context after it. Raises ActionFailed and StoreError."""
        match action:
            case do.CreateStages():
                await self._create_stages()
            case do.StartCompletionSubscription():
                self.reader = self._flow.system.reader()
            case do.NotifyStagesStart():
                await self._start(self._others, "stage")
            case do.WritePipelineReadyForRun():
                self._append(PipelineReadyForRun(self._count))
            case do.NotifySourceStart():
                return await self._start_sources(context)
            case do.WritePipelineStopRequested(mode):
                self._append(stop_requested(mode))
            case do.StopSources():
                await self._stop_sources()
            case do.BeginDrain():
                self._append(PipelineDraining())
            case do.HandleStageCompleted(stage):
                context, marker = context.with_completed(stage)
                if marker is not None:
                    self._append(marker)
            case do.WritePipelineAbort(reason, upstream):
                self._write_abort(PipelineAbort(reason=reason, upstream=upstream))
            case do.AbortTeardown():
                self.reader = None
            case do.Cleanup():
                await self.cleanup(context)
            case do.StartMetricsAggregator() | do.DrainMetrics():
                pass  # stages report their own metrics; no aggregator runs
        return context

    async def cleanup(self, context: PipelineContext) -> None:
        """End the stages that have not ended and wait for them, as long as a stop may take (§13.4). Raises nothing.

        Once the time of a graceful stop is over no stage is asked any more.
        """
        clock = self._flow.clock
        deadline_ns = context.stop.deadline_ns
        if deadline_ns is None:
            deadline_ns = clock.monotonic_ns() + self._flow.program.settings.shutdown_timeout_ms * NANOS_A_MS
        for stage in self._all:
            if not stage.has_ended and clock.monotonic_ns() < deadline_ns:
                with suppress(ErgoError):  # a journal that takes no more facts keeps no stage from its end
                    await stage.force_shutdown(FORCED_SHUTDOWN)
        for stage in self._all:
            await stage.join(deadline_ns)

    @property
    def _all(self) -> Iterable[ManagedStage]:
        return (*self._others, *self._sources)

    @property
    def _count(self) -> int:
        return len(self._flow.topology.stages)

    async def _create_stages(self) -> None:
        for stages, what in ((self._others, "stage"), (self._sources, "source")):
            for stage in stages:
                await stage.initialize()
                _check(stage, f"Failed to initialize {what} {stage.stage.name}")

    async def _start(self, stages: Sequence[ManagedStage], what: str) -> None:
        for stage in stages:
            await stage.start()
            _check(stage, f"Failed to start {what} {stage.stage.name}")

    async def _start_sources(self, context: PipelineContext) -> PipelineContext:
        self._append(PipelineStarting())
        self._append(PipelineRunning(self._count))
        if context.started_ns is None:
            context = replace(context, started_ns=self._flow.clock.monotonic_ns())
        for source in self._sources:
            await source.ready()
            await self._start([source], "source")
        return context

    async def _stop_sources(self) -> None:
        for source in self._sources:
            if not source.has_ended:
                await source.begin_drain()

    def _write_abort(self, abort: PipelineAbort) -> None:
        flow = self._flow
        event_id, now_ms = flow.ids.mint(EventId), flow.clock.wall_ms()
        for stage in flow.topology.stages:
            flow.data[stage.id].append(
                ChainEvent(
                    id=event_id,
                    writer_id=flow.writer,
                    content=FlowSignal(abort),
                    causality=Causality(),
                    flow_context=FlowContext(flow.name, flow.id.display, UNKNOWN_STAGE, stage.id, stage.type),
                    processing_info=ProcessingInfo(UNKNOWN_STAGE, 0, now_ms, Success()),
                )
            )

    def _append(self, fact: PipelineFact) -> None:
        self._flow.note(self._flow.writer, PipelineLifecycle(fact))


def _check(stage: ManagedStage, what: str) -> None:
    if isinstance(stage.state, machines.Failed):
        raise ActionFailed(f"{what}: {stage.state.reason}")
