"""One random edit of a random graph; what it changes is written down beside it, never computed from both graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from written_graphs import (
    BAND,
    BOOL,
    BY_FAMILY,
    CLUSTERS,
    GRAPH,
    NUMBER,
    ONCE,
    SERIES,
    SHAPES,
    Graph,
    Node,
    Port,
    bound_of,
    choices,
    drawn_graph,
    feeders,
    flat,
    flat_input,
    required,
    written,
)

from ergo_cli.programs.graph.primitives.primitive import Family


class Expected(NamedTuple):
    """A change as a report must have it."""

    subject: str
    verb: str
    before: str | None
    after: str | None
    file: str | None
    line: int | None
    nodes: tuple[str, ...]
    idle: bool = False


class Edited(NamedTuple):
    """A graph before and after an edit, and what that changes."""

    kind: str
    before: Graph
    after: Graph
    changes: tuple[Expected, ...]


EDITS_OF_CLUSTERS = {
    # text, another; what is named where one instance takes it, and where several do; both values, line, the nodes
    BAND: (
        ("default: 0.0", "default: 2.5", "share.fallback", "band.spare", "0.0", "2.5", 8),
        ("value: 0.5", "value: 0.75", "half.value", "band/half.value", "0.5", "0.75", 18),
        ("impl: gt@0.1.0", "impl: lt@0.1.0", "over", None, "gt@0.1.0", "lt@0.1.0", 19),
        ("half.value -> over.b", "full.value -> over.b", "over.b", None, "half.value", "full.value", 24),
    ),
    ONCE: (
        ("value: true", "value: false", "yes.value", "once/yes.value", "true", "false", 16),
        ("yes.value -> close.value", "done.value -> close.value", "close.value", None, "yes.value", "done.value", 25),
    ),
}
"""Edits of a cluster's text, each with what it is called, its values and its line."""


ALIKE = (
    ("add@0.1.0", "subtract@0.1.0", "multiply@0.1.0", "min@0.1.0", "max@0.1.0", "divide@0.2.0"),
    ("gt@0.1.0", "gte@0.1.0", "lt@0.1.0", "lte@0.1.0", "eq@0.1.0", "neq@0.1.0"),
    ("and@0.1.0", "or@0.1.0"),
    ("abs@0.1.0", "negate@0.1.0"),
    ("sum@0.1.0", "mean@0.1.0", "len@0.1.0"),
)
"""Primitives that can take each other's place."""
UNARY = {NUMBER: "negate@0.1.0", BOOL: "not@0.1.0", SERIES: "window@0.1.0"}


