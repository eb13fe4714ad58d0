"""Whether a flat graph can be executed: ten checks, and the execution order (spec 20 §9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog, Metadata
from ergo_cli.programs.graph.model import (
    COMPOSITION,
    BoundaryOutput,
    ExpandedGraph,
    ExpandedNode,
    ExternalInput,
    NodePort,
    node_fault,
    raise_headline,
)
from ergo_cli.programs.graph.primitives.primitive import Family


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
    indexed = IndexedGraph(graph, catalog)
    raise_headline(fault for check in CHECKS for fault in check(indexed))
    inbound: dict[str, list[Inbound]] = {runtime_id: [] for runtime_id in graph.nodes}
    for wire in indexed.wires:
        source, target = wire.source, wire.target
        producer = graph.nodes[source.node_id]
        inbound[target.node_id].append(Inbound(target.port, source.node_id, source.port, producer))
    nodes = {
        runtime_id: ValidatedNode(node, indexed.metadata[runtime_id], tuple(inbound[runtime_id]))
        for runtime_id, node in graph.nodes.items()
    }
    order = topological_order(graph.nodes, indexed.dependencies())
    return ValidatedGraph(graph.graph_id, nodes, tuple(order), graph.boundary_outputs)


class Wire(Struct, frozen=True):
    """An edge between two nodes that exist."""

    source: NodePort
    target: NodePort
    place: str | None


class IndexedGraph:
    """The graph under examination: what the checks look up, indexed once."""

    def __init__(self, graph: ExpandedGraph, catalog: Catalog) -> None:
        self.graph = graph
        self.nodes: list[tuple[str, ExpandedNode]] = sorted(graph.nodes.items())
        known = ((runtime_id, catalog.get(node.impl_id, node.version)) for runtime_id, node in self.nodes)
        self.metadata: dict[str, Metadata] = {runtime_id: found for runtime_id, found in known if found is not None}
        self.targets = {edge.target for edge in graph.edges}
        self.wires = [
            Wire(edge.source, edge.target, edge.place)
            for edge in graph.edges
            if isinstance(edge.source, NodePort)
            and isinstance(edge.target, NodePort)
            and edge.source.node_id in graph.nodes
            and edge.target.node_id in graph.nodes
        ]

    def dependencies(self) -> Iterator[tuple[str, str]]:
        """(producer, consumer) of every wire."""
        return ((wire.source.node_id, wire.target.node_id) for wire in self.wires)

    def known_wires(self) -> Iterator[tuple[Wire, Metadata, Metadata]]:
        """Every wire between known primitives, with the metadata of both."""
        for wire in self.wires:
            source, target = self.metadata.get(wire.source.node_id), self.metadata.get(wire.target.node_id)
            if source is not None and target is not None:
                yield wire, source, target

    def name(self, port: NodePort) -> str:
        """A port as its author knows it: ``hot/check/over.a``."""
        node = self.graph.nodes.get(port.node_id)
        return f"{node.path if node else port.node_id}.{port.port}"

    def fault(self, rule: str, message: str, wire: Wire, path: str, fix: str) -> RuleError:
        """The error of a wire, at the node it leads to and placed at the edge."""
        node = self.graph.nodes[wire.target.node_id]
        return node_fault(rule, message, node, path=path, place=wire.place, fix=fix)


def missing_primitives(indexed: IndexedGraph) -> Iterator[RuleError]:
    """V.8: every node is a primitive of the catalog."""
    for runtime_id, node in indexed.nodes:
        if runtime_id not in indexed.metadata:
            message = f"'{node.path}' is '{node.impl_id}@{node.version}', which is not a known primitive"
            fix = "correct the name, or register the primitive"
            yield node_fault("V.8", message, node, path="$.nodes", fix=fix)


def external_inputs(indexed: IndexedGraph) -> Iterator[RuleError]:
    """E.3: no edge begins or ends at an input that nothing feeds."""
    for edge in indexed.graph.edges:
        for endpoint in (edge.source, edge.target):
            if isinstance(endpoint, ExternalInput):
                message = endpoint.why or f"nothing feeds input '{endpoint.name}'"
                fix = "feed it from a node of the graph, or correct the name"
                yield RuleError("E.3", message, phase=COMPOSITION, path="$.edges", where=edge.place, fix=fix)


def unknown_nodes(indexed: IndexedGraph) -> Iterator[RuleError]:
    """D.2: edges name nodes that exist."""
    for edge in indexed.graph.edges:
        for endpoint in (edge.source, edge.target):
            if isinstance(endpoint, NodePort) and endpoint.node_id not in indexed.graph.nodes:
                message = f"an edge names node '{endpoint.node_id}', which does not exist"
                fix = "correct the name, or remove the edge"
                yield RuleError("D.2", message, phase=COMPOSITION, path="$.nodes", where=edge.place, fix=fix)


def doubly_fed_inputs(indexed: IndexedGraph) -> Iterator[RuleError]:
    """V.7: at most one edge into each input; the second one in edge order is at fault."""
    seen: dict[NodePort, Wire] = {}
    for wire in indexed.wires:
        first = seen.setdefault(wire.target, wire)
        if first is not wire:
            feeders = f"'{indexed.name(first.source)}' and '{indexed.name(wire.source)}'"
            message = f"two edges lead into '{indexed.name(wire.target)}': from {feeders}"
            yield indexed.fault("V.7", message, wire, "$.edges", "keep one edge into each input")


def cycles(indexed: IndexedGraph) -> Iterator[RuleError]:
    """V.1: there is an order in which every node runs after those that feed it."""
    placed = topological_order(indexed.graph.nodes, indexed.dependencies())
    stuck = set(indexed.graph.nodes).difference(placed)
    if stuck:
        predecessors: dict[str, list[str]] = {}
        for source, target in indexed.dependencies():
            predecessors.setdefault(target, []).append(source)
        cycle = [indexed.graph.nodes[runtime_id] for runtime_id in find_cycle(predecessors, stuck)]
        names = " -> ".join(f"'{node.path}'" for node in (*cycle, cycle[0]))
        fix = "break it: what one pass finds out, the next can read from the context"
        yield node_fault("V.1", f"the edges form a cycle: {names}", cycle[0], path="$.edges", fix=fix)


_BY_FAMILY = {
    (Family.SOURCE, Family.COMPUTE),
    (Family.COMPUTE, Family.COMPUTE),
    (Family.COMPUTE, Family.TRIGGER),
    (Family.TRIGGER, Family.TRIGGER),
    (Family.TRIGGER, Family.ACTION),
}
"""(from, to) families that any edge may join; sources and computes may also feed an action's value inputs."""

