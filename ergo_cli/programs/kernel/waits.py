"""Signals that a run waits for, and orphan requests, as the end of a log shows them (spec 40 §5.7, §20)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.kernel.actions import Action, WaitSignal, action_of
from ergo_cli.programs.kernel.errors import at, driver_error
from ergo_cli.programs.kernel.events import ActionRequested, ActionSucceeded, Event
from ergo_cli.programs.kernel.signals import ResumeSignal, Signal
from ergo_cli.programs.kernel.wire import WireError


class OpenRequest(Struct, frozen=True):
    """A request without result at the end of a log."""

    action_id: str
    action: Action

    @property
    def awaited_signal(self) -> str | None:
        """The signal that answers it, if it is one that waits for a signal."""
        return self.action.name if isinstance(self.action, WaitSignal) else None

    def answered_by(self, signal: ResumeSignal, run_id: str) -> ActionSucceeded:
        """The result that a signal, or a nameless resumption, gives to a waiting request.

        Raises KernelError ``kernel.signal_unexpected`` for a signal of another name.
        """
        if isinstance(signal, Signal) and signal.name != self.awaited_signal:
            raise unexpected_signal(f"the run waits for signal '{self.awaited_signal}', not '{signal.name}'", run_id)
        return ActionSucceeded(self.action_id, signal.value)


def open_request(last: Event | None, run_id: str) -> OpenRequest | None:
    """The request that ``last``, the last event of a log, leaves open. Raises KernelError if it holds no action."""
    if not isinstance(last, ActionRequested):
        return None
    try:
        return OpenRequest(last.action_id, action_of(last.payload))
    except WireError as error:
        message = f"the open request '{last.action_id}' holds no action: {error}"
        raise driver_error(message, where=at(run_id, action_id=last.action_id)) from error


def unexpected_signal(message: str, run_id: str) -> Exception:
    """The error of a signal that nobody waits for."""
    return driver_error(message, code="kernel.signal_unexpected", where=at(run_id))
