"""Realise effects: ownership of kinds, writes to the context, intents to channels (spec 30 §7, §9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from math import isfinite
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.channels.egress_config import EgressConfig
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.values import NATIVE_TYPES, SET_CONTEXT, Effect, Intent, NativeValue, ProducedEffect, Write, type_of
from ergo_cli.errors import ErgoError, StepError, headline
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.adapter_manifest import Provides
from ergo_cli.events.composition import coverage

HANDLER_KINDS = frozenset({SET_CONTEXT})
"""The effect kinds that the host realises itself."""


class SentIntent(Struct, frozen=True):
    """An intent about to be sent: of the step of ``event_id``, to ``channel``."""

    event_id: str
    intent_id: str
    channel: str


OnIntent = Callable[[SentIntent], None]
"""Called before an intent is sent."""


class StepEvidence:
    """The evidence on the intents of the step of ``event_id``; only that step's decision records it."""

    def __init__(self, on_intent: OnIntent | None) -> None:
        self.event_id = ""
        self._on_intent = on_intent
        self._acks: list[IntentAck] = []

    def take_acks(self) -> tuple[IntentAck, ...]:
        """Return the step's acknowledgements in the order of sending, and clear them."""
        if not self._acks:
            return ()
        acks = tuple(self._acks)
        self._acks.clear()
        return acks

    def sending(self, intent: Intent, channel: str) -> None:
        """Record that an intent of this step is about to be sent."""
        if self._on_intent is not None:
            self._on_intent(SentIntent(self.event_id, intent.intent_id, channel))

    def acknowledged(self, ack: IntentAck) -> None:
        """Record that a channel accepted an intent of this step."""
        self._acks.append(ack)


class IntentDispatcher(Protocol):
    """Sends intents to channels."""

    @property
    def config(self) -> EgressConfig:
        """Which kinds go to which channel."""
        ...

    def dispatch(self, kind: str, intent: Intent) -> IntentAck:
        """Send one intent and wait until the channel has accepted it durably.

        Raises DispatchFailure if it is not, after which nothing more can be sent, and StepError ``EgressProcess``.
        """
        ...


class Evidence(Protocol):
    """Records the dispatch of the intents of one step."""

    def sending(self, intent: Intent, channel: str) -> None:
        """Record that an intent is about to be sent."""
        ...

    def acknowledged(self, ack: IntentAck) -> None:
        """Record that a channel accepted an intent."""
        ...


class EffectSink(Protocol):
    """Realises the effects of one step."""

    @property
    def store(self) -> ContextStore:
        """The context store that effects write to."""
        ...

    def realise(self, effects: list[ProducedEffect], evidence: Evidence) -> list[ProducedEffect]:
        """Realise ``effects`` in order; returns those whose writes were applied.

        Raises StepError; nothing is rolled back.
        """
        ...


class ApplyEffects:
    """Applies ``set_context`` to the store and gives routed intents to ``dispatcher``.

    Kinds ``owned_elsewhere`` (in a replay, those of the recording) are only checked. Without an adapter nothing
    declares what effects may do, so none is allowed.
    """

    def __init__(
        self,
        adapter: Adapter | None,
        owned_elsewhere: Set[str] = frozenset(),
        dispatcher: IntentDispatcher | None = None,
    ) -> None:
        self.store = ContextStore()
        self._adapter = adapter
        self._dispatcher = dispatcher
        self._external = owned_elsewhere if dispatcher is None else dispatcher.config.routes.keys()
        self._accepted = {} if adapter is None else _accepted_types(adapter)

    def realise(self, effects: list[ProducedEffect], evidence: Evidence) -> list[ProducedEffect]:
        """Realise in graph order.

        Raises StepError ``EffectsWithoutAdapter``, ``EffectApply`` or ``LifecycleViolation``, and as ``dispatch``.
        """
        if not effects:
            return effects
        if self._adapter is None:
            raise StepError(
                "EffectsWithoutAdapter",
                "the graph produced effects, but no adapter is bound that says what they may do",
                fix="give an adapter with --adapter",
            )
        if not self._external and self.store.keep(effects, self._accepted):
            return effects
        applied: list[ProducedEffect] = []
        for effect in effects:
            if effect.kind in self._external:
                self._give_away(effect.effect, evidence)
                continue
            if not self.store.keep((effect,), self._accepted):
                self.store.apply(effect.effect, self._adapter.provides)
            applied.append(effect)
        return applied

    def _give_away(self, effect: Effect, evidence: Evidence) -> None:
        _check_external(effect)
        if self._dispatcher is None:
            return
        channel = self._dispatcher.config.routes[effect.kind].channel
        for intent in effect.intents:
            evidence.sending(intent, channel)
            evidence.acknowledged(self._dispatcher.dispatch(effect.kind, intent))


