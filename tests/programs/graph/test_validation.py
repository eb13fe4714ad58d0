from __future__ import annotations

import pytest
from graph_shorthand import cluster, validated

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.validation import find_cycle, topological_order


def test_inbound_edges_are_indexed_in_edge_order() -> None:
    root = cluster(
        "r",
        {"a": "number_source@0.1.0", "b": "number_source@0.1.0", "s": "subtract@0.1.0"},
        ["b.value -> s.b", "a.value -> s.a"],
    )
    graph = validated(root)
    assert [(wire.input, wire.node_id, wire.output) for wire in graph.nodes["n2"].inbound] == [
        ("b", "n1", "value"),
        ("a", "n0", "value"),
    ]
    assert graph.nodes["n2"].inbound[0].producer.path == "b"


def test_a_node_behind_a_cycle_is_not_part_of_it() -> None:
    edges = [("b", "c"), ("c", "b"), ("c", "a"), ("x", "b")]
    order = topological_order("abcx", edges)
    assert order == ["x"]
    predecessors: dict[str, list[str]] = {}
    for source, target in edges:
        predecessors.setdefault(target, []).append(source)
    assert find_cycle(predecessors, {"a", "b", "c"}) == ["b", "c"]


def test_a_node_that_feeds_itself() -> None:
    with pytest.raises(RuleError) as caught:
        validated(cluster("r", {"a": "negate@0.1.0"}, ["a.result -> a.value"]))
    assert caught.value.rule == "V.1"
    assert "'a' -> 'a'" in caught.value.message


def test_the_same_fault_is_told_once() -> None:
    gate = ["yes.value -> fire.input", "fire.event -> act.event"]
    root = cluster(
        "r",
        {"yes": ("const_bool@0.1.0", {"value": True}), "fire": "emit_if_true@0.1.0", "act": "ack_action@0.1.0"},
        [*gate, "yes.value -> act.nope"],
    )
    with pytest.raises(RuleError) as caught:
        validated(root)
    assert (caught.value.rule, caught.value.causes) == ("D.2", ())
    assert caught.value.fix == "the inputs of ack_action are event"


def test_several_unwired_inputs_are_all_told() -> None:
    pair = cluster(
        "pair",
        {"sum": "add@0.1.0"},
        ["$a -> sum.a", "$b -> sum.b"],
        inputs={"a": ValueType.NUMBER, "b": ValueType.NUMBER},
    )
    with pytest.raises(RuleError) as caught:
        validated(cluster("r", {"p": "cluster:pair@1.0.0"}), pair)
    told = [caught.value, *caught.value.causes]
    assert [error.message for error in told] == [
        "input 'a' of 'p' (cluster pair) is not wired",
        "input 'b' of 'p' (cluster pair) is not wired",
    ]
