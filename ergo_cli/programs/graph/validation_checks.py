"""The ten checks of spec 20 §9.1, each yielding every fault it finds.

A check passes over what an earlier one has already found fault with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.catalog import Catalog, Metadata
from ergo_cli.programs.graph.expanded import ExpandedGraph, ExpandedNode, ExternalInput, NodePort
from ergo_cli.programs.graph.faults import COMPOSITION, node_fault
from ergo_cli.programs.graph.manifest import Family
from ergo_cli.programs.graph.topology import find_cycle, topological_order


class Wire(Struct, frozen=True):
    """An edge between two nodes that exist."""

    source: NodePort
    target: NodePort
    place: str | None


class Subject:
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
        """The error of a wire, told of the node it leads to and placed at the edge."""
        node = self.graph.nodes[wire.target.node_id]
        return node_fault(rule, message, node, path=path, place=wire.place, fix=fix)


def missing_primitives(subject: Subject) -> Iterator[RuleError]:
    """V.8: every node is a primitive of the catalog."""
    for runtime_id, node in subject.nodes:
        if runtime_id not in subject.metadata:
            message = f"'{node.path}' is '{node.impl_id}@{node.version}', which is no known primitive"
            fix = "correct the name, or register the primitive"
            yield node_fault("V.8", message, node, path="$.nodes", fix=fix)


def external_inputs(subject: Subject) -> Iterator[RuleError]:
    """E.3: no edge begins or ends at an input that nothing feeds."""
    for edge in subject.graph.edges:
        for endpoint in (edge.source, edge.target):
            if isinstance(endpoint, ExternalInput):
                message = endpoint.why or f"nothing feeds input '{endpoint.name}'"
                fix = "feed it from a node of the graph, or correct the name"
                yield RuleError("E.3", message, phase=COMPOSITION, path="$.edges", where=edge.place, fix=fix)


def unknown_nodes(subject: Subject) -> Iterator[RuleError]:
    """D.2: edges name nodes that exist."""
    for edge in subject.graph.edges:
        for endpoint in (edge.source, edge.target):
            if isinstance(endpoint, NodePort) and endpoint.node_id not in subject.graph.nodes:
                message = f"an edge names node '{endpoint.node_id}', which does not exist"
                fix = "correct the name, or remove the edge"
                yield RuleError("D.2", message, phase=COMPOSITION, path="$.nodes", where=edge.place, fix=fix)


def doubly_fed_inputs(subject: Subject) -> Iterator[RuleError]:
    """V.7: at most one edge into each input; the second one in edge order is at fault."""
    seen: dict[NodePort, Wire] = {}
    for wire in subject.wires:
        first = seen.setdefault(wire.target, wire)
        if first is not wire:
            feeders = f"'{subject.name(first.source)}' and '{subject.name(wire.source)}'"
            message = f"two edges lead into '{subject.name(wire.target)}': from {feeders}"
            yield subject.fault("V.7", message, wire, "$.edges", "keep one edge into each input")


def cycles(subject: Subject) -> Iterator[RuleError]:
    """V.1: there is an order in which every node runs after those that feed it."""
    placed = topological_order(subject.graph.nodes, subject.dependencies())
    stuck = set(subject.graph.nodes).difference(placed)
    if stuck:
        predecessors: dict[str, list[str]] = {}
        for source, target in subject.dependencies():
            predecessors.setdefault(target, []).append(source)
        cycle = [subject.graph.nodes[runtime_id] for runtime_id in find_cycle(predecessors, stuck)]
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


def wiring_matrix(subject: Subject) -> Iterator[RuleError]:
    """V.2: edges join families that may be joined (§3)."""
    for wire, source, target in subject.known_wires():
        if (source.family, target.family) in _BY_FAMILY:
            continue
        if target.family is Family.ACTION and source.family is not Family.ACTION:
            kind = _input_type(target, wire.target.port)
            if kind is None:
                yield _no_input(subject, wire, target)
            if kind is not ValueType.EVENT:
                continue
        what = "an Event input of an action" if target.family is Family.ACTION else f"a {target.family.value.lower()}"
        message = (
            f"'{subject.name(wire.source)}' ({source.family.value.lower()}) feeds "
            f"'{subject.name(wire.target)}', {what}: this is not allowed"
        )
        yield subject.fault("V.2", message, wire, "$.edges", _WIRING_ADVICE[source.family])


def missing_inputs(subject: Subject) -> Iterator[RuleError]:
    """V.3: every required input has an edge."""
    for runtime_id, node in subject.nodes:
        metadata = subject.metadata.get(runtime_id)
        for port in metadata.inputs if metadata else ():
            if port.required and NodePort(runtime_id, port.name) not in subject.targets:
                message = f"input '{node.path}.{port.name}' ({port.type.value}) of {node.impl_id} is not wired"
                yield node_fault("V.3", message, node, path="$.edges", fix=f"lead an edge into '{port.name}'")


def port_types(subject: Subject) -> Iterator[RuleError]:
    """D.2 and V.4: both ports of an edge are declared, and of one type."""
    for wire, source, target in subject.known_wires():
        expected, got = _input_type(target, wire.target.port), _output_type(source, wire.source.port)
        if got is None:
            yield _no_output(subject, wire, source)
        if expected is None:
            yield _no_input(subject, wire, target)
        if expected is not None and got is not None and expected is not got:
            message = (
                f"'{subject.name(wire.target)}' takes {expected.value}, "
                f"but '{subject.name(wire.source)}' gives {got.value}"
            )
            fix = f"feed it from an output of type {expected.value}"
            yield subject.fault("V.4", message, wire, "$.edges", fix)


def ungated_actions(subject: Subject) -> Iterator[RuleError]:
    """V.5: each action has an edge from the Event output of a trigger."""
    gated = {
        wire.target.node_id
        for wire, source, _ in subject.known_wires()
        if source.family is Family.TRIGGER and _output_type(source, wire.source.port) is ValueType.EVENT
    }
    for runtime_id, node in subject.nodes:
        metadata = subject.metadata.get(runtime_id)
        if metadata is not None and metadata.family is Family.ACTION and runtime_id not in gated:
            message = f"action '{node.path}' ({node.impl_id}) is gated by no trigger"
            yield node_fault("V.5", message, node, path="$.edges", fix="lead a trigger's event into the action")


def boundary_outputs(subject: Subject) -> Iterator[RuleError]:
    """D.2: the graph's outputs are declared outputs of nodes that exist."""
    for port in subject.graph.boundary_outputs:
        metadata = subject.metadata.get(port.source.node_id)
        if port.source.node_id not in subject.graph.nodes:
            problem = f"names node '{port.source.node_id}', which does not exist"
        elif metadata is not None and _output_type(metadata, port.source.port) is None:
            problem = f"names '{subject.name(port.source)}', but {metadata.id} has no output '{port.source.port}'"
        else:
            continue
        message = f"output '{port.name}' {problem}"
        yield RuleError("D.2", message, phase=COMPOSITION, path="$.nodes", where=port.place, fix=_outputs(metadata))


