"""Recorded facts that end a call where its program could not know (spec 40 §19.3 step 2, 00 §13.6)."""

from __future__ import annotations

from ergo_cli.bundle.kernel_journals import KernelCall
from ergo_cli.programs.kernel.deadline import is_deadline
from ergo_cli.programs.kernel.errors import Category, KernelError
from ergo_cli.programs.kernel.events import ActionFailed, ActionRequested
from ergo_cli.programs.kernel.recording import EndingPoint, RecordedEnding
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome

_CUT_OFF = (Outcome.TIMED_OUT, Outcome.ABORTED)
_STORE_FAILED = Failed(ErrKind.ADAPTER_UNAVAILABLE)
_DENIALS = ("kernel.policy", "kernel.budget_exceeded")


def recorded_ending(call: KernelCall) -> RecordedEnding | None:
    """The error that struck a recorded call from outside, and where; None if its program ended it by itself."""
    error, last = call.end.error, call.events[-1].event if call.events else None
    if call.end.termination in _CUT_OFF:
        return _ending(call, Category.DRIVER, EndingPoint.CHECK)
    if call.end.termination == _STORE_FAILED:
        return _ending(call, Category.EVENT_STORE, EndingPoint.APPEND)
    if error is None:
        return None
    if error.code in _DENIALS:
        return _ending(call, Category.POLICY, EndingPoint.AUTHORIZATION)
    if isinstance(last, ActionRequested) or (isinstance(last, ActionFailed) and last.error == error.message):
        return _ending(call, Category.DRIVER, EndingPoint.RECORD)
    return None


def has_struck(ending: RecordedEnding, error: KernelError) -> bool:
    """Whether this is how ``ending`` ended today's call."""
    return error is ending.error or (ending.point is EndingPoint.CHECK and is_deadline(error))


def is_cut_off(call: KernelCall) -> bool:
    """Whether a deadline or a cancellation ended the call: the only reasons for a request without result."""
    return call.end.termination in _CUT_OFF


def _ending(call: KernelCall, category: Category, point: EndingPoint) -> RecordedEnding:
    error = call.end.error
    code, message = ("kernel.deadline", "deadline exceeded") if error is None else (error.code, error.message)
    return RecordedEnding(KernelError(category, message.removeprefix(category.prefix), code=code), point)
