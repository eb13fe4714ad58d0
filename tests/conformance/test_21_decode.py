"""Spec 21, C-1 … C-8 and C-10: decoding."""

from __future__ import annotations

import json

import pytest
from graph_texts import BOTH_FORMS, EDGES, HEAD, RULE_CODE, VALID, edge, node, refusal

from ergo_cli.core.values import ValueType
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.files.cluster_file import Decoded, decode_graph, decode_graph_json, decode_graph_yaml
from ergo_cli.programs.graph.model import (
    BoundaryFamily,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    DeriveKey,
    Edge,
    Exposed,
    ImplNode,
    InputPort,
    Literal,
    OutputPort,
    PortRef,
    Signature,
    SignaturePort,
)
from ergo_cli.programs.graph.primitives.primitive import Cardinality, ParameterType, ParameterValue


def test_c21_01_invalid_yaml_is_a_decode_error_with_its_label():
    for label in ("<memory>", "graphs/a.yaml"):
        with pytest.raises(DocumentError) as caught:
            decode_graph_yaml("kind: [cluster", label)
        assert caught.value.code == "DEC-SYNTAX"
        assert label in caught.value.message
        assert not RULE_CODE.search(caught.value.message)
    with pytest.raises(DocumentError, match="<memory>"):
        decode_graph_yaml("kind: [cluster")


def test_c21_02_a_minimal_json_document_decodes():
    text = '{"kind":"cluster","id":"m","version":"1.0.0","nodes":{},"edges":[]}'
    assert decode_graph_json(text).definition == ClusterDefinition("m", "1.0.0", {}, ())


def test_c21_02_what_is_not_json_says_so():
    with pytest.raises(DocumentError, match="parse JSON '<memory>'") as caught:
        decode_graph_json("{ not valid json")
    assert caught.value.code == "DEC-SYNTAX"


BOTH = ClusterDefinition(
    id="both",
    version="2.1.0-rc.1",
    nodes={
        "left": ImplNode("left", "number_source", "0.1.0", {"value": Literal(ParameterValue(ParameterType.INT, 3))}),
        "inner": ClusterNode(
            "inner",
            "scale",
            ">=1.0, <2",
            {"factor": Exposed("rate"), "note": Literal(ParameterValue(ParameterType.STRING, "hot"))},
        ),
    },
    edges=(
        Edge(PortRef("left", "value"), PortRef("inner", "x")),
        Edge(PortRef("incoming", "incoming"), PortRef("inner", "trigger")),
    ),
    inputs=(InputPort("incoming", ValueType.EVENT, required=False),),
    outputs=(OutputPort("y", PortRef("inner", "y")),),
    parameters=(
        ClusterParameter("rate", ParameterType.STRING, ParameterValue(ParameterType.STRING, "fast"), required=False),
        ClusterParameter("slot", ParameterType.STRING, DeriveKey("seen"), required=False),
    ),
    signature=Signature(
        BoundaryFamily.COMPUTE_LIKE,
        (SignaturePort("incoming", ValueType.EVENT, Cardinality.SINGLE, wireable=True),),
        (SignaturePort("y", ValueType.NUMBER, Cardinality.MULTIPLE, wireable=False),),
        has_side_effects=False,
        is_origin=True,
    ),
)


def both_as_json() -> str:
    return json.dumps(
        {
            "kind": "cluster",
            "id": "both",
            "version": "2.1.0-rc.1",
            "nodes": {
                "left": {"impl": "number_source@0.1.0", "params": {"value": 3}},
                "inner": {"cluster": "scale@>=1.0, <2", "params": {"factor": {"exposed": "rate"}, "note": "hot"}},
            },
            "edges": [
                "left.value -> inner.x",
                {"from": {"external": "incoming"}, "to": {"node": "inner", "port": "trigger"}},
            ],
            "outputs": {"y": "inner.y"},
            "inputs": [{"name": "incoming", "type": "event", "required": False}],
            "parameters": [
                {"name": "rate", "type": "string", "default": "fast"},
                {"name": "slot", "type": "string", "default": {"derive_key": "seen"}},
            ],
            "declared_signature": {
                "kind": "ComputeLike",
                "inputs": [{"name": "incoming", "type": "event", "cardinality": "Single", "wireable": True}],
                "outputs": [{"name": "y", "type": "number", "cardinality": "multiple", "wireable": False}],
                "has_side_effects": False,
                "is_origin": True,
            },
        },
        indent=1,
    )


