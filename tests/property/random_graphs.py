"""Random graphs over every standard primitive and over primitives of a user's that behave in every way there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from graph_shorthand import Bound, NodeShort, cluster, value
from hypothesis import strategies as st

from ergo_cli.core.values import (
    ContextNeed,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    ValueType,
    WriteSpec,
)
from ergo_cli.programs.graph.check.catalog import Inventory, Metadata, build_inventory
from ergo_cli.programs.graph.model import ClusterDefinition
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    ComputeErrorType,
    ComputeFault,
    ComputeManifest,
    Family,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    Primitive,
    SourceManifest,
    TriggerEvent,
    TriggerManifest,
)

NUMBER, SERIES, BOOL, STRING, EVENT = ValueType
GOOD: dict[ValueType, Any] = {NUMBER: 2.5, SERIES: [1.0, -2.0], BOOL: True, STRING: 'quo"té'}
BAD: dict[ValueType, list[Any]] = {
    NUMBER: [math.nan, -math.inf, 3, True, "2.5", None],
    SERIES: [[math.inf], [1.0, math.nan], [1], [1.0, "x"], (1.0,), None],
    BOOL: [1, 0.0, "true", None],
    STRING: [b"x", 1.0, "\ud800", None],
    EVENT: [None, True, "Emitted"],
}
BEHAVIOURS = 24

Call = tuple[str, str]


def behave(good: dict[str, Any], types: Mapping[str, ValueType], behaviour: int) -> Any:
    """What a primitive does: mostly what it should, else anything at all."""
    port = list(good)[behaviour % len(good)]
    match behaviour:
        case 0:
            raise KeyError("oops")
        case 1:
            raise ComputeFault(ComputeErrorType.DIVISION_BY_ZERO)
        case 2:
            raise ComputeFault(ComputeErrorType.INVALID_PARAMETER, "mode", "must be another")
        case 3:
            return None
        case 4:
            return list(good)
        case 5 | 6:
            return {name: given for name, given in good.items() if name != port}
        case 7:
            return {}
        case 8:
            return {**good, "more": math.nan}
        case _ if behaviour < 16:
            wrong = BAD[types[port]]
            return {**good, port: wrong[behaviour % len(wrong)]}
        case _:
            return good


MODE = ParameterSpec("mode", ParameterType.NUMBER, value(float(BEHAVIOURS)))
VALUES = (("number", NUMBER), ("series", SERIES), ("flag", BOOL), ("text", STRING))
OUTPUTS = tuple(OutputSpec(name, kind) for name, kind in VALUES)
EVENTS = (OutputSpec("event", EVENT),)
OUTCOME = (OutputSpec("outcome", EVENT),)
PAYLOAD = tuple(InputSpec(name, kind, required=False) for name, kind in VALUES)
PLACED = EffectSpecs(
    (WriteSpec("$key", NUMBER, "number"), WriteSpec("flag", BOOL, "flag")),
    (
        IntentSpec(
            "place",
            (
                IntentFieldSpec("text", STRING, from_input="text"),
                IntentFieldSpec("key", STRING, from_param="key"),
                IntentFieldSpec("limit", NUMBER, from_param="limit"),
            ),
            (MirrorWrite("last", STRING, "text"), MirrorWrite("$key", NUMBER, "limit")),
        ),
        IntentSpec("notify", (IntentFieldSpec("series", SERIES, from_input="series"),)),
    ),
)


class World(NamedTuple):
    """An inventory with primitives of a user's, and the list of their calls, with what each was given."""

    inventory: Inventory
    calls: list[Call]


