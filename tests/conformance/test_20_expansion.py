"""Spec 20, C-24 … C-38: expansion of clusters into a flat graph."""

from __future__ import annotations

import pytest
from graph_shorthand import ONCE, NodeShort, assets, cluster, expanded, parameter, run, validated

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog, Metadata, standard_inventory
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.expand.instances import derive_key
from ergo_cli.programs.graph.model import (
    ClusterDefinition,
    ClusterParameter,
    DeriveKey,
    Exposed,
    ExternalInput,
    InputPort,
    NodePort,
    OutputPort,
    PortRef,
)
from ergo_cli.programs.graph.primitives.primitive import Family, OutputSpec, ParameterType

NUMBER, STRING = ParameterType.NUMBER, ParameterType.STRING

NEGATE = cluster(
    "negated",
    {"minus": "negate@0.1.0"},
    ["$x -> minus.value"],
    inputs={"x": ValueType.NUMBER},
    outputs={"y": "minus.result"},
)
"""A cluster around one compute."""


def constant(*, value: float | Exposed = 1.0, **parameters: ClusterParameter) -> ClusterDefinition:
    """A cluster that gives one number."""
    return cluster(
        "constant",
        {"k": ("number_source@0.1.0", {"value": value})},
        parameters=tuple(parameters.values()),
        outputs={"v": "k.value"},
    )


def refused(root: ClusterDefinition, *clusters: ClusterDefinition) -> RuleError:
    """The error that expanding the root ends with."""
    with pytest.raises(RuleError) as caught:
        expanded(root, *clusters)
    assert caught.value.phase == "composition"
    return caught.value


def refused_at_validation(root: ClusterDefinition, *clusters: ClusterDefinition) -> RuleError:
    """The error of a root that expands, but does not validate."""
    expanded(root, *clusters)
    with pytest.raises(RuleError) as caught:
        validated(root, *clusters)
    return caught.value


def test_c20_24_one_primitive_becomes_one_node() -> None:
    graph = expanded(constant())
    assert list(graph.nodes) == ["n0"]
    assert graph.nodes["n0"].authoring_path == (("constant", "k"),)
    assert graph.nodes["n0"].path == "k"


def test_c20_25_nested_input_is_rewired() -> None:
    root = cluster(
        "r",
        {"a": ("number_source@0.1.0", {"value": 7.0}), "c": "cluster:negated@1.0.0"},
        ["a.value -> c.x"],
        outputs={"p": "c.y"},
    )
    graph = expanded(root, NEGATE)
    (edge,) = graph.edges
    assert (edge.source, edge.target) == (NodePort("n0", "value"), NodePort("n1", "value"))
    assert graph.nodes["n1"].authoring_path == (("r", "c"), ("negated", "minus"))
    assert graph.boundary_outputs[0].source == NodePort("n1", "result")


def test_c20_25_pass_through_inputs_fan_out_at_any_depth() -> None:
    middle = cluster(
        "middle",
        {"left": "cluster:negated@1.0.0", "right": "cluster:negated@1.0.0"},
        ["$x -> left.x", "$x -> right.x"],
        inputs={"x": ValueType.NUMBER},
    )
    root = cluster("r", {"a": "number_source@0.1.0", "m": "cluster:middle@1.0.0"}, ["a.value -> m.x"])
    graph = expanded(root, middle, NEGATE)
    assert [edge.source for edge in graph.edges] == [NodePort("n0", "value")] * 2
    assert [edge.target for edge in graph.edges] == [NodePort("n1", "value"), NodePort("n2", "value")]


def test_c20_26_ids_do_not_depend_on_the_order_of_the_map() -> None:
    nodes: dict[str, NodeShort] = {"b": "number_source@0.1.0", "a": "cluster:pair@1.0.0", "c": "negate@0.1.0"}
    pair = cluster("pair", {"y": "number_source@0.1.0", "x": "number_source@0.1.0"}, outputs={"v": "y.value"})
    edges = ["a.v -> c.value"]
    one = expanded(cluster("r", nodes, edges), pair)
    other = expanded(cluster("r", dict(reversed(nodes.items())), edges), pair)
    assert one == other
    assert [node.path for node in one.nodes.values()] == ["a/x", "a/y", "b", "c"]
    assert one.edges[0].source == NodePort("n1", "value")


def test_c20_27_edge_to_a_missing_node() -> None:
    error = refused(cluster("r", {"a": "number_source@0.1.0"}, ["a.value -> ghost.x"]))
    assert (error.rule, error.path) == ("E.3", "$.edges")
    assert "'ghost'" in error.message


