"""The compiled graph, example by example; the interpreter says what is right."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from graph_shorthand import Bound, NodeShort, cluster, validated
from passes import outcome

from ergo_cli.core.values import (
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    NativeValue,
    ValueType,
    WriteSpec,
    derive_intent_id,
    encode_effect,
)
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory, standard_inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    ComputeManifest,
    InputSpec,
    OutputSpec,
    Primitive,
    SourceManifest,
    TriggerEvent,
    TriggerManifest,
)
from ergo_cli.programs.graph.primitives.standard import STANDARD
from ergo_cli.programs.graph.run import compiler
from ergo_cli.programs.graph.run.compiler import compile_graph, generate, graph_pass, interpret_graph
from ergo_cli.programs.graph.run.interpreter import execute

NUMBER, SERIES, BOOL, STRING, EVENT = ValueType
GATE: dict[str, NodeShort] = {"yes": ("const_bool@0.1.0", {"value": True}), "fire": "emit_if_true@0.1.0"}
GATED = ["yes.value -> fire.input"]
NUMBERS = [0.0, -0.0, 1.0, -2.5, 1e200, -1.7e308, 5e-324, 1e-308]
SPECIAL: dict[ValueType, list[Any]] = {
    NUMBER: NUMBERS,
    BOOL: [True, False],
    SERIES: [[], [-0.0], [0.1, 0.2, 0.3], [1.0, 2.0, 3.0, 4.0], [1e308, 1e308, -1e308], [5e-324] * 7],
    STRING: ["", 'a"b\\\n', "é\u2028", "\x7f\x00"],
}
STRANGE = [math.nan, math.inf, -math.inf, 1, None, "text", True, [1.0], [math.nan], [1], [True], (1.0,), "\ud800"]
PARAMETERS: dict[str, list[dict[str, Bound]]] = {
    "const_number": [{"value": given} for given in (1.5, 2**53, 2**53 + 1)],
    "const_bool": [{"value": True}, {"value": False}],
    "safe_divide": [{"fallback": given} for given in (42.0, 3, 2**60)],
    "window": [{}, *({"size": given} for given in (1.0, 2, 0.0, 2.5, -1.0, 1e300))],
    "number_source": [{}, {"value": 2**63}, {"value": -0.0}],
}
TAGS = {NUMBER: "number", BOOL: "bool", SERIES: "series", STRING: "string"}


def both(graph: ValidatedGraph, inventory: Inventory, values: dict[str, Any]) -> object:
    """What a pass comes to, which is the same compiled and interpreted."""
    compiled = outcome(compile_graph(graph, inventory), values)
    assert compiled == outcome(interpret_graph(graph, inventory), values)
    return compiled


def alone(primitive: Any, bound: dict[str, Bound]) -> ValidatedGraph:
    """A standard compute or source, its inputs read from the context, its output written under ``out``."""
    manifest = primitive.manifest
    nodes: dict[str, NodeShort] = {**GATE, "it": (f"{manifest.id}@{manifest.version}", bound)}
    edges = [*GATED, "fire.event -> write.event"]
    for port in manifest.inputs:
        nodes[f"in_{port.name}"] = (f"context_{TAGS[port.type]}_source@0.1.0", {"key": port.name})
        edges.append(f"in_{port.name}.value -> it.{port.name}")
    (output,) = manifest.outputs
    nodes["write"] = (f"context_set_{TAGS[output.type]}@0.1.0", {"key": "out"})
    edges.append(f"it.{output.name} -> write.value")
    return validated(cluster("g", nodes, edges))


VALUED = [primitive for primitive in STANDARD if primitive.manifest.outputs[0].type is not EVENT]


@pytest.mark.parametrize("primitive", VALUED, ids=lambda primitive: primitive.manifest.id)
def test_every_standard_value_on_special_inputs(primitive: Any) -> None:
    inventory = standard_inventory()
    for bound in PARAMETERS.get(primitive.manifest.id, [{}]):
        graph = alone(primitive, bound)
        compiled, interpreted = compile_graph(graph, inventory), interpret_graph(graph, inventory)
        inputs = primitive.manifest.inputs
        for given in product(*(SPECIAL[port.type] for port in inputs)):
            values = {port.name: value for port, value in zip(inputs, given, strict=True)}
            assert outcome(compiled, values) == outcome(interpreted, values), values


@pytest.mark.parametrize("value", [*STRANGE, *(value for values in SPECIAL.values() for value in values)])
@pytest.mark.parametrize("kind", TAGS.values())
def test_every_context_source_on_every_value(kind: str, value: Any) -> None:
    source = next(primitive for primitive in STANDARD if primitive.manifest.id == f"context_{kind}_source")
    both(alone(source, {}), standard_inventory(), {} if value is None else {"x": value})


@pytest.mark.parametrize("values", list(product([True, False], repeat=3)))
def test_triggers_in_a_row_gate_an_action(values: tuple[bool, ...]) -> None:
    nodes: dict[str, NodeShort] = {
        **{f"s{i}": ("context_bool_source@0.1.0", {"key": f"k{i}"}) for i in range(3)},
        **{f"b{i}": "and@0.1.0" for i in range(3)},
        "first": "emit_if_true@0.1.0",
        "second": "emit_if_event_and_true@0.1.0",
        "number": ("number_source@0.1.0", {"value": 1.0}),
        "write": ("context_set_number@0.1.0", {"key": "out"}),
    }
    edges = [f"s{i}.value -> b{i}.{port}" for i in range(3) for port in "ab"]
    edges += ["b0.result -> first.input", "first.event -> second.event", "b1.result -> second.condition"]
    edges += ["second.event -> write.event", "number.value -> write.value"]
    graph = validated(cluster("g", nodes, edges))
    effects = both(graph, standard_inventory(), {f"k{i}": value for i, value in enumerate(values)})
    assert bool(effects) is (values[0] and values[1])


def test_the_effect_is_the_interpreters() -> None:
    negate = next(primitive for primitive in STANDARD if primitive.manifest.id == "negate")
    graph = alone(negate, {})
    (produced,) = compile_graph(graph, standard_inventory())({"value": 0.1}, "g", "e1")
    (effect,) = execute(graph, standard_inventory(), {"value": 0.1}, "g", "e1").effects
    assert produced.effect == effect
    assert produced.text == encode_effect(effect)
    assert produced.writes == (("out", -0.1),)


def test_the_bytes_of_effects_of_every_type() -> None:
    ports = {"flag": BOOL, "level": NUMBER, "name": STRING, "path": SERIES}
    fields = tuple(IntentFieldSpec(port, type, from_input=port) for port, type in ports.items())
    mirror = MirrorWrite("last_name", STRING, "name")
    effects = EffectSpecs((WriteSpec("seen", NUMBER, "level"),), (IntentSpec("notify", fields, (mirror,)),))
    inputs = (InputSpec("event", EVENT), *(InputSpec(port, type) for port, type in ports.items()))
    manifest = ActionManifest("tell", "0.1.0", inputs, (OutputSpec("outcome", EVENT),), (), effects)
    inventory = build_inventory([Primitive(manifest, lambda inputs, params: {"outcome": ActionOutcome.COMPLETED})])
    nodes: dict[str, NodeShort] = {**GATE, "tell": "tell@0.1.0"}
    nodes |= {port: (f"context_{TAGS[type]}_source@0.1.0", {"key": port}) for port, type in ports.items()}
    edges = [*GATED, "fire.event -> tell.event", *(f"{port}.value -> tell.{port}" for port in ports)]
    graph = validated(cluster("g", nodes, edges), inventory=inventory)
    values: dict[str, NativeValue] = {"flag": True, "level": 2.0, "name": 'a"b', "path": [0.5, 1.0]}
    written, sent = compile_graph(graph, inventory)(values, "g", "e1")
    [act] = (runtime_id for runtime_id, node in graph.nodes.items() if node.node.path == "tell")
    assert written.text == (
        b'{"kind":"set_context","writes":[{"key":"seen","value":{"Number":2.0}},'
        b'{"key":"last_name","value":{"String":"a\\"b"}}]}'
    )
    assert sent.text == (
        b'{"kind":"notify","writes":[],"intents":[{"kind":"notify",'
        b'"intent_id":"%b",'
        b'"fields":[{"name":"flag","value":{"Bool":true}},{"name":"level","value":{"Number":2.0}},'
        b'{"name":"name","value":{"String":"a\\"b"}},{"name":"path","value":{"Series":[0.5,1.0]}}]}]}'
        % derive_intent_id("g", "e1", act, "notify", 0).encode()
    )
    both(graph, inventory, values)


def test_what_does_not_depend_on_the_context_is_computed_beforehand() -> None:
    nodes: dict[str, NodeShort] = {
        **GATE,
        "a": ("number_source@0.1.0", {"value": 2.0}),
        "b": ("const_number@0.1.0", {"value": 3.0}),
        "sum": "add@0.1.0",
        "write": ("context_set_number@0.1.0", {"key": "out"}),
    }
    edges = [*GATED, "a.value -> sum.a", "b.value -> sum.b", "sum.result -> write.value", "fire.event -> write.event"]
    graph = validated(cluster("g", nodes, edges))
    assert len(generate(graph, standard_inventory()).source.splitlines()) == 5
    run = compile_graph(graph, standard_inventory())
    assert run({}, "g", "e1")[0] is run({}, "g", "e2")[0]
    both(graph, standard_inventory(), {})


def test_equal_reads_of_the_context_are_one() -> None:
    nodes: dict[str, NodeShort] = {"one": "context_number_source@0.1.0", "two": "context_number_source@0.1.0"}
    nodes |= {"three": "context_bool_source@0.1.0", "sum": "add@0.1.0"}
    graph = validated(cluster("g", nodes, ["one.value -> sum.a", "two.value -> sum.b"]))
    assert generate(graph, standard_inventory()).source.count("get(") == 2


def test_a_node_that_nothing_uses_stays_only_where_it_can_fail() -> None:
    nodes: dict[str, NodeShort] = {"x": "context_number_source@0.1.0", "neg": "negate@0.1.0", "sum": "add@0.1.0"}
    graph = validated(cluster("g", nodes, ["x.value -> neg.value", "x.value -> sum.a", "x.value -> sum.b"]))
    source = generate(graph, standard_inventory()).source
    assert "-v" not in source
    assert " + " in source
    with pytest.raises(RuleError) as caught:
        compile_graph(graph, standard_inventory())({"x": 1e308}, "g", "e1")
    assert (caught.value.rule, caught.value.path) == ("NUM-FINITE-1", "$.nodes.n1.outputs.result")
    both(graph, standard_inventory(), {"x": 1e308})


def test_an_error_names_the_node_as_its_author_does() -> None:
    divide = next(primitive for primitive in STANDARD if primitive.manifest.id == "divide")
    with pytest.raises(RuleError) as caught:
        compile_graph(alone(divide, {}), standard_inventory())({"a": 8.0, "b": -0.0}, "g", "e1")
    assert caught.value.rule == "CMP-12"
    assert caught.value.authoring_path == ("g/it",)
    assert caught.value.details == ("DivisionByZero", "a = 8.0", "b = -0.0")


def test_own_primitives_are_called_once_each_in_execution_order_up_to_the_error() -> None:
    called: list[str] = []

    def noting(impl_id: str, outputs: dict[str, Any]) -> Any:
        def call(first: object, second: object) -> dict[str, Any]:
            called.append(impl_id)
            return outputs

        return call

    optional = (InputSpec("x", NUMBER, required=False),)
    inventory = build_inventory(
        [
            Primitive(
                SourceManifest("one", "0.1.0", (OutputSpec("value", NUMBER),)), noting("one", {"value": 1.7e308})
            ),
            Primitive(
                ComputeManifest("two", "0.1.0", optional, (OutputSpec("value", NUMBER),)), noting("two", {"value": 0.0})
            ),
            Primitive(
                TriggerManifest("three", "0.1.0", optional, (OutputSpec("event", EVENT),)),
                noting("three", {"event": TriggerEvent.EMITTED}),
            ),
        ]
    )
    nodes: dict[str, NodeShort] = {"a": "one@0.1.0", "b": "two@0.1.0", "c": "add@0.1.0", "d": "three@0.1.0"}
    edges = ["a.value -> b.x", "a.value -> c.a", "a.value -> c.b", "c.result -> d.x"]
    run = compile_graph(validated(cluster("g", nodes, edges), inventory=inventory), inventory)
    with pytest.raises(RuleError) as caught:
        run({}, "g", "e1")
    assert caught.value.rule == "NUM-FINITE-1"
    assert called == ["one", "two"]


@pytest.mark.parametrize("edges", [["a.value -> b.value"], []])
@pytest.mark.parametrize(
    ("outputs", "rule"),
    [({}, "CMP-11"), ({"value": None}, "V.4"), ({"value": math.nan}, "NUM-FINITE-1"), (None, "INTERNAL")],
)
def test_what_own_sources_may_not_give(outputs: Any, rule: str, edges: list[str]) -> None:
    manifest = SourceManifest("own", "0.1.0", (OutputSpec("value", NUMBER),))
    inventory = build_inventory([Primitive(manifest, lambda params, context: outputs)])
    nodes: dict[str, NodeShort] = {"a": "own@0.1.0", "x": "context_number_source@0.1.0", "b": "negate@0.1.0"}
    root = cluster("g", nodes, edges or ["x.value -> b.value"], outputs={"v": "a.value"})
    told = both(validated(root, inventory=inventory), inventory, {})
    assert isinstance(told, tuple)
    assert f"'{rule}'" in told[2]


def test_own_mappings_may_be_used_again() -> None:
    shared: dict[str, NativeValue] = {}

    def produce(params: Any, context: Any) -> dict[str, NativeValue]:
        shared["value"] = shared.get("value", 0.0) + 1.0
        return shared

    inventory = build_inventory([Primitive(SourceManifest("own", "0.1.0", (OutputSpec("value", NUMBER),)), produce)])
    nodes: dict[str, NodeShort] = {
        **GATE,
        "a": "own@0.1.0",
        "b": "own@0.1.0",
        "sum": "subtract@0.1.0",
        "write": ("context_set_number@0.1.0", {"key": "out"}),
    }
    edges = [*GATED, "a.value -> sum.a", "b.value -> sum.b", "sum.result -> write.value", "fire.event -> write.event"]
    graph = validated(cluster("g", nodes, edges), inventory=inventory)
    for make in (compile_graph, interpret_graph):
        (effect,) = make(graph, inventory)({}, "g", "e1")
        assert effect.writes == (("out", -1.0),)


def test_an_own_action_without_outcome_is_found_out_at_the_boundary() -> None:
    manifest = ActionManifest("own", "0.1.0", (InputSpec("event", EVENT),), (OutputSpec("outcome", EVENT),))
    inventory = build_inventory([Primitive(manifest, lambda inputs, params: {})])
    nodes: dict[str, NodeShort] = {**GATE, "act": "own@0.1.0"}
    edges = [*GATED, "fire.event -> act.event"]
    silent = validated(cluster("g", nodes, edges), inventory=inventory)
    assert both(silent, inventory, {}) == []
    wanted = validated(cluster("g", nodes, edges, outputs={"o": "act.outcome"}), inventory=inventory)
    told = both(wanted, inventory, {})
    assert isinstance(told, tuple)
    assert "'CMP-11'" in told[2]


def test_the_inventory_decides_what_may_be_inlined() -> None:
    """A primitive is inlined for what it is, not for what it is called."""
    standard = standard_inventory()
    manifest = standard.computes["add"].manifest
    other = Primitive(manifest, lambda inputs, params: {"result": 7.0})
    inventory = Inventory(
        standard.catalog, standard.sources, {**standard.computes, "add": other}, standard.triggers, standard.actions
    )
    add = next(primitive for primitive in STANDARD if primitive.manifest.id == "add")
    (effect,) = compile_graph(alone(add, {}), inventory)({"a": 1.0, "b": 1.0}, "g", "e1")
    assert effect.writes == (("out", 7.0),)


def deep(length: int) -> ValidatedGraph:
    """A chain: every node takes the result of the one before."""
    nodes: dict[str, NodeShort] = {**GATE, "x": "context_number_source@0.1.0"}
    edges, last = [*GATED, "fire.event -> write.event"], "x.value"
    for index in range(length):
        nodes[f"a{index}"] = "add@0.1.0" if index % 2 else "negate@0.1.0"
        ports = ("a", "b") if index % 2 else ("value",)
        edges += [f"{last} -> a{index}.{port}" for port in ports]
        last = f"a{index}.result"
    nodes["write"] = ("context_set_number@0.1.0", {"key": "out"})
    return validated(cluster("g", nodes, [*edges, f"{last} -> write.value"]))


def test_a_deep_graph_compiles() -> None:
    graph = deep(4000)
    assert both(graph, standard_inventory(), {"x": 0.0}) != []
    told = both(graph, standard_inventory(), {"x": 1.0})
    assert isinstance(told, tuple), "doubled 2,000 times: beyond the finite range"


def test_a_larger_graph_is_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = deep(4)
    compiled = outcome(graph_pass(graph, standard_inventory()), {"x": 1.0})
    monkeypatch.setattr(compiler, "MAX_COMPILED_NODES", 3)
    monkeypatch.delattr(compiler, "generate")
    assert outcome(graph_pass(graph, standard_inventory()), {"x": 1.0}) == compiled


def test_the_same_graph_gives_the_same_source() -> None:
    first, second = (generate(deep(30), standard_inventory()) for _ in range(2))
    assert first.source == second.source
    assert list(first.names) == list(second.names)


def test_a_graph_beyond_the_inventory_is_refused() -> None:
    good = deep(1)
    graph = ValidatedGraph(good.graph_id, good.nodes, (*good.order, "n99"), good.outputs)
    with pytest.raises(RuleError) as caught:
        compile_graph(graph, standard_inventory())
    assert caught.value.rule == "INTERNAL"


def test_own_actions_run_before_their_effects() -> None:
    manifest = ActionManifest(
        "own", "0.1.0", (InputSpec("event", EVENT), InputSpec("text", STRING)), (OutputSpec("outcome", EVENT),)
    )
    seen: list[object] = []

    def act(inputs: Any, params: Any) -> dict[str, ActionOutcome]:
        seen.append(dict(inputs))
        return {"outcome": ActionOutcome.FAILED}

    inventory = build_inventory([Primitive(manifest, act)])
    nodes: dict[str, NodeShort] = {**GATE, "act": "own@0.1.0", "text": ("string_source@0.1.0", {"value": "t"})}
    graph = validated(
        cluster("g", nodes, [*GATED, "fire.event -> act.event", "text.value -> act.text"]), inventory=inventory
    )
    both(graph, inventory, {})
    assert seen == [{"event": ActionOutcome.ATTEMPTED, "text": "t"}] * 2
