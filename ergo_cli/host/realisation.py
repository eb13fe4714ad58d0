"""What becomes of an episode's effects: kept in the context, sent to a channel, or owned elsewhere (spec 30 §7)."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.core.effects import Effect, Intent, ProducedEffect
from ergo_cli.core.values import NATIVE_TYPES
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import Adapter
from ergo_cli.host.context_store import ContextStore
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.gate import lifecycle_violation
from ergo_cli.host.ownership import HANDLER_KINDS


class IntentDispatcher(Protocol):
    """Sends intents to the world."""

    @property
    def config(self) -> EgressConfig:
        """Which kinds go to which channel."""
        ...

    def dispatch(self, kind: str, intent: Intent) -> IntentAck:
        """Send one intent and wait until it is taken over durably.

        Raises DispatchFailure where it was not, after which nothing more can be sent, and StepError ``EgressProcess``.
        """
        ...


class Evidence(Protocol):
    """Takes down what becomes of the intents of one step."""

    def sending(self, intent: Intent, channel: str) -> None:
        """An intent is about to be sent."""
        ...

    def acknowledged(self, ack: IntentAck) -> None:
        """A channel took an intent over."""
        ...


class EffectSink(Protocol):
    """Realises the effects of one step."""

    @property
    def store(self) -> ContextStore:
        """What was written so far."""
        ...

    def realise(self, effects: list[ProducedEffect], evidence: Evidence) -> list[ProducedEffect]:
        """Realise ``effects`` in order; returns those whose writes were applied.

        Raises StepError; nothing is rolled back.
        """
        ...


class HostEffects:
    """Applies ``set_context`` to the store and gives routed intents to ``dispatcher``.

    Kinds ``owned_elsewhere`` (in a replay: the recording's) only need fit. Without an adapter nothing says what effects
    may do, so none is allowed.
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


class Unrealised:
    """Lets every effect pass: for a replay without the adapter that the capture had, where only the values count."""

    def __init__(self) -> None:
        self.store = ContextStore()

    def realise(self, effects: list[ProducedEffect], evidence: Evidence) -> list[ProducedEffect]:
        """Apply nothing."""
        return []


def _accepted_types(adapter: Adapter) -> dict[str, type]:
    """The keys that may be written, each with the Python type of its values; but series, which need a closer look."""
    writable = {key: declared.type for key, declared in adapter.provides.context.items() if declared.writable}
    return {key: NATIVE_TYPES[name] for key, name in writable.items() if NATIVE_TYPES[name] is not list}


def _check_external(effect: Effect) -> None:
    if effect.kind in HANDLER_KINDS:
        raise lifecycle_violation(f"effect kind '{effect.kind}' is owned twice")
    if effect.writes or not effect.intents or any(intent.kind != effect.kind for intent in effect.intents):
        raise lifecycle_violation(f"effect '{effect.kind}' must carry intents of its own kind and no writes")
