"""Spec 20, C-41 … C-44: validation and topological order; spec 10, C-43."""

from __future__ import annotations

import pytest
from graph_shorthand import NodeShort, assets, cluster, expanded, validated

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory, standard_inventory
from ergo_cli.programs.graph.check.validation import topological_order, validate
from ergo_cli.programs.graph.model import (
    ExpandedEdge,
    ExpandedGraph,
    ExpandedNode,
    ExternalInput,
    GraphAssets,
    NodePort,
)
from ergo_cli.programs.graph.primitives.primitive import ActionManifest, ActionOutcome, InputSpec, OutputSpec, Primitive
from ergo_cli.programs.graph.program import GraphProgram

CATALOG = standard_inventory().catalog

NODES: dict[str, NodeShort] = {
    "number": "number_source@0.1.0",
    "flag": "boolean_source@0.1.0",
    "text": "string_source@0.1.0",
    "list": "context_series_source@0.1.0",
    "yes": ("const_bool@0.1.0", {"value": True}),
    "one": ("const_number@0.1.0", {"value": 1.0}),
    "negate": "negate@0.1.0",
    "not": "not@0.1.0",
    "fire": "emit_if_true@0.1.0",
    "both": "emit_if_event_and_true@0.1.0",
    "ack": "ack_action@0.1.0",
    "set": ("context_set_number@0.1.0", {"key": "k"}),
}
"""One of everything; a test takes the nodes that its edges name."""


def refused(*edges: str, outputs: dict[str, str] | None = None, inventory: Inventory | None = None) -> RuleError:
    """The error of a graph of NODES with these edges."""
    named = {end.split(".")[0] for edge in edges for end in edge.split(" -> ")}
    root = cluster("r", {name: NODES[name] for name in named}, edges, outputs=outputs or {})
    expanded(root, inventory=inventory)
    with pytest.raises(RuleError) as caught:
        validated(root, inventory=inventory)
    assert caught.value.phase == "composition"
    return caught.value


def flat(*edges: ExpandedEdge, **primitives: str) -> ExpandedGraph:
    """A flat graph of primitives, version 0.1.0, that no expansion made."""
    nodes = {
        name: ExpandedNode(name, (("r", name),), impl_id, "0.1.0", "0.1.0", {}) for name, impl_id in primitives.items()
    }
    return ExpandedGraph("r", nodes, edges)


def flat_refused(graph: ExpandedGraph) -> RuleError:
    with pytest.raises(RuleError) as caught:
        validate(graph, CATALOG)
    return caught.value


def test_c20_41_missing_required_input() -> None:
    error = refused("yes.value -> both.condition")
    assert (error.rule, error.path, error.node, error.authoring_path) == ("V.3", "$.edges", "n0", ("r/both",))
    assert "'both.event'" in error.message


def test_c20_41_edge_to_an_unknown_node() -> None:
    edge = ExpandedEdge(NodePort("a", "value"), NodePort("ghost", "value"))
    error = flat_refused(flat(edge, a="number_source"))
    assert (error.rule, error.path) == ("D.2", "$.nodes")


def test_c20_41_bad_boundary_port() -> None:
    error = refused("number.value -> negate.value", outputs={"o": "negate.nope"})
    assert (error.rule, error.path) == ("D.2", "$.nodes")
    assert error.fix == "the outputs of negate are result"


@pytest.mark.parametrize("edge", ["number.nope -> negate.value", "number.value -> negate.nope"])
def test_c20_41_edge_between_undeclared_ports(edge: str) -> None:
    error = refused("number.value -> negate.value", edge) if "negate.nope" in edge else refused(edge)
    assert (error.rule, error.path) == ("D.2", "$.nodes")
    assert "nope" in error.message


