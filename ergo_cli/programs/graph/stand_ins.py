"""A cluster put into a graph that gives its inputs and parameters something, so that it can be checked by itself."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.definition import (
    Binding,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    Edge,
    Exposed,
    GraphAssets,
    ImplNode,
    InputPort,
    Literal,
    Node,
    PortRef,
)
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue


class _Feed(Struct, frozen=True):
    """A primitive of a chain, its output, and its input that the one before it feeds."""

    impl_id: str
    output: str
    input: str = ""


_ROOT = "ergo:check"  # no authored id can contain a colon
_VALUES: dict[ParameterType, int | float | bool | str] = {
    ParameterType.INT: 1,
    ParameterType.NUMBER: 1.0,
    ParameterType.BOOL: True,
    ParameterType.STRING: "text",
    ParameterType.ENUM: "text",
}
_LITERALS = {"const_number": ParameterType.NUMBER, "const_bool": ParameterType.BOOL}
_FEEDS: dict[ValueType, tuple[_Feed, ...]] = {
    ValueType.NUMBER: (_Feed("const_number", "value"),),
    ValueType.BOOL: (_Feed("const_bool", "value"),),
    ValueType.STRING: (_Feed("context_string_source", "value"),),
    ValueType.SERIES: (_Feed("context_series_source", "value"), _Feed("window", "result", "series")),
    ValueType.EVENT: (_Feed("const_bool", "value"), _Feed("emit_if_true", "event", "input")),
}
"""What feeds an input of each type: computes where there are some, whose outputs are legal wherever a value is."""


def with_stand_ins(assets: GraphAssets) -> GraphAssets:
    """``assets`` whose root needs nothing: the root itself, or a graph around it that gives it what it asks for."""
    root = assets.root
    if not root.inputs and not root.parameters:
        return assets
    bindings: dict[str, Binding] = {
        parameter.name: _literal(parameter) for parameter in root.parameters if parameter.default is None
    }
    nodes: dict[str, Node] = {root.id: ClusterNode(root.id, root.id, root.version, bindings)}
    edges: list[Edge] = []
    for port in root.inputs:
        _feed(port, root.id, nodes, edges)
    stand = ClusterDefinition(_ROOT, "0.0.0", nodes, tuple(edges))
    return replace(assets, root=stand, clusters={**assets.clusters, stand.key: stand})


def with_bound_parameters(definition: ClusterDefinition) -> ClusterDefinition:
    """The definition with a literal wherever one of its nodes is bound to one of its parameters."""
    literals = {parameter.name: _literal(parameter) for parameter in definition.parameters}
    nodes = {node_id: _bound(node, literals) for node_id, node in definition.nodes.items()}
    return replace(definition, nodes=nodes)


def _bound(node: Node, literals: dict[str, Literal]) -> Node:
    bindings: dict[str, Binding] = {
        name: literals.get(binding.parameter, binding) if isinstance(binding, Exposed) else binding
        for name, binding in node.bindings.items()
    }
    return replace(node, bindings=bindings)


def _literal(parameter: ClusterParameter) -> Literal:
    return Literal(ParameterValue(parameter.type, _VALUES[parameter.type]))


def _feed(port: InputPort, cluster: str, nodes: dict[str, Node], edges: list[Edge]) -> None:
    chain = [(f"ergo:{port.name}:{feed.impl_id}", feed) for feed in _FEEDS[port.type]]
    targets = [PortRef(node_id, feed.input) for node_id, feed in chain[1:]] + [PortRef(cluster, port.name)]
    for (node_id, feed), target in zip(chain, targets, strict=True):
        nodes[node_id] = ImplNode(node_id, feed.impl_id, "0.1.0", _constant(feed.impl_id))
        edges.append(Edge(PortRef(node_id, feed.output), target))


def _constant(impl_id: str) -> dict[str, Binding]:
    kind = _LITERALS.get(impl_id)
    return {} if kind is None else {"value": Literal(ParameterValue(kind, _VALUES[kind]))}
