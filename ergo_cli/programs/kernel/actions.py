"""Actions: every contact of a run with the world, and how it ends (spec 40 §3.4–3.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol, runtime_checkable

from msgspec import Meta, Struct

from ergo_cli.core.canonical import NotCanonicalError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.errors import driver_error
from ergo_cli.programs.kernel.wire import FreeValue, Variant, WireError, Wrapper

Millis = Annotated[int, Meta(ge=0)]
"""A duration in milliseconds."""


class CallTool(Variant, frozen=True):
    """Call a tool."""

    tool: str
    input: FreeValue


class CallLLM(Variant, frozen=True):
    """Ask a model."""

    provider: str
    input: FreeValue


class Sleep(Variant, frozen=True):
    """Let time pass. The executor's affair, unless the program opts into built-in waits."""

    millis: Millis


class WaitSignal(Variant, frozen=True):
    """Wait for a named signal. The executor's affair, unless the program opts into built-in waits."""

    name: str


Action = CallTool | CallLLM | Sleep | WaitSignal


class Success(Wrapper, frozen=True):
    """The action worked; ``output`` is what replay will serve."""

    output: FreeValue


class Failure(Wrapper, frozen=True):
    """The action failed in its own terms: never retried."""

    error: str


ActionResult = Success | Failure


class ActionCall(Struct, frozen=True):
    """What an executor is told beside the action.

    ``action_id`` is its idempotency key: the same for every try of one request. ``remaining`` is how many
    nanoseconds are left until the deadline, None without one.
    """

    run_id: str
    action_id: str
    remaining: int | None = None


Executor = Callable[[Action, ActionCall], FreeValue]
"""``execute(action, call)``: an ActionResult, or a plain value, which is a Success. May raise ActionError."""


@runtime_checkable
class LookingUpExecutor(Protocol):
    """An executor that can tell what became of an earlier request (``OnOrphan.LOOKUP``)."""

    def lookup(self, action_id: str) -> ActionResult | None:
        """The result of a request, or None if it is not known."""
        ...


@runtime_checkable
class RecordedExecutor(Protocol):
    """An executor that touches nothing but what was recorded: the only kind that Replay and Verify admit (§19.3)."""

    answers_from_records: bool


def action_value(action: Action) -> FreeValue:
    """The action as the free value of ``ActionRequested``. Raises KernelError ``kernel.not_canonical``."""
    try:
        return decode_json(wire.encode(action))
    except NotCanonicalError as error:
        message = f"{type(action).__name__}{error.place}: {error}"
        raise driver_error(message, code="kernel.not_canonical") from error


def recorded_action(action: Action) -> tuple[FreeValue, Action]:
    """The action as ``ActionRequested`` will hold it, and as every reader will make it of that.

    Raises KernelError: ``kernel.not_canonical``, and ``kernel.driver`` for what is no action at all.
    """
    payload = action_value(action)
    try:
        return payload, action_of(payload)
    except WireError as error:
        raise driver_error(f"the step function asked for {action!r:.100}, which is no action: {error}") from error


def action_of(payload: FreeValue) -> Action:
    """The action of an ``ActionRequested`` payload. Raises WireError where it holds none."""
    return wire.read(payload, Action)
