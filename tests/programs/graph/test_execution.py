from __future__ import annotations

from collections.abc import Mapping

import pytest
from graph_shorthand import NodeShort, cluster, run, validated

from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory, standard_inventory
from ergo_cli.programs.graph.model import ClusterDefinition
from ergo_cli.programs.graph.primitives.primitive import (
    ActionOutcome,
    Family,
    InputSpec,
    OutputSpec,
    Primitive,
    SourceManifest,
    TriggerEvent,
    TriggerManifest,
)
from ergo_cli.programs.graph.run.interpreter import Interpreter, execute, trace


def alarm(limit: float) -> ClusterDefinition:
    """Writes the temperature to ``hot`` when it is above the limit, and divides by it."""
    nodes: dict[str, NodeShort] = {
        "temperature": ("context_number_source@0.1.0", {"key": "temperature"}),
        "limit": ("number_source@0.1.0", {"value": limit}),
        "over": "gt@0.1.0",
        "fire": "emit_if_true@0.1.0",
        "write": ("context_set_number@0.1.0", {"key": "hot"}),
        "zratio": "divide@0.2.0",
    }
    edges = [
        "temperature.value -> over.a",
        "limit.value -> over.b",
        "over.result -> fire.input",
        "fire.event -> write.event",
        "temperature.value -> write.value",
        "temperature.value -> zratio.a",
        "limit.value -> zratio.b",
    ]
    return cluster("alarm", nodes, edges, outputs={"ratio": "zratio.result"})


def source(outputs: Mapping[str, NativeValue]) -> Inventory:
    manifest = SourceManifest("custom", "0.1.0", (OutputSpec("value", ValueType.NUMBER),))
    return build_inventory([Primitive(manifest, lambda params, context: outputs)])


def test_passes_share_nothing() -> None:
    interpreter = Interpreter(validated(alarm(50.0)), standard_inventory())
    first = interpreter.execute({"temperature": 60.0}, "alarm", "e1")
    assert interpreter.execute({"temperature": 40.0}, "alarm", "e2").effects == []
    assert interpreter.execute({"temperature": 60.0}, "alarm", "e1") == first


def test_a_failed_pass_leaves_nothing() -> None:
    with pytest.raises(RuleError) as caught:
        run(alarm(0.0), context={"temperature": 1.0})
    assert caught.value.rule == "CMP-12"


def test_a_trace_tells_every_node_in_execution_order() -> None:
    graph = validated(alarm(50.0))
    told = trace(graph, standard_inventory(), {"temperature": 60.0}, "alarm", "e1")
    assert tuple(node.runtime_id for node in told) == graph.order
    by_path = {node.path: node for node in told}
    assert by_path["over"].inputs == {"a": 60.0, "b": 50.0}
    assert by_path["over"].outputs == {"result": True}
    assert by_path["write"].family is Family.ACTION
    assert by_path["write"].inputs == {"event": TriggerEvent.EMITTED, "value": 60.0}
    assert by_path["write"].outputs == {"outcome": ActionOutcome.ATTEMPTED}
    assert by_path["write"].parameters["key"].value == "hot"
    assert (
        by_path["write"].effects == execute(graph, standard_inventory(), {"temperature": 60.0}, "alarm", "e1").effects
    )
    assert all(node.ran and node.why is None for node in told)


def test_a_trace_tells_why_an_action_was_skipped() -> None:
    told = trace(validated(alarm(50.0)), standard_inventory(), {"temperature": 40.0}, "alarm", "e1")
    write = next(node for node in told if node.path == "write")
    assert (write.ran, write.why, write.effects) == (False, "not emitted: event", [])
    assert write.outputs == {"outcome": ActionOutcome.SKIPPED}


def test_a_trace_of_a_failing_pass_ends_at_the_node_that_failed() -> None:
    told = trace(validated(alarm(0.0)), standard_inventory(), {"temperature": 40.0}, "alarm", "e1")
    assert [node.path for node in told] == ["limit", "temperature", "over", "fire", "write", "zratio"]
    assert told[-1].why == "'zratio' (divide@0.2.0) failed: division by zero"
    assert told[-1].inputs == {"a": 40.0, "b": 0.0}
    assert told[-1].outputs == {}


def test_a_source_that_keeps_its_output_is_found_out_by_its_consumer() -> None:
    root = cluster("r", {"c": "custom@0.1.0", "n": "negate@0.1.0"}, ["c.value -> n.value"])
    with pytest.raises(RuleError) as caught:
        run(root, inventory=source({}))
    assert (caught.value.rule, caught.value.path) == ("CMP-11", "$.nodes.n0.outputs.value")
    assert "'c'" in caught.value.message


def test_an_output_of_the_graph_that_no_one_gave() -> None:
    root = cluster("r", {"c": "custom@0.1.0"}, outputs={"v": "c.value"})
    with pytest.raises(RuleError) as caught:
        run(root, inventory=source({}))
    assert (caught.value.rule, caught.value.path) == ("CMP-11", "$.nodes.n0.outputs.value")


def test_an_output_that_no_one_needs_may_be_missing() -> None:
    assert run(cluster("r", {"c": "custom@0.1.0"}), inventory=source({})).outputs == {}


def test_an_item_that_does_not_belong_in_a_series_is_shown() -> None:
    manifest = SourceManifest("custom", "0.1.0", (OutputSpec("value", ValueType.SERIES),))
    primitive = Primitive(manifest, lambda params, context: {"value": [1.0, "two", 3]})
    with pytest.raises(RuleError) as caught:
        run(cluster("r", {"c": "custom@0.1.0"}), inventory=build_inventory([primitive]))
    assert caught.value.rule == "V.4"
    assert caught.value.message.endswith("must be Number, got 'two'")


def test_a_trigger_must_give_an_event() -> None:
    manifest = TriggerManifest(
        "odd", "0.1.0", (InputSpec("input", ValueType.BOOL),), (OutputSpec("event", ValueType.EVENT),)
    )

    def undecided(inputs: object, params: object) -> dict[str, TriggerEvent]:
        return {"event": True}  # pyright: ignore[reportReturnType]

    nodes: dict[str, NodeShort] = {"yes": ("const_bool@0.1.0", {"value": True}), "t": "odd@0.1.0"}
    with pytest.raises(RuleError) as caught:
        run(cluster("r", nodes, ["yes.value -> t.input"]), inventory=build_inventory([Primitive(manifest, undecided)]))
    assert caught.value.rule == "V.4"
    assert "TriggerEvent" in caught.value.message


def test_effects_follow_the_string_order_of_runtime_ids() -> None:
    nodes: dict[str, NodeShort] = {f"s{n:02}": ("context_set_bool@0.1.0", {"key": f"k{n}"}) for n in range(11)}
    nodes |= {"yes": ("const_bool@0.1.0", {"value": True}), "zfire": "emit_if_true@0.1.0"}
    edges = [edge for n in range(11) for edge in (f"zfire.event -> s{n:02}.event", f"yes.value -> s{n:02}.value")]
    report = run(cluster("r", nodes, ["yes.value -> zfire.input", *edges]))
    keys = [effect.writes[0].key for effect in report.effects]
    assert keys == ["k0", "k1", "k10", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"]
