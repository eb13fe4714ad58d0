"""Random graphs as a person writes them, with memory, actions and clusters, the events of their runs, an adapter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from random_graphs import FEEDS

from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.primitives.primitive import Family

NUMBER, SERIES, BOOL, STRING, EVENT = ValueType
Port = tuple[str, str]
GRAPH, BAND, ONCE = "g.yaml", "band.yaml", "once.yaml"

KEYS: dict[ValueType, tuple[str, ...]] = {
    NUMBER: ("n0", "n1", "n2"),
    SERIES: ("s0", "s1", "s2"),
    BOOL: ("b0", "b1", "b2"),
    STRING: ("t0", "t1", "t2"),
}
"""The members of payloads; those of each type but the first are memory as well."""
LITERALS: dict[ValueType, tuple[str, ...]] = {
    NUMBER: ("0.0", "1.0", "2.0", "2", "3.0", "-1.5", "100.0"),
    BOOL: ("true", "false"),
    STRING: ('"a"', '"b"', '"c d"'),
}
SIZES = ("1.0", "2.0", "3", "0.0")
"""What a window takes, and one that it does not."""


class Shape(NamedTuple):
    """What can be wired to a node of a reference; ``parameters`` with the default as it would be written, or None."""

    family: Family
    inputs: Mapping[str, ValueType]
    optional: frozenset[str]
    outputs: Mapping[str, ValueType]
    parameters: Mapping[str, tuple[ValueType, str | None]]
    nodes: Mapping[str, str] = {}
    """Of a cluster: its nodes, and what they are."""


class Node(NamedTuple):
    """A node of a file: its reference and its parameters, as they are written."""

    reference: str
    bound: Mapping[str, str] = {}


class Graph(NamedTuple):
    """The files of a graph; ``texts`` are its clusters."""

    nodes: Mapping[str, Node]
    wires: Mapping[Port, Port]
    outputs: Mapping[str, Port]
    texts: Mapping[str, str]
    version: str = "1.0.0"

    def __repr__(self) -> str:
        others = [text for name, text in self.texts.items() if text != CLUSTERS[name]]
        return "\n".join(["", written(self).text, *others])


BAND_TEXT = """\
kind: cluster
id: band
version: "1.0.0"
inputs:
  - { name: reading, type: number }
parameters:
  - { name: limit, type: number }
  - { name: spare, type: number, default: 0.0 }
nodes:
  full:
    impl: number_source@0.1.0
    params: { value: { exposed: limit } }
  share:
    impl: safe_divide@0.1.0
    params: { fallback: { exposed: spare } }
  half:
    impl: const_number@0.1.0
    params: { value: 0.5 }
  over: { impl: gt@0.1.0 }
edges:
  - $reading -> share.a
  - full.value -> share.b
  - share.result -> over.a
  - half.value -> over.b
outputs:
  share: share.result
  over: over.result
"""
ONCE_TEXT = """\
kind: cluster
id: once
version: "1.0.0"
inputs:
  - { name: incoming, type: event }
parameters:
  - { name: key, type: string }
nodes:
  done:
    impl: context_bool_source@0.1.0
    params: { key: { exposed: key } }
  open: { impl: not@0.1.0 }
  gate: { impl: emit_if_event_and_true@0.1.0 }
  yes:
    impl: boolean_source@0.1.0
    params: { value: true }
  close:
    impl: context_set_bool@0.1.0
    params: { key: { exposed: key } }
edges:
  - done.value -> open.value
  - $incoming -> gate.event
  - open.result -> gate.condition
  - gate.event -> close.event
  - yes.value -> close.value
outputs:
  event: gate.event
