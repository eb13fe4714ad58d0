from __future__ import annotations

from collections.abc import Mapping

from graph_shorthand import NodeShort, cluster, expanded
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.model import ExpandedGraph
from ergo_cli.programs.graph.run.provenance import canonical_fingerprint_text, runtime_provenance

CATALOG = standard_inventory().catalog


def graph(left: NodeShort = "number_source@0.1.0") -> ExpandedGraph:
    nodes: Mapping[str, NodeShort] = {"left": left, "right": "number_source@0.1.0", "sum": "add@0.1.0"}
    return expanded(cluster("g", nodes, ["left.value -> sum.a", "right.value -> sum.b"], outputs={"v": "sum.result"}))


def fingerprint(expanded_graph: ExpandedGraph, graph_id: str = "g") -> str:
    return runtime_provenance(graph_id, expanded_graph, CATALOG)


def test_what_is_covered() -> None:
    reference = fingerprint(graph())
    assert fingerprint(graph(), "other") != reference
    assert fingerprint(graph("number_source@^0.1")) != reference
    assert fingerprint(graph(("number_source@0.1.0", {"value": 1.0}))) != reference
    assert fingerprint(graph(("number_source@0.1.0", {"value": 0}))) != reference
    assert fingerprint(replace(graph(), edges=graph().edges[:1])) != reference


def test_what_is_not_covered() -> None:
    reference = fingerprint(graph())
    assert fingerprint(graph(("number_source@0.1.0", {"value": 0.0}))) == reference
    assert fingerprint(replace(graph(), boundary_outputs=())) == reference
    moved = {key: replace(node, authoring_path=(("x", "y"),), place="a:1:1") for key, node in graph().nodes.items()}
    assert fingerprint(replace(graph(), nodes=moved)) == reference


@given(st.permutations(range(3)), st.permutations(range(2)))
def test_the_order_of_parts_does_not_matter(nodes: list[int], edges: list[int]) -> None:
    parts = graph()
    shuffled = ExpandedGraph(
        parts.graph_id,
        {key: parts.nodes[key] for key in (f"n{index}" for index in nodes)},
        tuple(parts.edges[index] for index in edges),
    )
    assert fingerprint(shuffled) == fingerprint(parts)


def test_texts_keep_their_characters() -> None:
    strange = 'ü"\\\n\x1f/\x7f'
    text = canonical_fingerprint_text("g", graph(("string_source@0.1.0", {"value": strange})), CATALOG)
    assert '"value":"ü\\"\\\\\\n\\u001f/\x7f"'.encode() in text
