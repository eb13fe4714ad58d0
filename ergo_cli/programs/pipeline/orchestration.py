"""What the actions of a pipeline's transitions do (spec 60 §9.3). Stages are visited in topology order (H-7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

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
from ergo_cli.programs.pipeline.stages.output import UNKNOWN_STAGE
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.stages.supervisor import StageSupervisor
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


class ActionFailed(Exception):
    """An action could not be done; the text is what the pipeline fails with."""


class Orchestration:
    """Runs actions over the stages of a flow. ``reader`` is the subscription to the system journal, if there is one."""

    def __init__(self, flow: Flow, stages: Sequence[StageSupervisor]) -> None:
        self._flow = flow
        self._sources = [stage for stage in stages if isinstance(stage, SourceSupervisor)]
        self._others = [stage for stage in stages if not isinstance(stage, SourceSupervisor)]
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
        """End the stages that have not ended, unless the time of a graceful stop is over (§13.4). Raises nothing."""
        deadline_ns = context.stop.deadline_ns
        if deadline_ns is not None and self._flow.clock.monotonic_ns() >= deadline_ns:
            return
        for stage in self._all:
            with suppress(ErgoError):
                await stage.force_shutdown(FORCED_SHUTDOWN)

    @property
    def _all(self) -> Iterable[StageSupervisor]:
        return (*self._others, *self._sources)

    @property
    def _count(self) -> int:
        return len(self._flow.topology.stages)

    async def _create_stages(self) -> None:
        for stages, what in ((self._others, "stage"), (self._sources, "source")):
            for stage in stages:
                await stage.initialize()
                _check(stage, f"Failed to initialize {what} {stage.stage.name}")

    async def _start(self, stages: Sequence[StageSupervisor], what: str) -> None:
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


def _check(stage: StageSupervisor, what: str) -> None:
    if isinstance(stage.state, machines.Failed):
        raise ActionFailed(f"{what}: {stage.state.reason}")
