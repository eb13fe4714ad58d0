"""Spec 21, C-9: every row of §3 and of §12 that is about decoding; places, suggestions, warnings."""

from __future__ import annotations

import pytest
from graph_texts import BOTH_FORMS, EDGES, HEAD, NODES, VALID, edge, node, parameter, params, refusal

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import LimitError
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.files.cluster_file import decode_graph, decode_graph_yaml
from ergo_cli.programs.graph.model import ClusterParameter, Literal
from ergo_cli.programs.graph.primitives.primitive import ParameterType, ParameterValue

INT, NUMBER, BOOL, STRING = ParameterType.INT, ParameterType.NUMBER, ParameterType.BOOL, ParameterType.STRING


def literal(text: str) -> ParameterValue:
    """What a plain scalar binds a parameter to."""
    block = f"\n    impl: number_source@0.1.0\n    params:\n      v: {text}"
    decoded = decode_graph_yaml(node(block))
    member = decoded.definition.nodes["x"]
    bound = member.bindings["v"]
    assert isinstance(bound, Literal)
    return bound.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, ParameterValue(BOOL, True)) for text in ("true", "True", "TRUE")),
        *((text, ParameterValue(BOOL, False)) for text in ("false", "False", "FALSE")),
        *((text, ParameterValue(STRING, text)) for text in ("yes", "no", "on", "off", "y", "n", "tRUE")),
        ("3", ParameterValue(INT, 3)),
        ("-9223372036854775808", ParameterValue(INT, -(2**63))),
        ("9223372036854775808", ParameterValue(NUMBER, 2.0**63)),
        ("-0", ParameterValue(INT, 0)),
        *((text, ParameterValue(STRING, text)) for text in ("007", "00", "-012", "0b2", "0o8", "0x")),
        ("0x1F", ParameterValue(INT, 31)),
        ("-0x10", ParameterValue(INT, -16)),
        ("3.0", ParameterValue(NUMBER, 3.0)),
        (".5", ParameterValue(NUMBER, 0.5)),
        ("12e03", ParameterValue(NUMBER, 12000.0)),
        *((text, ParameterValue(STRING, text)) for text in ("1e400", "1e", "1_000", "inf", "nan", "NaN")),
        *((text, ParameterValue(STRING, text)) for text in ("2024-01-01", "12:30:45", "1.2.3", "+", ".")),
        ("'3'", ParameterValue(STRING, "3")),
        ("!!str 3", ParameterValue(STRING, "3")),
        ("''", ParameterValue(STRING, "")),
    ],
)
def test_c21_09_scalar_resolution(text: str, value: ParameterValue):
    assert literal(text) == value
    assert type(literal(text).value) is type(value.value)


@pytest.mark.parametrize("text", ["", "~", "null", "18446744073709551616", ".inf", "-.INF", ".nan"])
def test_c21_09_scalars_that_no_parameter_can_have(text: str):
    error = refusal(params(f"{{v: {text}}}"))
    assert error.code == "DEC-PARAM"
    assert "parameter values must be scalar" in error.message
    assert error.where is not None
    assert error.where.endswith(" nodes.x.params.v")