_WIRING_ADVICE = {
    Family.SOURCE: "a source feeds computes and the value inputs of actions; for a constant gate take const_bool",
    Family.COMPUTE: "a compute feeds computes, triggers and the value inputs of actions, never an Event input",
    Family.TRIGGER: "a trigger feeds triggers and the Event inputs of actions",
    Family.ACTION: "an action feeds nothing: take its outcome as an output",
}


def wiring_matrix(indexed: IndexedGraph) -> Iterator[RuleError]:
    """V.2: edges join families that may be joined (§3)."""
    for wire, source, target in indexed.known_wires():
        if (source.family, target.family) in _BY_FAMILY:
            continue
        if target.family is Family.ACTION and source.family is not Family.ACTION:
            type_ = _input_type(target, wire.target.port)
            if type_ is None:
                yield _no_input(indexed, wire, target)
            if type_ is not ValueType.EVENT:
                continue
        what = "an Event input of an action" if target.family is Family.ACTION else f"a {target.family.value.lower()}"
        message = (
            f"'{indexed.name(wire.source)}' ({source.family.value.lower()}) feeds "
            f"'{indexed.name(wire.target)}', {what}: this is not allowed"
        )
        yield indexed.fault("V.2", message, wire, "$.edges", _WIRING_ADVICE[source.family])


def missing_inputs(indexed: IndexedGraph) -> Iterator[RuleError]:
    """V.3: every required input has an edge."""
    for runtime_id, node in indexed.nodes:
        metadata = indexed.metadata.get(runtime_id)
        for port in metadata.inputs if metadata else ():
            if port.required and NodePort(runtime_id, port.name) not in indexed.targets:
                message = f"input '{node.path}.{port.name}' ({port.type.value}) of {node.impl_id} is not wired"
                yield node_fault("V.3", message, node, path="$.edges", fix=f"lead an edge into '{port.name}'")


def port_types(indexed: IndexedGraph) -> Iterator[RuleError]:
    """D.2 and V.4: both ports of an edge are declared, and of one type."""
    for wire, source, target in indexed.known_wires():
        expected, got = _input_type(target, wire.target.port), _output_type(source, wire.source.port)
        if got is None:
            yield _no_output(indexed, wire, source)
        if expected is None:
            yield _no_input(indexed, wire, target)
        if expected is not None and got is not None and expected is not got:
            message = (
                f"'{indexed.name(wire.target)}' takes {expected.value}, "
                f"but '{indexed.name(wire.source)}' gives {got.value}"
            )
            fix = f"feed it from an output of type {expected.value}"
            yield indexed.fault("V.4", message, wire, "$.edges", fix)


