"""What an event does to its run (spec 40 §19.1)."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel.errors import at, driver_error
from ergo_cli.programs.kernel.events import Interrupted
from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.signals import Resume
from ergo_cli.programs.kernel.status import BlockedInfo, InterruptInfo, RunBlocked, RunCompleted, RunStatus
from ergo_cli.programs.kernel.wire import FreeValue

S = TypeVar("S")


class Turn(Struct, frozen=True):
    """One call for an event: ``is_shared`` runs belong to several events, ``is_retry`` is a later attempt of one."""

    payload: FreeValue
    is_shared: bool
    is_retry: bool

    def take(self, kernel: Kernel[S], run_id: str, initial: S) -> RunStatus:
        """Begin the run, resume it or drive it on, as the end of its log asks for; a run that is done stays as it is.

        Raises KernelError, ``kernel.already_completed`` for a shared run that is done.
        """
        end = kernel.log_end(run_id)
        if end.head == 0:
            return kernel.run_until_blocked(run_id, initial)
        if end.broken_off:
            return self._go_on(kernel, run_id, initial)
        if isinstance(end.lifecycle, Interrupted):
            return self._answer(kernel, run_id, initial, end.lifecycle)
        if end.is_completed:
            return self._leave(run_id)
        return self._go_on(kernel, run_id, initial)

    def _answer(self, kernel: Kernel[S], run_id: str, initial: S, interrupted: Interrupted) -> RunStatus:
        if self.is_shared and not self.is_retry:
            return kernel.resume(run_id, initial, Resume(self.payload))
        return RunBlocked(BlockedInfo(interrupt=InterruptInfo(interrupted.value)))

    def _leave(self, run_id: str) -> RunStatus:
        if self.is_shared:
            message = "the run is already completed: nobody waits for this event"
            raise driver_error(message, code="kernel.already_completed", where=at(run_id))
        return RunCompleted()

    def _go_on(self, kernel: Kernel[S], run_id: str, initial: S) -> RunStatus:
        """The run failed, timed out or crashed: a new event must not find it locked."""
        if self.is_shared and not self.is_retry:
            return kernel.resume(run_id, initial, Resume(self.payload), strict=False)
        return kernel.run_until_blocked(run_id, initial)
