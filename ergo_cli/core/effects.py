"""What an episode wants done: effects, intents, their hashes and ids (spec 20 §11–12, 11 §5)."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite

import msgspec
from msgspec import Struct

from ergo_cli.core.values import Value

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


_encoder = msgspec.json.Encoder()


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
    digest = sha256()
    for segment in ("eid1", graph_id, event_id, node, kind, str(ordinal)):
        data = segment.encode()
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)
    return "eid1:sha256:" + digest.hexdigest()
