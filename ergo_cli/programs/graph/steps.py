"""A validated graph made ready to run: per node its code, its wires and its parameters, looked up once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct

from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.effect_building import EffectRecipe, effect_recipe
from ergo_cli.programs.graph.expanded import ExpandedNode
from ergo_cli.programs.graph.faults import execution_fault
from ergo_cli.programs.graph.manifest import Family, OutputSpec, ParameterSpec, SourceManifest
from ergo_cli.programs.graph.naming import name_or_parameter
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.primitives.primitive import Compute, Evaluate, Execute, NativeParam, Produce
from ergo_cli.programs.graph.signals import ActionOutcome, TriggerEvent
from ergo_cli.programs.graph.validation import Inbound, ValidatedGraph, ValidatedNode

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
    """A compute; ``parameters`` is None where one of them cannot be converted, which is told when it is its turn."""

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
    raise execution_fault("INTERNAL", f"'{node.path}' is '{impl_id}', which is no known primitive", node)


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
