"""Whether a flat graph can be executed (spec 20 §9)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.programs.graph.catalog import Catalog, Metadata
from ergo_cli.programs.graph.expanded import BoundaryOutput, ExpandedGraph, ExpandedNode
from ergo_cli.programs.graph.faults import raise_headline
from ergo_cli.programs.graph.topology import topological_order
from ergo_cli.programs.graph.validation_checks import CHECKS, Subject


class Inbound(Struct, frozen=True):
    """An edge as its target sees it: the input it feeds, and the node and output it comes from."""

    input: str
    node_id: str
    output: str
    producer: ExpandedNode


class ValidatedNode(Struct, frozen=True):
    """A primitive in place with what is known of it; ``inbound`` in edge order."""

    node: ExpandedNode
    metadata: Metadata
    inbound: tuple[Inbound, ...]


class ValidatedGraph(Struct, frozen=True):
    """A graph that keeps every rule of §9; ``order`` is the execution order and therefore the effect order."""

    graph_id: str
    nodes: Mapping[str, ValidatedNode]
    order: tuple[str, ...]
    outputs: tuple[BoundaryOutput, ...]


def validate(graph: ExpandedGraph, catalog: Catalog) -> ValidatedGraph:
    """The graph, ready to run. Raises RuleError: the first fault in the order of §9.1, all others in its ``causes``."""
    subject = Subject(graph, catalog)
    raise_headline(fault for check in CHECKS for fault in check(subject))
    inbound: dict[str, list[Inbound]] = {runtime_id: [] for runtime_id in graph.nodes}
    for wire in subject.wires:
        source, target = wire.source, wire.target
        producer = graph.nodes[source.node_id]
        inbound[target.node_id].append(Inbound(target.port, source.node_id, source.port, producer))
    nodes = {
        runtime_id: ValidatedNode(node, subject.metadata[runtime_id], tuple(inbound[runtime_id]))
        for runtime_id, node in graph.nodes.items()
    }
    order = topological_order(graph.nodes, subject.dependencies())
    return ValidatedGraph(graph.graph_id, nodes, tuple(order), graph.boundary_outputs)