def world() -> World:
    """Own primitives of every family, each of which notes its calls and then does as its parameter ``mode`` says."""
    calls: list[Call] = []

    def noting(impl_id: str, good: Callable[[Mapping[str, Any]], dict[str, Any]], outputs: tuple[OutputSpec, ...]):
        types = {port.name: port.type for port in outputs}

        def call(first: Mapping[str, Any], second: Mapping[str, Any]) -> Any:
            parameters = first if impl_id.startswith("source") else second
            calls.append((impl_id, repr((dict(first), dict(second)))))
            return behave(good(first), types, int(parameters["mode"]))

        return call

    def values(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: inputs.get(name, GOOD[kind]) for name, kind in VALUES}

    def decision(inputs: Mapping[str, Any]) -> dict[str, Any]:
        emitted = inputs.get("flag", True) and inputs.get("event") is not TriggerEvent.NOT_EMITTED
        return {"event": TriggerEvent.EMITTED if emitted else TriggerEvent.NOT_EMITTED}

    def outcome(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"outcome": ActionOutcome.CANCELLED}

    def good_values(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: GOOD[kind] for name, kind in VALUES}

    needs = (ContextNeed("price", NUMBER, required=True), ContextNeed("$key", SERIES, required=False))
    key = ParameterSpec("key", ParameterType.STRING, value("k"))
    limit = ParameterSpec("limit", ParameterType.NUMBER, value(1e21))
    optional_event = InputSpec("event", EVENT, required=False)
    gates = (InputSpec("event", EVENT), InputSpec("second", EVENT, required=False))
    judged = tuple(port for port in PAYLOAD if port.type is not STRING)
    free = SourceManifest("source_free", "0.1.0", OUTPUTS, (MODE,))
    needy = SourceManifest("source_needy", "0.1.0", OUTPUTS, (MODE, key), needs)
    own = ComputeManifest("own", "0.1.0", judged, OUTPUTS, (MODE,))
    judge = TriggerManifest("judge", "0.1.0", (*judged, optional_event), EVENTS, (MODE,))
    plain = ActionManifest("plain", "0.1.0", (*gates, *PAYLOAD), OUTCOME, (MODE,))
    placed = ActionManifest("placed", "0.1.0", (*gates, *PAYLOAD), OUTCOME, (MODE, key, limit), PLACED)
    inventory = build_inventory(
        [
            Primitive(free, noting("source_free", good_values, OUTPUTS)),
            Primitive(needy, noting("source_needy", good_values, OUTPUTS)),
            Primitive(own, noting("own", values, OUTPUTS)),
            Primitive(judge, noting("judge", decision, EVENTS)),
            Primitive(plain, noting("plain", outcome, OUTCOME)),
            Primitive(placed, noting("placed", outcome, OUTCOME)),
        ]
    )
    return World(inventory, calls)


numbers = st.sampled_from([0.0, -0.0, 1.0, 2.5, -7.25, 1e16, 1e-7, 1e300, -1.7e308, 5e-324]) | st.floats(
    allow_nan=False, allow_infinity=False
)
texts = st.sampled_from(["x", "price", "k", 'a"b\\', "{v0}", "", "é\n"])
PARAMETERS: dict[tuple[str, str], st.SearchStrategy[Bound]] = {
    ("window", "size"): st.sampled_from([1.0, 2.0, 3, 0.0, 2.5, -1.0, 1e300]),
    ("const_number", "value"): numbers | st.sampled_from([3, 2**53, 2**53 + 1]),
    ("number_source", "value"): numbers | st.integers(-(2**63), 2**63),
    ("safe_divide", "fallback"): numbers | st.sampled_from([4, -(2**60)]),
}
BY_TYPE: dict[ParameterType, st.SearchStrategy[Bound]] = {
    ParameterType.NUMBER: numbers,
    ParameterType.BOOL: st.booleans(),
    ParameterType.STRING: texts,
}
plain_numbers = st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e-300, 1e300]) | st.floats(-100, 100)
anything = (
    st.floats()
    | st.text(max_size=3)
    | st.sampled_from([[math.nan], [1e308, 1e308], [1], 7, "\ud800", "\ud800é", [True, 1.0], None])
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "price": plain_numbers | plain_numbers | anything,
        "x": plain_numbers | st.booleans() | st.lists(plain_numbers, max_size=4) | anything,
        "é\n": st.lists(st.floats(-10, 10), max_size=4) | st.booleans() | st.text(max_size=3),
        "k": st.booleans() | st.lists(st.floats(-10, 10), max_size=4) | anything,
    },
)
"""What a pass may be given, were it not for the strictness of the JSON reader."""


class Wired(NamedTuple):
    """An output of a node so far: what it is, and which family it comes from."""

    port: str
    type: ValueType
    family: Family


