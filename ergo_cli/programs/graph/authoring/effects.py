"""What an own action does, by the names of its arguments (spec 20 §4.1, §11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from ergo_cli.core.declarations import EffectSpecs, IntentFieldSpec, IntentSpec, MirrorWrite, WriteSpec
from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.authoring.signature import Signature
from ergo_cli.programs.graph.parameters import ParameterType

NOTHING: Mapping[str, str] = MappingProxyType({})

_AS_VALUE = {
    ParameterType.NUMBER: ValueType.NUMBER,
    ParameterType.BOOL: ValueType.BOOL,
    ParameterType.STRING: ValueType.STRING,
}


class IntentTemplate(Struct, frozen=True):
    """An intent that an action emits whenever it runs; ``kind`` is the effect kind that adapters and routes name.

    ``fields`` maps each field to the argument that fills it, an input or a parameter. ``mirror_writes`` maps context
    keys to fields: what the intent says is written to the context as well. A key ``$p`` is the String parameter ``p``.
    """

    kind: str
    fields: Mapping[str, str] = NOTHING
    mirror_writes: Mapping[str, str] = NOTHING


def effect_specs(signature: Signature, writes: Mapping[str, str], intents: Sequence[IntentTemplate]) -> EffectSpecs:
    """The declarations, each with the type of the argument it is taken from.

    An argument that does not exist is left for registration to refuse: ACT-22, ACT-28, ACT-32.
    """
    types = {port.name: port.type for port in signature.inputs}
    return EffectSpecs(
        tuple(WriteSpec(key, types.get(name, ValueType.NUMBER), name) for key, name in writes.items()),
        tuple(_intent(intent, signature, types) for intent in intents),
    )


def _intent(intent: IntentTemplate, signature: Signature, types: Mapping[str, ValueType]) -> IntentSpec:
    parameters = {spec.name: _AS_VALUE.get(spec.type, ValueType.STRING) for spec in signature.parameters}
    fields = tuple(
        IntentFieldSpec(field, parameters[name], from_param=name)
        if name in parameters
        else IntentFieldSpec(field, types.get(name, ValueType.NUMBER), from_input=name)
        for field, name in intent.fields.items()
    )
    declared = {field.name: field.type for field in fields}
    mirrors = tuple(
        MirrorWrite(key, declared.get(field, ValueType.NUMBER), field) for key, field in intent.mirror_writes.items()
    )
    return IntentSpec(intent.kind, fields, mirrors)
