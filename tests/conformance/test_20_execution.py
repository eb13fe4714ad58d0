"""Spec 20, C-45 … C-56: one pass over a validated graph."""

from __future__ import annotations

import math

import msgspec
import pytest
from graph_shorthand import ONCE, NodeShort, cluster, expanded, run, validated, value

from ergo_cli.core.values import (
    ContextNeed,
    Effect,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    NativeValue,
    ValueType,
    WriteSpec,
    encode_effect,
)
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory, standard_inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph, validate
from ergo_cli.programs.graph.model import ClusterDefinition, ExpandedEdge, ExpandedGraph, ExpandedNode, NodePort
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    ComputeManifest,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    Primitive,
    SourceManifest,
)
from ergo_cli.programs.graph.run.interpreter import Interpreter, execute

OUTCOME = (OutputSpec("outcome", ValueType.EVENT),)
GATE = ["yes.value -> fire.input", "fire.event -> act.event"]


def hello(left: float, right: float) -> ClusterDefinition:
    return cluster(
        "hello",
        {
            "left": ("number_source@0.1.0", {"value": left}),
            "right": ("number_source@0.1.0", {"value": right}),
            "bigger": "gt@0.1.0",
            "fire": "emit_if_true@0.1.0",
            "done": "ack_action@0.1.0",
        },
        [
            "left.value -> bigger.a",
            "right.value -> bigger.b",
            "bigger.result -> fire.input",
            "fire.event -> done.event",
        ],
        outputs={"is_bigger": "bigger.result", "outcome": "done.outcome"},
    )


def gated(action: NodeShort, payload: dict[str, NodeShort] | None = None, gate: bool = True) -> ClusterDefinition:
    """An action behind a constant gate; payload nodes feed the inputs of their own names."""
    nodes: dict[str, NodeShort] = {
        "yes": ("const_bool@0.1.0", {"value": gate}),
        "fire": "emit_if_true@0.1.0",
        "act": action,
        **(payload or {}),
    }
    return cluster("g", nodes, [*GATE, *(f"{name}.value -> act.{name}" for name in payload or {})])


def failure(
    root: ClusterDefinition, context: dict[str, NativeValue] | None = None, inventory: Inventory | None = None
) -> RuleError:
    """The error that a pass over the root ends with."""
    graph = validated(root, inventory=inventory)
    with pytest.raises(RuleError) as caught:
        execute(graph, inventory or standard_inventory(), context or {}, "g", "e1")
    assert caught.value.phase == "execution"
    return caught.value


def action(
    impl_id: str, effects: EffectSpecs, *inputs: InputSpec, parameters: tuple[ParameterSpec, ...] = ()
) -> Inventory:
    """The standard library and one action with these effects."""
    event = InputSpec("event", ValueType.EVENT)
    manifest = ActionManifest(impl_id, "0.1.0", (event, *inputs), OUTCOME, parameters, effects)
    return build_inventory([Primitive(manifest, lambda inputs, params: {"outcome": ActionOutcome.COMPLETED})])


def compute(
    outputs: dict[str, NativeValue], *declared: OutputSpec, parameters: tuple[ParameterSpec, ...] = ()
) -> Inventory:
    """The standard library and a compute ``custom`` that gives these outputs, whatever it declares."""
    manifest = ComputeManifest(
        "custom", "0.1.0", (InputSpec("x", ValueType.NUMBER, required=False),), declared, parameters
    )
    return build_inventory([Primitive(manifest, lambda inputs, params: outputs)])


def source(*needs: ContextNeed, key: ParameterSpec | None = None) -> Inventory:
    """The standard library and a source ``custom`` with these context needs."""
    manifest = SourceManifest(
        "custom", "0.1.0", (OutputSpec("value", ValueType.NUMBER),), (key,) if key else (), requires=needs
    )
    return build_inventory([Primitive(manifest, lambda params, context: {"value": 1.0})])