def test_c21_03_yaml_and_json_decode_to_equal_definitions():
    assert decode_graph_yaml(BOTH_FORMS).definition == BOTH
    assert decode_graph_json(both_as_json()).definition == BOTH
    assert decode_graph_yaml(both_as_json()).definition == BOTH


def test_c21_03_json_with_tabs_is_read_where_the_format_is_unknown():
    text = both_as_json().replace("\n ", "\n\t")
    assert decode_graph(text).definition == BOTH


def test_c21_03_authored_order_is_kept():
    assert list(decode_graph_yaml(BOTH_FORMS).definition.nodes) == ["left", "inner"]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (node("{impl: foo/bar@1.0.0}"), "impl id must not contain '/'"),
        (node("{impl: foo$bar@1.0.0}"), "impl id must not contain '$'"),
        (node("{cluster: foo/bar@1.0.0}"), "cluster id must not contain '/'"),
        (node("{cluster: foo$bar@1.0.0}"), "cluster id must not contain '$'"),
        (VALID + "inputs: [{name: a$b, type: event}]", "input name must not contain '$'"),
        (
            BOTH_FORMS.replace("{name: incoming, type: Event", "{name: in@a, type: Event"),
            "declared signature port name must not contain '@'",
        ),
        (
            BOTH_FORMS.replace("{name: y, type: number", "{name: y$, type: number"),
            "declared signature port name must not contain '$'",
        ),
    ],
)
def test_c21_04_forbidden_characters_are_named_with_their_label(text: str, fragment: str):
    error = refusal(text)
    assert error.code == "DEC-IDENT"
    assert fragment in error.message


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("cluster id", VALID.replace("id: doc", "id: NAME")),
        ("node id", HEAD + "nodes:\n  NAME: {impl: add@0.1.0}\n" + EDGES),
        ("output name", VALID + "outputs: {NAME: x.v}"),
        ("input name", VALID + "inputs: [{name: NAME, type: event}]"),
        ("parameter name", VALID + "parameters: [{name: NAME, type: int}]"),
        ("parameter binding name", node("{impl: a@1, params: {NAME: 1}}")),
        ("exposed parameter name", node("{impl: a@1, params: {p: {exposed: NAME}}}")),
        ("external input name", edge("{from: {external: NAME}, to: {node: x, port: v}}")),
        ("edge source node", edge("{from: {node: NAME, port: v}, to: {node: x, port: v}}")),
        ("edge target node", edge("{from: {node: x, port: v}, to: {node: NAME, port: v}}")),
    ],
)
@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ('""', "must not be empty"),
        ('"a.b@c"', "must not contain '.'"),
        ('"a:@"', "must not contain '@'"),
        ('"a /b"', "must not contain spaces"),
        ('"a\\\\/"', "must not contain '/'"),
        ('"a\\\\b"', "must not contain '\\'"),
        ('"a$:"', "must not contain ':'"),
        ('"a$"', "must not contain '$'"),
        ('"a\\tb"', "must not contain control characters"),
    ],
)
def test_c21_04_identifiers_are_checked_in_the_stated_order(what: str, text: str, written: str, fault: str):
    error = refusal(text.replace("NAME", written))
    assert error.code == "DEC-IDENT"
    assert f"{what} {fault}" in error.message


def test_c21_04_unusual_identifiers_are_accepted_with_a_warning():
    decoded = decode_graph_yaml(VALID.replace("id: doc", "id: größe#1"))
    assert decoded.definition.id == "größe#1"
    assert [notice.where for notice in decoded.notices] == ["<memory>:2:5 id"]


def test_c21_05_structured_edges_accept_unusual_port_names():
    text = edge("{from: {node: x, port: foo$bar@baz}, to: {node: y, port: 'a/b:c'}}")
    assert decode_graph_yaml(text).definition.edges == (Edge(PortRef("x", "foo$bar@baz"), PortRef("y", "a/b:c")),)


