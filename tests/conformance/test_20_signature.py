"""Spec 20, C-39 and C-40: inferred and declared signatures."""

from __future__ import annotations

import pytest
from graph_shorthand import cluster, expanded

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.expand.boundary import disagreements, infer_signature
from ergo_cli.programs.graph.model import (
    BoundaryFamily,
    BoundaryOutput,
    ClusterDefinition,
    ExpandedGraph,
    NodePort,
    Signature,
    SignaturePort,
)
from ergo_cli.programs.graph.primitives.primitive import Cardinality

CATALOG = standard_inventory().catalog

HELLO = cluster(
    "hello",
    {
        "yes": ("const_bool@0.1.0", {"value": True}),
        "fire": "emit_if_true@0.1.0",
        "done": "ack_action@0.1.0",
    },
    ["yes.value -> fire.input", "fire.event -> done.event"],
    outputs={"fired": "fire.event", "outcome": "done.outcome"},
)


def signature_of(definition: ClusterDefinition) -> Signature:
    return infer_signature(expanded(definition), CATALOG)


def declared(wireable: bool, port: str = "outcome") -> ClusterDefinition:
    """HELLO with a signature that says something about one port."""
    said = SignaturePort(port, ValueType.EVENT, Cardinality.SINGLE, wireable)
    signature = Signature(BoundaryFamily.TRIGGER_LIKE, (), (said,), True, False)
    return _with(signature)


def _with(signature: Signature) -> ClusterDefinition:
    return ClusterDefinition(
        HELLO.id, HELLO.version, HELLO.nodes, HELLO.edges, HELLO.inputs, HELLO.outputs, HELLO.parameters, signature
    )


def test_c20_39_source_like() -> None:
    signature = signature_of(cluster("r", {"k": "number_source@0.1.0"}, outputs={"v": "k.value"}))
    assert signature == Signature(
        BoundaryFamily.SOURCE_LIKE,
        (),
        (SignaturePort("v", ValueType.NUMBER, Cardinality.SINGLE, True),),
        has_side_effects=False,
        is_origin=True,
    )


def test_c20_39_compute_like_and_inputs_never_wireable() -> None:
    definition = cluster(
        "r", {"n": "negate@0.1.0"}, ["$x -> n.value"], inputs={"x": ValueType.NUMBER}, outputs={"y": "n.result"}
    )
    signature = signature_of(definition)
    assert signature.kind is BoundaryFamily.COMPUTE_LIKE
    assert signature.inputs == (SignaturePort("x", ValueType.NUMBER, Cardinality.SINGLE, False),)
    assert not signature.is_origin


def test_c20_39_trigger_like_with_side_effects() -> None:
    signature = signature_of(HELLO)
    assert signature.kind is BoundaryFamily.TRIGGER_LIKE
    assert signature.has_side_effects
    assert [port.wireable for port in signature.outputs] == [True, False]


def test_c20_39_unwired_constant_is_no_origin() -> None:
    assert not signature_of(HELLO).is_origin


@pytest.mark.parametrize("outputs", [{}, {"outcome": "done.outcome"}])
def test_c20_39_action_like(outputs: dict[str, str]) -> None:
    definition = _with_outputs(outputs)
    assert signature_of(definition).kind is BoundaryFamily.ACTION_LIKE


def _with_outputs(outputs: dict[str, str]) -> ClusterDefinition:
    narrowed = tuple(port for port in HELLO.outputs if port.name in outputs)
    return ClusterDefinition(HELLO.id, HELLO.version, HELLO.nodes, HELLO.edges, outputs=narrowed)


@pytest.mark.parametrize(
    "graph",
    [
        expanded(cluster("r", {"k": "nope@0.1.0"})),
        ExpandedGraph("r", {}, (), boundary_outputs=(BoundaryOutput("v", NodePort("n9", "value")),)),
        expanded(cluster("r", {"k": "number_source@0.1.0"}, outputs={"v": "k.nope"})),
    ],
)
def test_c20_39_not_inferable(graph: ExpandedGraph) -> None:
    with pytest.raises(RuleError) as caught:
        infer_signature(graph, CATALOG)
    assert (caught.value.rule, caught.value.path) == ("D.4", "$.output_ports")


def test_c20_40_wireable_action_output_is_refused() -> None:
    with pytest.raises(RuleError) as caught:
        expanded(declared(True))
    assert (caught.value.rule, caught.value.path) == ("D.10", "$.declared_signature")
    assert [cause.rule for cause in caught.value.causes] == ["D.11"]
    assert "'outcome'" in caught.value.causes[0].message


@pytest.mark.parametrize("port", ["outcome", "fired", "unknown"])
def test_c20_40_restricting_is_accepted(port: str) -> None:
    assert len(expanded(declared(False, port)).nodes) == 3


def test_c20_40_other_disagreements_are_told() -> None:
    said = Signature(
        BoundaryFamily.SOURCE_LIKE,
        (),
        (
            SignaturePort("fired", ValueType.BOOL, Cardinality.SINGLE, True),
            SignaturePort("ghost", ValueType.BOOL, Cardinality.SINGLE, True),
        ),
        has_side_effects=False,
        is_origin=True,
    )
    found = disagreements(said, signature_of(HELLO))
    assert len(found) == 5
    assert any("'ghost'" in text for text in found)
    assert disagreements(signature_of(HELLO), signature_of(HELLO)) == []
