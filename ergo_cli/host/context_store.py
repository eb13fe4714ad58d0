"""What the host remembers between episodes, and the one handler that writes it (spec 30 §5, §7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ergo_cli.core.effects import SET_CONTEXT, Effect, Write
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import Provides
from ergo_cli.host.gate import lifecycle_violation


class ContextStore:
    """Named values, empty at the start of every run, written only by ``set_context``."""

    def __init__(self) -> None:
        self._values: dict[str, NativeValue] = {}

    @property
    def values(self) -> Mapping[str, NativeValue]:
        """A read-only view of what is stored now."""
        return MappingProxyType(self._values)

    def apply(self, effect: Effect, provides: Provides) -> list[Write]:
        """Store the writes of a ``set_context`` effect in order; what was stored before a bad write stays (HST-3).

        Raises StepError ``EffectApply`` for a key that the adapter does not declare, does not let be written, or
        declares with another type.
        """
        if effect.kind != SET_CONTEXT:
            raise _refused("UnhandledEffectKind", effect.kind, "no handler realises this kind of effect")
        if effect.intents:
            raise lifecycle_violation("a set_context effect must not carry intents")
        for write in effect.writes:
            self._values[write.key] = _checked(write, provides)
        return effect.writes


def _checked(write: Write, provides: Provides) -> NativeValue:
    key, declared = write.key, provides.context.get(write.key)
    if declared is None:
        raise _refused("UndeclaredKey", key, "the adapter declares no such context key")
    if not declared.writable:
        raise _refused("NonWritableKey", key, "the adapter does not declare this key writable")
    got = write.value.type.value
    if declared.type != got:
        raise _refused("TypeMismatch", key, f"the adapter declares type {declared.type}, the effect writes {got}")
    native = write.value.native
    if any(number - number != 0.0 for number in _floats(native)):
        raise _refused("InvalidValueConversion", key, "the value is not finite")
    return native


def _floats(native: NativeValue) -> list[float]:
    match native:
        case list():
            return native
        case float():
            return [native]
        case _:
            return []


def _refused(reason: str, key: str, sentence: str) -> StepError:
    return StepError(
        "EffectApply",
        f"set_context of '{key}': {sentence}" if reason != "UnhandledEffectKind" else f"effect '{key}': {sentence}",
        where=f"effect key '{key}'",
        fix="declare the key in the adapter's context_keys with the type the graph writes and writable: true",
        details=(reason,),
    )