CHECKS: tuple[Callable[[Subject], Iterator[RuleError]], ...] = (
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
"""In the order that decides which fault is the headline."""


def _input_type(metadata: Metadata, name: str) -> ValueType | None:
    return next((port.type for port in metadata.inputs if port.name == name), None)


def _output_type(metadata: Metadata, name: str) -> ValueType | None:
    return next((port.type for port in metadata.outputs if port.name == name), None)


def _no_input(subject: Subject, wire: Wire, target: Metadata) -> RuleError:
    message = f"'{subject.name(wire.target)}' does not exist: {target.id} has no input '{wire.target.port}'"
    names = [port.name for port in target.inputs]
    fix = f"the inputs of {target.id} are {', '.join(names)}" if names else f"{target.id} takes no inputs"
    return subject.fault("D.2", message, wire, "$.nodes", fix)


def _no_output(subject: Subject, wire: Wire, source: Metadata) -> RuleError:
    message = f"'{subject.name(wire.source)}' does not exist: {source.id} has no output '{wire.source.port}'"
    node = subject.graph.nodes[wire.source.node_id]
    return node_fault("D.2", message, node, path="$.nodes", place=wire.place, fix=_outputs(source))


def _outputs(metadata: Metadata | None) -> str:
    if metadata is None:
        return "name a port of one of the nodes"
    return f"the outputs of {metadata.id} are {', '.join(port.name for port in metadata.outputs)}"
