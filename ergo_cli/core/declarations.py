"""What a program declares of its dealings with context and world; adapters are composed against this (spec 10 §14)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.values import ValueType


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
    """Everything that an action may do."""

    writes: tuple[WriteSpec, ...] = ()
    intents: tuple[IntentSpec, ...] = ()