def wire(effects: list[Effect]) -> str:
    return "[" + ",".join(encode_effect(effect).decode() for effect in effects) + "]"


def test_c20_45_hello() -> None:
    report = run(hello(3.0, 1.0))
    assert report.outputs == {"is_bigger": True, "outcome": ActionOutcome.COMPLETED}
    assert report.effects == []


def test_c20_45_hello_skipped() -> None:
    report = run(hello(1.0, 3.0))
    assert report.outputs == {"is_bigger": False, "outcome": ActionOutcome.SKIPPED}
    assert report.effects == []


@pytest.mark.parametrize(
    ("first", "condition", "outcome"),
    [
        (True, True, ActionOutcome.COMPLETED),
        (True, False, ActionOutcome.SKIPPED),
        (False, True, ActionOutcome.SKIPPED),
    ],
)
def test_c20_46_trigger_chain(first: bool, condition: bool, outcome: ActionOutcome) -> None:
    root = cluster(
        "r",
        {
            "first": ("const_bool@0.1.0", {"value": first}),
            "condition": ("const_bool@0.1.0", {"value": condition}),
            "fire": "emit_if_true@0.1.0",
            "both": "emit_if_event_and_true@0.1.0",
            "done": "ack_action@0.1.0",
        },
        [
            "first.value -> fire.input",
            "fire.event -> both.event",
            "condition.value -> both.condition",
            "both.event -> done.event",
        ],
        outputs={"outcome": "done.outcome"},
    )
    assert run(root).outputs == {"outcome": outcome}


def test_c20_47_parameters_reach_computes() -> None:
    root = cluster("r", {"k": ("const_number@0.1.0", {"value": 2**53})}, outputs={"v": "k.value"})
    outputs = run(root).outputs
    assert outputs == {"v": 9007199254740992.0}
    assert isinstance(outputs["v"], float)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63)])
def test_c20_47_integers_that_no_float_holds(number: int) -> None:
    error = failure(cluster("r", {"k": ("const_number@0.1.0", {"value": number})}))
    assert (error.rule, error.path) == ("X.11", "$.nodes.n0.parameters.value")
    assert str(number) in error.message


REQUIRED = ContextNeed("price", ValueType.NUMBER, required=True)


def test_c20_48_required_key_absent() -> None:
    error = failure(cluster("r", {"s": "custom@0.1.0"}), {}, source(REQUIRED))
    assert (error.rule, error.path, error.node) == ("SRC-10", "$.context.price", "n0")


def test_c20_48_required_key_of_another_type() -> None:
    error = failure(cluster("r", {"s": "custom@0.1.0"}), {"price": "dear"}, source(REQUIRED))
    assert (error.rule, error.path) == ("SRC-11", "$.context.price")
    assert "Number" in error.message
    assert "String" in error.message


def test_c20_48_required_key_given() -> None:
    assert run(cluster("r", {"s": "custom@0.1.0"}), context={"price": 1.0}, inventory=source(REQUIRED)).effects == []


@pytest.mark.parametrize("context", [{}, {"price": "dear"}])
def test_c20_48_optional_key(context: dict[str, NativeValue]) -> None:
    inventory = source(ContextNeed("price", ValueType.NUMBER, required=False))
    assert run(cluster("r", {"s": "custom@0.1.0"}), context=context, inventory=inventory).effects == []


def test_c20_48_key_from_a_parameter() -> None:
    key = ParameterSpec("key", ParameterType.STRING, value("volume"))
    inventory = source(ContextNeed("$key", ValueType.NUMBER, required=True), key=key)
    root = cluster("r", {"s": ("custom@0.1.0", {"key": "price"})})
    assert failure(root, {"volume": 1.0}, inventory).path == "$.context.price"
    assert failure(cluster("r", {"s": "custom@0.1.0"}), {}, inventory).path == "$.context.volume"


