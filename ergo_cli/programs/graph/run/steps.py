"""A validated graph made ready to run: code, wires, parameters and effects of each node, looked up once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct

from ergo_cli.core.values import (
    SET_CONTEXT,
    Effect,
    EffectSpecs,
    Intent,
    IntentField,
    IntentFieldSpec,
    IntentSpec,
    NativeValue,
    Value,
    ValueType,
    Write,
    WriteSpec,
    derive_intent_id,
)
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.check.validation import Inbound, ValidatedGraph, ValidatedNode
from ergo_cli.programs.graph.model import ExpandedNode, execution_fault
from ergo_cli.programs.graph.primitives.primitive import (
    FIELD_TYPES,
    ActionOutcome,
    Compute,
    Evaluate,
    Execute,
    Family,
    NativeParam,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    Produce,
    SourceManifest,
    TriggerEvent,
)

PortValue: TypeAlias = NativeValue | TriggerEvent | ActionOutcome
"""What travels along an edge."""

PortValues: TypeAlias = Mapping[str, PortValue]

INT_LIMIT = 2**53
"""Up to here every Int is a float as well (X.11)."""

_NATIVE: dict[ValueType, type] = {
    ValueType.NUMBER: float,
    ValueType.SERIES: list,
    ValueType.BOOL: bool,
    ValueType.STRING: str,
}
_SKIPPED: dict[ValueType, PortValue] = {
    ValueType.EVENT: ActionOutcome.SKIPPED,
    ValueType.NUMBER: 0.0,
    ValueType.SERIES: [],
    ValueType.BOOL: False,
    ValueType.STRING: "",
}


class Need(Struct, frozen=True):
    """A context key that a source declares; ``key`` is None where the ``$name`` cannot be resolved (SRC-10)."""

    name: str
    key: str | None
    type: ValueType
    required: bool


class _Step(Struct, frozen=True):
    id: str
    node: ExpandedNode
    wires: tuple[Inbound, ...]
    outputs: tuple[tuple[str, type], ...]
    """The declared outputs with the Python types of their values."""


class SourceStep(_Step, frozen=True):
    """A source. ``needs`` holds only what has to be looked at before it runs."""

    call: Produce
    parameters: dict[str, NativeParam]
    needs: tuple[Need, ...]


class ComputeStep(_Step, frozen=True):
    """A compute; ``parameters`` is None where one of them cannot be converted: the pass fails at this node."""

    call: Compute
    parameters: dict[str, NativeParam] | None


class TriggerStep(_Step, frozen=True):
    """A trigger."""

    call: Evaluate
    parameters: dict[str, NativeParam]


class ActionStep(_Step, frozen=True):
    """An action, with what its outputs are when it is skipped."""

    call: Execute
    parameters: dict[str, NativeParam]
    effects: EffectRecipe
    skipped: dict[str, PortValue]


Step: TypeAlias = SourceStep | ComputeStep | TriggerStep | ActionStep


def prepare(graph: ValidatedGraph, inventory: Inventory) -> tuple[Step, ...]:
    """The steps of one pass, in execution order.

    Raises RuleError INTERNAL where the order names a node, or a node a primitive, that does not exist.
    """
    return tuple(_prepare(runtime_id, graph.nodes.get(runtime_id), inventory) for runtime_id in graph.order)


def _prepare(runtime_id: str, validated: ValidatedNode | None, inventory: Inventory) -> Step:
    if validated is None:
        raise execution_fault("INTERNAL", f"the execution order names node '{runtime_id}', which does not exist")
    node, metadata, wires = validated.node, validated.metadata, validated.inbound
    impl_id, outputs = node.impl_id, _native_outputs(metadata.outputs, metadata.family)
    if source := inventory.sources.get(impl_id):
        needs = _needs(source.manifest, node)
        return SourceStep(runtime_id, node, wires, outputs, source.call, native_parameters(node), needs)
    if compute := inventory.computes.get(impl_id):
        parameters = convert_parameters(node) if not unconvertible(node) else None
        return ComputeStep(runtime_id, node, wires, outputs, compute.call, parameters)
    if trigger := inventory.triggers.get(impl_id):
        return TriggerStep(runtime_id, node, wires, outputs, trigger.call, native_parameters(node))
    if action := inventory.actions.get(impl_id):
        recipe = effect_recipe(action.manifest.effects, node.parameters)
        skipped = {port.name: _SKIPPED[port.type] for port in metadata.outputs}
        return ActionStep(runtime_id, node, wires, outputs, action.call, native_parameters(node), recipe, skipped)
    raise execution_fault("INTERNAL", f"'{node.path}' is '{impl_id}', which is not a known primitive", node)


def native_parameters(node: ExpandedNode) -> dict[str, NativeParam]:
    """The node's parameters as Python values."""
    return {name: parameter.value for name, parameter in node.parameters.items()}