@pytest.mark.parametrize(
    ("text", "code", "fragment"),
    [
        (VALID.replace("kind: cluster", "kind: graph"), "DEC-KIND", "kind must be 'cluster', got 'graph'"),
        (HEAD + NODES, "DEC-MISSING", "missing field `edges`"),
        (VALID.replace("id: doc", 'id: "a b"'), "DEC-IDENT", "cluster id must not contain spaces"),
        (VALID.replace("id: doc", "id: a.b"), "DEC-IDENT", "cluster id must not contain '.'"),
        (VALID.replace("id: doc", 'id: ""'), "DEC-IDENT", "cluster id must not be empty"),
        (VALID.replace("1.0.0", '"1.2"'), "DEC-VERSION", "invalid cluster version"),
        (VALID.replace("1.0.0", "-1"), "DEC-VERSION", "invalid cluster version"),
        (VALID.replace("1.0.0", "true"), "DEC-VERSION", "invalid cluster version"),
        (VALID.replace("1.0.0", "[1]"), "DEC-TYPE", "invalid type"),
        (HEAD + "nodes: ~\n" + EDGES, "DEC-TYPE", "invalid type"),
        (HEAD + "nodes: null\n" + EDGES, "DEC-TYPE", "invalid type"),
        (HEAD + NODES + "edges: ~\n", "DEC-TYPE", "invalid type"),
        (VALID + "outputs: ~\n", "DEC-TYPE", "invalid type"),
        (node("{impl: add@1, params: ~}"), "DEC-TYPE", "invalid type"),
        (node("[add@1]"), "DEC-TYPE", "invalid type"),
        ("[cluster, doc, 1.0.0]", "DEC-TYPE", "invalid type"),
        (node("{impl: add}"), "DEC-REF", "invalid impl reference 'add'"),
        (node('{impl: "add@"}'), "DEC-REF", "invalid impl reference"),
        (node('{impl: "@0.1.0"}'), "DEC-REF", "invalid impl reference"),
        (node("{cluster: gate}"), "DEC-REF", "invalid cluster reference 'gate'"),
        (node('{impl: "add@latest"}'), "DEC-SELECTOR", "invalid impl version selector 'latest'"),
        (node("{impl: add@v0}"), "DEC-SELECTOR", "strict semver or semver constraint"),
        (node("{cluster: gate@>=1 <2}"), "DEC-SELECTOR", "invalid cluster version selector '>=1 <2'"),
        (node("{impl: a@b@1.0.0}"), "DEC-IDENT", "impl id must not contain '@'"),
        (node("{cluster: foo/bar@1.0.0}"), "DEC-IDENT", "cluster id must not contain '/'"),
        (node("{impl: add@0.1.0, cluster: c@1.0.0}"), "DEC-NODE", "'x' must define exactly one of 'impl' or 'cluster'"),
        (node("{}"), "DEC-NODE", "node 'x' must define exactly one of 'impl' or 'cluster'"),
        (node("{impl: ~, cluster: }"), "DEC-NODE", "exactly one"),
        (params("{v: [1,2]}"), "DEC-PARAM", "parameter values must be scalar"),
        (params("{v: {a: 1}}"), "DEC-PARAM", "parameter values must be scalar"),
        (params("{v: {exposed: a, b: 1}}"), "DEC-PARAM", "parameter values must be scalar"),
        (params("{v: }"), "DEC-PARAM", "parameter values must be scalar"),
        (params("{v: {exposed: 5}}"), "DEC-TYPE", "invalid type"),
        (edge("x.a.b -> x.c"), "DEC-EDGE", "expected 'node.port'"),
        (edge("x -> y"), "DEC-EDGE", "expected 'node.port'"),
        (edge("x.a => y.b"), "DEC-EDGE", "expected 'from -> to'"),
        (edge("-> x.a"), "DEC-EDGE", "expected 'node.port'"),
        (edge("x.a ->"), "DEC-EDGE", "expected 'node.port'"),
        (edge("x.a -> x.b -> x.c"), "DEC-EDGE", "expected 'node.port'"),
        (edge("5"), "DEC-EDGE", "expected 'from -> to'"),
        (edge("[x, a]"), "DEC-TYPE", "invalid type"),
        (edge("x . a -> x.b"), "DEC-IDENT", "edge source node must not contain spaces"),
        (edge("x.a -> $b"), "DEC-EDGE-EXT-TARGET", "external inputs can only appear on the source side"),
        (
            edge("{from: {node: x, port: a}, to: {external: b}}"),
            "DEC-EDGE-EXT-TARGET",
            "cannot appear as an edge target",
        ),
        (
            edge("$nope -> x.a"),
            "DEC-EDGE-EXT-UNDECLARED",
            "external input '$nope' that is not declared in inputs",
        ),
        (edge("$a$b -> x.a"), "DEC-IDENT", "external input name must not contain '$'"),
        (edge("q.a -> x.a"), "DEC-EDGE-EXT-SYNTAX", "must use '$q' syntax for external inputs"),
        (edge("z.a -> x.a"), "DEC-EDGE-NODE", "edge source node 'z' is not declared in nodes"),
        (edge("x.a -> z.a"), "DEC-EDGE-NODE", "edge target node 'z' is not declared in nodes"),
        (edge("x.a -> q.a"), "DEC-EDGE-NODE", "edge target node 'q' is not declared in nodes"),
        (edge("{from: {node: x, port: 1}, to: {node: y, port: a}}"), "DEC-TYPE", "invalid type"),
        (edge("{from: {node: x}, to: {node: y, port: a}}"), "DEC-MISSING", "missing field `port`"),
        (edge("{from: {node: x, port: a}}"), "DEC-MISSING", "missing field `to`"),
        (edge("{from: {node: x, external: q}, to: {node: y, port: a}}"), "DEC-EDGE", "expected 'node.port'"),
        (edge("{from: x.a, to: {node: y, port: a}}"), "DEC-TYPE", "invalid type"),
        (VALID + "outputs: {o: x}\n", "DEC-OUTPUT", "invalid output target"),
        (VALID + "outputs: {o: x.a.b}\n", "DEC-OUTPUT", "invalid output target"),
        (VALID + "outputs: {o: x . a}\n", "DEC-OUTPUT", "invalid output target"),
        (VALID + 'outputs: {o: "a@0.1"}\n', "DEC-IDENT", "output target node must not contain '@'"),
        (VALID + 'outputs: {o: "$x.a"}\n', "DEC-IDENT", "output target node must not contain '$'"),
        (VALID + "inputs: [{name: x, type: int}]\n", "DEC-ENUM", "unknown value type 'int'"),
        (VALID + "inputs: [{name: x, type: event, required: 1}]\n", "DEC-TYPE", "invalid type"),
        (parameter("{name: p, type: series}"), "DEC-ENUM", "unknown parameter type 'series'"),
        (parameter('{name: p, type: int, default: "3"}'), "DEC-DEFAULT", "expected Int default"),
        (parameter("{name: p, type: int, default: 3.0}"), "DEC-DEFAULT", "expected Int default"),
        (parameter("{name: p, type: int, default: true}"), "DEC-DEFAULT", "expected Int default"),
        (parameter("{name: p, type: number, default: x}"), "DEC-DEFAULT", "expected Number default"),
        (parameter("{name: p, type: number, default: .inf}"), "DEC-DEFAULT", "expected Number default"),
        (parameter("{name: p, type: bool, default: 1}"), "DEC-DEFAULT", "expected Bool default"),
        (parameter("{name: p, type: string, default: 5}"), "DEC-DEFAULT", "expected String default"),
        (parameter("{name: p, type: enum, default: true}"), "DEC-DEFAULT", "expected Enum default"),
        (parameter("{name: p, type: string, default: [a]}"), "DEC-DEFAULT", "expected String default"),
        (
            parameter('{name: p, type: string, default: {derive_key: ""}}'),
            "DEC-DEFAULT",
            "derive_key slot_name must not be empty",
        ),
        (parameter("{name: p, type: string, default: {derive_key: 5}}"), "DEC-DEFAULT", "derive_key slot_name"),
        (parameter("{name: p, type: string, default: {other: x}}"), "DEC-DEFAULT", "unknown parameter default key"),
        (
            parameter("{name: p, type: string, default: {derive_key: a, other: x}}"),
            "DEC-DEFAULT",
            "must have exactly one key",
        ),
        (parameter("{name: p, type: string, default: {}}"), "DEC-DEFAULT", "must have exactly one key"),
        (BOTH_FORMS.replace("compute_like", "computish"), "DEC-ENUM", "unknown boundary kind 'computish'"),
        (BOTH_FORMS.replace("multiple", "many"), "DEC-ENUM", "unknown cardinality 'many'"),
        (BOTH_FORMS.replace("  is_origin: true\n", ""), "DEC-MISSING", "missing field `is_origin`"),
        (BOTH_FORMS + "declared_signature: ~\n", "DEC-DUP", "duplicate field"),
        (VALID + "id: again\n", "DEC-DUP", "duplicate field `id`"),
        (params("{v: 1, v: 2}"), "DEC-DUP", "duplicate field `v`"),
    ],
)
def test_c21_09_bad_files(text: str, code: str, fragment: str):
    error = refusal(text)
    assert error.code == code
    assert fragment in error.message


