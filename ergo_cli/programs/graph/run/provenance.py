"""The fingerprint of a graph: its primitives, parameters and wiring, not its source texts (spec 20 §13)."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite

import msgspec
from msgspec import Struct

from ergo_cli.core.json import newer_numbers
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog, Metadata
from ergo_cli.programs.graph.model import (
    COMPOSITION,
    Endpoint,
    ExpandedEdge,
    ExpandedGraph,
    ExpandedNode,
    NodePort,
    node_fault,
)
from ergo_cli.programs.graph.primitives.primitive import (
    Cardinality,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterValue,
)


class _Value(Struct):
    kind: str
    value: int | float | bool | str


class _Parameter(Struct):
    name: str
    value: _Value


class _Node(Struct):
    runtime_id: str
    impl_id: str
    requested_version: str
    resolved_version: str
    parameters: list[_Parameter]


class _NodePort(Struct, tag="NodePort", tag_field="kind"):
    node_id: str
    port_name: str


class _ExternalInput(Struct, tag="ExternalInput", tag_field="kind"):
    name: str


_Endpoint = _NodePort | _ExternalInput


class _Edge(Struct, rename={"source": "from", "target": "to"}):
    source: _Endpoint
    target: _Endpoint


class _Input(Struct):
    name: str
    value_type: str
    required: bool


class _Output(Struct):
    name: str
    value_type: str
    cardinality: str


class _ParameterSpec(Struct):
    name: str
    ty: str
    required: bool
    default: _Value | None


class _Primitive(Struct):
    impl_id: str
    resolved_version: str
    kind: str
    inputs: list[_Input]
    outputs: list[_Output]
    parameters: list[_ParameterSpec]


class _Graph(Struct):
    graph_id: str
    nodes: list[_Node]
    edges: list[_Edge]
    primitives: list[_Primitive]


def runtime_provenance(graph_id: str, graph: ExpandedGraph, catalog: Catalog, *, newer: bool = False) -> str:
    """The ``rpv1`` fingerprint, if ``newer`` with ``newer_numbers``.

    Raises RuleError as ``canonical_fingerprint_text`` does.
    """
    text = canonical_fingerprint_text(graph_id, graph, catalog)
    return "rpv1:sha256:" + sha256(newer_numbers(text) if newer else text).hexdigest()


def canonical_fingerprint_text(graph_id: str, graph: ExpandedGraph, catalog: Catalog) -> bytes:
    """The canonical JSON that is hashed; everything sorted by code point, ``n10`` before ``n2``.

    Raises RuleError: NUM-FINITE-1 for a parameter or default that is not finite, V.8 for a primitive without metadata.
    """
    nodes = [_node(node) for _, node in sorted(graph.nodes.items())]
    edges = [_edge(edge) for edge in sorted(graph.edges, key=_edge_order)]
    primitives = [_primitive(metadata) for metadata in used_primitives(graph, catalog)]
    return msgspec.json.encode(_Graph(graph_id, nodes, edges, primitives))


def used_primitives(graph: ExpandedGraph, catalog: Catalog) -> list[Metadata]:
    """The primitives in use, ascending by id and version. Raises RuleError V.8 for one that the catalog lacks."""
    used: dict[tuple[str, str], Metadata] = {}
    for _, node in sorted(graph.nodes.items()):
        metadata = catalog.get(node.impl_id, node.version)
        if metadata is None:
            message = f"missing primitive metadata for '{node.impl_id}@{node.version}'"
            raise node_fault("V.8", message, node, path="$.nodes")
        used[node.impl_id, node.version] = metadata
    return [metadata for _, metadata in sorted(used.items())]


def _node(node: ExpandedNode) -> _Node:
    parameters = [
        _Parameter(name, _value(value, f"bound parameter '{name}'")) for name, value in sorted(node.parameters.items())
    ]
    return _Node(node.runtime_id, node.impl_id, node.requested_version, node.version, parameters)


def _value(value: ParameterValue, what: str) -> _Value:
    if isinstance(value.value, float) and not isfinite(value.value):
        message = f"non-finite float in runtime provenance ({what})"
        raise RuleError("NUM-FINITE-1", message, phase=COMPOSITION, path="$.nodes", fix="bind a finite number")
    return _Value(value.type.value, value.value)


def _edge(edge: ExpandedEdge) -> _Edge:
    return _Edge(_endpoint(edge.source), _endpoint(edge.target))


def _endpoint(endpoint: Endpoint) -> _Endpoint:
    if isinstance(endpoint, NodePort):
        return _NodePort(endpoint.node_id, endpoint.port)
    return _ExternalInput(endpoint.name)


def _edge_order(edge: ExpandedEdge) -> tuple[str, str]:
    return _endpoint_order(edge.source), _endpoint_order(edge.target)


def _endpoint_order(endpoint: Endpoint) -> str:
    return f"node:{endpoint.node_id}.{endpoint.port}" if isinstance(endpoint, NodePort) else f"ext:{endpoint.name}"


def _primitive(metadata: Metadata) -> _Primitive:
    return _Primitive(
        metadata.id,
        metadata.version,
        metadata.family.value,
        [_Input(port.name, port.type.value, port.required) for port in sorted(metadata.inputs, key=_name)],
        [_Output(port.name, port.type.value, Cardinality.SINGLE.value) for port in sorted(metadata.outputs, key=_name)],
        [_parameter(spec) for spec in sorted(metadata.parameters, key=_name)],
    )


def _parameter(spec: ParameterSpec) -> _ParameterSpec:
    default = None if spec.default is None else _value(spec.default, f"default parameter '{spec.name}'")
    return _ParameterSpec(spec.name, spec.type.value, spec.required, default)


def _name(declared: InputSpec | OutputSpec | ParameterSpec) -> str:
    return declared.name