def unconvertible(node: ExpandedNode) -> list[tuple[str, ParameterValue]]:
    """The parameters that no compute can take: texts (I.4), and integers beyond ±2^53 (X.11)."""
    return [(name, value) for name, value in node.parameters.items() if not _convertible(value)]


def convert_parameters(node: ExpandedNode) -> dict[str, NativeParam]:
    """The node's parameters as a compute takes them: Int as float."""
    return {
        name: float(value.value) if value.type is ParameterType.INT else value.value
        for name, value in node.parameters.items()
    }


def _convertible(value: ParameterValue) -> bool:
    if value.type is ParameterType.INT:
        return -INT_LIMIT <= int(value.value) <= INT_LIMIT
    return value.type in (ParameterType.NUMBER, ParameterType.BOOL)


def _native_outputs(outputs: Iterable[OutputSpec], family: Family) -> tuple[tuple[str, type], ...]:
    event = TriggerEvent if family is Family.TRIGGER else ActionOutcome
    return tuple((port.name, _NATIVE.get(port.type, event)) for port in outputs)


def _needs(manifest: SourceManifest, node: ExpandedNode) -> tuple[Need, ...]:
    parameters = {**_defaults(manifest.parameters), **node.parameters}
    needs = [
        Need(need.name, name_or_parameter(need.name, parameters), need.type, need.required)
        for need in manifest.requires
    ]
    return tuple(need for need in needs if need.required or need.key is None)


def _defaults(specs: Iterable[ParameterSpec]) -> dict[str, ParameterValue]:
    return {spec.name: spec.default for spec in specs if spec.default is not None}


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

    effect_kind: str
    ordinal: int
    fields: tuple[FieldRecipe, ...]
    mirrors: tuple[WriteRecipe, ...]


class EffectRecipe(Struct, frozen=True):
    """What an action in place does when it runs, with keys and parameters resolved."""

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
    """``set_context`` with all writes, if any, then one effect per effect kind of an intent, in order of appearance.

    Raises RuleError: I.4 a key or field whose parameter will not do, CMP-11 an input that was not given.
    """
    writes = [Write(_key(write, node), _input(write.source, node, inputs)) for write in recipe.writes]
    intents: dict[str, list[Intent]] = {}
    for intent in recipe.intents:
        fields = [IntentField(field.name, _field(field, node, inputs)) for field in intent.fields]
        values = {field.name: field.value for field in fields}
        writes += [Write(_key(mirror, node), values[mirror.source]) for mirror in intent.mirrors]
        intent_id = derive_intent_id(graph_id, event_id, node.runtime_id, intent.effect_kind, intent.ordinal)
        intents.setdefault(intent.effect_kind, []).append(Intent(intent.effect_kind, intent_id, fields))
    effects = [Effect(SET_CONTEXT, writes)] if writes else []
    effects += [Effect(kind, [], of_kind) for kind, of_kind in intents.items()]
    return effects


def emitted_effect_kinds(specs: EffectSpecs) -> frozenset[str]:
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
        if parameter is not None and parameter.type in FIELD_TYPES:
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


def name_or_parameter(name: str, parameters: Mapping[str, ParameterValue]) -> str | None:
    """The name itself, or for ``$p`` the value of the String parameter ``p``; None where there is none."""
    if not name.startswith("$"):
        return name
    match parameters.get(name[1:]):
        case ParameterValue(type=ParameterType.STRING, value=str() as key):
            return key
        case _:
            return None
