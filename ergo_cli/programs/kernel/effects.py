"""What a run was about to do, told to a sink for audit and capture (spec 40 §3.11)."""

from __future__ import annotations

from typing import Protocol, assert_never

from msgspec import Struct

from ergo_cli.programs.kernel.actions import Action, CallLLM, CallTool, Sleep, WaitSignal
from ergo_cli.programs.kernel.events import Seq
from ergo_cli.programs.kernel.wire import FreeValue, Variant


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
    """The run is about to stop for somebody."""

    value: FreeValue


class SignalWait(Variant, frozen=True):
    """The run is about to wait for a signal; only with built-in waits (spec 00 §13.5)."""

    name: str


RuntimeEffect = LLMCall | ToolCall | StateWrite | InterruptRaise | SignalWait


class EffectLog(Struct, frozen=True):
    """An effect with its place, for sinks that keep one."""

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


class EffectSink(Protocol):
    """Told of every effect in order; cannot refuse."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Take note of an effect."""
        ...


class NoopEffectSink:
    """Takes note of nothing."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Discard the effect."""


def effect_of(action: Action, *, built_in_waits: bool) -> RuntimeEffect | None:
    """The effect of an action; a wait is one only if the driver itself does the waiting."""
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