def test_c20_41_cycle() -> None:
    root = cluster("r", {"a": "negate@0.1.0", "b": "negate@0.1.0"}, ["a.result -> b.value", "b.result -> a.value"])
    with pytest.raises(RuleError) as caught:
        validated(root)
    assert (caught.value.rule, caught.value.path) == ("V.1", "$.edges")
    assert "'a' -> 'b' -> 'a'" in caught.value.message


def test_c20_41_external_input() -> None:
    edge = ExpandedEdge(ExternalInput("market"), NodePort("a", "value"))
    error = flat_refused(flat(edge, a="negate"))
    assert (error.rule, error.path) == ("E.3", "$.edges")


def test_c20_41_unknown_primitive() -> None:
    error = flat_refused(flat(a="nope"))
    assert (error.rule, error.path) == ("V.8", "$.nodes")
    assert "nope@0.1.0" in error.message


def test_c20_41_two_edges_into_one_input() -> None:
    error = refused("number.value -> negate.value", "one.value -> negate.value")
    assert (error.rule, error.path) == ("V.7", "$.edges")
    assert "'negate.value'" in error.message
    assert "'number.value'" in error.message


def test_c20_41_number_into_bool() -> None:
    error = refused("number.value -> not.value")
    assert (error.rule, error.path) == ("V.4", "$.edges")
    assert "takes Bool" in error.message
    assert "gives Number" in error.message


def test_c20_41_nothing_hides_behind_the_headline() -> None:
    error = refused("number.value -> not.value", "flag.value -> fire.input", "fire.event -> set.event")
    assert [error.rule, *(cause.rule for cause in error.causes)] == ["V.2", "V.3", "V.4"]


def test_c20_41_authored_place_of_a_nested_node() -> None:
    inner = cluster("inner", {"flip": "not@0.1.0"}, ["$x -> flip.value"], inputs={"x": ValueType.NUMBER})
    root = cluster("r", {"a": "number_source@0.1.0", "c": "cluster:inner@1.0.0"}, ["a.value -> c.x"])
    bare = assets(root, inner)
    placed = GraphAssets(root, bare.clusters, places={root.key: {"edges[0]": "r.yaml:7:5"}})
    with pytest.raises(RuleError) as caught:
        GraphProgram.load(placed, standard_inventory())
    assert "'c/flip.value'" in caught.value.message
    assert caught.value.authoring_path == ("r/c", "inner/flip")
    assert caught.value.where == "r.yaml:7:5 edges[0]"


@pytest.mark.parametrize(
    "edges",
    [
        ["text.value -> ack.event"],
        ["flag.value -> ack.event"],
        ["not.result -> ack.event", "flag.value -> not.value"],
    ],
)
def test_c20_42_values_do_not_gate_actions(edges: list[str]) -> None:
    assert refused(*edges).rule == "V.2"


@pytest.mark.parametrize(
    ("action", "producer", "edges"),
    [
        ("context_set_number@0.1.0", "number", ["number.value -> act.value"]),
        ("context_set_number@0.1.0", "one", ["one.value -> act.value"]),
        ("context_set_bool@0.1.0", "flag", ["flag.value -> act.value"]),
        ("context_set_bool@0.1.0", "yes", ["yes.value -> act.value"]),
        ("context_set_string@0.1.0", "text", ["text.value -> act.value"]),
        ("context_set_series@0.1.0", "list", ["list.value -> act.value"]),
    ],
)
def test_c20_42_values_are_payload_of_gated_actions(action: str, producer: str, edges: list[str]) -> None:
    nodes: dict[str, NodeShort] = {
        producer: NODES[producer],
        "gate": ("const_bool@0.1.0", {"value": True}),
        "fire": "emit_if_true@0.1.0",
        "act": (action, {"key": "k"}),
    }
    root = cluster("r", nodes, ["gate.value -> fire.input", "fire.event -> act.event", *edges])
    assert len(validated(root).order) == 4


