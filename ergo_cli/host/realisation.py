"""What becomes of an episode's effects: kept in the context, or owned elsewhere (spec 30 §7)."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from ergo_cli.core.effects import Effect, Write
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import Adapter
from ergo_cli.host.context_store import ContextStore
from ergo_cli.host.gate import lifecycle_violation
from ergo_cli.host.ownership import HANDLER_KINDS


class EffectSink(Protocol):
    """Realises the effects of one step."""

    @property
    def store(self) -> ContextStore:
        """What was written so far."""
        ...

    def realise(self, effects: list[Effect]) -> list[Write]:
        """Realise ``effects`` in order; returns the writes applied. Raises StepError; nothing is rolled back."""
        ...


class HostEffects:
    """Applies ``set_context`` to the store; kinds ``owned_elsewhere`` (in a replay: the recording's) only need fit.

    Without an adapter nothing says what effects may do, so none is allowed.
    """

    def __init__(self, adapter: Adapter | None, owned_elsewhere: Set[str] = frozenset()) -> None:
        self.store = ContextStore()
        self._adapter = adapter
        self._owned_elsewhere = owned_elsewhere

    def realise(self, effects: list[Effect]) -> list[Write]:
        """Realise in graph order.

        Raises StepError ``EffectsWithoutAdapter``, ``EffectApply`` or ``LifecycleViolation``.
        """
        if not effects:
            return []
        if self._adapter is None:
            raise StepError(
                "EffectsWithoutAdapter",
                "the graph produced effects, but no adapter is bound that says what they may do",
                fix="give an adapter with --adapter",
            )
        applied: list[Write] = []
        for effect in effects:
            if effect.kind in self._owned_elsewhere:
                _check_external(effect)
            else:
                applied += self.store.apply(effect, self._adapter.provides)
        return applied


class Unrealised:
    """Lets every effect pass: for a replay without the adapter that the capture had, where only the values count."""

    def __init__(self) -> None:
        self.store = ContextStore()

    def realise(self, effects: list[Effect]) -> list[Write]:
        """Apply nothing."""
        return []


def _check_external(effect: Effect) -> None:
    if effect.kind in HANDLER_KINDS:
        raise lifecycle_violation(f"effect kind '{effect.kind}' is owned twice")
    if effect.writes or not effect.intents or any(intent.kind != effect.kind for intent in effect.intents):
        raise lifecycle_violation(f"effect '{effect.kind}' must carry intents of its own kind and no writes")