@pytest.mark.parametrize("port", ['""', "a.b", "a b"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_c21_05_ports_have_no_dots_and_no_spaces(port: str, side: str):
    ends = {"source": "v", "target": "v", side: port}
    error = refusal(edge(f"{{from: {{node: x, port: {ends['source']}}}, to: {{node: y, port: {ends['target']}}}}}"))
    assert error.code == "DEC-IDENT"
    assert f"edge {side} port must not" in error.message


def test_c21_06_an_external_shorthand_names_the_input_twice():
    text = HEAD + "inputs: [{name: threshold, type: number}]\nnodes: {consumer: {impl: a@1}}\nedges:\n"
    for written in ("$threshold -> consumer.input", "$threshold->consumer.input", "'$ threshold  ->  consumer.input '"):
        decoded = decode_graph_yaml(text + f"  - {written}\n")
        assert decoded.definition.edges == (Edge(PortRef("threshold", "threshold"), PortRef("consumer", "input")),)
    error = refusal(text + "  - $threshold$extra -> consumer.input\n")
    assert "external input name must not contain '$'" in error.message


def test_c21_07_a_missing_version_stays_specific_where_the_format_is_unknown():
    for text in ("kind: cluster\nid: x\nnodes: {}\nedges: []\n", '{"kind":"cluster","id":"x","nodes":{},"edges":[]}'):
        with pytest.raises(DocumentError) as caught:
            decode_graph(text, "lab")
        assert caught.value.code == "DEC-MISSING"
        for fragment in ("lab", "missing field", "version"):
            assert fragment in caught.value.message
        assert "expected valid YAML or JSON" not in caught.value.message


def test_c21_07_garbage_gets_the_generic_message():
    with pytest.raises(DocumentError) as caught:
        decode_graph("{ [ not: valid", "lab")
    error = caught.value
    assert error.code == "DEC-DUAL"
    assert "parse graph 'lab': expected valid YAML or JSON authoring content" in error.message
    assert "parse YAML" not in error.message
    assert "parse JSON" not in error.message
    assert [cause.code for cause in error.causes] == ["DEC-SYNTAX", "DEC-SYNTAX"]


def test_c21_08_a_wrong_kind_stays_specific_where_the_format_is_unknown():
    for text in (
        VALID.replace("kind: cluster", "kind: not_cluster"),
        '{"kind":"not_cluster","id":"x","version":"1.0.0","nodes":{},"edges":[]}',
    ):
        with pytest.raises(DocumentError, match="kind must be 'cluster', got 'not_cluster'") as caught:
            decode_graph(text, "lab")
        assert caught.value.code == "DEC-KIND"


@pytest.mark.parametrize(
    ("text", "code", "fragment"),
    [
        ("just words", "DEC-TYPE", "parse YAML"),
        ('{"kind":"cluster","id":5}', "DEC-TYPE", "parse JSON"),
        ("[1, 2]", "DEC-TYPE", "parse JSON"),
        ('{"kind":"cluster","kind":"x"}', "DEC-DUP", "parse JSON"),
        ("kind: cluster\nkind: x\n", "DEC-DUP", "parse YAML"),
        ("[" * 200, "DEC-SYNTAX", "127"),
    ],
)
def test_c21_08_the_most_telling_of_two_errors_is_raised(text: str, code: str, fragment: str):
    with pytest.raises(DocumentError) as caught:
        decode_graph(text, "lab")
    assert caught.value.code == code
    assert fragment in caught.value.message


def versioned(written: str) -> Decoded:
    return decode_graph_yaml(VALID.replace("1.0.0", written))


def test_c21_10_an_unquoted_id_is_its_text_in_yaml_and_refused_in_json():
    assert decode_graph_yaml(VALID.replace("id: doc", "id: 5")).definition.id == "5"
    with pytest.raises(DocumentError) as caught:
        decode_graph_json('{"kind":"cluster","id":5,"version":"1.0.0","nodes":{},"edges":[]}')
    assert (caught.value.code, caught.value.where) == ("DEC-TYPE", "<memory>:1:24 id")


@pytest.mark.parametrize(
    ("written", "version"),
    [("1", "1.0.0"), ("1.5", "1.5.0"), ("1.20", "1.2.0"), ("1e3", "1000.0.0"), ("0x10", "16.0.0")],
)
def test_c21_10_numeric_versions_are_padded_with_a_warning(written: str, version: str):
    decoded = versioned(written)
    assert decoded.definition.version == version
    (notice,) = decoded.notices
    assert version in notice.message


@pytest.mark.parametrize("written", ["1.0.0-rc.1+b5", '"1.2.3"', "'0.1.0'"])
def test_c21_10_strict_versions_are_kept_without_a_warning(written: str):
    decoded = versioned(written)
    assert decoded.definition.version == written.strip("'\"")
    assert decoded.notices == ()


@pytest.mark.parametrize("written", ["", "~", "false", ".inf", "1.05", "1.5e-7", "-0.0", "v1.0.0", "1.2.3.4"])
def test_c21_10_other_versions_are_refused(written: str):
    assert refusal(VALID.replace("1.0.0", written)).code == "DEC-VERSION"
