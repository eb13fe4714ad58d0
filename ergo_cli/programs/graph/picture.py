"""The picture of a graph: its primitives in their clusters, and the wires between them (spec 30 §25)."""

from __future__ import annotations

from ergo_cli.programs.graph.check.catalog import Catalog
from ergo_cli.programs.graph.model import Endpoint, ExpandedEdge, ExpandedGraph, ExpandedNode, NodePort
from ergo_cli.programs.graph.primitives.primitive import Family
from ergo_cli.programs.pictures import Edge, Input, Node, Output, Picture, Role

_ROLES = {
    Family.SOURCE: Role.SOURCE,
    Family.COMPUTE: Role.COMPUTE,
    Family.TRIGGER: Role.TRIGGER,
    Family.ACTION: Role.ACTION,
}


def picture_of(graph: ExpandedGraph, catalog: Catalog) -> Picture:
    """The picture of an expanded graph; a primitive that the catalog does not know is drawn as a compute."""
    edges = "1 edge" if len(graph.edges) == 1 else f"{len(graph.edges)} edges"
    nodes = "1 primitive" if len(graph.nodes) == 1 else f"{len(graph.nodes)} primitives"
    by_path = sorted(graph.nodes.values(), key=lambda node: (_path(node), node.runtime_id))
    return Picture(
        graph_id=graph.graph_id,
        title=graph.graph_id,
        headline=f"graph {graph.graph_id}: {nodes}, {edges}",
        headings=("node", "family", "fed by"),
        nodes=tuple(_node(node, catalog) for node in by_path),
        edges=tuple(map(_edge, graph.edges)),
        outputs=tuple(Output(each.name, each.source.node_id, each.source.port) for each in graph.boundary_outputs),
        is_expanded=True,
    )


def _node(node: ExpandedNode, catalog: Catalog) -> Node:
    metadata = catalog.get(node.impl_id, node.version)
    return Node(
        id=node.runtime_id,
        path=_path(node),
        role=Role.COMPUTE if metadata is None else _ROLES[metadata.family],
        type="unknown" if metadata is None else metadata.family.value.lower(),
        impl=f"{node.impl_id}@{node.version}",
        runtime_id=node.runtime_id,
    )


def _path(node: ExpandedNode) -> tuple[str, ...]:
    return tuple(node_id for _, node_id in node.authoring_path) or (node.runtime_id,)


def _edge(edge: ExpandedEdge) -> Edge:
    return Edge(_end(edge.source), _end(edge.target), (_port(edge.source), _port(edge.target)))


def _end(end: Endpoint) -> str | Input:
    return end.node_id if isinstance(end, NodePort) else Input(end.name, _last(end.name))


def _port(end: Endpoint) -> str:
    return end.port if isinstance(end, NodePort) else _last(end.name)


def _last(name: str) -> str:
    return name.rpartition("/")[2]
