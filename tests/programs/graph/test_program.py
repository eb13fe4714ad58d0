from __future__ import annotations

import pytest
from graph_shorthand import NodeShort, assets, cluster

from ergo_cli.core.values import ContextNeed, EffectSpecs, IntentFieldSpec, IntentSpec, MirrorWrite, ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import build_inventory, standard_inventory
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    InputSpec,
    OutputSpec,
    Primitive,
    SourceManifest,
)
from ergo_cli.programs.graph.program import SCHEDULE, GraphProgram

NOTIFY = EffectSpecs(intents=(IntentSpec("notify", (IntentFieldSpec("qty", ValueType.NUMBER, from_input="qty"),)),))
MIRRORED = EffectSpecs(
    intents=(
        IntentSpec(
            "order",
            (IntentFieldSpec("qty", ValueType.NUMBER, from_input="qty"),),
            (MirrorWrite("last_qty", ValueType.NUMBER, "qty"),),
        ),
    )
)


def action(impl_id: str, effects: EffectSpecs) -> Primitive[ActionManifest, object]:
    inputs = (InputSpec("event", ValueType.EVENT), InputSpec("qty", ValueType.NUMBER))
    manifest = ActionManifest(impl_id, "0.1.0", inputs, (OutputSpec("outcome", ValueType.EVENT),), effects=effects)
    return Primitive(manifest, lambda inputs, params: {"outcome": ActionOutcome.COMPLETED})


def feed() -> Primitive[SourceManifest, object]:
    needs = (ContextNeed("price", ValueType.NUMBER, required=True),)
    manifest = SourceManifest("feed", "0.1.0", (OutputSpec("value", ValueType.NUMBER),), requires=needs)
    return Primitive(manifest, lambda params, context: {"value": 1.0})


INVENTORY = build_inventory([feed(), action("tell", NOTIFY), action("order", MIRRORED)])


def program(*actions: NodeShort) -> GraphProgram:
    """Ten idle nodes, a gate, the feed, and these actions fed by it."""
    nodes: dict[str, NodeShort] = {f"a{n}": "number_source@0.1.0" for n in range(10)}
    nodes |= {"feed": "feed@0.1.0", "yes": ("const_bool@0.1.0", {"value": True}), "fire": "emit_if_true@0.1.0"}
    nodes |= {f"z{index}": node for index, node in enumerate(actions)}
    edges = ["yes.value -> fire.input"]
    for index, node in enumerate(actions):
        edges.append(f"fire.event -> z{index}.event")
        if node != "ack_action@0.1.0":
            edges.append(f"feed.value -> z{index}.qty")
    return GraphProgram.load(assets(cluster("r", nodes, edges, version="2.1.0")), INVENTORY)


def test_identity() -> None:
    loaded = program("ack_action@0.1.0")
    assert (loaded.graph_id, loaded.version, loaded.ref) == ("r", "2.1.0", "r@2.1.0")
    assert loaded.provenance.startswith("rpv1:sha256:")
    assert loaded.expanded.graph_id == loaded.validated.graph_id == "r"


@pytest.mark.parametrize(
    ("actions", "kinds"),
    [
        (["ack_action@0.1.0"], set[str]()),
        (["tell@0.1.0"], {"notify"}),
        (["order@0.1.0"], {"order", "set_context"}),
        (["tell@0.1.0", "order@0.1.0"], {"notify", "order", "set_context"}),
    ],
)
def test_emittable_kinds(actions: list[str], kinds: set[str]) -> None:
    assert program(*actions).emittable_kinds == kinds


def test_what_makes_a_program_need_an_adapter() -> None:
    loaded = program("ack_action@0.1.0", "tell@0.1.0", "order@0.1.0")
    assert loaded.required_context_nodes == ("n10",)
    assert loaded.write_nodes == ("n14", "n15")


def test_declarations_come_by_runtime_id() -> None:
    loaded = program("tell@0.1.0", "order@0.1.0")
    sources = [source.node_id for source in loaded.declared_sources()]
    assert sources == ["n0", "n1", "n10", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"]
    feeding = next(source for source in loaded.declared_sources() if source.path == "feed")
    assert feeding.needs == (ContextNeed("price", ValueType.NUMBER, required=True),)
    assert [(each.node_id, each.path, each.effects) for each in loaded.declared_actions()] == [
        ("n13", "z0", NOTIFY),
        ("n14", "z1", MIRRORED),
    ]
    assert next(iter(loaded.declared_sources())).parameters == {"value": 0.0}


def test_a_graph_that_breaks_rules_is_refused_with_all_of_them() -> None:
    broken = cluster("r", {"a": "negate@0.1.0", "b": "nope@0.1.0"})
    with pytest.raises(RuleError) as caught:
        GraphProgram.load(assets(broken), standard_inventory())
    assert [caught.value.rule, *(cause.rule for cause in caught.value.causes)] == ["V.8", "V.3"]


def test_the_schedule_has_no_nodes() -> None:
    assert SCHEDULE.expanded.nodes == {}
    assert SCHEDULE.emittable_kinds == frozenset()
    assert SCHEDULE.required_context_nodes == SCHEDULE.write_nodes == ()
