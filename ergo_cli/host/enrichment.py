"""What becomes of a step beside its decision: effects that can be written down, intents sent, acks (spec 30 §14)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.core.effects import Intent
from ergo_cli.errors import CaptureWriteError


class SentIntent(Struct, frozen=True):
    """An intent about to be sent: of the step of ``event_id``, to ``channel``."""

    event_id: str
    intent_id: str
    channel: str


OnIntent = Callable[[SentIntent], None]
"""Called before an intent is sent."""


class UnrenderableEffect(CaptureWriteError):
    """An effect that JSON cannot hold: a number that is not finite, a text that is no Unicode."""

    def __init__(self, event_id: str, error: ValueError) -> None:
        where = f"event '{event_id}'"
        message = f"the effects of event '{event_id}' cannot be serialized: {error}"
        super().__init__("Serialize", message, where=where, fix="let the action emit finite numbers and valid text")


class StepEvidence:
    """What is known of the intents of the step of ``event_id``; the decision of that step gets it, and no other."""

    def __init__(self, on_intent: OnIntent | None) -> None:
        self.event_id = ""
        self._on_intent = on_intent
        self._acks: list[IntentAck] = []

    def take_acks(self) -> tuple[IntentAck, ...]:
        """The acknowledgements of the step, in the order of sending; forgets them."""
        if not self._acks:
            return ()
        acks = tuple(self._acks)
        self._acks.clear()
        return acks

    def sending(self, intent: Intent, channel: str) -> None:
        """An intent of this step is about to be sent."""
        if self._on_intent is not None:
            self._on_intent(SentIntent(self.event_id, intent.intent_id, channel))

    def acknowledged(self, ack: IntentAck) -> None:
        """A channel took an intent of this step over."""
        self._acks.append(ack)