def test_c20_48_unresolvable_key_even_if_optional() -> None:
    key = ParameterSpec("key", ParameterType.STRING, required=False)
    manifest = SourceManifest(
        "custom",
        "0.1.0",
        (OutputSpec("value", ValueType.NUMBER),),
        (key,),
        (ContextNeed("$key", ValueType.NUMBER, False),),
    )
    inventory = build_inventory([Primitive(manifest, lambda params, context: {"value": 1.0})])
    nodes = {"n0": ExpandedNode("n0", (("r", "s"),), "custom", "0.1.0", "0.1.0", {})}
    graph = validate(ExpandedGraph("r", nodes, ()), inventory.catalog)
    with pytest.raises(RuleError) as caught:
        execute(graph, inventory, {}, "r", "e1")
    assert (caught.value.rule, caught.value.path) == ("SRC-10", "$.context.$key")


def test_c20_49_missing_output() -> None:
    outputs = (OutputSpec("a", ValueType.NUMBER), OutputSpec("b", ValueType.NUMBER))
    error = failure(cluster("r", {"c": "custom@0.1.0"}), {}, compute({"a": 1.0}, *outputs))
    assert (error.rule, error.path) == ("CMP-11", "$.nodes.n0.outputs.b")


def test_c20_49_extra_outputs_are_harmless() -> None:
    inventory = compute({"a": 1.0, "more": 2.0}, OutputSpec("a", ValueType.NUMBER))
    root = cluster("r", {"c": "custom@0.1.0"}, outputs={"v": "c.a"})
    assert run(root, inventory=inventory).outputs == {"v": 1.0}


def test_c20_49_compute_error() -> None:
    nodes: dict[str, NodeShort] = {
        "a": ("number_source@0.1.0", {"value": 8.0}),
        "b": "number_source@0.1.0",
        "d": "divide@0.2.0",
    }
    error = failure(cluster("r", nodes, ["a.value -> d.a", "b.value -> d.b"]))
    assert (error.rule, error.path, error.authoring_path) == ("CMP-12", "$.nodes.n2", ("r/d",))
    assert "division by zero" in error.message
    assert error.details == ("DivisionByZero", "a = 8.0", "b = 0.0")


def test_c20_49_invalid_parameter() -> None:
    nodes: dict[str, NodeShort] = {"s": "context_series_source@0.1.0", "w": ("window@0.1.0", {"size": 0.0})}
    error = failure(cluster("r", nodes, ["s.value -> w.series"]))
    assert error.rule == "CMP-12"
    assert "'size': size must be a positive integer" in error.message


def test_c20_49_overflow() -> None:
    nodes: dict[str, NodeShort] = {"a": ("number_source@0.1.0", {"value": 1e200}), "m": "multiply@0.1.0"}
    error = failure(cluster("r", nodes, ["a.value -> m.a", "a.value -> m.b"]))
    assert (error.rule, error.path) == ("NUM-FINITE-1", "$.nodes.n1.outputs.result")


@pytest.mark.parametrize(
    ("kind", "produced"),
    [
        (ValueType.NUMBER, math.nan),
        (ValueType.NUMBER, -math.inf),
        (ValueType.SERIES, [1.0, math.inf]),
        (ValueType.SERIES, [math.nan]),
    ],
)
def test_c20_49_not_finite(kind: ValueType, produced: NativeValue) -> None:
    error = failure(cluster("r", {"c": "custom@0.1.0"}), {}, compute({"a": produced}, OutputSpec("a", kind)))
    assert (error.rule, error.path) == ("NUM-FINITE-1", "$.nodes.n0.outputs.a")


def test_c20_49_not_finite_is_told_in_declared_order() -> None:
    declared = (OutputSpec("b", ValueType.NUMBER), OutputSpec("a", ValueType.NUMBER))
    error = failure(cluster("r", {"c": "custom@0.1.0"}), {}, compute({"a": math.nan, "b": math.nan}, *declared))
    assert error.path == "$.nodes.n0.outputs.b"


