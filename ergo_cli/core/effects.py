"""What an episode wants done: effects, intents, their hashes and ids (spec 20 §11–12, 11 §5)."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite

import msgspec
from msgspec import Struct

from ergo_cli.core.values import NativeValue, Value

SET_CONTEXT = "set_context"
"""The one effect kind that the host realises itself."""


class Write(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One context key to be set."""

    key: str
    value: Value


class IntentField(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One named value of an intent."""

    name: str
    value: Value


class Intent(Struct, frozen=True, forbid_unknown_fields=True):
    """Something the outside world is asked to do; ``intent_id`` is its idempotency key."""

    kind: str
    intent_id: str
    fields: list[IntentField]


class Effect(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One effect: writes for the context, or intents for the world. ``intents`` is left out when empty."""

    kind: str
    writes: list[Write]
    intents: list[Intent] = []


class ProducedEffect(Struct, frozen=True, gc=False):
    """An effect as a pass leaves it: its compact JSON, and what the host has to look at to realise it.

    ``text`` is what ``encode_effect`` gives for ``effect``; ``writes`` are its writes as keys and native values, and
    None where only the effect itself tells what it is: it has intents.
    """

    kind: str
    text: bytes
    writes: tuple[tuple[str, NativeValue], ...] | None

    @classmethod
    def of(cls, effect: Effect) -> ProducedEffect:
        """The effect, rendered. Raises ValueError for what JSON cannot hold."""
        writes = None if effect.intents else tuple((write.key, write.value.native) for write in effect.writes)
        return cls(effect.kind, encode_effect(effect), writes)

    @property
    def effect(self) -> Effect:
        """The effect itself, read from its text."""
        return decode_effect(self.text)


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(Effect).decode


def decode_effect(text: bytes) -> Effect:
    """The effect with this compact JSON, which ``encode_effect`` gave."""
    return _decode(text)


def encode_effect(effect: Effect) -> bytes:
    """The compact JSON of an effect: what is hashed, and what stands in a bundle (spec 11 §5).

    Raises ValueError for a number that is not finite: JSON cannot hold it.
    """
    text = _encoder.encode(effect)
    if b"null" in text:
        _refuse_non_finite(effect)
    return text


def _refuse_non_finite(effect: Effect) -> None:
    values = [write.value for write in effect.writes]
    values += [field.value for intent in effect.intents for field in intent.fields]
    for value in values:
        native = value.native
        numbers = native if isinstance(native, list) else [native]
        if any(isinstance(number, float) and not isfinite(number) for number in numbers):
            raise ValueError(f"effect '{effect.kind}' holds a number that is not finite")


def effect_hash(text: bytes) -> str:
    """Lower-case hex SHA-256 of an effect's compact JSON."""
    return sha256(text).hexdigest()


def derive_intent_id(graph_id: str, event_id: str, node: str, kind: str, ordinal: int) -> str:
    """The ``eid1`` id of an intent: the same for one node, event and ordinal, whatever its fields (spec 20 §12)."""
    return intent_id(intent_scope(graph_id, event_id), intent_place(node, kind, ordinal))


def intent_scope(graph_id: str, event_id: str) -> bytes:
    """What the ids of all intents of one pass have in common: the first half of what is hashed."""
    return _segments("eid1", graph_id, event_id)


def intent_place(node: str, kind: str, ordinal: int) -> bytes:
    """What the ids of one intent have in common over all passes: the second half of what is hashed."""
    return _segments(node, kind, str(ordinal))


def intent_id(scope: bytes, place: bytes) -> str:
    """The id of the intent at ``place`` in the pass of ``scope``."""
    return "eid1:sha256:" + sha256(scope + place).hexdigest()


def _segments(*texts: str) -> bytes:
    return b"".join(len(data).to_bytes(4, "big") + data for data in map(str.encode, texts))
