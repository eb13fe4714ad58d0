"""The effects of an action that ran: derived from its manifest, never returned by its code (spec 20 §11)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.core.declarations import EffectSpecs, IntentFieldSpec, IntentSpec, WriteSpec
from ergo_cli.core.effects import SET_CONTEXT, Effect, Intent, IntentField, Write, derive_intent_id
from ergo_cli.core.values import Value
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.expanded import ExpandedNode
from ergo_cli.programs.graph.faults import execution_fault
from ergo_cli.programs.graph.naming import name_or_parameter
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.signals import ActionOutcome

_FIELD_TYPES = frozenset({ParameterType.NUMBER, ParameterType.BOOL, ParameterType.STRING})

Parameters = Mapping[str, ParameterValue]
Inputs = Mapping[str, float | bool | str | list[float] | ActionOutcome]


class WriteRecipe(Struct, frozen=True):
    """A write whose key is known; ``key`` is None where ``$name`` cannot be resolved (I.4)."""

    name: str
    key: str | None
    source: str
    """The input that is written, or for a mirror write the intent's field."""


class FieldRecipe(Struct, frozen=True):
    """A field of an intent: from the input named, else the constant; neither where the parameter will not do (I.4)."""

    name: str
    input: str | None
    constant: Value | None
    parameter: str | None


class IntentRecipe(Struct, frozen=True):
    """An intent; ``ordinal`` counts all intents of the manifest."""

    kind: str
    ordinal: int
    fields: tuple[FieldRecipe, ...]
    mirrors: tuple[WriteRecipe, ...]


class EffectRecipe(Struct, frozen=True):
    """All that an action in place does when it runs; keys and parameters are looked up already."""

    writes: tuple[WriteRecipe, ...]
    intents: tuple[IntentRecipe, ...]


def effect_recipe(specs: EffectSpecs, parameters: Parameters) -> EffectRecipe:
    """What a manifest declares, for one node with its parameters."""
    writes = tuple(_write_recipe(write, parameters) for write in specs.writes)
    intents = tuple(_intent_recipe(intent, index, parameters) for index, intent in enumerate(specs.intents))
    return EffectRecipe(writes, intents)


def build_effects(
    recipe: EffectRecipe, node: ExpandedNode, inputs: Inputs, graph_id: str, event_id: str
) -> list[Effect]:
    """``set_context`` with all writes, if any, then one effect per intent kind, in order of first appearance.

    Raises RuleError: I.4 a key or field whose parameter will not do, CMP-11 an input that was not given.
    """
    writes = [Write(_key(write, node), _input(write.source, node, inputs)) for write in recipe.writes]
    intents: dict[str, list[Intent]] = {}
    for intent in recipe.intents:
        fields = [IntentField(field.name, _field(field, node, inputs)) for field in intent.fields]
        values = {field.name: field.value for field in fields}
        writes += [Write(_key(mirror, node), values[mirror.source]) for mirror in intent.mirrors]
        intent_id = derive_intent_id(graph_id, event_id, node.runtime_id, intent.kind, intent.ordinal)
        intents.setdefault(intent.kind, []).append(Intent(intent.kind, intent_id, fields))
    effects = [Effect(SET_CONTEXT, writes)] if writes else []
    effects += [Effect(kind, [], of_kind) for kind, of_kind in intents.items()]
    return effects


def emitted_kinds(specs: EffectSpecs) -> frozenset[str]:
    """The effect kinds that an action with these declarations may emit (spec 20 §11.4)."""
    kinds = {intent.name for intent in specs.intents}
    if specs.writes or any(intent.mirror_writes for intent in specs.intents):
        kinds.add(SET_CONTEXT)
    return frozenset(kinds)


def _write_recipe(write: WriteSpec, parameters: Parameters) -> WriteRecipe:
    return WriteRecipe(write.name, name_or_parameter(write.name, parameters), write.from_input)


def _intent_recipe(intent: IntentSpec, ordinal: int, parameters: Parameters) -> IntentRecipe:
    fields = tuple(_field_recipe(field, parameters) for field in intent.fields)
    mirrors = tuple(
        WriteRecipe(mirror.name, name_or_parameter(mirror.name, parameters), mirror.from_field)
        for mirror in intent.mirror_writes
    )
    return IntentRecipe(intent.name, ordinal, fields, mirrors)


def _field_recipe(field: IntentFieldSpec, parameters: Parameters) -> FieldRecipe:
    constant = None
    if field.from_param is not None:
        parameter = parameters.get(field.from_param)
        if parameter is not None and parameter.type in _FIELD_TYPES:
            constant = Value.of(parameter.value)
    return FieldRecipe(field.name, field.from_input, constant, field.from_param)


def _key(write: WriteRecipe, node: ExpandedNode) -> str:
    if write.key is None:
        raise _unusable(node, write.name, "give the key as a String parameter")
    return write.key


def _field(field: FieldRecipe, node: ExpandedNode, inputs: Inputs) -> Value:
    if field.input is not None:
        return _input(field.input, node, inputs)
    if field.constant is None:
        raise _unusable(node, field.parameter or field.name, "bind a Number with a decimal point, a Bool or a String")
    return field.constant


def _input(name: str, node: ExpandedNode, inputs: Inputs) -> Value:
    value = inputs.get(name)
    if value is None:
        message = f"'{node.path}' writes input '{name}', but nothing is wired to it"
        raise execution_fault("CMP-11", message, node, path=f"$.nodes.{node.runtime_id}.outputs.{name}")
    if isinstance(value, ActionOutcome):
        raise execution_fault("V.4", f"'{node.path}' writes input '{name}', which is an event", node)
    return Value.of(value)


def _unusable(node: ExpandedNode, parameter: str, fix: str) -> RuleError:
    message = f"parameter '{parameter}' of '{node.path}' is missing or of a type that no effect can hold"
    return execution_fault("I.4", message, node, fix=fix)