@pytest.mark.parametrize(
    "text",
    [
        VALID + "outputs: {o: nope.v}\n",
        VALID + "outputs: {o: x.nope}\n",
        HEAD + "nodes: {}\n" + EDGES,
        HEAD + "nodes:\nedges:\noutputs:\ninputs:\nparameters:\n",
        VALID + "inputs: [{name: q, type: event}, {name: q, type: event}]\n",
        parameter("{name: p, type: int}\n  - {name: p, type: int}"),
        parameter("{name: p, type: int, default: {derive_key: a}}"),
        params("{valeu: 3}"),
        node("{impl: nope@0.1.0, params: }"),
        VALID + "signature: ~\n",
    ],
)
def test_c21_09_what_only_later_stages_refuse_decodes(text: str):
    assert decode_graph_yaml(text).definition.id == "doc"


def test_c21_09_empty_nodes_still_bind_the_edges():
    assert refusal(HEAD + "nodes:\nedges: [a.b -> c.d]\n").code == "DEC-EDGE-NODE"


def declared(body: str) -> ClusterParameter:
    (only,) = decode_graph_yaml(parameter(body)).definition.parameters
    return only


def test_c21_09_defaults_take_the_type_of_their_parameter():
    assert declared("{name: p, type: number, default: 2}").default == ParameterValue(NUMBER, 2.0)
    assert declared("{name: p, type: Enum, default: hot}").default == ParameterValue(ParameterType.ENUM, "hot")
    assert declared("{name: p, type: boolean, default: false}").default == ParameterValue(BOOL, False)
    assert declared("{name: p, type: INT, default: ~}").default is None


