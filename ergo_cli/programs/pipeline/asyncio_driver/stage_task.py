"""The task of a stage: it steps the stage, waits for work, and does between two steps what the pipeline asks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from ergo_cli.errors import ErgoError, described
from ergo_cli.programs.pipeline.asyncio_driver.feeds import Feeder
from ergo_cli.programs.pipeline.asyncio_driver.gates import Gate
from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell, LoopClock
from ergo_cli.programs.pipeline.contract_checks import CheckConfig
from ergo_cli.programs.pipeline.stage_machines import StageState
from ergo_cli.programs.pipeline.stages.join import JoinSupervisor
from ergo_cli.programs.pipeline.stages.reading import ReadingStage
from ergo_cli.programs.pipeline.stages.stateful import StatefulSupervisor
from ergo_cli.programs.pipeline.stages.supervisor import StageFault, StageSupervisor
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.stop_intent import FORCED_SHUTDOWN, STOP_TIMEOUT
from ergo_cli.programs.pipeline.topology import Stage

NANOS_A_MS = 1_000_000
TICK_NS = CheckConfig().tick_ms * NANOS_A_MS

Request = tuple[Callable[[], Awaitable[None]], "asyncio.Future[None] | None"]
"""What to do, and the future of a sender that waits until it is done."""


class Due:
    """Something that is done every so often."""

    def __init__(self, interval_ns: int, act: Callable[[], Awaitable[object]], now_ns: int) -> None:
        self._interval_ns = interval_ns
        self._act = act
        self.at_ns = now_ns + interval_ns

    def postpone(self, now_ns: int) -> None:
        """Begin the interval anew."""
        self.at_ns = now_ns + self._interval_ns

    async def serve(self, now_ns: int) -> None:
        """Do it, if it is due."""
        if now_ns >= self.at_ns:
            self.postpone(now_ns)
            await self._act()


class StageTask:
    """Runs one stage; what the pipeline's supervisor manages it by (§18.6).

    ``ended`` is called with the stage once it has ended, ``broken`` with what a stage could not report of itself.
    """

    def __init__(
        self,
        supervisor: StageSupervisor,
        *,
        clock: LoopClock,
        bell: Bell,
        gate: Gate,
        feeder: Feeder | None,
        ended: Callable[[StageTask], object],
        broken: Callable[[str], object],
    ) -> None:
        self.supervisor = supervisor
        self._clock = clock
        self._bell = bell
        self._gate = gate
        self._feeder = feeder
        self._ended = ended
        self._broken = broken
        self._requests: deque[Request] = deque()
        self._takes_what_is_there = isinstance(supervisor, JoinSupervisor) and supervisor.is_live
        self._tick = Due(TICK_NS, self._check, clock.monotonic_ns())
        self._emit = self._idle_emission()
        self._is_retired = False
        self._task = asyncio.create_task(self._run(), name=f"stage {supervisor.stage.name}")

    @property
    def stage(self) -> Stage:
        """Its place in the topology."""
        return self.supervisor.stage

    @property
    def state(self) -> StageState:
        """Where its lifecycle is."""
        return self.supervisor.state

    @property
    def is_ready(self) -> bool:
        """Whether it runs."""
        return self.supervisor.is_ready

    @property
    def has_ended(self) -> bool:
        """Whether it has completed, failed or been cancelled."""
        return self.supervisor.has_ended

    async def initialize(self) -> None:
        """Allocate what it needs."""
        await self._ask(self.supervisor.initialize)

    async def ready(self) -> None:
        """Let it start, or a source wait for its start."""
        await self._ask(self.supervisor.ready)

    async def start(self) -> None:
        """Start it."""
        await self._ask(self.supervisor.start)

    async def begin_drain(self) -> None:
        """Let it come to its end, without waiting for that."""
        self._post(self.supervisor.begin_drain)

    async def force_shutdown(self, text: str) -> None:
        """End it as soon as its handler returns, without waiting for that."""
        self._post(partial(self.supervisor.force_shutdown, text))
        self._gate.shut_down(text)

    async def join(self, deadline_ns: int) -> None:
        """Wait for the task until a moment of the clock; then cancel it (§13.4)."""
        if self._task.done() or (self._clock.monotonic_ns() < deadline_ns and await self.wait(deadline_ns)):
            return
        await self.cancel_and_join()

    async def wait(self, deadline_ns: int) -> bool:
        """Wait for the task until a moment of the clock; returns whether it has ended."""
        left_ns = max(deadline_ns - self._clock.monotonic_ns(), 0)
        done, _ = await asyncio.wait([self._task], timeout=left_ns / 1e9)
        return bool(done)

    async def cancel_and_join(self) -> None:
        """Cancel the task and wait until it has really ended (C-54)."""
        self._is_retired = True
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while not self.supervisor.has_ended:
                self._bell.hush()
                if await self._move():
                    await asyncio.sleep(0)
                else:
                    await self._bell.wait(self._wait_ns())
        except asyncio.CancelledError:
            await self._report(self._cancelled())
        finally:
            self._end()

    async def _move(self) -> bool:
        """Answer a request, else do what is due, else take a step; returns whether anything moved."""
        try:
            if self._requests:
                await self._answer(*self._requests.popleft())
                return True
            if self._feeder is not None and await self._feeder.serve():
                return True
            await self._tick.serve(self._clock.monotonic_ns())
            if await self.supervisor.visit(at_rest=self._takes_what_is_there):
                if self._emit is not None:
                    self._emit.postpone(self._clock.monotonic_ns())
                return True
            if self._emit is not None:
                await self._emit.serve(self._clock.monotonic_ns())
        except Exception as error:  # noqa: BLE001 - a stage that cannot be stepped fails, whatever it is (H-6)
            text = str(error) if isinstance(error, ErgoError | StageFault) else described(error)
            await self._report(text, error)
        return False

    async def _answer(self, request: Callable[[], Awaitable[None]], answer: asyncio.Future[None] | None) -> None:
        """Do what is asked. The answer comes whatever happens, since the pipeline's supervisor waits for it."""
        try:
            await request()
        except Exception as error:
            if answer is None or answer.done():
                raise
            answer.set_exception(error)
        finally:
            if answer is not None and not answer.done():
                answer.set_result(None)

    async def _ask(self, request: Callable[[], Awaitable[None]]) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._post(request, answer):
            await answer

    def _post(self, request: Callable[[], Awaitable[None]], answer: asyncio.Future[None] | None = None) -> bool:
        """Queue a request; returns whether the task still takes any."""
        if self._task.done():
            return False
        self._requests.append((request, answer))
        self._bell.ring()
        return True

    async def _report(self, text: str, cause: BaseException | None = None) -> None:
        """Fail the stage; where no journal takes that, the pipeline hears of it from here."""
        try:
            await self.supervisor.fail(text, cause)
        except ErgoError:
            self._broken(f"Stage '{self.stage.name}' failed: {text}")

    def _cancelled(self) -> str:
        """Why the task was cancelled: by clean-up whose time is over, with the whole loop, or by its own handler."""
        if not self._task.cancelling():
            return f"dispatch_state error in {name_of(self.state)}: a handler raised CancelledError"
        return STOP_TIMEOUT if self._is_retired else FORCED_SHUTDOWN

    def _end(self) -> None:
        if self._feeder is not None:
            self._feeder.stop()
        for _, answer in self._requests:
            if answer is not None and not answer.done():
                answer.set_result(None)
        self._requests.clear()
        self._ended(self)

    @property
    def _dues(self) -> tuple[Due, ...]:
        return (self._tick,) if self._emit is None else (self._tick, self._emit)

    def _wait_ns(self) -> int:
        """How long nothing is due."""
        now_ns = self._clock.monotonic_ns()
        waits = [max(due.at_ns - now_ns, 0) for due in self._dues]
        if self._feeder is not None and self._feeder.wait_ns is not None:
            waits.append(self._feeder.wait_ns)
        return min(waits)

    async def _check(self) -> None:
        if isinstance(self.supervisor, ReadingStage):
            self.supervisor.tick()

    def _idle_emission(self) -> Due | None:
        """What an idle stage with an emit interval does (§18.3)."""
        supervisor = self.supervisor
        if not isinstance(supervisor, StatefulSupervisor) or supervisor.emit_interval_ms is None:
            return None
        return Due(supervisor.emit_interval_ms * NANOS_A_MS, supervisor.emit_idle, self._clock.monotonic_ns())