class _Drawing:
    """A graph in the making; its node ids, and so the execution order, have nothing to do with the order of drawing."""

    def __init__(self, draw: st.DrawFn, inventory: Inventory) -> None:
        self._draw = draw
        self._inventory = inventory
        self._choices = sorted(inventory.catalog, key=lambda entry: entry.id)
        self.nodes: dict[str, NodeShort] = {}
        self.edges: list[str] = []
        self.found: list[Wired] = []

    def any_node(self) -> None:
        """Add one that can be wired; the families as often as graphs have them."""
        possible = [entry for entry in self._choices if all(self._feeders(entry, port) for port in required(entry))]
        family = self._draw(st.sampled_from([Family.SOURCE, *[Family.COMPUTE] * 4, Family.TRIGGER, Family.ACTION]))
        self.node(self._draw(st.sampled_from([entry for entry in possible if entry.family is family] or possible)))

    def furnish(self) -> None:
        """Add a source of every type, and an event that is always emitted, so that actions come to run."""
        for entry in self._choices:
            if entry.id.startswith("context_") and entry.family is Family.SOURCE:
                self.node(entry)
        self.nodes["yes"] = ("const_bool@0.1.0", {"value": True})
        self.nodes["gate"] = "emit_if_true@0.1.0"
        self.edges.append("yes.value -> gate.input")
        self.found += [Wired("gate.event", EVENT, Family.TRIGGER)]

    def witness(self, impl_id: str) -> None:
        """Add a primitive of the user's that does what it should: what it is given is noted."""
        entry = next(entry for entry in self._choices if entry.id == impl_id)
        if all(self._feeders(entry, port) for port in required(entry)):
            self.node(entry, is_witness=True)

    def node(self, entry: Metadata, is_witness: bool = False) -> None:
        name = f"{self._draw(st.sampled_from('abcdef'))}{len(self.nodes)}"
        bound = {} if is_witness else parameters(self._draw, entry)
        self.nodes[name] = (f"{entry.id}@{entry.version}", bound)
        for port in entry.inputs:
            feeders = self._feeders(entry, port)
            if feeders and (port.required or is_witness or self._draw(st.integers(0, 4)) < 4):
                self.edges.append(f"{self._draw(st.sampled_from(feeders)).port} -> {name}.{port.name}")
        self.found += [Wired(f"{name}.{port.name}", port.type, entry.family) for port in entry.outputs]

    def _feeders(self, entry: Metadata, port: InputSpec) -> list[Wired]:
        """The outputs that may be wired to an input, the latest ones first."""
        families = FEEDS[entry.family]
        return [wired for wired in self.found[::-1] if wired.type is port.type and wired.family in families]


@st.composite
def graphs(draw: st.DrawFn, inventory: Inventory, max_nodes: int) -> ClusterDefinition:
    """A valid graph, with some own primitives at its end that see what came out."""
    drawing = _Drawing(draw, inventory)
    if draw(st.integers(0, 3)) < 3:
        drawing.furnish()
    for _ in range(draw(st.integers(1, max_nodes))):
        drawing.any_node()
    for impl_id in draw(st.lists(st.sampled_from(["own", "placed"]), min_size=1, max_size=5)):
        drawing.witness(impl_id)
    outputs = draw(st.lists(st.sampled_from(drawing.found), max_size=3))
    edges = draw(st.permutations(drawing.edges))
    return cluster("g", drawing.nodes, edges, outputs={f"o{i}": out.port for i, out in enumerate(outputs)})


def required(entry: Metadata) -> list[InputSpec]:
    return [port for port in entry.inputs if port.required]


FEEDS = {
    Family.COMPUTE: (Family.SOURCE, Family.COMPUTE),
    Family.TRIGGER: (Family.COMPUTE, Family.TRIGGER),
    Family.ACTION: (Family.SOURCE, Family.COMPUTE, Family.TRIGGER),
}


def parameters(draw: st.DrawFn, entry: Metadata) -> dict[str, Bound]:
    bound: dict[str, Bound] = {}
    for spec in entry.parameters:
        if spec.name == "mode":
            if draw(st.integers(0, 5)) == 5:
                bound["mode"] = float(draw(st.integers(0, BEHAVIOURS)))
        elif spec.default is None or draw(st.booleans()):
            bound[spec.name] = draw(PARAMETERS.get((entry.id, spec.name), BY_TYPE[spec.type]))
    return bound