def test_c21_09_a_parameter_is_required_exactly_when_it_has_no_default():
    assert declared("{name: p, type: int}").required is True
    assert declared("{name: p, type: int, default: 1}").required is False
    assert declared("{name: p, type: int, default: 1, required: true}").required is True
    assert declared("{name: p, type: int, required: false}").required is False
    assert declared("{name: p, type: int, required: }").required is True


def test_c21_09_selectors_are_canonical_if_exact_and_verbatim_otherwise():
    text = HEAD + 'nodes:\n  a: {impl: "add@0.1.0"}\n  b: {impl: "add@ 0.1.0"}\n  c: {impl: "add@>=1.0,  <2"}\n' + EDGES
    nodes = decode_graph_yaml(text).definition.nodes
    assert [nodes[name].selector for name in "abc"] == ["0.1.0", " 0.1.0", ">=1.0,  <2"]


def test_c21_09_all_faults_are_told_in_normalization_order():
    text = (
        "kind: graph\nid: a.b\nversion: one\ninputs: [{name: i, type: int}]\n"
        "nodes:\n  x: {impl: add}\n  y: {impl: add@1, params: {p: [1], q: {z: 1}}}\n"
        "edges: [x.a => y.b, $i -> z.a, x.a -> y.b]\noutputs: {o: x}\nparameters: [{name: p, type: series}]\n"
        "signature: {kind: big, inputs: [], outputs: [], has_side_effects: true, is_origin: true}\n"
    )
    error = refusal(text)
    assert [each.code for each in (error, *error.causes)] == [
        *("DEC-KIND", "DEC-IDENT", "DEC-VERSION", "DEC-ENUM", "DEC-REF", "DEC-PARAM", "DEC-PARAM"),
        *("DEC-EDGE", "DEC-EDGE-NODE", "DEC-OUTPUT", "DEC-ENUM", "DEC-ENUM"),
    ]
    assert all(isinstance(each, DocumentError) and each.fix for each in (error, *error.causes))


def test_c21_09_structural_faults_are_the_headline():
    error = refusal("kind: graph\nid: doc\nversion: 1.0.0\nnodes: {}\n")
    assert [each.code for each in (error, *error.causes)] == ["DEC-MISSING", "DEC-KIND"]
    assert error.message.startswith("parse YAML 'doc.yaml': ")
    assert error.causes[0].message.startswith("graph 'doc.yaml': ")


@pytest.mark.parametrize(
    ("text", "where", "fix"),
    [
        (VALID.replace("edges", "edgs"), "doc.yaml:1:1", "rename 'edgs' to 'edges'"),
        (edge("x.a -> y.b\n  - xx.a -> y.b"), "doc.yaml:10:5 edges[1]", "did you mean 'x'?"),
        (edge("$qq -> x.a"), "doc.yaml:9:5 edges[0]", "did you mean 'q'?"),
        (VALID + "inputs: [{name: i, type: numbr}]\n", "doc.yaml:8:26 inputs[0].type", "did you mean 'number'?"),
        (VALID.replace("1.0.0", "'1.2'"), "doc.yaml:3:10 version", 'write it as "1.2.0"'),
    ],
)
def test_c21_09_faults_have_places_and_suggestions(text: str, where: str, fix: str):
    error = refusal(text)
    assert (error.where, error.fix) == (where, fix)


def test_c21_09_what_is_read_knows_its_place():
    places = decode_graph_yaml(BOTH_FORMS, "b.yaml").places
    assert places["nodes.left"] == "b.yaml:5:3"
    assert places["nodes.inner.params.factor"] == "b.yaml:9:7"
    assert places["edges[1]"] == "b.yaml:13:5"
    assert places["outputs.y"] == "b.yaml:16:3"
    assert places["inputs[0]"] == "b.yaml:18:5"
    assert places["parameters[1]"] == "b.yaml:21:5"
    assert places["signature"] == "b.yaml:23:3"


def test_c21_09_unknown_keys_are_warned_of_at_every_level():
    text = (
        VALID.replace("{impl: add@0.1.0}", "{impl: add@0.1.0, parms: {}}", 1).replace(
            EDGES, "edges: [{from: {node: x, port: a, prt: 1}, to: {node: y, port: a}, via: z}]\n"
        )
        + "inputs: [{name: i, type: event, requird: true}]\nowner: me\n"
    )
    notices = decode_graph_yaml(text, "d.yaml").notices
    assert sorted((notice.where or "").partition(" ")[2] for notice in notices) == [
        "edges[0].from.prt",
        "edges[0].via",
        "inputs[0].requird",
        "nodes.x.parms",
        "owner",
    ]
    assert Notice("unknown key 'owner' is ignored", "d.yaml:9:1 owner") in notices


def test_c21_09_limits_are_named():
    with pytest.raises(LimitError, match="8 MiB"):
        decode_graph("#" * (8 * 2**20 + 1))
