"""Values, the effects that carry them, and what a program declares of both (spec 20 §2, §11–12, 11 §5, 10 §14)."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from math import isfinite

import msgspec
from msgspec import UNSET, Struct, UnsetType

NativeValue = float | bool | str | list[float]
"""A value inside a program: Number → float, Bool → bool, String → str, Series → list of float (never mutated)."""


class ValueType(Enum):
    """The static type of a port or a context key. ``Event`` never enters a context or an effect."""

    NUMBER = "Number"
    SERIES = "Series"
    BOOL = "Bool"
    STRING = "String"
    EVENT = "Event"


class Value(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """A value on the wire: an object with exactly one of ``Number``, ``Series``, ``Bool``, ``String``."""

    Number: float | UnsetType = UNSET
    Series: list[float] | UnsetType = UNSET
    Bool: bool | UnsetType = UNSET
    String: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise ValueError unless exactly one member is given."""
        given = 4 - (self.Number, self.Series, self.Bool, self.String).count(UNSET)
        if given != 1:
            raise ValueError(f"a value has exactly one of Number, Series, Bool, String, got {given}")

    @classmethod
    def of(cls, native: NativeValue) -> Value:
        """The wire form of a native value."""
        match native:
            case bool():
                return cls(Bool=native)
            case str():
                return cls(String=native)
            case list():
                return cls(Series=native)
            case _:
                return cls(Number=native)

    @property
    def native(self) -> NativeValue:
        """The one member given."""
        for member in (self.Number, self.Series, self.Bool, self.String):
            if not isinstance(member, UnsetType):
                return member
        raise AssertionError("__post_init__ refuses an empty value")


NATIVE_TYPES: dict[str, type] = {"Number": float, "Series": list, "Bool": bool, "String": str}
"""The Python type of a value, by the name of its type."""


def type_of(native: NativeValue) -> ValueType:
    """The type of a native value."""
    match native:
        case bool():
            return ValueType.BOOL
        case str():
            return ValueType.STRING
        case list():
            return ValueType.SERIES
        case _:
            return ValueType.NUMBER


SET_CONTEXT = "set_context"
"""The effect kind that the host itself applies."""


class Write(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One context key to be set."""

    key: str
    value: Value


class IntentField(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One named value of an intent."""

    name: str
    value: Value


class Intent(Struct, frozen=True, forbid_unknown_fields=True):
    """A request to the outside world; ``intent_id`` is its idempotency key."""

    kind: str
    intent_id: str
    fields: list[IntentField]


class Effect(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One effect: writes for the context, or intents for the world. ``intents`` is left out when empty."""

    kind: str
    writes: list[Write]
    intents: list[Intent] = []


class ProducedEffect(Struct, frozen=True, gc=False):
    """An effect as a pass leaves it: its compact JSON, and what the host reads to apply it.

    ``text`` is what ``encode_effect`` gives for ``effect``; ``writes`` are its writes as keys and native values,
    None if the effect has intents.
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


class ContextNeed(Struct, frozen=True):
    """A context key that a source reads. A name ``$p`` stands for the value of the String parameter ``p``."""

    name: str
    type: ValueType
    required: bool


class WriteSpec(Struct, frozen=True):
    """A context key that an action sets from one of its inputs. A name ``$p`` stands for a parameter's value."""

    name: str
    type: ValueType
    from_input: str


class IntentFieldSpec(Struct, frozen=True):
    """A field of an intent, taken from exactly one of an input or a parameter."""

    name: str
    type: ValueType
    from_input: str | None = None
    from_param: str | None = None


class MirrorWrite(Struct, frozen=True):
    """A context key that is set to the value of one of the intent's fields."""

    name: str
    type: ValueType
    from_field: str


class IntentSpec(Struct, frozen=True):
    """An intent that an action may emit; its name is the effect kind."""

    name: str
    fields: tuple[IntentFieldSpec, ...] = ()
    mirror_writes: tuple[MirrorWrite, ...] = ()


class EffectSpecs(Struct, frozen=True):
    """Everything that an action may do; adapters are composed against it (spec 10 §14)."""

    writes: tuple[WriteSpec, ...] = ()
    intents: tuple[IntentSpec, ...] = ()