@pytest.mark.parametrize(
    ("kind", "produced"),
    [(ValueType.NUMBER, 1), (ValueType.NUMBER, True), (ValueType.BOOL, 1.0), (ValueType.SERIES, [1])],
)
def test_c20_49_value_of_another_type(kind: ValueType, produced: NativeValue) -> None:
    error = failure(cluster("r", {"c": "custom@0.1.0"}), {}, compute({"a": produced}, OutputSpec("a", kind)))
    assert error.rule == "V.4"


def test_c20_50_order_names_an_unknown_node() -> None:
    good = validated(hello(3.0, 1.0))
    graph = ValidatedGraph(good.graph_id, good.nodes, (*good.order, "n99"), good.outputs)
    with pytest.raises(RuleError) as caught:
        execute(graph, standard_inventory(), {}, "g", "e1")
    assert (caught.value.rule, caught.value.phase) == ("INTERNAL", "execution")
    assert "'n99'" in caught.value.message


def test_c20_50_primitive_unknown_to_the_registries() -> None:
    graph = validated(cluster("r", {"c": "custom@0.1.0"}), inventory=compute({}, OutputSpec("a", ValueType.NUMBER)))
    with pytest.raises(RuleError) as caught:
        execute(graph, standard_inventory(), {}, "g", "e1")
    assert caught.value.rule == "INTERNAL"


def test_c20_50_primitive_that_breaks() -> None:
    def broken(params: object, context: object) -> dict[str, NativeValue]:
        raise KeyError("oops")

    manifest = SourceManifest("custom", "0.1.0", (OutputSpec("value", ValueType.NUMBER),))
    error = failure(cluster("r", {"c": "custom@0.1.0"}), {}, build_inventory([Primitive(manifest, broken)]))
    assert error.rule == "INTERNAL"
    assert "KeyError" in error.message


def test_c20_51_one_write_one_effect() -> None:
    root = gated(("context_set_number@0.1.0", {"key": "total"}), {"value": ("number_source@0.1.0", {"value": 2.0})})
    assert wire(run(root).effects) == '[{"kind":"set_context","writes":[{"key":"total","value":{"Number":2.0}}]}]'


def test_c20_51_no_write_no_effect() -> None:
    assert run(gated("ack_action@0.1.0")).effects == []


def test_c20_51_skipped_action_does_nothing() -> None:
    payload: dict[str, NodeShort] = {"value": "number_source@0.1.0"}
    assert run(gated(("context_set_number@0.1.0", {"key": "total"}), payload, gate=False)).effects == []


def test_c20_51_rejected_action_writes_all_the_same() -> None:
    effects = EffectSpecs(writes=(WriteSpec("k", ValueType.NUMBER, "value"),))
    manifest = ActionManifest(
        "act",
        "0.1.0",
        (InputSpec("event", ValueType.EVENT), InputSpec("value", ValueType.NUMBER)),
        OUTCOME,
        effects=effects,
    )
    inventory = build_inventory([Primitive(manifest, lambda inputs, params: {"outcome": ActionOutcome.REJECTED})])
    assert len(run(gated("act@0.1.0", {"value": "number_source@0.1.0"}), inventory=inventory).effects) == 1


def test_c20_51_writes_in_declared_order() -> None:
    effects = EffectSpecs(writes=(WriteSpec("z", ValueType.NUMBER, "two"), WriteSpec("a", ValueType.NUMBER, "one")))
    inventory = action("act", effects, InputSpec("one", ValueType.NUMBER), InputSpec("two", ValueType.NUMBER))
    root = gated(
        "act@0.1.0",
        {"one": ("number_source@0.1.0", {"value": 1.0}), "two": ("number_source@0.1.0", {"value": 2.0})},
    )
    (effect,) = run(root, inventory=inventory).effects
    assert [(write.key, write.value.native) for write in effect.writes] == [("z", 2.0), ("a", 1.0)]