@pytest.mark.parametrize(
    ("rule", "path", "broken"),
    [
        (
            "D.5",
            "$.input_ports",
            {"inputs": [InputPort("x", ValueType.NUMBER), InputPort("x", ValueType.BOOL)]},
        ),
        (
            "D.6",
            "$.output_ports",
            {"outputs": [OutputPort("o", PortRef("k", "value")), OutputPort("o", PortRef("k", "value"))]},
        ),
        ("D.9", "$.parameters", {"parameters": [parameter("p", NUMBER, 1.0), parameter("p", NUMBER, 1.0)]}),
        ("D.8", "$.parameters", {"parameters": [parameter("p", NUMBER, "one")]}),
        ("D.8", "$.parameters", {"parameters": [parameter("p", NUMBER, 1)]}),
        ("D.8", "$.parameters", {"parameters": [parameter("p", NUMBER, DeriveKey("slot"))]}),
        ("D.8", "$.parameters", {"parameters": [parameter("p", STRING, DeriveKey(""))]}),
    ],
)
def test_c20_28_broken_definitions(rule: str, path: str, broken: dict[str, object]) -> None:
    definition = cluster("r", {"k": "number_source@0.1.0"}, **broken)  # pyright: ignore[reportArgumentType]
    error = refused(definition)
    assert (error.rule, error.path) == (rule, path)
    nested = refused(cluster("outer", {"c": "cluster:r@1.0.0"}), definition)
    assert (nested.rule, nested.path) == (rule, path)
    assert "cluster r@1.0.0" in nested.message


def test_c20_28_derived_key_is_a_string_default() -> None:
    definition = cluster("r", {"k": "number_source@0.1.0"}, parameters=[parameter("p", STRING, DeriveKey("slot"))])
    assert len(expanded(definition).nodes) == 1


def test_c20_28_all_broken_definitions_are_told_at_once() -> None:
    broken = cluster(
        "r",
        {"k": ("number_source@0.1.0", {"valeu": 1.0})},
        inputs=[InputPort("x", ValueType.NUMBER), InputPort("x", ValueType.BOOL)],
        parameters=[parameter("p", NUMBER, "one")],
    )
    error = refused(broken)
    assert [error.rule, *(cause.rule for cause in error.causes)] == ["D.5", "D.8", "I.7"]


def instance_of(nested: ClusterDefinition, **bound: bool | int | float | str | Exposed) -> ClusterDefinition:
    return cluster("r", {"c": (f"cluster:{nested.id}@1.0.0", bound)}, parameters=[parameter("text", STRING, "t")])


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        ("I.3", {}),
        ("I.4", {"p": "text"}),
        ("I.4", {"p": 3}),
        ("I.4", {"p": Exposed("text")}),
        ("I.5", {"p": Exposed("nothing")}),
        ("I.7", {"p": 1.0, "q": 1.0}),
    ],
)
def test_c20_29_cluster_bindings(rule: str, bound: dict[str, float]) -> None:
    nested = constant(value=Exposed("p"), p=parameter("p", NUMBER, required=True))
    error = refused(instance_of(nested, **bound), nested)
    assert (error.rule, error.path, error.authoring_path) == (rule, "$.nodes", ("r/c",))


@pytest.mark.parametrize(
    ("rule", "node"),
    [
        ("I.7", ("number_source@0.1.0", {"valeu": 1.0})),
        ("I.7", ("negate@0.1.0", {"value": 1.0})),
        ("I.3", "const_number@0.1.0"),
        ("I.4", ("number_source@0.1.0", {"value": "abc"})),
        ("I.4", ("string_source@0.1.0", {"value": 1.0})),
        ("I.4", ("string_source@0.1.0", {"value": 1})),
        ("I.4", ("const_bool@0.1.0", {"value": 1})),
    ],
)
def test_c20_29_primitive_bindings(rule: str, node: NodeShort) -> None:
    error = refused(cluster("r", {"k": node}))
    assert (error.rule, error.path, error.node) == (rule, "$.nodes", "k")
    assert error.fix


def test_c20_29_smallest_undeclared_name_comes_first() -> None:
    error = refused(cluster("r", {"k": ("number_source@0.1.0", {"zeta": 1.0, "alpha": 1.0})}))
    assert "'alpha'" in error.message
    assert "'zeta'" in error.causes[0].message


def test_c20_30_exposed_values_reach_the_leaf() -> None:
    leaf = constant(value=Exposed("p"), p=parameter("p", NUMBER, required=True))
    middle = cluster(
        "middle",
        {"c": ("cluster:constant@1.0.0", {"p": Exposed("q")})},
        parameters=[parameter("q", NUMBER)],
        outputs={"v": "c.v"},
    )
    root = cluster("r", {"m": ("cluster:middle@1.0.0", {"q": 4.5})}, outputs={"v": "m.v"})
    assert run(root, middle, leaf).outputs == {"v": 4.5}
    unbound = refused(cluster("r", {"m": "cluster:middle@1.0.0"}), middle, leaf)
    assert unbound.rule == "I.3"