def ungated_actions(indexed: IndexedGraph) -> Iterator[RuleError]:
    """V.5: each action has an edge from the Event output of a trigger."""
    gated = {
        wire.target.node_id
        for wire, source, _ in indexed.known_wires()
        if source.family is Family.TRIGGER and _output_type(source, wire.source.port) is ValueType.EVENT
    }
    for runtime_id, node in indexed.nodes:
        metadata = indexed.metadata.get(runtime_id)
        if metadata is not None and metadata.family is Family.ACTION and runtime_id not in gated:
            message = f"action '{node.path}' ({node.impl_id}) is gated by no trigger"
            yield node_fault("V.5", message, node, path="$.edges", fix="lead a trigger's event into the action")


def boundary_outputs(indexed: IndexedGraph) -> Iterator[RuleError]:
    """D.2: the graph's outputs are declared outputs of nodes that exist."""
    for port in indexed.graph.boundary_outputs:
        metadata = indexed.metadata.get(port.source.node_id)
        if port.source.node_id not in indexed.graph.nodes:
            problem = f"names node '{port.source.node_id}', which does not exist"
        elif metadata is not None and _output_type(metadata, port.source.port) is None:
            problem = f"names '{indexed.name(port.source)}', but {metadata.id} has no output '{port.source.port}'"
        else:
            continue
        message = f"output '{port.name}' {problem}"
        yield RuleError("D.2", message, phase=COMPOSITION, path="$.nodes", where=port.place, fix=_outputs(metadata))


CHECKS: tuple[Callable[[IndexedGraph], Iterator[RuleError]], ...] = (
    missing_primitives,
    external_inputs,
    unknown_nodes,
    doubly_fed_inputs,
    cycles,
    wiring_matrix,
    missing_inputs,
    port_types,
    ungated_actions,
    boundary_outputs,
)
"""In the order that decides which fault is the headline. A check skips what an earlier one has reported."""


def _input_type(metadata: Metadata, name: str) -> ValueType | None:
    return next((port.type for port in metadata.inputs if port.name == name), None)


def _output_type(metadata: Metadata, name: str) -> ValueType | None:
    return next((port.type for port in metadata.outputs if port.name == name), None)


def _no_input(indexed: IndexedGraph, wire: Wire, target: Metadata) -> RuleError:
    message = f"'{indexed.name(wire.target)}' does not exist: {target.id} has no input '{wire.target.port}'"
    names = [port.name for port in target.inputs]
    fix = f"the inputs of {target.id} are {', '.join(names)}" if names else f"{target.id} takes no inputs"
    return indexed.fault("D.2", message, wire, "$.nodes", fix)


def _no_output(indexed: IndexedGraph, wire: Wire, source: Metadata) -> RuleError:
    message = f"'{indexed.name(wire.source)}' does not exist: {source.id} has no output '{wire.source.port}'"
    node = indexed.graph.nodes[wire.source.node_id]
    return node_fault("D.2", message, node, path="$.nodes", place=wire.place, fix=_outputs(source))


def _outputs(metadata: Metadata | None) -> str:
    if metadata is None:
        return "name a port of one of the nodes"
    return f"the outputs of {metadata.id} are {', '.join(port.name for port in metadata.outputs)}"


def topological_order(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Kahn's algorithm, taking the smallest ready id as a string; nodes in a cycle or behind one are left out."""
    unmet = dict.fromkeys(nodes, 0)
    dependents: dict[str, list[str]] = {node: [] for node in unmet}
    for source, target in edges:
        dependents[source].append(target)
        unmet[target] += 1
    ready = [node for node, count in unmet.items() if count == 0]
    heapify(ready)
    order: list[str] = []
    while ready:
        node = heappop(ready)
        order.append(node)
        for dependent in dependents[node]:
            unmet[dependent] -= 1
            if unmet[dependent] == 0:
                heappush(ready, dependent)
    return order


def find_cycle(predecessors: Mapping[str, Iterable[str]], stuck: Iterable[str]) -> list[str]:
    """One cycle among the nodes that got no place in the order, along the edges, from its smallest id."""
    remaining = set(stuck)
    node, seen = min(remaining), dict[str, int]()
    trail: list[str] = []
    while node not in seen:
        seen[node] = len(trail)
        trail.append(node)
        node = min(predecessor for predecessor in predecessors[node] if predecessor in remaining)
    cycle = trail[seen[node] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