class _Edits:
    """The edits that a graph allows; each gives the graph after it and what changes."""

    def __init__(self, draw: st.DrawFn, graph: Graph) -> None:
        self._draw = draw
        self._graph = graph
        self._nodes = graph.nodes if draw(st.integers(0, 5)) == 0 else behind_actions(graph)
        """Those that may be edited."""

    def any(self) -> Edited:
        """One of the edits, each kind as likely as any other that is possible."""
        kinds: dict[str, tuple[Sequence[Any], Callable[..., tuple[Graph, tuple[Expected, ...]]]]] = {
            "parameter": (list(self._parameters()), self._parameter),
            "parameter of an action": (list(self._parameters(Family.ACTION)), self._parameter),
            "parameter of a cluster": (list(self._parameters(None)), self._parameter),
            "default": (list(self._defaults()), self._default),
            "wire": (list(self._rewirings()), self._rewired),
            "optional wire": (list(self._optional()), self._optional_wire),
            "primitive": (list(self._swaps()), self._swapped),
            "node": ([None], self._added),
            "action": (feeders(self._graph.nodes, "ack_action@0.1.0", "event"), self._added_action),
            "node in a wire": (list(self._insertable()), self._inserted),
            "node gone": (list(self._removable()), self._removed),
            "node bypassed": (list(self._bypassable()), self._bypassed),
            "output": (list(self._graph.outputs), self._output),
            "text of a cluster": (list(self._cluster_edits()), self._cluster_edited),
            "text alone": ([None], self._text_alone),
        }
        kind = self._draw(st.sampled_from([kind for kind, (places, _) in kinds.items() if places]))
        places, make = kinds[kind]
        after, changes = make(self._draw(st.sampled_from(places)))
        return Edited(kind, self._graph, after, changes)

    def _parameters(self, family: Family | None = Family.COMPUTE) -> Iterator[Port]:
        for name, node in self._nodes.items():
            shape = SHAPES[node.reference]
            is_asked = bool(shape.nodes) if family is None else not shape.nodes
            if family is Family.ACTION:
                is_asked = is_asked and shape.family is Family.ACTION
            yield from ((name, parameter) for parameter in node.bound if is_asked)

    def _parameter(self, port: Port) -> tuple[Graph, tuple[Expected, ...]]:
        name, parameter = port
        node = self._graph.nodes[name]
        old = node.bound[parameter]
        new = self._draw(st.sampled_from([each for each in choices(node.reference, parameter) if each != old]))
        return self._bound(name, parameter, old, new)

    def _bound(self, name: str, parameter: str, old: str, new: str) -> tuple[Graph, tuple[Expected, ...]]:
        """The graph with another literal; ``old`` and ``new`` are the values before and after."""
        node = self._graph.nodes[name]
        after = with_node(self._graph, name, node._replace(bound={**node.bound, parameter: new}))
        line = written(after).parameters[name, parameter]
        taken = {"limit": ("full.value",), "spare": ("share.fallback",), "key": ("close.key", "done.key")}
        takers = [f"{name}/{each}" for each in taken[parameter]] if SHAPES[node.reference].nodes else []
        nodes = tuple(taker.rpartition(".")[0] for taker in takers) or (name,)
        return after, (Expected(f"{name}.{parameter}", "changed", old, new, GRAPH, line, nodes),)

    def _defaults(self) -> Iterator[Port]:
        for name, node in self._nodes.items():
            for parameter, (_, default) in SHAPES[node.reference].parameters.items():
                if default is not None and parameter != "key" and node.bound.get(parameter) != default:
                    yield name, parameter

    def _default(self, port: Port) -> tuple[Graph, tuple[Expected, ...]]:
        """Write a parameter that was left to its default, or leave it out."""
        name, parameter = port
        node = self._graph.nodes[name]
        default = SHAPES[node.reference].parameters[parameter][1]
        assert default is not None
        if parameter not in node.bound:
            given = [each for each in choices(node.reference, parameter) if each != default]
            return self._bound(name, parameter, default, self._draw(st.sampled_from(given)))
        bound = {key: literal for key, literal in node.bound.items() if key != parameter}
        after = with_node(self._graph, name, node._replace(bound=bound))
        is_instance = bool(SHAPES[node.reference].nodes)
        file, line = (BAND, 8) if is_instance else (GRAPH, written(after).nodes[name])
        path = f"{name}/share" if is_instance else name
        return after, (Expected(f"{name}.{parameter}", "changed", node.bound[parameter], default, file, line, (path,)),)

    def _rewirings(self) -> Iterator[tuple[Port, Port]]:
        for port, source in self._wires():
            yield from ((port, other) for other in self._sources_for(port) if other != source)

    def _wires(self) -> Iterator[tuple[Port, Port]]:
        return ((port, source) for port, source in self._graph.wires.items() if port[0] in self._nodes)

    def _rewired(self, rewiring: tuple[Port, Port]) -> tuple[Graph, tuple[Expected, ...]]:
        port, other = rewiring
        after = self._graph._replace(wires={**self._graph.wires, port: other})
        return after, (self._wire(after, port),)

    def _wire(self, after: Graph, port: Port) -> Expected:
        """The change of a wire that both graphs have."""
        old, new = flat(self._graph, self._graph.wires[port]), flat(after, after.wires[port])
        path, name = flat_input(after, port)
        return Expected(f"{path}.{name}", "changed", old, new, GRAPH, written(after).wires[port], (path,))

    def _optional(self) -> Iterator[Port]:
        for name, node in self._graph.nodes.items():
            for port in SHAPES[node.reference].optional:
                if (name, port) in self._graph.wires or self._sources_for((name, port)):
                    yield name, port

    def _sources_for(self, port: Port) -> list[Port]:
        """The outputs that may be wired to an input without a ring."""
        return feeders(before(self._graph.nodes, port[0]), self._graph.nodes[port[0]].reference, port[1])

    def _optional_wire(self, port: Port) -> tuple[Graph, tuple[Expected, ...]]:
        wires = dict(self._graph.wires)
        name = ".".join(port)
        if port in wires:
            old = flat(self._graph, wires.pop(port))
            after = self._graph._replace(wires=wires)
            line = written(after).nodes[port[0]]
            return after, (Expected(name, "removed", old, None, GRAPH, line, port[:1]),)
        wires[port] = self._draw(st.sampled_from(self._sources_for(port)))
        after = self._graph._replace(wires=wires)
        line = written(after).wires[port]
        return after, (Expected(name, "added", None, flat(after, wires[port]), GRAPH, line, port[:1]),)

    def _swaps(self) -> Iterator[tuple[str, str]]:
        for name, node in self._nodes.items():
            for group in ALIKE:
                if node.reference in group:
                    yield from ((name, other) for other in group if other != node.reference)

    def _swapped(self, swap: tuple[str, str]) -> tuple[Graph, tuple[Expected, ...]]:
        name, other = swap
        old = self._graph.nodes[name].reference
        after = with_node(self._graph, name, Node(other))
        return after, (Expected(name, "changed", old, other, GRAPH, written(after).nodes[name], (name,)),)

    def _placed(self, reference: str, wired: Mapping[str, Port]) -> tuple[str, Graph]:
        """The graph with one more node."""
        name = f"{self._draw(st.sampled_from('Aacf'))}x"
        name = f"{name}x" if name in self._graph.nodes else name
        after = with_node(self._graph, name, Node(reference, bound_of(self._draw, reference)))
        return name, after._replace(wires={**after.wires, **{(name, port): source for port, source in wired.items()}})

    def _is_added(self, after: Graph, name: str) -> tuple[Expected, ...]:
        file, line, node = GRAPH, written(after).nodes[name], after.nodes[name]
        inner = SHAPES[node.reference].nodes
        if not inner:
            return (Expected(name, "added", None, node.reference, file, line, (name,)),)
        file = BAND if node.reference == "cluster:band@1.0.0" else ONCE
        lines = {path: line_of(CLUSTERS[file], f"  {path}:") for path in inner}
        return tuple(
            Expected(f"{name}/{path}", "added", None, made, file, lines[path], (f"{name}/{path}",))
            for path, made in inner.items()
        )

    def _added(self, _: None) -> tuple[Graph, tuple[Expected, ...]]:
        """A node that feeds nothing, or an instance of a cluster; one of its actions may act."""
        nodes = self._graph.nodes
        families = (Family.SOURCE, Family.COMPUTE, Family.TRIGGER)
        possible = [
            each
            for family in families
            for each in BY_FAMILY[family]
            if all(feeders(nodes, each, port) for port in required(each))
        ]
        reference = self._draw(st.sampled_from(possible))
        wired = {port: self._draw(st.sampled_from(feeders(nodes, reference, port))) for port in required(reference)}
        name, after = self._placed(reference, wired)
        return after, self._is_added(after, name)

    def _added_action(self, event: Port) -> tuple[Graph, tuple[Expected, ...]]:
        nodes = self._graph.nodes
        possible = [
            each for each in BY_FAMILY[Family.ACTION] if all(feeders(nodes, each, port) for port in required(each))
        ]
        reference = self._draw(st.sampled_from(possible))
        wired = {port: self._draw(st.sampled_from(feeders(nodes, reference, port))) for port in required(reference)}
        name, after = self._placed(reference, {**wired, "event": event})
        return after, self._is_added(after, name)

    def _insertable(self) -> Iterator[Port]:
        for port, source in self._wires():
            type = SHAPES[self._graph.nodes[source[0]].reference].outputs[source[1]]
            if type in UNARY:
                yield port

    def _inserted(self, port: Port) -> tuple[Graph, tuple[Expected, ...]]:
        source = self._graph.wires[port]
        type = SHAPES[self._graph.nodes[source[0]].reference].outputs[source[1]]
        reference = UNARY[type]
        [entry] = required(reference)
        name, after = self._placed(reference, {entry: source})
        [output] = SHAPES[reference].outputs
        after = after._replace(wires={**after.wires, port: (name, output)})
        return after, (*self._is_added(after, name), self._wire(after, port))

    def _removable(self) -> Iterator[str]:
        feeding = {source[0] for source in self._graph.wires.values()}
        yield from (name for name in self._nodes if name not in feeding)

    def _removed(self, name: str) -> tuple[Graph, tuple[Expected, ...]]:
        """The graph without a node that feeds no other; the outputs that it was go with it."""
        after = without(self._graph, name)
        return after, (*self._is_removed(name), *self._outputs_gone(after))

    def _is_removed(self, name: str) -> tuple[Expected, ...]:
        node = self._graph.nodes[name]
        inner = {f"{name}/{path}": made for path, made in SHAPES[node.reference].nodes.items()}
        gone = inner or {name: node.reference}
        return tuple(Expected(path, "removed", made, None, None, None, ()) for path, made in gone.items())

    def _outputs_gone(self, after: Graph) -> Iterator[Expected]:
        for name, source in self._graph.outputs.items():
            if name not in after.outputs:
                yield Expected(f"output {name}", "removed", flat(self._graph, source), None, None, None, (), True)

    def _bypassable(self) -> Iterator[str]:
        """The unary computes whose consumers their own feeder can feed."""
        for name, node in self._nodes.items():
            if node.reference not in UNARY.values():
                continue
            [entry] = required(node.reference)
            source = self._graph.wires[name, entry]
            consumers = [port for port, fed in self._graph.wires.items() if fed[0] == name]
            fit = (
                source in feeders(self._graph.nodes, self._graph.nodes[each[0]].reference, each[1])
                for each in consumers
            )
            if consumers and all(fit):
                yield name

    def _bypassed(self, name: str) -> tuple[Graph, tuple[Expected, ...]]:
        [entry] = required(self._graph.nodes[name].reference)
        source = self._graph.wires[name, entry]
        wires = {port: source if fed[0] == name else fed for port, fed in self._graph.wires.items()}
        after = without(self._graph._replace(wires=wires), name)
        rewired = [port for port, fed in self._graph.wires.items() if fed[0] == name]
        changes = [self._wire(after, port) for port in rewired]
        return after, (*self._is_removed(name), *changes, *self._outputs_gone(after))

    def _output(self, name: str) -> tuple[Graph, tuple[Expected, ...]]:
        """Another node behind an output, or the output gone: what a graph gives decides nothing."""
        old = self._graph.outputs[name]
        ports = [
            (node, output)
            for node, made in self._graph.nodes.items()
            for output in SHAPES[made.reference].outputs
            if (node, output) != old
        ]
        new = self._draw(st.sampled_from([*ports, None]))
        if new is None:
            return self._graph._replace(outputs={}), ()
        return self._graph._replace(outputs={**self._graph.outputs, name: new}), ()

    def _cluster_edits(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for file, edits in EDITS_OF_CLUSTERS.items():
            for edit in edits:
                if self._takers(file, edit):
                    yield file, edit

    def _takers(self, file: str, edit: tuple[Any, ...]) -> list[str]:
        """The instances that an edit of a cluster's text reaches."""
        reference = f"cluster:{file.removesuffix('.yaml')}@1.0.0"
        of_default = edit[0].startswith("default")
        return sorted(
            name
            for name, node in self._graph.nodes.items()
            if node.reference == reference and not (of_default and "spare" in node.bound)
        )

    def _cluster_edited(self, place: tuple[str, tuple[Any, ...]]) -> tuple[Graph, tuple[Expected, ...]]:
        file, edit = place
        old, new, inner, together, was, now, line = edit
        text = self._graph.texts[file]
        assert text.count(old) == 1
        after = self._graph._replace(texts={**self._graph.texts, file: text.replace(old, new)})
        takers = self._takers(file, edit)
        node = inner.partition(".")[0]
        paths = tuple(f"{taker}/{node}" for taker in takers)
        if together is not None:
            alone = f"{takers[0]}.spare" if old.startswith("default") else f"{takers[0]}/{inner}"
            subject = alone if len(takers) == 1 else together
            return after, (Expected(subject, "changed", was, now, file, line, paths),)
        is_wire = " -> " in old
        return after, tuple(
            Expected(
                f"{taker}/{inner}",
                "changed",
                f"{taker}/{was}" if is_wire else was,
                f"{taker}/{now}" if is_wire else now,
                file,
                line,
                (f"{taker}/{node}",),
            )
            for taker in takers
        )

    def _text_alone(self, _: None) -> tuple[Graph, tuple[Expected, ...]]:
        """Another version of the same content, or another order: the program is the same."""
        if self._draw(st.booleans()):
            return self._graph._replace(version="1.0.1"), ()
        nodes = dict(self._draw(st.permutations(list(self._graph.nodes.items()))))
        wires = dict(self._draw(st.permutations(list(self._graph.wires.items()))))
        return self._graph._replace(nodes=nodes, wires=wires), ()


def behind_actions(graph: Graph) -> dict[str, Node]:
    """The nodes that an action depends on, and the actions."""
    needed = {name for name, node in graph.nodes.items() if "set" in node.reference or "once" in node.reference}
    for name in reversed(graph.nodes):
        if name in needed:
            needed |= {source[0] for port, source in graph.wires.items() if port[0] == name}
    return {name: node for name, node in graph.nodes.items() if name in needed}


def with_node(graph: Graph, name: str, node: Node) -> Graph:
    """The graph with this node in the place of the one of its name, or behind all others."""
    return graph._replace(nodes={**graph.nodes, name: node})


def without(graph: Graph, name: str) -> Graph:
    """The graph without a node, its wires, and the outputs that it was."""
    return graph._replace(
        nodes={each: node for each, node in graph.nodes.items() if each != name},
        wires={port: source for port, source in graph.wires.items() if name not in (port[0], source[0])},
        outputs={each: source for each, source in graph.outputs.items() if source[0] != name},
    )


def before(nodes: Mapping[str, Node], name: str) -> dict[str, Node]:
    """The nodes that were drawn before this one: none of them depends on it."""
    names = list(nodes)
    return {each: nodes[each] for each in names[: names.index(name)]}


def line_of(text: str, start: str) -> int:
    """The line of a text that begins so, from 1."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@st.composite
def edited_graphs(draw: st.DrawFn) -> Edited:
    """A valid graph and one edit of it that leaves it valid."""
    return _Edits(draw, drawn_graph(draw)).any()


@st.composite
def twice_edited_graphs(draw: st.DrawFn) -> tuple[Edited, Edited]:
    """A valid graph, one edit of it, and one edit of what that leaves."""
    first = draw(edited_graphs())
    return first, _Edits(draw, first.after).any()