class IgnoreEffects:
    """Accepts and ignores every effect: where nothing is routed, and in a replay, which compares values only."""

    def __init__(self) -> None:
        self.store = ContextStore()

    def realise(self, effects: list[ProducedEffect], evidence: Evidence) -> list[ProducedEffect]:
        """Apply nothing."""
        return []


def _accepted_types(adapter: Adapter) -> dict[str, type]:
    """The writable keys with the Python type of their values; without series, whose items ``apply`` checks."""
    writable = {key: declared.type for key, declared in adapter.provides.context.items() if declared.writable}
    return {key: NATIVE_TYPES[name] for key, name in writable.items() if NATIVE_TYPES[name] is not list}


def _check_external(effect: Effect) -> None:
    if effect.kind in HANDLER_KINDS:
        raise lifecycle_violation(f"effect kind '{effect.kind}' is owned twice")
    if effect.writes or not effect.intents or any(intent.kind != effect.kind for intent in effect.intents):
        raise lifecycle_violation(f"effect '{effect.kind}' must carry intents of its own kind and no writes")


class ContextStore:
    """Named values, empty at the start of every run, written only by ``set_context``."""

    def __init__(self) -> None:
        self._values: dict[str, NativeValue] = {}
        self.values: Mapping[str, NativeValue] = MappingProxyType(self._values)
        """A read-only view of what is stored now."""

    def keep(self, effects: Sequence[ProducedEffect], accepted: Mapping[str, type]) -> bool:
        """Store the writes of ``set_context`` effects if every key is in ``accepted`` with the type of its value.

        Returns False at the first that does not fit; those before it are stored. The caller then applies all of them.
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
        """Store the writes of a ``set_context`` effect in order; writes before a bad one remain (HST-3).

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


def replay_owned_kinds(emitted: Set[str], adapter: Adapter | None) -> frozenset[str]:
    """The external kinds that a replay, or a dry run, treats as done.

    They are emitted, accepted by the adapter, and not handled by the host.
    """
    if adapter is None:
        return frozenset()
    return frozenset(emitted & adapter.provides.effects) - HANDLER_KINDS


def check_ownership(
    emitted: Set[str],
    adapter: Adapter | None,
    routed: Set[str] | None = None,
    replay_owned: Set[str] = frozenset(),
) -> tuple[Notice, ...]:
    """Raise ``host.configuration_invalid`` unless every kind has exactly one owner (HST-5), in the order of §9.

    ``emitted``: the effect kinds that the program can emit; ``routed``: those that a live egress configuration routes,
    None without one; ``replay_owned``: those that a recording owns, or a dry run. Returns a notice for every route
    that the program cannot use, ascending.
    """
    _check_replay_owned(routed, replay_owned)
    if adapter is None:
        _refuse_owners_without_adapter(routed, replay_owned)
        return ()
    faults = [] if routed is None else [_not_accepted(kind) for kind in sorted(routed - adapter.provides.effects)]
    claimed = replay_owned if routed is None else routed
    faults += coverage(emitted, adapter.provides.effects, HANDLER_KINDS, claimed)
    if faults:
        raise headline(faults)
    unused = sorted((routed or frozenset()) - emitted)
    return tuple(Notice(f"egress route declared for non-emittable kind '{kind}'") for kind in unused)


def _check_replay_owned(routed: Set[str] | None, replay_owned: Set[str]) -> None:
    if replay_owned and routed is not None:
        message = "effect kinds cannot be owned by a replay while egress is live"
        raise _invalid(message, "leave the egress configuration out of a replay")
    for kind in sorted(replay_owned & HANDLER_KINDS):
        message = f"effect kind '{kind}' is realised by the host and cannot be owned by a replay"
        raise _invalid(message, f"leave '{kind}' to the host", f"effect kind '{kind}'")


def _refuse_owners_without_adapter(routed: Set[str] | None, replay_owned: Set[str]) -> None:
    if routed is not None:
        message = "an egress configuration needs an adapter, which says what effects are accepted"
        raise _invalid(message, "give an adapter with --adapter, or leave --egress-config out")
    if replay_owned:
        message = "effect kinds can be owned by a replay only where an adapter says which are accepted"
        raise _invalid(message, "give the adapter that the capture had")


def _not_accepted(kind: str) -> ErgoError:
    message = f"effect kind '{kind}' is routed, but the adapter does not accept it"
    return _invalid(message, f"add '{kind}' to accepts.effects of the adapter, or remove its route", f"routes.{kind}")


def _invalid(message: str, fix: str, where: str = "egress configuration") -> ErgoError:
    return ErgoError("host.configuration_invalid", message, where=where, fix=fix)


def lifecycle_violation(detail: str) -> StepError:
    """The error for a step or finalization that the runner's state does not allow."""
    return StepError(
        "LifecycleViolation",
        detail,
        where="host lifecycle",
        fix="start a new runner; this one cannot go on from here",
    )
