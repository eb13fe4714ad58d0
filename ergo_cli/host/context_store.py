"""What the host remembers between episodes, and the one handler that writes it (spec 30 §5, §7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from types import MappingProxyType

from ergo_cli.core.effects import SET_CONTEXT, Effect, ProducedEffect, Write
from ergo_cli.core.values import NativeValue, type_of
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import Provides
from ergo_cli.host.gate import lifecycle_violation


class ContextStore:
    """Named values, empty at the start of every run, written only by ``set_context``."""

    def __init__(self) -> None:
        self._values: dict[str, NativeValue] = {}
        self.values: Mapping[str, NativeValue] = MappingProxyType(self._values)
        """A read-only view of what is stored now."""

    def keep(self, effects: Sequence[ProducedEffect], accepted: Mapping[str, type]) -> bool:
        """Store what ``set_context`` effects write, to keys that are ``accepted`` with the Python type of their values.

        False where one does not fit at a glance: ``apply`` then has to go through all of them.
        """
        values = self._values
        for effect in effects:
            if effect.kind != SET_CONTEXT or effect.writes is None:
                return False
            for key, native in effect.writes:
                kind = native.__class__
                if accepted.get(key) is not kind or (kind is float and not isfinite(native)):  # pyright: ignore[reportArgumentType] - narrowed by its class
                    return False
                values[key] = native
        return True

    def apply(self, effect: Effect, provides: Provides) -> list[Write]:
        """Store the writes of a ``set_context`` effect in order; what was stored before a bad write stays (HST-3).

        Raises StepError ``EffectApply`` for another kind of effect, and for a key that the adapter does not declare,
        does not let be written, or declares with another type.
        """
        if effect.kind != SET_CONTEXT:
            raise _unhandled(effect.kind)
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
    native = write.value.native
    got = type_of(native).value
    if declared.type != got:
        raise _refused("TypeMismatch", key, f"the adapter declares type {declared.type}, the effect writes {got}")
    if not _is_finite(native):
        raise _refused("InvalidValueConversion", key, "the value is not finite")
    return native


def _is_finite(native: NativeValue) -> bool:
    match native:
        case list():
            return all(map(isfinite, native))
        case float():
            return isfinite(native)
        case _:
            return True


def _unhandled(kind: str) -> StepError:
    message = f"effect '{kind}': no handler realises this kind of effect"
    fix = f"take '{kind}' out of accepts.effects of the adapter"
    return StepError("EffectApply", message, where=f"effect kind '{kind}'", fix=fix, details=("UnhandledEffectKind",))


def _refused(reason: str, key: str, sentence: str) -> StepError:
    return StepError(
        "EffectApply",
        f"set_context of '{key}': {sentence}",
        where=f"effect key '{key}'",
        fix="declare the key in the adapter's context_keys with the type the graph writes and writable: true",
        details=(reason,),
    )
