"""Stand-ins for collaborators that a kernel does not need (spec 40 §4)."""

from __future__ import annotations

from ergo_cli.programs.kernel.actions import Action, ActionCall
from ergo_cli.programs.kernel.errors import driver_error
from ergo_cli.programs.kernel.steps import Complete
from ergo_cli.programs.kernel.wire import FreeValue


def no_execution(action: Action, call: ActionCall) -> FreeValue:
    """An executor that is never reached. Raises KernelError if it is."""
    raise driver_error("action execution not used in replay")


def complete_at_once(state: object) -> Complete:
    """A step function that is always done."""
    return Complete()
