"""What every picture of a graph shows: nodes, the inputs that nothing feeds, edges."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.graph.catalog import Catalog
from ergo_cli.programs.graph.expanded import Endpoint, ExpandedEdge, ExpandedGraph, ExpandedNode, NodePort
from ergo_cli.programs.graph.manifest import Family


class Shown(Struct, frozen=True):
    """What a picture shows beside the names of nodes."""

    ports: bool = False
    impl: bool = False
    runtime_id: bool = False


class DrawnNode(Struct, frozen=True):
    """A node; ``family`` is None for a primitive that the catalog does not know, ``label`` has a line an item."""

    id: str
    family: Family | None
    label: tuple[str, ...]


class DrawnInput(Struct, frozen=True):
    """An input from outside; ``key`` tells the graph as well, ``name`` is what its author calls it."""

    key: str
    name: str


class DrawnEdge(Struct, frozen=True):
    """A wire between nodes or from an input; ``ports`` are those at its ends, None where they are not shown."""

    source: str | DrawnInput
    target: str | DrawnInput
    ports: tuple[str, str] | None


class Drawing(Struct, frozen=True):
    """A graph to be drawn: nodes by runtime id as text, inputs by key."""

    graph_id: str
    nodes: tuple[DrawnNode, ...]
    inputs: tuple[DrawnInput, ...]
    edges: tuple[DrawnEdge, ...]

    def ids(self, *families: Family | None) -> tuple[str, ...]:
        """The nodes of these families."""
        return tuple(node.id for node in self.nodes if node.family in families)


def drawing_of(graph: ExpandedGraph, catalog: Catalog, shown: Shown) -> Drawing:
    """``graph`` as pictures show it."""
    edges = tuple(_edge(edge, shown) for edge in graph.edges)
    outside = {end.key: end for edge in edges for end in (edge.source, edge.target) if isinstance(end, DrawnInput)}
    nodes = tuple(_node(node, catalog, shown) for _, node in sorted(graph.nodes.items()))
    return Drawing(graph.graph_id, nodes, tuple(end for _, end in sorted(outside.items())), edges)


def _node(node: ExpandedNode, catalog: Catalog, shown: Shown) -> DrawnNode:
    metadata = catalog.get(node.impl_id, node.version)
    label = [node.path or node.runtime_id]
    if shown.runtime_id:
        label.append(f"runtime: {node.runtime_id}")
    if shown.impl:
        label.append(f"impl: {node.impl_id}@{node.version}")
    return DrawnNode(node.runtime_id, None if metadata is None else metadata.family, tuple(label))


def _edge(edge: ExpandedEdge, shown: Shown) -> DrawnEdge:
    ports = (_port(edge.source), _port(edge.target)) if shown.ports else None
    return DrawnEdge(_end(edge.source), _end(edge.target), ports)


def _end(end: Endpoint) -> str | DrawnInput:
    return end.node_id if isinstance(end, NodePort) else DrawnInput(end.name, end.name.rpartition("/")[2])


def _port(end: Endpoint) -> str:
    return end.port if isinstance(end, NodePort) else end.name.rpartition("/")[2]