"""
CLUSTERS = {BAND: BAND_TEXT, ONCE: ONCE_TEXT}
BAND_NODES = {"full": "number_source@0.1.0", "half": "const_number@0.1.0", "over": "gt@0.1.0"} | {
    "share": "safe_divide@0.1.0"
}
ONCE_NODES = {
    "close": "context_set_bool@0.1.0",
    "done": "context_bool_source@0.1.0",
    "gate": "emit_if_event_and_true@0.1.0",
    "open": "not@0.1.0",
    "yes": "boolean_source@0.1.0",
}


def _literal(type: ValueType, value: Any) -> str | None:
    return None if value is None else json.dumps(value) if type is not NUMBER else repr(float(value))


def _shapes() -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for entry in standard_inventory().catalog:
        parameters = {
            spec.name: (ValueType(spec.type.value), None if spec.default is None else spec.default.value)
            for spec in entry.parameters
        }
        shapes[f"{entry.id}@{entry.version}"] = Shape(
            entry.family,
            {port.name: port.type for port in entry.inputs},
            frozenset(port.name for port in entry.inputs if not port.required),
            {port.name: port.type for port in entry.outputs},
            {name: (type, _literal(type, default)) for name, (type, default) in parameters.items()},
        )
    shapes["cluster:band@1.0.0"] = Shape(
        Family.COMPUTE,
        {"reading": NUMBER},
        frozenset(),
        {"share": NUMBER, "over": BOOL},
        {"limit": (NUMBER, None), "spare": (NUMBER, "0.0")},
        BAND_NODES,
    )
    shapes["cluster:once@1.0.0"] = Shape(
        Family.TRIGGER, {"incoming": EVENT}, frozenset(), {"event": EVENT}, {"key": (STRING, None)}, ONCE_NODES
    )
    return shapes


SHAPES = _shapes()
OFTEN = ("cluster:band@1.0.0", "cluster:once@1.0.0", "divide@0.2.0", "window@0.1.0", "subtract@0.1.0")
BY_FAMILY = {
    family: [
        *sorted(each for each, shape in SHAPES.items() if shape.family is family),
        *(each for each in OFTEN * 2 if SHAPES[each].family is family),
    ]
    for family in Family
}
"""The references of each family; some of them more than once, so that they are drawn more often."""
WRITERS = [each for each in BY_FAMILY[Family.ACTION] if each.startswith("context_set")]


def key_type(reference: str) -> ValueType | None:
    """The type of the member that a reference reads or writes; None for one that has no key."""
    if "key" not in SHAPES[reference].parameters:
        return None
    kinds = {"number": NUMBER, "series": SERIES, "bool": BOOL, "string": STRING, "once": BOOL}
    return next(type for name, type in kinds.items() if name in reference)


def choices(reference: str, parameter: str) -> Sequence[str]:
    """The literals that a parameter may have in these graphs."""
    if parameter == "key":
        type = key_type(reference)
        assert type is not None
        keys = KEYS[type]
        writes = SHAPES[reference].family is not Family.SOURCE
        return [json.dumps(key) for key in (keys[1:] if writes else keys)]
    if parameter == "size":
        return SIZES
    literals = LITERALS[SHAPES[reference].parameters[parameter][0]]
    return [each for each in literals if each != "2"] if SHAPES[reference].nodes else literals


class Text(NamedTuple):
    """The file of a graph, and the lines of what stands in it."""

    text: str
    nodes: Mapping[str, int]
    parameters: Mapping[Port, int]
    wires: Mapping[Port, int]
    outputs: Mapping[str, int]


def written(graph: Graph) -> Text:
    """The file of the graph, one fact a line."""
    lines = ["kind: cluster", "id: g", f'version: "{graph.version}"', "nodes:"]
    nodes: dict[str, int] = {}
    parameters: dict[Port, int] = {}
    wires: dict[Port, int] = {}
    outputs: dict[str, int] = {}
    for name, node in graph.nodes.items():
        lines.append(f"  {name}:")
        nodes[name] = len(lines)
        cluster = node.reference.removeprefix("cluster:")
        lines.append(f"    impl: {cluster}" if cluster == node.reference else f"    cluster: {cluster}")
        lines += ["    params:"] if node.bound else []
        for parameter, literal in node.bound.items():
            lines.append(f"      {parameter}: {literal}")
            parameters[name, parameter] = len(lines)
    lines.append("edges:" if graph.wires else "edges: []")
    for port, source in graph.wires.items():
        lines.append(f"  - {'.'.join(source)} -> {'.'.join(port)}")
        wires[port] = len(lines)
    lines += ["outputs:"] if graph.outputs else []
    for name, source in graph.outputs.items():
        lines.append(f"  {name}: {'.'.join(source)}")
        outputs[name] = len(lines)
    return Text("\n".join(lines) + "\n", nodes, parameters, wires, outputs)


def flat(graph: Graph, port: Port) -> str:
    """An output as the flat graph has it: those of a cluster are outputs of its nodes."""
    node, output = port
    inner = {"share": "share.result", "over": "over.result", "event": "gate.event"}
    is_instance = graph.nodes[node].reference.startswith("cluster:")
    return f"{node}/{inner[output]}" if is_instance else f"{node}.{output}"


def flat_input(graph: Graph, port: Port) -> Port:
    """The node of the flat graph that a wire leads to, and its input."""
    node, name = port
    if graph.nodes[node].reference.startswith("cluster:"):
        inner, name = {"reading": ("share", "a"), "incoming": ("gate", "event")}[name]
        return f"{node}/{inner}", name
    return port


class _Drawing:
    """A graph in the making; its node ids, and so the execution order, have nothing to do with the order of drawing."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.nodes: dict[str, Node] = {}
        self.wires: dict[Port, Port] = {}

    def graph(self) -> Graph:
        draw = self._draw
        for reference, key in (("context_number_source@0.1.0", "n0"), ("context_bool_source@0.1.0", "b0")):
            self.node(reference, {"key": json.dumps(key)})
        self.node("const_number@0.1.0")
        self.node(draw(st.sampled_from(["gt@0.1.0", "lt@0.1.0"])))
        number, _, limit, above = self.nodes
        self.wires |= {(above, "a"): (number, "value"), (above, "b"): (limit, "value")}
        self.node("emit_if_true@0.1.0")
        families = [Family.SOURCE] * 2 + [Family.COMPUTE] * 5 + [Family.TRIGGER] * 2 + [Family.ACTION]
        for family in draw(st.lists(st.sampled_from(families), max_size=9)):
            self.any_of(family)
        for _ in range(draw(st.integers(1, 3))):
            self.node(self._draw(st.sampled_from(self._possible(WRITERS))))
        ports = [(name, output) for name, node in self.nodes.items() for output in SHAPES[node.reference].outputs]
        outputs = draw(st.lists(st.sampled_from(ports), max_size=2))
        return Graph(self.nodes, self.wires, {f"o{number}": port for number, port in enumerate(outputs)}, CLUSTERS)

    def any_of(self, family: Family) -> None:
        self.node(self._draw(st.sampled_from(self._possible(BY_FAMILY[family]))))

    def _possible(self, references: Sequence[str]) -> list[str]:
        return [each for each in references if all(self._feeders(each, port) for port in required(each))]

    def node(self, reference: str, bound: Mapping[str, str] | None = None) -> None:
        draw, shape = self._draw, SHAPES[reference]
        name = f"{draw(st.sampled_from('abcdef'))}{len(self.nodes)}"
        for port in shape.inputs:
            if port not in shape.optional or draw(st.booleans()):
                found = self._feeders(reference, port)
                if found:
                    self.wires[name, port] = draw(st.sampled_from(found[:5]))
        self.nodes[name] = Node(reference, bound_of(draw, reference) if bound is None else bound)

    def _feeders(self, reference: str, port: str) -> list[Port]:
        return feeders(self.nodes, reference, port)


