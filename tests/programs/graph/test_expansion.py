from __future__ import annotations

import pytest
from graph_shorthand import assets, cluster, expanded, parameter
from msgspec.structs import replace

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.expand.expansion import DEPTH_LIMIT, expand
from ergo_cli.programs.graph.expand.instances import SelectorError, resolve_version
from ergo_cli.programs.graph.model import ClusterDefinition, Exposed, GraphAssets, NodePort
from ergo_cli.programs.graph.primitives.primitive import ParameterType

CATALOG = standard_inventory().catalog

NEGATED = cluster(
    "negated",
    {"minus": "negate@0.1.0"},
    ["$x -> minus.value"],
    inputs={"x": ValueType.NUMBER},
    outputs={"y": "minus.result"},
)


def refused(graph: GraphAssets) -> RuleError:
    with pytest.raises(RuleError) as caught:
        expand(graph, CATALOG)
    return caught.value


def chain(depth: int) -> list[ClusterDefinition]:
    """Clusters inside each other, with one primitive in the innermost."""
    levels = [cluster(f"l{n}", {"c": f"cluster:l{n + 1}@1.0.0"}) for n in range(depth - 1)]
    return [*levels, cluster(f"l{depth - 1}", {"k": "number_source@0.1.0"})]


def test_nested_edges_come_before_own_edges() -> None:
    root = cluster(
        "r",
        {"a": "number_source@0.1.0", "b": "negate@0.1.0", "z": "cluster:twice@1.0.0"},
        ["a.value -> b.value", "b.result -> z.x"],
    )
    twice = cluster(
        "twice",
        {"one": "negate@0.1.0", "two": "negate@0.1.0"},
        ["one.result -> two.value", "$x -> one.value"],
        inputs={"x": ValueType.NUMBER},
    )
    edges = [(edge.source, edge.target) for edge in expanded(root, twice).edges]
    assert edges == [
        (NodePort("n2", "result"), NodePort("n3", "value")),
        (NodePort("n1", "result"), NodePort("n2", "value")),
        (NodePort("n0", "value"), NodePort("n1", "value")),
    ]


def test_an_error_of_a_node_stands_at_its_place_in_the_text() -> None:
    root = cluster("r", {"k": "const_number@0.1.0"})
    error = refused(GraphAssets(root, {}, places={root.key: {"nodes.k": "r.yaml:5:3"}}))
    assert error.where == "r.yaml:5:3 nodes.k"


def test_an_error_of_a_cluster_names_its_file_where_no_place_is_known() -> None:
    root, nested = cluster("r", {"c": "cluster:n@1.0.0"}), cluster("n", {})
    error = refused(GraphAssets(root, {nested.key: nested}, labels={nested.key: "clusters/n.yaml"}))
    assert error.where == "clusters/n.yaml $.nodes"
    assert error.authoring_path == ("r/c",)


def test_an_edge_into_a_cluster_is_placed_where_the_outer_part_is_written() -> None:
    root = cluster("r", {"a": "number_source@0.1.0", "c": "cluster:negated@1.0.0"}, ["a.value -> c.x"])
    places = {root.key: {"edges[0]": "r.yaml:9:5"}, NEGATED.key: {"edges[0]": "negated.yaml:6:5"}}
    graph = expand(replace(assets(root, NEGATED), places=places), CATALOG)
    assert [edge.place for edge in graph.edges] == ["r.yaml:9:5 edges[0]"]


def test_faults_of_all_nodes_are_collected() -> None:
    root = cluster(
        "r",
        {
            "a": "const_number@0.1.0",
            "b": "cluster:nowhere@1.0.0",
            "c": ("cluster:limited@1.0.0", {"limit": "high", "more": 1}),
            "d": "nope@^1",
        },
    )
    limited = cluster("limited", {"k": "number_source@0.1.0"}, parameters=[parameter("limit", ParameterType.NUMBER)])
    error = refused(assets(root, limited))
    assert [error.rule, *(cause.rule for cause in error.causes)] == ["I.3", "E.9", "I.7", "I.4", "I.6"]


def test_an_integer_for_a_number_says_how_to_mend_it() -> None:
    limited = cluster("limited", {"k": "number_source@0.1.0"}, parameters=[parameter("limit", ParameterType.NUMBER)])
    error = refused(assets(cluster("r", {"c": ("cluster:limited@1.0.0", {"limit": 3})}), limited))
    assert error.fix == "write the number with a decimal point, for instance 3.0"


def test_depth_is_limited() -> None:
    assert len(expanded(*chain(DEPTH_LIMIT)).nodes) == 1
    error = refused(assets(*chain(DEPTH_LIMIT + 1)))
    assert error.rule == "E.9"
    assert "127 levels" in error.message


def test_a_diamond_is_no_circle() -> None:
    root = cluster("r", {"a": "cluster:left@1.0.0", "b": "cluster:right@1.0.0"})
    left, right = (cluster(name, {"s": "cluster:shared@1.0.0"}) for name in ("left", "right"))
    shared = cluster("shared", {"k": "number_source@0.1.0"})
    paths = [node.path for node in expanded(root, left, right, shared).nodes.values()]
    assert paths == ["a/s/k", "b/s/k"]


@pytest.mark.parametrize(
    ("selector", "available", "resolved"),
    [
        ("1.2.3", [], "1.2.3"),
        ("1.2.3", ["1.2.4", "1.2.3"], "1.2.3"),
        ("^1", ["1.9.0", "1.10.0", "2.0.0"], "1.10.0"),
        ("*", ["0.1.0", "0.2.0-rc.1"], "0.1.0"),
        (">=0.2.0-alpha", ["0.1.0", "0.2.0-rc.1"], "0.2.0-rc.1"),
    ],
)
def test_versions_resolve(selector: str, available: list[str], resolved: str) -> None:
    assert resolve_version(selector, available) == resolved


@pytest.mark.parametrize(("selector", "available"), [("1.2.3", ["1.2.3+build"]), ("^1", ["0.9.0"]), ("v1", ["1.0.0"])])
def test_versions_that_do_not_resolve(selector: str, available: list[str]) -> None:
    with pytest.raises(SelectorError):
        resolve_version(selector, available)


def test_a_wrong_binding_is_not_told_again_from_inside() -> None:
    limited = cluster(
        "limited",
        {"k": ("number_source@0.1.0", {"value": Exposed("limit")})},
        parameters=[parameter("limit", ParameterType.NUMBER)],
    )
    error = refused(assets(cluster("r", {"c": ("cluster:limited@1.0.0", {"limit": "high"})}), limited))
    assert (error.rule, error.causes) == ("I.4", ())
