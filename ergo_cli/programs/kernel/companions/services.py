"""Around a kernel: guarded services, a runner for threads and asyncio, steps with explicit input, effect records.

Spec 40 §8 (services), §14 (runner), §3.15 (explicit input), §3.11 (effect records).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.core.time import Clock
from ergo_cli.programs.kernel.engine.actions import (
    Initial,
    LLMCall,
    Next,
    Resume,
    ResumeSignal,
    RuntimeEffect,
    Signal,
    Step,
    ToolCall,
)
from ergo_cli.programs.kernel.engine.errors import driver_error
from ergo_cli.programs.kernel.engine.events import RunStatus, Seq
from ergo_cli.programs.kernel.engine.options import DeterminismGuard, KernelMode
from ergo_cli.programs.kernel.program import Kernel

S = TypeVar("S")


class GuardedClock:
    """A clock that asks the guard before it reads the time or sleeps."""

    def __init__(self, clock: Clock, guard: DeterminismGuard) -> None:
        self._clock = clock
        self._guard = guard

    def wall_ms(self) -> int:
        """Milliseconds since 1970. Raises KernelError in Replay and Verify."""
        self._guard.check_clock_access()
        return self._clock.wall_ms()

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment. Raises KernelError in Replay and Verify."""
        self._guard.check_clock_access()
        return self._clock.monotonic_ns()

    def sleep_ns(self, duration: int) -> None:
        """Let time pass. Raises KernelError in Replay and Verify."""
        self._guard.check_clock_access()
        self._clock.sleep_ns(duration)


class Services:
    """Clock, randomness and threads for the user's code, each behind the guard of one mode.

    ``draw(n)`` returns n random bytes, ``start(work)`` runs work on a new thread.
    """

    def __init__(
        self,
        mode: KernelMode,
        *,
        clock: Clock,
        draw: Callable[[int], bytes],
        start: Callable[[Callable[[], None]], None],
    ) -> None:
        self._guard = DeterminismGuard(mode)
        self._draw = draw
        self._start = start
        self.clock: Clock = GuardedClock(clock, self._guard)

    def random(self, size: int) -> bytes:
        """``size`` random bytes. Raises KernelError in Replay and Verify."""
        self._guard.check_random_access()
        return self._draw(size)

    def spawn(self, work: Callable[[], None]) -> None:
        """Run ``work`` on a new thread. Raises KernelError in Replay and Verify."""
        self._guard.check_spawn_access()
        self._start(work)


class KernelRunner(Generic[S]):
    """Drives many runs of one kernel, in sequence or concurrently. Raises the kernel's errors unchanged."""

    def __init__(self, kernel: Kernel[S]) -> None:
        self._kernel = kernel

    def run_until_blocked_sync(self, run_id: str, initial_state: S) -> RunStatus:
        """Drive a run on the calling thread."""
        return self._kernel.run_until_blocked(run_id, initial_state)

    def resume_sync(self, run_id: str, initial_state: S, signal: ResumeSignal) -> RunStatus:
        """Resume a run on the calling thread."""
        return self._kernel.resume(run_id, initial_state, signal)

    async def run_until_blocked_async(self, run_id: str, initial_state: S) -> RunStatus:
        """Drive a run on a worker thread; the event loop stays free."""
        return await asyncio.to_thread(self._kernel.run_until_blocked, run_id, initial_state)

    async def resume_async(self, run_id: str, initial_state: S, signal: ResumeSignal) -> RunStatus:
        """Resume a run on a worker thread; the event loop stays free."""
        return await asyncio.to_thread(self._kernel.resume, run_id, initial_state, signal)


StepInput = Initial | Resume | Signal


class StepRecord(Struct, frozen=True):
    """The version record of a step with explicit input: ``{"version":"V1","step_id":"s","input":"Initial"}``."""

    version: str
    step_id: str
    input: StepInput


STEP_CONTRACT_VERSION = "1.0"
"""The version of the contract that StepRecord's ``V1`` stands for."""


def validate_input(step_input: StepInput) -> None:
    """Raise KernelError for a signal without a name."""
    if isinstance(step_input, Signal) and not step_input.name:
        raise driver_error("ExecutionStepInput::Signal name must be non-empty")


class ExplicitStep(Struct, Generic[S], frozen=True):
    """Adapts a plain step function to the explicit-input contract; the function does not see the input."""

    step: Step[S]

    def execute(self, state: S, step_input: StepInput) -> Next:
        """The answer of the step function. Raises KernelError for an invalid input."""
        validate_input(step_input)
        return self.step(state)


class EffectLog(Struct, frozen=True):
    """An effect with its run and seq, for sinks that keep effects."""

    run_id: str
    seq: Seq
    effect: RuntimeEffect
    timestamp_ms: int | None = None

    @property
    def is_llm_call(self) -> bool:
        """Whether a model was asked."""
        return isinstance(self.effect, LLMCall)

    @property
    def is_tool_call(self) -> bool:
        """Whether a tool was called."""
        return isinstance(self.effect, ToolCall)


class NoopEffectSink:
    """Discards every effect."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Discard the effect."""