def drawn_graph(draw: st.DrawFn) -> Graph:
    """A valid graph that acts on some events."""
    return _Drawing(draw).graph()


def bound_of(draw: st.DrawFn, reference: str) -> dict[str, str]:
    """Literals for the parameters of a reference; some of those with a default are left out."""
    return {
        name: draw(st.sampled_from(choices(reference, name)))
        for name, (_, default) in SHAPES[reference].parameters.items()
        if default is None or name == "key" or draw(st.booleans())
    }


def required(reference: str) -> list[str]:
    """The inputs that must be wired."""
    return [port for port in SHAPES[reference].inputs if port not in SHAPES[reference].optional]


def feeders(nodes: Mapping[str, Node], reference: str, port: str) -> list[Port]:
    """The outputs that may be wired to an input, the latest ones first."""
    shape = SHAPES[reference]
    families = FEEDS[shape.family]
    if shape.family is Family.ACTION:
        families = (Family.TRIGGER,) if shape.inputs[port] is EVENT else (Family.SOURCE, Family.COMPUTE)
    return [
        (name, output)
        for name, node in reversed(nodes.items())
        for output, type in SHAPES[node.reference].outputs.items()
        if type is shape.inputs[port] and SHAPES[node.reference].family in families
    ]


NUMBERS = st.sampled_from([0.0, 1.0, 2.0, 2.5, -1.5, 100.0, 1e300])
_VALUES: dict[ValueType, st.SearchStrategy[Any]] = {
    NUMBER: NUMBERS,
    SERIES: st.lists(NUMBERS, max_size=3),
    BOOL: st.booleans(),
    STRING: st.sampled_from(["a", "b", ""]),
}
payloads = st.fixed_dictionaries(
    {"n0": NUMBERS, "b0": st.booleans()},
    optional={key: _VALUES[type] for type, keys in KEYS.items() for key in keys if key not in ("n0", "b0")},
)
ENDS: list[dict[str, Any]] = [{"n0": 100.0, "b0": True, "s0": [1.0, 2.0, 2.5]}, {"n0": -1.5, "b0": False}]
"""Two events on both sides of most conditions."""
streams = st.lists(payloads, min_size=1, max_size=10).map(lambda drawn: ENDS + drawn)
"""The payloads of events; memory adds what actions wrote before."""

_SCHEMAS = {
    NUMBER: '{"type":"number"}',
    SERIES: '{"type":"array","items":{"type":"number"}}',
    BOOL: '{"type":"boolean"}',
    STRING: '{"type":"string"}',
}


def adapter_text() -> str:
    """An adapter that has every member, and lets all but the first of each type be written."""
    keys = [
        f"  - {{ name: {key}, type: {type.value}, required: false, writable: {str(key != keys[0]).lower()}, "
        f'description: "{key}" }}'
        for type, keys in KEYS.items()
        for key in keys
    ]
    members = ",".join(f'"{key}":{_SCHEMAS[type]}' for type, keys in KEYS.items() for key in keys)
    return "\n".join(
        [
            "kind: adapter",
            "id: desk",
            "version: 1.0.0",
            "runtime_compatibility: 0.1.0-alpha.1",
            "context_keys:",
            *keys,
            "event_kinds:",
            "  - name: tick",
            f'    payload_schema: {{"type":"object","properties":{{{members}}},"additionalProperties":false}}',
            "accepts:",
            "  effects:",
            '    - {"name":"set_context","payload_schema":{"type":"object","additionalProperties":false}}',
            "capture:",
            '  format_version: "1"',
            "  fields: [event.tick, meta.adapter_id]",
            "",
        ]
    )