def test_c20_30_root_has_no_values_to_expose() -> None:
    root = constant(value=Exposed("p"), p=parameter("p", NUMBER, 2.0))
    assert refused(root).rule == "I.3"


def test_c20_31_defaults_and_overrides() -> None:
    nested = constant(value=Exposed("p"), p=parameter("p", NUMBER, 2.5))
    assert expanded(instance_of(nested), nested).nodes["n0"].parameters["value"].value == 2.5
    assert expanded(instance_of(nested, p=3.5), nested).nodes["n0"].parameters["value"].value == 3.5
    primitive = expanded(cluster("r", {"k": "number_source@0.1.0"}))
    assert primitive.nodes["n0"].parameters["value"].value == 0.0


def test_c20_32_outputs_that_map_to_nothing() -> None:
    root = refused(cluster("r", {"k": "number_source@0.1.0"}, outputs={"o": "ghost.v"}))
    assert (root.rule, root.path) == ("D.4", "$.output_ports")
    nested = cluster("nested", {"k": "number_source@0.1.0"}, outputs={"o": "ghost.v"})
    inner = refused(cluster("r", {"c": "cluster:nested@1.0.0"}), nested)
    assert (inner.rule, inner.path) == ("D.4", "$.nodes")
    assert "'c'" in inner.message


def test_c20_32_no_nodes() -> None:
    error = refused(cluster("r", {}))
    assert (error.rule, error.path) == ("D.1", "$.nodes")


def test_c20_33_missing_cluster() -> None:
    error = refused(cluster("r", {"c": "cluster:nowhere@1.0.0"}))
    assert (error.rule, error.path) == ("E.9", "$.nodes")
    assert "nowhere@1.0.0" in error.message


def test_c20_33_cluster_inside_itself() -> None:
    one = cluster("one", {"c": "cluster:two@1.0.0"})
    two = cluster("two", {"c": "cluster:one@1.0.0"})
    error = refused(one, two)
    assert error.rule == "E.9"
    assert "circular" in error.message


def test_c20_33_clusters_that_double_at_every_level() -> None:
    levels = [cluster(f"l{n}", {"a": f"cluster:l{n + 1}@1.0.0", "b": f"cluster:l{n + 1}@1.0.0"}) for n in range(40)]
    error = refused(*levels, cluster("l40", {f"s{n:04}": "number_source@0.1.0" for n in range(2000)}))
    assert "more than 100000 primitives" in error.message


def versions(*available: str) -> Catalog:
    return Catalog(
        Metadata("prim", version, Family.SOURCE, outputs=(OutputSpec("v", ValueType.NUMBER),)) for version in available
    )


def test_c20_34_highest_version_that_satisfies() -> None:
    root = assets(cluster("r", {"a": "prim@^1.0"}))
    node = expand(root, versions("1.0.0", "1.2.0", "1.3.0", "2.0.0")).nodes["n0"]
    assert (node.version, node.requested_version) == ("1.3.0", "^1.0")


@pytest.mark.parametrize(
    ("selector", "available"),
    [
        ("latest", ["1.0.0"]),
        ("^2", ["1.0.0"]),
        ("1.0.1", ["1.0.0"]),
        ("^1", ["one"]),
        ("1.0.0", ["1.0.0", "v1"]),
        ("^1", []),
    ],
)
def test_c20_34_selectors_that_fail(selector: str, available: list[str]) -> None:
    with pytest.raises(RuleError) as caught:
        expand(assets(cluster("r", {"a": f"prim@{selector}"})), versions(*available))
    assert (caught.value.rule, caught.value.path) == ("I.6", "$.nodes")


def test_c20_34_unsatisfied_cluster_lists_what_there_is() -> None:
    scale = [cluster("scale", {"k": "number_source@0.1.0"}, version=version) for version in ("1.10.0", "1.9.0")]
    error = refused(cluster("r", {"c": "cluster:scale@>=2.0, <3"}), *scale)
    assert error.rule == "I.6"
    assert "1.9.0, 1.10.0" in error.message
    assert "<none>" in refused(cluster("r", {"c": "cluster:scale@^1"})).message


def test_c20_35_derive_key() -> None:
    path = [("plant", "hot"), ("guarded_alarm", "first_only")]
    key = "__ergo/5:plant/3:hot/13:guarded_alarm/10:first_only/9:has_fired"
    assert derive_key(path, "has_fired") == key
    assert derive_key([], "slot") == "__ergo/4:slot"
    assert derive_key([("größe", "n")], "s") == "__ergo/7:größe/1:n/1:s"
    keys = {
        derive_key([("a/b", "c")], "s"),
        derive_key([("a", "b/c")], "s"),
        derive_key([("a#b", "c")], "s"),
        derive_key([("a", "b#c")], "s"),
        derive_key([("ab", "cd")], "s"),
        derive_key([("a", "bcd")], "s"),
        derive_key([("ab", "cd")], "t"),
    }
    assert len(keys) == 7