def test_c20_51_events_are_presented_as_attempts() -> None:
    shown: list[object] = []

    def remember(inputs: object, params: object) -> dict[str, ActionOutcome]:
        shown.append(inputs)
        return {"outcome": ActionOutcome.COMPLETED}

    manifest = ActionManifest("act", "0.1.0", (InputSpec("event", ValueType.EVENT),), OUTCOME)
    run(gated("act@0.1.0"), inventory=build_inventory([Primitive(manifest, remember)]))
    assert shown == [{"event": ActionOutcome.ATTEMPTED}]


@pytest.mark.parametrize(
    ("suffix", "producer", "written"),
    [
        ("number", ("number_source@0.1.0", {"value": 4.0}), '{"Number":4.0}'),
        ("bool", ("boolean_source@0.1.0", {"value": True}), '{"Bool":true}'),
        ("string", ("string_source@0.1.0", {"value": "Ada"}), '{"String":"Ada"}'),
        ("series", ("context_series_source@0.1.0", {"key": "s"}), '{"Series":[1.0,2.0]}'),
    ],
)
def test_c20_52_context_set(suffix: str, producer: NodeShort, written: str) -> None:
    root = gated((f"context_set_{suffix}@0.1.0", {"key": "k"}), {"value": producer})
    effects = run(root, context={"s": [1.0, 2.0]}).effects
    assert wire(effects) == f'[{{"kind":"set_context","writes":[{{"key":"k","value":{written}}}]}}]'


ORDER = IntentSpec(
    "place_order",
    (
        IntentFieldSpec("symbol", ValueType.STRING, from_input="symbol"),
        IntentFieldSpec("qty", ValueType.NUMBER, from_input="qty"),
    ),
    (MirrorWrite("last_symbol", ValueType.STRING, "symbol"),),
)
ORDER_INPUTS = (InputSpec("qty", ValueType.NUMBER), InputSpec("symbol", ValueType.STRING))
ORDER_PAYLOAD: dict[str, NodeShort] = {
    "qty": ("number_source@0.1.0", {"value": 100.0}),
    "symbol": ("string_source@0.1.0", {"value": "EURUSD"}),
}


def test_c20_53_intents_need_ids() -> None:
    inventory = action("order", EffectSpecs(intents=(ORDER,)), *ORDER_INPUTS)
    graph = validated(gated("order@0.1.0", ORDER_PAYLOAD, gate=False), inventory=inventory)
    with pytest.raises(RuleError) as caught:
        Interpreter(graph, inventory).execute_anonymous({})
    assert (caught.value.rule, caught.value.path) == ("GW-EFX-META-1", "$.nodes.n0")


def test_c20_53_without_intents_no_ids_are_needed() -> None:
    report = Interpreter(validated(hello(3.0, 1.0)), standard_inventory()).execute_anonymous({})
    assert report.outputs["outcome"] is ActionOutcome.COMPLETED


def test_c20_53_intent_only() -> None:
    intent = IntentSpec("notify", (IntentFieldSpec("text", ValueType.STRING, from_param="text"),))
    parameters = (ParameterSpec("text", ParameterType.STRING, required=True),)
    inventory = action("tell", EffectSpecs(intents=(intent,)), parameters=parameters)
    (effect,) = run(gated(("tell@0.1.0", {"text": "hot"})), inventory=inventory).effects
    assert (effect.kind, effect.writes) == ("notify", [])
    assert effect.intents[0].intent_id.startswith("eid1:sha256:")
    assert effect.intents[0].fields[0].value.native == "hot"


def test_c20_53_integer_bound_to_a_field() -> None:
    intent = IntentSpec("notify", (IntentFieldSpec("size", ValueType.NUMBER, from_param="size"),))
    parameters = (ParameterSpec("size", ParameterType.NUMBER, required=True),)
    inventory = action("tell", EffectSpecs(intents=(intent,)), parameters=parameters)
    assert failure(gated(("tell@0.1.0", {"size": 3})), {}, inventory).rule == "I.4"


