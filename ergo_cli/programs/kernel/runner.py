"""Running a kernel from synchronous and asynchronous code (spec 40 §14)."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.signals import ResumeSignal
from ergo_cli.programs.kernel.status import RunStatus

S = TypeVar("S")


class KernelRunner(Generic[S]):
    """Serves many runs of one kernel, one after another or side by side. Errors are the kernel's, unchanged."""

    def __init__(self, kernel: Kernel[S]) -> None:
        self._kernel = kernel

    def run_until_blocked_sync(self, run_id: str, initial_state: S) -> RunStatus:
        """Drive a run on the calling thread."""
        return self._kernel.run_until_blocked(run_id, initial_state)

    def resume_sync(self, run_id: str, initial_state: S, signal: ResumeSignal) -> RunStatus:
        """Resume a run on the calling thread."""
        return self._kernel.resume(run_id, initial_state, signal)

    async def run_until_blocked_async(self, run_id: str, initial_state: S) -> RunStatus:
        """Drive a run on a worker thread; the event loop goes on."""
        return await asyncio.to_thread(self._kernel.run_until_blocked, run_id, initial_state)

    async def resume_async(self, run_id: str, initial_state: S, signal: ResumeSignal) -> RunStatus:
        """Resume a run on a worker thread; the event loop goes on."""
        return await asyncio.to_thread(self._kernel.resume, run_id, initial_state, signal)
