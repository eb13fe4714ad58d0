"""The handle of a flow that runs: how a program controls it and looks at it (spec 60 §12.4, §13.3)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from types import TracebackType
from typing import Self

from ergo_cli.programs.pipeline.asyncio_driver.channel import ControlChannel, StateWatcher
from ergo_cli.programs.pipeline.asyncio_driver.gates import Gates
from ergo_cli.programs.pipeline.asyncio_driver.waiting import LoopClock
from ergo_cli.programs.pipeline.causes import ViolationCause
from ergo_cli.programs.pipeline.completion import Barrier
from ergo_cli.programs.pipeline.control import RunOutcome, run_outcome
from ergo_cli.programs.pipeline.dispatch import barrier_text
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.journal import Journal
from ergo_cli.programs.pipeline.lifecycle import Error, Failed, Run, State, StopRequested
from ergo_cli.programs.pipeline.modes import StartupMode
from ergo_cli.programs.pipeline.program import EdgePair
from ergo_cli.programs.pipeline.stop_intent import STOP_TIMEOUT, Cancel, Graceful, StopMode
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor
from ergo_cli.programs.pipeline.system_events import SystemEvent
from ergo_cli.programs.pipeline.topology import Topology
from ergo_cli.programs.pipeline.transition_history import Transited


class FlowFailed(PipelineError):
    """A pipeline has failed, or was stopped before it drained; ``failure_cause`` is the violation, where it is one."""

    def __init__(self, reason: str, failure_cause: ViolationCause | None, where: str) -> None:
        super().__init__("pipeline.failed", reason, where=where)
        self.failure_cause = failure_cause


class FlowHandle:
    """A flow that runs in this event loop. As a context manager it cancels the flow at the end of the block."""

    def __init__(
        self,
        flow: Flow,
        supervisor: PipelineSupervisor,
        task: asyncio.Task[None],
        channel: ControlChannel,
        watcher: StateWatcher,
        clock: LoopClock,
        gates: Gates,
    ) -> None:
        self.flow = flow
        self._supervisor = supervisor
        self._task = task
        self._channel = channel
        self._watcher = watcher
        self._clock = clock
        self._gates = gates
        self._stopping: list[asyncio.Future[None]] = []

    # --- control -----------------------------------------------------------------------------------------------------

    async def start(self) -> RunOutcome:
        """Ask the pipeline to run: honoured once it is ready, dropped before, without effect afterwards (§12.3)."""
        if not self.is_running:
            return RunOutcome.FINISHED
        return await (await self._channel.send(Run()))

    async def run(self) -> None:
        """Start the pipeline, where it waits to be asked, and wait for its end. Raises FlowFailed."""
        if self._supervisor.context.startup is StartupMode.MANUAL:
            async for state in self._watcher.changes():
                if run_outcome(state) is not RunOutcome.NOT_READY:
                    break
            await self.start()
        await self.wait()

    async def wait(self) -> None:
        """Wait for the end of the pipeline. Raises FlowFailed."""
        await asyncio.shield(self._task)
        state = self.state
        if isinstance(state, Failed):
            raise FlowFailed(self._reason(state), state.failure_cause, f"pipeline '{self.flow_name}'")

    async def stop(self) -> None:
        """Stop at once, without draining; nothing happens to a pipeline that has ended."""
        await self._stop(Cancel(), None)

    async def stop_graceful(self, timeout_ms: int) -> None:
        """End the sources and let everything drain, for at most ``timeout_ms``."""
        await self._stop(Graceful(timeout_ms), None)

    async def stop_cancel_timeout(self) -> None:
        """Stop at once because a stop took too long."""
        await self._stop(Cancel(), STOP_TIMEOUT)

    async def abort(self, reason: str) -> None:
        """Fail the pipeline. Raises PipelineError ``pipeline.not_running`` where it has ended."""
        if not self.is_running:
            fix = "abort a pipeline before it has ended"
            where = f"pipeline '{self.flow_name}'"
            raise PipelineError("pipeline.not_running", "Pipeline supervisor is not running", where=where, fix=fix)
        await self._channel.send(Error(f"Force abort: {reason}"))

    def close(self) -> None:
        """Give up control; a pipeline that nothing can control any more fails (§11)."""
        self._channel.close()

    def lift_windows(self) -> None:
        """Let every stage write on, however far its readers are behind, for emergencies."""
        self._gates.lift()

    def stop_on_signals(self, *signals: signal.Signals) -> None:
        """Stop gracefully at the first signal, cancel at the second; by default SIGINT and SIGTERM (§13.3).

        If the pipeline has not ended when the shutdown timeout is over, it is cancelled for that.
        """
        loop = asyncio.get_running_loop()
        chosen = signals or (signal.SIGINT, signal.SIGTERM)
        for each in chosen:
            loop.add_signal_handler(each, self._on_signal)
        self._task.add_done_callback(lambda _task: [loop.remove_signal_handler(each) for each in chosen])

    # --- what can be seen --------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The latest published state."""
        return self._watcher.state

    def watch_state(self) -> AsyncIterator[State]:
        """The state, then the latest one after each change, to the end of the pipeline."""
        return self._watcher.changes()

    @property
    def is_running(self) -> bool:
        """Whether the pipeline's supervisor has not ended."""
        return not self._task.done()

    @property
    def flow_name(self) -> str:
        """The name of the flow."""
        return self.flow.name

    @property
    def topology(self) -> Topology:
        """The stages and edges."""
        return self.flow.topology

    @property
    def contract_attachments(self) -> Mapping[EdgePair, tuple[str, ...]]:
        """The contracts of each edge."""
        topology = self.flow.topology
        return {
            (topology.name_of(edge.upstream), topology.name_of(edge.reader)): topology.contract_names(edge)
            for edge in topology.edges
        }

    @property
    def system_journal(self) -> Journal[SystemEvent]:
        """The journal of the flow's lifecycle and contracts."""
        return self.flow.system

    @property
    def barrier(self) -> Barrier:
        """What is still missing for completion (§15.4)."""
        return self._supervisor.context.evidence.barrier()

    @property
    def transitions(self) -> tuple[Transited, ...]:
        """The last transitions of the pipeline's lifecycle, oldest first."""
        return self._supervisor.history.last

    def render_metrics(self) -> str:
        """The metrics as an exporter renders them. Raises PipelineError ``pipeline.no_exporter``: there is none."""
        fix = "read the metrics of the lifecycle events in the system journal"
        raise PipelineError("pipeline.no_exporter", "No metrics exporter configured", where="pipeline", fix=fix)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.stop()
        await asyncio.wait([self._task])

    async def _stop(self, mode: StopMode, reason: str | None) -> None:
        if self.is_running:
            await self._channel.send(StopRequested(mode, reason, self._clock.monotonic_ns()))

    def _reason(self, state: Failed) -> str:
        """Why it failed; of a pipeline that was draining also what it waited for."""
        entered = next(made for made in reversed(self.transitions) if made.end == "Failed")
        return (
            f"{state.reason} ({barrier_text(self._supervisor.context)})"
            if entered.start == "Draining"
            else state.reason
        )

    def _on_signal(self) -> None:
        if self._stopping:
            self._send_soon(self.stop())
            return
        timeout_ms = self.flow.program.settings.shutdown_timeout_ms
        self._send_soon(self.stop_graceful(timeout_ms))
        late = asyncio.get_running_loop().call_later(
            timeout_ms / 1000, lambda: self._send_soon(self.stop_cancel_timeout())
        )
        self._task.add_done_callback(lambda _task: late.cancel())

    def _send_soon(self, request: Coroutine[None, None, None]) -> None:
        self._stopping.append(asyncio.ensure_future(request))
