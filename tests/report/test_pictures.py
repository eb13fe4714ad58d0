from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from ergo_cli.core.values import ValueType
from ergo_cli.errors import ProgramError
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.files.discovery import InMemorySource, load_in_memory_graph_sources
from ergo_cli.programs.graph.model import ClusterDefinition
from ergo_cli.programs.graph.picture import picture_of
from ergo_cli.programs.pictures import Delivered, Edge, Node, NodeOutcome, NodeRun, Picture, Role
from ergo_cli.report.layout import plain_lines
from ergo_cli.report.picture_dot import picture_to_dot
from ergo_cli.report.picture_forms import Form
from ergo_cli.report.picture_looks import Shown
from ergo_cli.report.picture_mermaid import picture_to_mermaid
from ergo_cli.report.picture_outline import outline
from ergo_cli.report.pictures import draw
from ergo_cli.tools.pictures import expand_for_picture
from tests.graph_shorthand import cluster, expanded

CATALOG = standard_inventory().catalog
HOSTILE = 'a"];b-->c<script>`%#\\|é'


def hostile() -> ClusterDefinition:
    return cluster(HOSTILE, {HOSTILE: "abs@0.1.0"}, [f"$x -> {HOSTILE}.value"], inputs={"x": ValueType.NUMBER})


def picture(definition: ClusterDefinition, *clusters: ClusterDefinition) -> Picture:
    return picture_of(expanded(definition, *clusters), CATALOG)


def text_of(definition: ClusterDefinition, *clusters: ClusterDefinition, shown: Shown = Shown()) -> list[str]:
    return list(plain_lines(outline(picture(definition, *clusters), shown)))


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
    text = picture_to_dot(picture(hostile()))
    escaped = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    assert f'digraph "{escaped}" {{' in text
    assert f'  "n0" [label="{escaped}", shape=ellipse' in text
    for line in text.splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0


def test_mermaid_lets_nothing_of_a_name_act() -> None:
    text = picture_to_mermaid(picture(hostile()), Shown(ports=True, impl=True))
    labels = re.findall(r'"([^"]*)"', text)
    assert labels
    for label in labels:
        assert re.fullmatch(r"(?:[\w ./:@→-]|#\d+;|<br/>)*", label)
    outside = re.sub(r'"[^"]*"', "", text)
    assert "script" not in outside
    assert "%%" not in text


def test_a_primitive_that_nobody_offers_is_drawn_as_a_compute() -> None:
    graph = picture(cluster("g", {"mine": "mystery@1.0.0"}))
    assert '"n0" [label="mine", shape=ellipse, style=filled, fillcolor="#f2f2f2", color="#777777"]' in picture_to_dot(
        graph
    )
    assert 'n0(["mine"])' in picture_to_mermaid(graph)
    assert "mine  unknown" in list(plain_lines(outline(graph)))[2]


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


UNDRAWABLE = "a\x01b\x7f\u2028\ud800\ufffec"


def named(name: str) -> Picture:
    """A picture of one node; a bundle's manifest may name it as it likes."""
    run = NodeRun(NodeOutcome.RUNNING, {"wrote": 1})
    node = Node(id="s0", path=(name,), role=Role.STATE, type="t", impl="i", runtime_id="r", run=run)
    edge = Edge("s0", "s0", delivered=Delivered(1, 1_000))
    return Picture(
        graph_id=name, title=name, headline=name, headings=("stage", "type", "reads"), nodes=(node,), edges=(edge,)
    )


def test_characters_that_no_svg_may_hold_are_escapes() -> None:
    escaped = r"a\x01b\x7f\u2028\ud800\ufffec"
    dot = picture_to_dot(named(UNDRAWABLE))
    assert dot.encode()
    assert escaped.replace("\\", "\\\\") + r"\nrunning\nwrote 1" in dot
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", dot)
    mermaid = picture_to_mermaid(named(UNDRAWABLE))
    assert escaped.replace("\\", "#92;") in mermaid
    assert next(plain_lines(outline(named(UNDRAWABLE)))) == escaped


def test_a_line_feed_in_a_name_begins_no_statement() -> None:
    name = 'one\n"]; evil -> two\nend'
    assert r'label="one\n\"]; evil -> two\nend\nrunning\nwrote 1"' in picture_to_dot(named(name))
    assert not [line for line in picture_to_mermaid(named(name)).splitlines() if "evil" in line and '"' not in line]
    assert len(list(plain_lines(outline(named(name))))) == 3


def test_what_reads_like_an_entity_is_text() -> None:
    assert 'label="a&amp;lt;b & c;' in picture_to_dot(named("a&lt;b & c;"))


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("name", [UNDRAWABLE, 'one\n"]; evil -> two', "a&lt;b & c;"])
def test_an_svg_of_any_name_is_well_formed(name: str) -> None:
    texts = [each.text for each in ET.fromstring(draw(named(name), Form.SVG, Shown()).data).iter()]
    assert "running" in texts
    assert "1 of 1,000" in texts