def test_c20_42_computed_series_is_payload() -> None:
    nodes: dict[str, NodeShort] = {
        "list": NODES["list"],
        "last": "window@0.1.0",
        "gate": NODES["yes"],
        "fire": NODES["fire"],
        "act": ("context_set_series@0.1.0", {"key": "k"}),
    }
    edges = [
        "list.value -> last.series",
        "gate.value -> fire.input",
        "fire.event -> act.event",
        "last.result -> act.value",
    ]
    assert len(validated(cluster("r", nodes, edges)).order) == 5


def test_c20_42_payload_without_gate() -> None:
    assert refused("number.value -> set.value").rule == "V.3"


def test_c20_42_payload_without_gate_and_optional_event() -> None:
    manifest = ActionManifest(
        "lenient",
        "0.1.0",
        (InputSpec("event", ValueType.EVENT, required=False), InputSpec("value", ValueType.NUMBER)),
        (OutputSpec("outcome", ValueType.EVENT),),
    )
    inventory = build_inventory([Primitive(manifest, lambda inputs, params: {"outcome": ActionOutcome.ATTEMPTED})])
    root = cluster("r", {"n": NODES["number"], "act": "lenient@0.1.0"}, ["n.value -> act.value"])
    with pytest.raises(RuleError) as caught:
        validated(root, inventory=inventory)
    assert (caught.value.rule, caught.value.path) == ("V.5", "$.edges")
    assert caught.value.causes == ()


@pytest.mark.parametrize(
    "edge",
    [
        "flag.value -> fire.input",
        "number.value -> text.value",
        "negate.result -> number.value",
        "fire.event -> negate.value",
        "ack.outcome -> fire.input",
        "ack.outcome -> both.event",
        "ack.outcome -> negate.value",
        "ack.outcome -> set.event",
        "ack.outcome -> number.value",
    ],
)
def test_c20_43_families_that_do_not_feed_each_other(edge: str) -> None:
    error = refused(edge)
    assert (error.rule, error.path) == ("V.2", "$.edges")
    assert error.fix


def test_c20_43_trigger_into_a_value_input_fails_by_type() -> None:
    error = refused("yes.value -> fire.input", "fire.event -> set.event", "fire.event -> set.value")
    assert error.rule == "V.4"


def test_c20_43_payload_port_that_does_not_exist() -> None:
    error = refused("yes.value -> fire.input", "fire.event -> ack.event", "number.value -> ack.nope")
    assert (error.rule, error.path) == ("D.2", "$.nodes")
    assert error.causes == ()


def test_c20_44_string_order() -> None:
    order = topological_order([f"n{number}" for number in range(12)], [])
    assert order == ["n0", "n1", "n10", "n11", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"]


def test_c20_44_order_of_a_graph() -> None:
    nodes: dict[str, NodeShort] = {
        "left": ("number_source@0.1.0", {"value": 3.0}),
        "right": ("number_source@0.1.0", {"value": 1.0}),
        "bigger": "gt@0.1.0",
        "fire": "emit_if_true@0.1.0",
        "done": "ack_action@0.1.0",
    }
    edges = [
        "left.value -> bigger.a",
        "right.value -> bigger.b",
        "bigger.result -> fire.input",
        "fire.event -> done.event",
    ]
    assert list(validated(cluster("hello", nodes, edges)).order) == ["n3", "n4", "n0", "n2", "n1"]


def test_c10_43_emittable_kinds_of_a_context_write() -> None:
    nodes: dict[str, NodeShort] = {
        "yes": NODES["yes"],
        "flag": NODES["flag"],
        "fire": NODES["fire"],
        "act": ("context_set_bool@0.1.0", {"key": "k"}),
    }
    root = cluster("r", nodes, ["yes.value -> fire.input", "fire.event -> act.event", "flag.value -> act.value"])
    program = GraphProgram.load(assets(root), standard_inventory())
    assert program.emittable_kinds == {"set_context"}
    assert program.write_nodes == ("n0",)
    assert program.required_context_nodes == ()
