"""A graph as a table whose rows are indented by cluster, for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ergo_cli.programs.graph.catalog import Catalog
from ergo_cli.programs.graph.expanded import ExpandedEdge, ExpandedGraph, ExpandedNode, ExternalInput, NodePort
from ergo_cli.report.blocks import Block, Line, Table, Tone
from ergo_cli.report.graphs.drawing import Shown

_INDENT = "  "


def outline(graph: ExpandedGraph, catalog: Catalog, shown: Shown = Shown()) -> tuple[Block, ...]:
    """A headline and a row for each cluster and primitive, authored order by node id, with what feeds it."""
    edges = "1 edge" if len(graph.edges) == 1 else f"{len(graph.edges)} edges"
    nodes = "1 primitive" if len(graph.nodes) == 1 else f"{len(graph.nodes)} primitives"
    title = Line(f"graph {graph.graph_id}: {nodes}, {edges}", Tone.STRONG)
    rows = _Outline(graph, catalog, shown)
    more = [name for name, asked in (("runtime", shown.runtime_id), ("impl", shown.impl)) if asked]
    columns = ("node", "family", *more, "fed by")
    blocks: list[Block] = [title, Table(columns, tuple(rows.rows()))]
    if graph.boundary_outputs:
        blocks += [Line(), Table(("output", "taken from"), tuple(rows.outputs()))]
    return tuple(blocks)


class _Row(Struct, frozen=True):
    name: str
    family: str
    node: ExpandedNode | None


class _Outline:
    """The rows of one graph."""

    def __init__(self, graph: ExpandedGraph, catalog: Catalog, shown: Shown) -> None:
        self._graph = graph
        self._catalog = catalog
        self._shown = shown
        self._wires: dict[str, list[ExpandedEdge]] = {}
        for edge in graph.edges:
            if isinstance(edge.target, NodePort):
                self._wires.setdefault(edge.target.node_id, []).append(edge)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The clusters, each followed by what is inside."""
        nodes = sorted(self._graph.nodes.values(), key=lambda node: (_steps(node), node.runtime_id))
        above: Sequence[str] = ()
        for node in nodes:
            *folders, name = _steps(node)
            for depth in range(_common(above, folders), len(folders)):
                yield self._cells(_Row(_INDENT * depth + folders[depth], "cluster", None))
            yield self._cells(_Row(_INDENT * len(folders) + name, self._family(node), node))
            above = folders

    def outputs(self) -> Iterator[tuple[str, ...]]:
        """The graph's outputs and the ports that give them."""
        for output in self._graph.boundary_outputs:
            yield output.name, self._source(output.source, ports=True)

    def _cells(self, row: _Row) -> tuple[str, ...]:
        node = row.node
        runtime = [node.runtime_id if node else ""] if self._shown.runtime_id else []
        impl = [f"{node.impl_id}@{node.version}" if node else ""] if self._shown.impl else []
        return (row.name, row.family, *runtime, *impl, self._feeds(node) if node else "")

    def _family(self, node: ExpandedNode) -> str:
        metadata = self._catalog.get(node.impl_id, node.version)
        return "unknown" if metadata is None else metadata.family.value.lower()

    def _feeds(self, node: ExpandedNode) -> str:
        wires = self._wires.get(node.runtime_id, [])
        return ", ".join(sorted(self._feed(wire) for wire in wires))

    def _feed(self, wire: ExpandedEdge) -> str:
        source = self._source(wire.source, ports=self._shown.ports)
        port = wire.target.port if isinstance(wire.target, NodePort) else ""
        return f"{port} ← {source}" if self._shown.ports else source

    def _source(self, end: NodePort | ExternalInput, *, ports: bool) -> str:
        if isinstance(end, ExternalInput):
            return f"input {end.name.rpartition('/')[2]}"
        path = _path(self._graph.nodes, end.node_id)
        return f"{path}.{end.port}" if ports else path


def _path(nodes: Mapping[str, ExpandedNode], runtime_id: str) -> str:
    return nodes[runtime_id].path or runtime_id


def _steps(node: ExpandedNode) -> tuple[str, ...]:
    return tuple(node_id for _, node_id in node.authoring_path) or (node.runtime_id,)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many names two ways have in common from the top."""
    differing = (index for index, names in enumerate(zip(one, other, strict=False)) if names[0] != names[1])
    return next(differing, min(len(one), len(other)))
