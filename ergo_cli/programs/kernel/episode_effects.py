"""What a run did, as effects of its episode (spec 00 §13.5)."""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from ergo_cli.core.canonical import free_text
from ergo_cli.core.effects import Effect, Intent, IntentField, ProducedEffect, Write, derive_intent_id
from ergo_cli.core.values import Value
from ergo_cli.programs.kernel.effects import InterruptRaise, LLMCall, RuntimeEffect, SignalWait, StateWrite, ToolCall
from ergo_cli.programs.kernel.wire import FreeValue


class EpisodeEffects:
    """An EffectSink that renders the effects of one attempt in the order in which they occur."""

    def __init__(self, graph_id: str, event_id: str) -> None:
        self._graph_id = graph_id
        self._event_id = event_id
        self._ordinals: Counter[tuple[str, str]] = Counter()
        self.produced: list[ProducedEffect] = []
        """The effects so far."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Take note of an effect."""
        self.produced.append(ProducedEffect.of(self._effect(run_id, effect)))

    def _effect(self, run_id: str, effect: RuntimeEffect) -> Effect:
        match effect:
            case StateWrite(step_id, payload):
                key = "state" if step_id is None else f"state:{step_id}"
                return Effect("state_write", [Write(key, Value(String=_text(payload)))])
            case LLMCall(provider, value):
                return self._intent(run_id, "llm_call", provider=provider, input=_text(value))
            case ToolCall(tool, value):
                return self._intent(run_id, "tool_call", tool=tool, input=_text(value))
            case InterruptRaise(value):
                return self._intent(run_id, "interrupt", value=_text(value))
            case SignalWait(name):
                return self._intent(run_id, "interrupt", wait_signal=name)
            case _:
                assert_never(effect)

    def _intent(self, run_id: str, kind: str, **fields: str) -> Effect:
        ordinal = self._ordinals[run_id, kind]
        self._ordinals[run_id, kind] += 1
        intent_id = derive_intent_id(self._graph_id, self._event_id, run_id, kind, ordinal)
        named = [IntentField(name, Value(String=text)) for name, text in fields.items()]
        return Effect(kind, [], [Intent(kind, intent_id, named)])


def _text(value: FreeValue) -> str:
    return free_text(value).decode()