def test_c20_36_instances_have_keys_of_their_own() -> None:
    root = cluster(
        "demo",
        {
            "armed": ("const_bool@0.1.0", {"value": True}),
            "ping": "emit_if_true@0.1.0",
            "first": "cluster:once@1.0.0",
            "second": "cluster:once@1.0.0",
            "third": ("cluster:once@1.0.0", {"state_key": "shared"}),
        },
        [
            "armed.value -> ping.input",
            "ping.event -> first.incoming",
            "ping.event -> second.incoming",
            "ping.event -> third.incoming",
        ],
    )
    keys = {
        node.path: node.parameters["key"].value
        for node in expanded(root, ONCE).nodes.values()
        if "key" in node.parameters
    }
    assert keys["first/fired"] == keys["first/remember"] == "__ergo/4:demo/5:first/9:has_fired"
    assert keys["second/fired"] == keys["second/remember"] == "__ergo/4:demo/6:second/9:has_fired"
    assert keys["third/fired"] == keys["third/remember"] == "shared"


def test_c20_37_names_do_not_leak_out_of_clusters() -> None:
    nested = cluster(
        "c1", {"a": "negate@0.1.0"}, ["$x -> a.value"], inputs={"x": ValueType.NUMBER}, outputs={"y": "a.result"}
    )
    root = cluster(
        "r",
        {"a": ("number_source@0.1.0", {"value": 7.0}), "c": "cluster:c1@1.0.0"},
        ["a.value -> c.x"],
        outputs={"p": "a.value", "q": "c.y"},
    )
    assert run(root, nested).outputs == {"p": 7.0, "q": -7.0}


def test_c20_37_nested_node_named_as_its_instance() -> None:
    nested = cluster(
        "c1", {"c": "negate@0.1.0"}, ["$x -> c.value"], inputs={"x": ValueType.NUMBER}, outputs={"y": "c.result"}
    )
    root = cluster(
        "r",
        {"a": ("number_source@0.1.0", {"value": 7.0}), "c": "cluster:c1@1.0.0"},
        ["a.value -> c.x"],
        outputs={"q": "c.y"},
    )
    assert run(root, nested).outputs == {"q": -7.0}


UNUSED = cluster("unused", {"k": "number_source@0.1.0"}, inputs={"x": ValueType.NUMBER}, outputs={"y": "k.value"})


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        (["a.value -> u.x"], "input 'x' of 'u' (cluster unused) is wired, but nothing inside uses it"),
        (["a.value -> c.x", "a.value -> c.x"], "input 'x' of 'c' (cluster negated) is wired twice"),
        (["a.value -> c.z"], "'c' (cluster negated) has no input 'z'; its inputs are x"),
    ],
)
def test_c20_38_wires_that_lead_nowhere(edges: list[str], words: str) -> None:
    nodes = {"a": "number_source@0.1.0", "c": "cluster:negated@1.0.0", "u": "cluster:unused@1.0.0"}
    error = refused(cluster("r", nodes, edges), NEGATE, UNUSED)
    assert (error.rule, error.path, error.message) == ("E.3", "$.edges", words)


def test_c20_38_input_of_a_cluster_not_wired() -> None:
    error = refused_at_validation(cluster("r", {"c": "cluster:negated@1.0.0"}), NEGATE)
    assert (error.rule, error.path) == ("E.3", "$.edges")
    assert error.message == "input 'x' of 'c' (cluster negated) is not wired"


def test_c20_38_input_of_the_root() -> None:
    error = refused_at_validation(NEGATE)
    assert error.rule == "E.3"
    assert "$x" in error.message
    (edge,) = expanded(NEGATE).edges
    assert isinstance(edge.source, ExternalInput)
    assert edge.source.name == "negated/x"


def test_c20_38_output_that_a_cluster_does_not_have() -> None:
    root = cluster("r", {"c": "cluster:unused@1.0.0", "n": "negate@0.1.0"}, ["c.nope -> n.value"])
    error = refused_at_validation(root, UNUSED)
    assert error.rule == "E.3"
    assert error.message == "'c' (cluster unused) has no output 'nope'; its outputs are y"


def test_c20_38_unknown_primitive_expands() -> None:
    root = cluster("r", {"a": ("nope@0.1.0", {"p": 1.0})})
    assert expanded(root).nodes["n0"].parameters["p"].value == 1.0
    assert standard_inventory().catalog.get("nope", "0.1.0") is None
    assert refused(cluster("r", {"a": "nope@^0.1"})).rule == "I.6"
    assert refused(cluster("r", {"a": "divide@0.1.0"})).rule == "I.6"
