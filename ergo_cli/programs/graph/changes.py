"""What changed between two graphs: nodes, parameters, wires and versions, at the places where they are authored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from ergo_cli.programs.changes import Change, Verb, placed
from ergo_cli.programs.graph.bindings import Binding, binding_of, binds, value_text
from ergo_cli.programs.graph.contract_changes import contract_changes
from ergo_cli.programs.graph.model import (
    Endpoint,
    ExpandedEdge,
    ExpandedGraph,
    ExpandedNode,
    ExternalInput,
    GraphAssets,
    NodePort,
)
from ergo_cli.programs.graph.program import GraphProgram


def graph_changes(recorded: GraphProgram, today: GraphProgram) -> list[Change]:
    """Every difference of the expanded graphs: nodes and parameters in today's order, wires, outputs, what is gone.

    A value that several nodes take from one place is one change.
    """
    before, after = _Flat.of(recorded.expanded), _Flat.of(today.expanded)
    return [
        *_versions(recorded.assets, today.assets),
        *contract_changes(recorded, today),
        *_node_changes(before, after),
        *_parameter_changes(before, after, recorded.assets, today.assets),
        *_wire_changes(before, after),
        *_gone(before, after),
    ]


class _Flat(Struct, frozen=True):
    """An expanded graph by the paths of its nodes; ``wires`` has what each port is fed from."""

    nodes: Mapping[str, ExpandedNode]
    wires: Mapping[tuple[str, str], tuple[str, ...]]
    places: Mapping[tuple[str, str], str | None]

    @classmethod
    def of(cls, graph: ExpandedGraph) -> _Flat:
        wires: dict[tuple[str, str], list[str]] = defaultdict(list)
        places: dict[tuple[str, str], str | None] = {}
        for edge in graph.edges:
            port = _target(graph, edge)
            wires[port].append(_name(graph, edge.source))
            places[port] = edge.place
        for output in graph.boundary_outputs:
            wires["", output.name].append(_name(graph, output.source))
            places["", output.name] = output.place
        nodes = {node.path: node for node in graph.nodes.values()}
        return cls(nodes, {port: tuple(sorted(names)) for port, names in wires.items()}, places)


def _target(graph: ExpandedGraph, edge: ExpandedEdge) -> tuple[str, str]:
    if isinstance(edge.target, NodePort):
        return graph.nodes[edge.target.node_id].path, edge.target.port
    return "", edge.target.name


def _name(graph: ExpandedGraph, endpoint: Endpoint) -> str:
    """The end of a wire as its author names it: ``slow/avg.value``, ``$price`` for an input of the graph."""
    match endpoint:
        case NodePort(node_id, port):
            return f"{graph.nodes[node_id].path}.{port}"
        case ExternalInput(name):
            return f"${name}"


def _versions(recorded: GraphAssets, today: GraphAssets) -> Iterator[Change]:
    """Clusters, the root among them, of another version; what they hold is compared by itself."""
    before, after = _versions_of(recorded), _versions_of(today)
    for cluster_id in after:
        old, new = before.get(cluster_id), after[cluster_id]
        if old is not None and old != new:
            file = today.labels.get((cluster_id, new))
            yield Change(subject=f"version of {cluster_id}", before=old, after=new, file=file, idle=True)


def _versions_of(assets: GraphAssets) -> dict[str, str]:
    """The versions of each cluster, joined where there are several."""
    found: dict[str, str] = {}
    for cluster_id, version in (assets.root.key, *sorted(assets.clusters.keys() - {assets.root.key})):
        found[cluster_id] = f"{found[cluster_id]}, {version}" if cluster_id in found else version
    return found


def _node_changes(before: _Flat, after: _Flat) -> Iterator[Change]:
    """Nodes that are new, of another primitive, or that ask for it by another version."""
    for path, node in after.nodes.items():
        old = before.nodes.get(path)
        file, line = placed(node.place)
        if old is None:
            yield Change(subject=path, verb=Verb.ADDED, after=_made(node), file=file, line=line, nodes=(path,))
        elif _made(old) != _made(node) and _selected(old) != _selected(node):
            yield Change(subject=path, before=_made(old), after=_made(node), file=file, line=line, nodes=(path,))
        elif _selected(old) != _selected(node):
            was, now = _selected(old), _selected(node)
            yield Change(subject=path, before=was, after=now, file=file, line=line, nodes=(path,), idle=True)


def _parameter_changes(before: _Flat, after: _Flat, recorded: GraphAssets, assets: GraphAssets) -> Iterator[Change]:
    """Values that differ; one that several nodes take from one place is named after that place.

    Defaults of a primitive on both sides are the primitive's change.
    """
    found: dict[tuple[str, str | None, str | None, str | None], list[tuple[Binding, ExpandedNode]]] = {}
    for path, node in after.nodes.items():
        old = before.nodes.get(path)
        parameters = {} if old is None else old.parameters
        for name in dict.fromkeys((*node.parameters, *parameters)):
            was, now = parameters.get(name), node.parameters.get(name)
            if old is not None and was != now and (binds(recorded, old, name) or binds(assets, node, name)):
                binding = binding_of(assets, node, name)
                key = binding.name, binding.place, value_text(was), value_text(now)
                found.setdefault(key, []).append((binding, node))
    for (_, _, was, now), takers in found.items():
        binding, first = takers[0]
        file, line = placed(binding.place or first.place)
        subject = binding.at if len(takers) == 1 else binding.name
        nodes = tuple(node.path for _, node in takers)
        yield Change(subject=subject, before=was, after=now, file=file, line=line, nodes=nodes)


def _wire_changes(before: _Flat, after: _Flat) -> Iterator[Change]:
    """Ports, and outputs of the graph, that are fed from elsewhere; those of new nodes are the nodes' change.

    Outputs are in no decision.
    """
    for port in [*after.wires, *(port for port in before.wires if port not in after.wires)]:
        path, name = port
        old, new = before.wires.get(port, ()), after.wires.get(port, ())
        if old == new or (path and not (path in before.nodes and path in after.nodes)):
            continue
        file, line = placed(after.places.get(port) or (after.nodes[path].place if path else None))
        yield Change(
            subject=f"{path}.{name}" if path else f"output {name}",
            verb=Verb.CHANGED if old and new else Verb.ADDED if new else Verb.REMOVED,
            before=", ".join(old) or None,
            after=", ".join(new) or None,
            file=file,
            line=line,
            nodes=(path,) if path else (),
            idle=not path,
        )


def _gone(before: _Flat, after: _Flat) -> Iterator[Change]:
    for path, node in before.nodes.items():
        if path not in after.nodes:
            yield Change(subject=path, verb=Verb.REMOVED, before=_made(node))


def _made(node: ExpandedNode) -> str:
    return f"{node.impl_id}@{node.version}"


def _selected(node: ExpandedNode) -> str:
    return f"{node.impl_id}@{node.requested_version}"
