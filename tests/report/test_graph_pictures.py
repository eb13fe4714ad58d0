from __future__ import annotations

import re

import pytest

from ergo_cli.core.values import ValueType
from ergo_cli.errors import ProgramError
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.files.discovery import InMemorySource, load_in_memory_graph_sources
from ergo_cli.programs.graph.model import ClusterDefinition
from ergo_cli.report.graph_pictures import Shown, graph_to_dot, graph_to_mermaid, outline
from ergo_cli.report.layout import plain_lines
from ergo_cli.tools.pictures import expand_for_picture
from tests.graph_shorthand import cluster, expanded

CATALOG = standard_inventory().catalog
HOSTILE = 'a"];b-->c<script>`%#\\|é'


def hostile() -> ClusterDefinition:
    return cluster(HOSTILE, {HOSTILE: "abs@0.1.0"}, [f"$x -> {HOSTILE}.value"], inputs={"x": ValueType.NUMBER})


def text_of(definition: ClusterDefinition, *clusters: ClusterDefinition, shown: Shown = Shown()) -> list[str]:
    return list(plain_lines(outline(expanded(definition, *clusters), CATALOG, shown)))


INNER = cluster(
    "inner",
    {"big": "gt@0.1.0"},
    ["$a -> big.a", "$a -> big.b"],
    inputs={"a": ValueType.NUMBER},
    outputs={"r": "big.result"},
)
OUTER = cluster(
    "outer",
    {"feed": ("number_source@0.1.0", {"value": 1.0}), "part": "cluster:inner@1.0.0", "fire": "emit_if_true@0.1.0"},
    ["feed.value -> part.a", "part.r -> fire.input"],
    outputs={"event": "fire.event"},
)


def test_the_outline_is_indented_by_cluster() -> None:
    assert text_of(OUTER, INNER) == [
        "graph outer: 3 primitives, 3 edges",
        "node   family   fed by",
        "feed   source",
        "fire   trigger  part/big",
        "part   cluster",
        "  big  compute  feed, feed",
        "",
        "output  taken from",
        "event   fire.event",
    ]


def test_the_outline_shows_what_is_asked_for() -> None:
    lines = text_of(OUTER, INNER, shown=Shown(ports=True, impl=True, runtime_id=True))
    assert lines[1].split() == ["node", "family", "runtime", "impl", "fed", "by"]
    assert lines[5] == "  big  compute  n2       gt@0.1.0             a ← feed.value, b ← feed.value"


def test_dot_escapes_quotes_and_backslashes() -> None:
    text = graph_to_dot(expanded(hostile()), CATALOG)
    escaped = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    assert f'digraph "{escaped}" {{' in text
    assert f'  "n0" [label="{escaped}", shape=ellipse' in text
    for line in text.splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0


def test_mermaid_lets_nothing_of_a_name_act() -> None:
    text = graph_to_mermaid(expanded(hostile()), CATALOG, Shown(ports=True, impl=True))
    labels = re.findall(r'"([^"]*)"', text)
    assert labels
    for label in labels:
        assert re.fullmatch(r"(?:[\w ./:@→-]|#\d+;|<br/>)*", label)
    outside = re.sub(r'"[^"]*"', "", text)
    assert "script" not in outside
    assert "%%" not in text


def test_a_primitive_that_nobody_offers_is_drawn_as_a_compute() -> None:
    graph = expanded(cluster("g", {"mine": "mystery@1.0.0"}))
    assert '"n0" [label="mine", shape=ellipse, style=filled, fillcolor="#f2f2f2", color="#777777"]' in graph_to_dot(
        graph, CATALOG
    )
    assert 'n0(["mine"])' in graph_to_mermaid(graph, CATALOG)
    assert "mine  unknown" in list(plain_lines(outline(graph, CATALOG)))[2]


def test_a_graph_in_memory_that_lacks_a_version_lists_its_sources() -> None:
    root = "kind: cluster\nid: root\nversion: 1.0.0\nnodes:\n  a: {cluster: 'part@^2.0'}\nedges: []\n"
    part = "kind: cluster\nid: part\nversion: {}\nnodes:\n  x: {{impl: const_number@0.1.0}}\nedges: []\n"
    found = load_in_memory_graph_sources(
        "root.yaml",
        [
            InMemorySource("root.yaml", "the root", root),
            InMemorySource("one/part.yaml", "part one", part.format("1.0.0")),
            InMemorySource("two/part.yaml", "part two", part.format("1.5.0")),
        ],
        ("one", "two"),
    )
    with pytest.raises(ProgramError) as raised:
        expand_for_picture(found, CATALOG)
    assert raised.value.code == "cli.graph_to_dot_expand_failed"
    assert raised.value.details[:3] == (
        "available cluster sources:",
        "- part@1.0.0 at part one",
        "- part@1.5.0 at part two",
    )
