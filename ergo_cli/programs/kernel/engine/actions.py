"""Answers of a step function and effects of a run: actions, waits, signals, effects.

Spec 40 §3.4–3.7 (actions, steps, signals), §3.11 (effects), §5.7 and §20 (open requests).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar, assert_never, runtime_checkable

from msgspec import Meta, Struct

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import FreeValue, Variant, WireError, Wrapper
from ergo_cli.programs.kernel.engine.errors import at, driver_error
from ergo_cli.programs.kernel.engine.events import ActionRequested, ActionSucceeded, Event

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
    """Let time pass; done by the executor, or by the driver with built-in waits."""

    millis: Millis


class WaitSignal(Variant, frozen=True):
    """Wait for a named signal; done by the executor, or by the driver with built-in waits."""

    name: str


S = TypeVar("S")

Action = CallTool | CallLLM | Sleep | WaitSignal


class Success(Wrapper, frozen=True):
    """The action worked; replay serves ``output``."""

    output: FreeValue


class Failure(Wrapper, frozen=True):
    """The action failed logically; it is never retried."""

    error: str


ActionResult = Success | Failure


class ActionCall(Struct, frozen=True):
    """The context that an executor gets with an action.

    ``action_id`` is the idempotency key, the same for every try of one request. ``remaining`` is the nanoseconds until
    the deadline, None without one.
    """

    run_id: str
    action_id: str
    remaining: int | None = None


Executor = Callable[[Action, ActionCall], FreeValue]
"""``execute(action, call)``: an ActionResult, or a plain value, which is a Success. May raise ActionError."""


@runtime_checkable
class LookingUpExecutor(Protocol):
    """An executor that can look up the result of an earlier request (``OnOrphan.LOOKUP``)."""

    def lookup(self, action_id: str) -> ActionResult | None:
        """The result of a request, None if it is unknown."""
        ...


@runtime_checkable
class RecordedExecutor(Protocol):
    """An executor that reads only recorded results: Replay and Verify admit no other (§19.3)."""

    answers_from_records: bool


def action_value(action: Action) -> FreeValue:
    """The action as the free value of ``ActionRequested``. Raises KernelError ``kernel.not_canonical``."""
    try:
        return decode_json(wire.encode(action))
    except NotCanonicalError as error:
        message = f"{type(action).__name__}{error.place}: {error}"
        raise driver_error(message, code="kernel.not_canonical") from error


def recorded_action(action: Action) -> tuple[FreeValue, Action]:
    """The action as ``ActionRequested`` will hold it, and as every reader will decode it.

    Raises KernelError: ``kernel.not_canonical``, ``kernel.driver`` for a value that is not an action.
    """
    payload = action_value(action)
    try:
        return payload, action_of(payload)
    except WireError as error:
        raise driver_error(f"the step function asked for {action!r:.100}, which is no action: {error}") from error


def action_of(payload: FreeValue) -> Action:
    """The action that an ``ActionRequested`` payload holds. Raises WireError if it holds none."""
    return wire.read(payload, Action)


class Emit(Wrapper, frozen=True):
    """Append these events as one batch and ask again."""

    events: list[Event]


class Do(Wrapper, frozen=True):
    """Execute this action and ask again."""

    action: Action


class Interrupt(Variant, frozen=True):
    """Stop until the run is resumed; ``value`` says what is asked for."""

    value: FreeValue


class Complete(Variant, frozen=True):
    """The run is done."""


Next = Emit | Do | Interrupt | Complete


Step = Callable[[S], Next]
"""``step(state)``: what to do next. Pure; the driver asks it again after every answer but the last."""


class Initial(Variant, frozen=True):
    """No input: the first step."""


class Resume(Wrapper, frozen=True):
    """Continue with this value."""

    value: FreeValue


class Signal(Variant, frozen=True):
    """Continue with the value of a named signal. Without built-in waits the driver ignores the name."""

    name: str
    value: FreeValue


ResumeSignal = Resume | Signal


class OpenRequest(Struct, frozen=True):
    """A request without result at the end of a log."""

    action_id: str
    action: Action

    @property
    def awaited_signal(self) -> str | None:
        """The name of the signal that answers it, None if the action does not wait for one."""
        return self.action.name if isinstance(self.action, WaitSignal) else None

    def answered_by(self, signal: ResumeSignal, run_id: str) -> ActionSucceeded:
        """The result that a signal, or a resumption without a name, gives to a waiting request.

        Raises KernelError ``kernel.signal_unexpected`` for a signal of another name.
        """
        if isinstance(signal, Signal) and signal.name != self.awaited_signal:
            raise unexpected_signal(f"the run waits for signal '{self.awaited_signal}', not '{signal.name}'", run_id)
        return ActionSucceeded(self.action_id, signal.value)


def open_request(last: Event | None, run_id: str) -> OpenRequest | None:
    """The request that ``last``, the last event of a log, leaves open, or None.

    Raises KernelError if its payload holds no action.
    """
    if not isinstance(last, ActionRequested):
        return None
    try:
        return OpenRequest(last.action_id, action_of(last.payload))
    except WireError as error:
        message = f"the open request '{last.action_id}' holds no action: {error}"
        raise driver_error(message, where=at(run_id, action_id=last.action_id)) from error


def unexpected_signal(message: str, run_id: str) -> Exception:
    """The error of a signal that the run does not wait for."""
    return driver_error(message, code="kernel.signal_unexpected", where=at(run_id))


def no_execution(action: Action, call: ActionCall) -> FreeValue:
    """The executor of a kernel that must not act. Raises KernelError."""
    raise driver_error("action execution not used in replay")


def complete_at_once(state: object) -> Complete:
    """A step function that completes at once."""
    return Complete()


class LLMCall(Variant, frozen=True):
    """A model is about to be asked."""

    provider: str
    input: FreeValue


class ToolCall(Variant, frozen=True):
    """A tool is about to be called."""

    tool: str
    input: FreeValue


class StateWrite(Variant, frozen=True):
    """A state is about to be written."""

    step_id: str | None
    payload: FreeValue


class InterruptRaise(Variant, frozen=True):
    """The run is about to stop until it is resumed."""

    value: FreeValue


class SignalWait(Variant, frozen=True):
    """The run is about to wait for a signal; only with built-in waits (spec 00 §13.5)."""

    name: str


RuntimeEffect = LLMCall | ToolCall | StateWrite | InterruptRaise | SignalWait


class EffectSink(Protocol):
    """Receives every effect in order, before it happens; cannot refuse one."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Record an effect."""
        ...


def effect_of(action: Action, *, built_in_waits: bool) -> RuntimeEffect | None:
    """The effect of an action; waiting for a signal is one only if the driver waits itself."""
    match action:
        case CallLLM(provider, value):
            return LLMCall(provider, value)
        case CallTool(tool, value):
            return ToolCall(tool, value)
        case WaitSignal(name):
            return SignalWait(name) if built_in_waits else None
        case Sleep():
            return None
        case _:
            assert_never(action)
