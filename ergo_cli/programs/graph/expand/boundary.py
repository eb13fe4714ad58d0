"""A graph from outside: its signature, and stand-ins that let a cluster be checked by itself (spec 20 §8)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog, Metadata
from ergo_cli.programs.graph.model import (
    COMPOSITION,
    Binding,
    BoundaryFamily,
    BoundaryOutput,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    Edge,
    ExpandedGraph,
    Exposed,
    GraphAssets,
    ImplNode,
    InputPort,
    Literal,
    Node,
    NodePort,
    PortRef,
    Signature,
    SignaturePort,
)
from ergo_cli.programs.graph.primitives.primitive import Cardinality, Family, ParameterType, ParameterValue


def infer_signature(graph: ExpandedGraph, catalog: Catalog) -> Signature:
    """The signature of an expanded graph. Raises RuleError D.4 where a primitive, node or output is unknown."""
    primitives = _primitives(graph, catalog)
    inputs = tuple(SignaturePort(port.name, port.type, Cardinality.SINGLE, False) for port in graph.boundary_inputs)
    outputs = tuple(_output_port(port, primitives) for port in graph.boundary_outputs)
    return Signature(
        kind=_boundary_family(bool(inputs), outputs),
        inputs=inputs,
        outputs=outputs,
        has_side_effects=any(primitive.family is Family.ACTION for primitive in primitives.values()),
        is_origin=not inputs and _begins_with_sources(graph, primitives),
    )


def check_declared(declared: Signature, inferred: Signature, place: str | None = None) -> None:
    """Raise RuleError D.10 (cause D.11) where a declared port is wireable and the inferred one is not (§8.3)."""
    actual = {port.name: port for port in (*reversed(inferred.inputs), *reversed(inferred.outputs))}
    granted = [port.name for port in (*declared.inputs, *declared.outputs) if port.wireable]
    exceeding = [name for name in granted if name in actual and not actual[name].wireable]
    if exceeding:
        causes = [_exceeds(name, place) for name in exceeding]
        raise RuleError(
            "D.10",
            f"the declared signature says that '{exceeding[0]}' is wireable, but it is not",
            phase=COMPOSITION,
            path="$.declared_signature",
            where=place,
            fix=f"declare 'wireable: false' for '{exceeding[0]}'",
            causes=causes,
        )


def disagreements(declared: Signature, inferred: Signature) -> list[str]:
    """Where a declared signature differs from the inferred one; excessive wireability is left to D.10."""
    found: list[str] = []
    if declared.kind is not inferred.kind:
        found.append(f"signature kind is declared {declared.kind.value}, the graph is {inferred.kind.value}")
    if declared.has_side_effects is not inferred.has_side_effects:
        found.append(f"signature declares has_side_effects {declared.has_side_effects}, it is the opposite")
    if declared.is_origin is not inferred.is_origin:
        found.append(f"signature declares is_origin {declared.is_origin}, it is the opposite")
    found += _port_disagreements("input", declared.inputs, inferred.inputs)
    found += _port_disagreements("output", declared.outputs, inferred.outputs)
    return found


def _primitives(graph: ExpandedGraph, catalog: Catalog) -> dict[str, Metadata]:
    primitives: dict[str, Metadata] = {}
    for runtime_id, node in sorted(graph.nodes.items()):
        metadata = catalog.get(node.impl_id, node.version)
        if metadata is None:
            raise _not_inferable(f"primitive '{node.impl_id}@{node.version}' of '{node.path}' is unknown", node.place)
        primitives[runtime_id] = metadata
    return primitives


def _output_port(port: BoundaryOutput, primitives: dict[str, Metadata]) -> SignaturePort:
    primitive = primitives.get(port.source.node_id)
    if primitive is None:
        raise _not_inferable(f"output '{port.name}' comes from unknown node '{port.source.node_id}'", port.place)
    for output in primitive.outputs:
        if output.name == port.source.port:
            wireable = primitive.family is not Family.ACTION
            return SignaturePort(port.name, output.type, Cardinality.SINGLE, wireable)
    message = f"output '{port.name}' comes from '{port.source.port}', which {primitive.id} does not give"
    raise _not_inferable(message, port.place)


def _boundary_family(has_inputs: bool, outputs: Sequence[SignaturePort]) -> BoundaryFamily:
    types = {port.type for port in outputs if port.wireable}
    if not types:
        return BoundaryFamily.ACTION_LIKE
    if not has_inputs and ValueType.EVENT not in types:
        return BoundaryFamily.SOURCE_LIKE
    return BoundaryFamily.TRIGGER_LIKE if ValueType.EVENT in types else BoundaryFamily.COMPUTE_LIKE


def _begins_with_sources(graph: ExpandedGraph, primitives: dict[str, Metadata]) -> bool:
    fed = {
        edge.target.node_id
        for edge in graph.edges
        if isinstance(edge.source, NodePort) and isinstance(edge.target, NodePort)
    }
    return all(primitive.family is Family.SOURCE for node_id, primitive in primitives.items() if node_id not in fed)


def _port_disagreements(what: str, declared: Sequence[SignaturePort], inferred: Sequence[SignaturePort]) -> list[str]:
    actual = {port.name: port for port in inferred}
    found: list[str] = []
    for port in declared:
        real = actual.get(port.name)
        if real is None:
            found.append(f"signature declares {what} '{port.name}', which the graph does not have")
        elif (port.type, port.cardinality) != (real.type, real.cardinality):
            found.append(
                f"signature declares {what} '{port.name}' as {port.cardinality.value} {port.type.value}, "
                f"it is {real.cardinality.value} {real.type.value}"
            )
    return found


def _not_inferable(message: str, place: str | None) -> RuleError:
    return RuleError("D.4", f"no signature: {message}", phase=COMPOSITION, path="$.output_ports", where=place)


def _exceeds(name: str, place: str | None) -> RuleError:
    message = f"port '{name}' is declared wireable; inputs and outputs of actions never are"
    return RuleError("D.11", message, phase=COMPOSITION, path="$.declared_signature", where=place)


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
    """``assets`` with a root that needs no input or parameter: the root itself, or a graph that feeds it."""
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
    type_ = _LITERALS.get(impl_id)
    return {} if type_ is None else {"value": Literal(ParameterValue(type_, _VALUES[type_]))}