def test_c20_54_write_then_mirror_then_intent() -> None:
    writes = (WriteSpec("order_qty", ValueType.NUMBER, "qty"),)
    inventory = action("order", EffectSpecs(writes, (ORDER,)), *ORDER_INPUTS)
    graph = _with_authored_ids(expanded(gated("order@0.1.0", ORDER_PAYLOAD), inventory=inventory))
    report = execute(validate(graph, inventory.catalog), inventory, {}, "graph-1", "event-2")
    assert wire(report.effects) == (
        '[{"kind":"set_context","writes":[{"key":"order_qty","value":{"Number":100.0}},'
        '{"key":"last_symbol","value":{"String":"EURUSD"}}]},'
        '{"kind":"place_order","writes":[],"intents":[{"kind":"place_order",'
        '"intent_id":"eid1:sha256:4d5d010984edf71e65f32097f9eaa0964218e66bd49a6211a04d851abc7a9532",'
        '"fields":[{"name":"symbol","value":{"String":"EURUSD"}},{"name":"qty","value":{"Number":100.0}}]}]}]'
    )


def _with_authored_ids(graph: ExpandedGraph) -> ExpandedGraph:
    """The same graph with node ids for runtime ids, as the vector of §11.2 has it."""
    ids = {runtime_id: node.path for runtime_id, node in graph.nodes.items()}
    nodes = {
        ids[runtime_id]: msgspec.structs.replace(node, runtime_id=ids[runtime_id])
        for runtime_id, node in graph.nodes.items()
    }
    edges = [
        ExpandedEdge(
            NodePort(ids[edge.source.node_id], edge.source.port), NodePort(ids[edge.target.node_id], edge.target.port)
        )
        for edge in graph.edges
        if isinstance(edge.source, NodePort) and isinstance(edge.target, NodePort)
    ]
    return ExpandedGraph(graph.graph_id, nodes, tuple(edges))


def series_chain() -> ClusterDefinition:
    return cluster(
        "chain",
        {
            "samples": ("context_series_source@0.1.0", {"key": "samples"}),
            "price": ("context_number_source@0.1.0", {"key": "price"}),
            "grow": "append@0.1.0",
            "last3": ("window@0.1.0", {"size": 3}),
            "avg": "mean@0.1.0",
            "yes": ("const_bool@0.1.0", {"value": True}),
            "fire": "emit_if_true@0.1.0",
            "act": ("context_set_series@0.1.0", {"key": "samples"}),
        },
        [
            "samples.value -> grow.series",
            "price.value -> grow.value",
            "grow.result -> last3.series",
            "last3.result -> avg.series",
            "last3.result -> act.value",
            *GATE,
        ],
        outputs={"mean": "avg.result"},
    )


def test_c20_55_series_chain() -> None:
    first = run(series_chain(), context={"samples": [1.0, 2.0], "price": 5.0})
    assert first.outputs == {"mean": 8 / 3}
    kept = first.effects[0].writes[0].value.native
    assert kept == [1.0, 2.0, 5.0]
    second = run(series_chain(), context={"samples": kept, "price": 5.0})
    assert second.outputs == {"mean": 4.0}
    assert second.effects[0].writes[0].value.native == [2.0, 5.0, 5.0]


def test_c20_56_once() -> None:
    root = cluster(
        "demo",
        {
            "on": ("const_bool@0.1.0", {"value": True}),
            "ping": "emit_if_true@0.1.0",
            "o": "cluster:once@1.0.0",
            "done": "ack_action@0.1.0",
        },
        ["on.value -> ping.input", "ping.event -> o.incoming", "o.event -> done.event"],
        outputs={"outcome": "done.outcome"},
    )
    first = run(root, ONCE)
    assert first.outputs == {"outcome": ActionOutcome.COMPLETED}
    (write,) = first.effects[0].writes
    assert (write.key, write.value.native) == ("__ergo/4:demo/1:o/9:has_fired", True)
    second = run(root, ONCE, context={write.key: True})
    assert second.outputs == {"outcome": ActionOutcome.SKIPPED}
    assert second.effects == []
