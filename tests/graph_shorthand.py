"""Graphs in a few words, for tests that need definitions no file could hold as well as those one could."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.programs.graph.check.catalog import Inventory, standard_inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph, validate
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.model import (
    Binding,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    DeriveKey,
    Edge,
    ExpandedGraph,
    Exposed,
    GraphAssets,
    ImplNode,
    InputPort,
    Literal,
    Node,
    OutputPort,
    PortRef,
    Signature,
)
from ergo_cli.programs.graph.primitives.primitive import ParameterType, ParameterValue
from ergo_cli.programs.graph.run.interpreter import Report, execute

Bound = bool | int | float | str | Exposed
NodeShort = str | tuple[str, dict[str, Bound]]

_TYPES = {
    bool: ParameterType.BOOL,
    int: ParameterType.INT,
    float: ParameterType.NUMBER,
    str: ParameterType.STRING,
}


def value(native: bool | int | float | str) -> ParameterValue:
    """A parameter value of the type that a file would give it."""
    return ParameterValue(_TYPES[type(native)], native)


def parameter(
    name: str,
    type: ParameterType,
    default: bool | int | float | str | DeriveKey | None = None,
    required: bool = False,
) -> ClusterParameter:
    """A cluster's parameter."""
    typed = default if default is None or isinstance(default, DeriveKey) else value(default)
    return ClusterParameter(name, type, typed, required)


def cluster(
    cluster_id: str,
    nodes: Mapping[str, NodeShort],
    edges: Sequence[str] = (),
    *,
    version: str = "1.0.0",
    inputs: Mapping[str, ValueType] | Sequence[InputPort] = (),
    outputs: Mapping[str, str] | Sequence[OutputPort] = (),
    parameters: Sequence[ClusterParameter] = (),
    signature: Signature | None = None,
) -> ClusterDefinition:
    """A definition: nodes as ``"gt@0.1.0"`` or with bindings, instances as ``"cluster:once@^0.2"``."""
    if isinstance(inputs, Mapping):
        inputs = [InputPort(name, kind) for name, kind in inputs.items()]
    if isinstance(outputs, Mapping):
        outputs = [OutputPort(name, _port(target)) for name, target in outputs.items()]
    return ClusterDefinition(
        cluster_id,
        version,
        {node_id: _node(node_id, short) for node_id, short in nodes.items()},
        tuple(_edge(edge) for edge in edges),
        tuple(inputs),
        tuple(outputs),
        tuple(parameters),
        signature,
    )


def assets(root: ClusterDefinition, *clusters: ClusterDefinition) -> GraphAssets:
    """A root with its library."""
    return GraphAssets(root, {definition.key: definition for definition in (root, *clusters)})


def expanded(
    root: ClusterDefinition, *clusters: ClusterDefinition, inventory: Inventory | None = None
) -> ExpandedGraph:
    """The root, expanded over the standard library or the inventory given."""
    return expand(assets(root, *clusters), (inventory or standard_inventory()).catalog)


def validated(
    root: ClusterDefinition, *clusters: ClusterDefinition, inventory: Inventory | None = None
) -> ValidatedGraph:
    """The root, expanded and validated."""
    catalog = (inventory or standard_inventory()).catalog
    return validate(expand(assets(root, *clusters), catalog), catalog)


def run(
    root: ClusterDefinition,
    *clusters: ClusterDefinition,
    context: Mapping[str, NativeValue] | None = None,
    inventory: Inventory | None = None,
) -> Report:
    """One pass of the root as event ``e1``."""
    graph = validated(root, *clusters, inventory=inventory)
    return execute(graph, inventory or standard_inventory(), context or {}, root.id, "e1")


def _node(node_id: str, short: NodeShort) -> Node:
    reference, bound = (short, {}) if isinstance(short, str) else short
    bindings = {name: _binding(native) for name, native in bound.items()}
    thing, selector = reference.removeprefix("cluster:").split("@", 1)
    made = ClusterNode if reference.startswith("cluster:") else ImplNode
    return made(node_id, thing, selector, bindings)


def _binding(native: Bound) -> Binding:
    return native if isinstance(native, Exposed) else Literal(value(native))


def _edge(text: str) -> Edge:
    source, target = text.split(" -> ")
    return Edge(PortRef(source[1:], source[1:]) if source.startswith("$") else _port(source), _port(target))


def _port(text: str) -> PortRef:
    node_id, port = text.split(".")
    return PortRef(node_id, port)


ONCE = cluster(
    "once",
    {
        "fired": ("context_bool_source@0.1.0", {"key": Exposed("state_key")}),
        "not_fired": "not@0.1.0",
        "gate": "emit_if_event_and_true@0.1.0",
        "yes": ("boolean_source@0.1.0", {"value": True}),
        "remember": ("context_set_bool@0.1.0", {"key": Exposed("state_key")}),
    },
    [
        "$incoming -> gate.event",
        "fired.value -> not_fired.value",
        "not_fired.result -> gate.condition",
        "gate.event -> remember.event",
        "yes.value -> remember.value",
    ],
    inputs={"incoming": ValueType.EVENT},
    outputs={"event": "gate.event"},
    parameters=[parameter("state_key", ParameterType.STRING, DeriveKey("has_fired"))],
)
"""A cluster that lets an event through the first time only, and remembers that it did."""
