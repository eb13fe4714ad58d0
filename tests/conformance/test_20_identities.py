"""Spec 20, C-57 … C-59: intent ids, fingerprints, terminations; spec 10, C-42, C-45, C-52."""

from __future__ import annotations

import math

import pytest
from graph_shorthand import NodeShort, assets, cluster, expanded

from ergo_cli.core.values import ContextNeed, ValueType, derive_intent_id
from ergo_cli.errors import RuleError
from ergo_cli.events.adapter_manifest import ProvidedKey, Provides
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.graph.check.catalog import Catalog, Inventory, Metadata, build_inventory, standard_inventory
from ergo_cli.programs.graph.model import (
    ClusterDefinition,
    ExpandedEdge,
    ExpandedGraph,
    ExpandedNode,
    ExternalInput,
    NodePort,
)
from ergo_cli.programs.graph.primitives.primitive import (
    Family,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    Primitive,
    SourceManifest,
)
from ergo_cli.programs.graph.program import SCHEDULE, GraphInvoker, GraphProgram
from ergo_cli.programs.graph.run.provenance import canonical_fingerprint_text, runtime_provenance
from ergo_cli.supervisor.seam import Constraints, Decision, ErrKind, Failed, Outcome, RunTermination
from ergo_cli.supervisor.supervisor import Supervisor
from ergo_cli.testing.logs import RecordingLog

EVENT = ExternalEvent.mechanical("e1", EventKind.COMMAND, 0)


@pytest.mark.parametrize(
    ("graph_id", "event_id", "node", "kind_and_ordinal", "digest"),
    [
        (
            "graph_alpha",
            "evt_001",
            "n42",
            "place_order 3",
            "157aed720bd20c1712cede0a499cf6607f687401a29d70ce5df5d2778f85a9fa",
        ),
        ("plant", "e1", "n9", "open_valve 0", "73146f938017f22bb85729446107e17570364e27643bfaf5303dff80eda7d8ec"),
        ("g1", "evt1", "n0", "place_order 0", "ecd660ebcb96b08521d1345bc818ad4a1369fe9f015523aaf0813966e83a6cb1"),
        ("g1", "evt1", "n0", "place_order 1", "ef5fb15676073c228100a27f8c47121338d35b9e993cae17b52966bff0fbd44e"),
        (
            "graph-1",
            "event-2",
            "act",
            "place_order 0",
            "4d5d010984edf71e65f32097f9eaa0964218e66bd49a6211a04d851abc7a9532",
        ),
        ("graph-1", "event-2", "act", "notify 1", "18acad8b72379152a9072e4630a36254d3634d1efa1b81972dd3cb27104a011c"),
        ("größe", "évt", "n0", "k 0", "dd1dc22a196402405f19c35cba638a46d28ea920d80bc375fd3bb541fdc25cd9"),
        ("", "", "", " 0", "f772807f4deff1c45e4f31b4c2ecb7547f47f0b7cddf48c4ddad154213da8cb9"),
    ],
)
def test_c20_57_intent_ids(graph_id: str, event_id: str, node: str, kind_and_ordinal: str, digest: str) -> None:
    kind, ordinal = kind_and_ordinal.split(" ")
    assert derive_intent_id(graph_id, event_id, node, kind, int(ordinal)) == f"eid1:sha256:{digest}"


def number(value: float) -> ParameterValue:
    return ParameterValue(ParameterType.NUMBER, value)


def prim(default: float = 1.25) -> Metadata:
    """The primitive of vector V3."""
    return Metadata(
        "prim",
        "1.2.0",
        Family.COMPUTE,
        (InputSpec("in", ValueType.NUMBER),),
        (OutputSpec("out", ValueType.NUMBER),),
        (ParameterSpec("k", ParameterType.NUMBER, number(default)),),
    )


def synthetic(scale: float = 3.5) -> ExpandedGraph:
    """The graph of vector V3, its parts given out of order."""
    nodes = {
        "n2": ExpandedNode("n2", (), "prim", "^1", "1.2.0", {}),
        "n1": ExpandedNode("n1", (), "prim", "^1", "1.2.0", {"scale": number(scale)}),
    }
    edges = (
        ExpandedEdge(NodePort("n1", "out"), NodePort("n2", "in")),
        ExpandedEdge(ExternalInput("market"), NodePort("n1", "in")),
    )
    return ExpandedGraph("g", nodes, edges)


V3 = "rpv1:sha256:458fdcc0a5786436cd2fedbbd21cfa6b71bdc63f6ca8e342cb5b7a163aacef0f"


def test_c20_58_one_node() -> None:
    graph = expanded(cluster("m", {"c": ("number_source@0.1.0", {"value": 1})}, outputs={"v": "c.value"}))
    catalog = standard_inventory().catalog
    assert canonical_fingerprint_text("m", graph, catalog).decode() == (
        '{"graph_id":"m","nodes":[{"runtime_id":"n0","impl_id":"number_source","requested_version":"0.1.0",'
        '"resolved_version":"0.1.0","parameters":[{"name":"value","value":{"kind":"Int","value":1}}]}],"edges":[],'
        '"primitives":[{"impl_id":"number_source","resolved_version":"0.1.0","kind":"Source","inputs":[],'
        '"outputs":[{"name":"value","value_type":"Number","cardinality":"Single"}],"parameters":[{"name":"value",'
        '"ty":"Number","required":false,"default":{"kind":"Number","value":0.0}}]}]}'
    )
    expected = "rpv1:sha256:4171c0b55885ce27ab61e135a796bdb7c32d45d6723e828ee0fc3b56d231edee"
    assert runtime_provenance("m", graph, catalog) == expected


def test_c20_58_synthetic() -> None:
    assert runtime_provenance("g", synthetic(), Catalog([prim()])) == V3


def test_c20_58_no_nodes() -> None:
    expected = "rpv1:sha256:5ede272333f8c59f6ecd24fd93c2a0be536e35546cee6b218c21b93faa01eca2"
    assert SCHEDULE.provenance == expected
    assert (SCHEDULE.graph_id, SCHEDULE.ref) == ("ergo:schedule", "ergo:schedule")


def test_c20_58_used_metadata_counts() -> None:
    assert runtime_provenance("g", synthetic(), Catalog([prim(1.5)])) != V3


def test_c20_58_unrelated_metadata_does_not_count() -> None:
    other = Metadata("other", "1.0.0", Family.SOURCE, outputs=(OutputSpec("v", ValueType.NUMBER),))
    assert runtime_provenance("g", synthetic(), Catalog([other, prim()])) == V3


@pytest.mark.parametrize(
    ("graph", "metadata", "words"),
    [
        (synthetic(math.nan), prim(), "non-finite float in runtime provenance (bound parameter 'scale')"),
        (synthetic(-math.inf), prim(), "non-finite float in runtime provenance (bound parameter 'scale')"),
        (synthetic(), prim(math.nan), "non-finite float in runtime provenance (default parameter 'k')"),
    ],
)
def test_c20_58_not_finite(graph: ExpandedGraph, metadata: Metadata, words: str) -> None:
    with pytest.raises(RuleError) as caught:
        runtime_provenance("g", graph, Catalog([metadata]))
    assert caught.value.message == words


def test_c20_58_unknown_primitive() -> None:
    with pytest.raises(RuleError) as caught:
        runtime_provenance("g", synthetic(), Catalog([]))
    assert (caught.value.rule, caught.value.message) == ("V.8", "missing primitive metadata for 'prim@1.2.0'")


def loaded(root: ClusterDefinition, inventory: Inventory | None = None) -> GraphProgram | RuleError:
    try:
        return GraphProgram.load(assets(root), inventory or standard_inventory())
    except RuleError as error:
        return error


def terminated(
    root: ClusterDefinition, deadline: int | None = None, inventory: Inventory | None = None
) -> RunTermination:
    invoker = GraphInvoker(loaded(root, inventory))
    termination = invoker.run(root.id, "e1", EVENT.context, deadline)
    assert (invoker.last_error is None) == (termination in (Outcome.COMPLETED, Outcome.ABORTED))
    assert invoker.pending == 0
    return termination


DIVISION: dict[str, NodeShort] = {"a": "number_source@0.1.0", "d": "divide@0.2.0"}


def test_c20_59_deadline_zero() -> None:
    root = cluster("r", DIVISION, ["a.value -> d.a", "a.value -> d.b"])
    assert terminated(root, 0) is Outcome.ABORTED
    assert terminated(cluster("r", {"n": "negate@0.1.0"}), 0) is Outcome.ABORTED


@pytest.mark.parametrize("deadline", [None, 1])
def test_c20_59_compute_failure(deadline: int | None) -> None:
    root = cluster("r", DIVISION, ["a.value -> d.a", "a.value -> d.b"])
    assert terminated(root, deadline) == Failed(ErrKind.SEMANTIC_ERROR)


def test_c20_59_overflow() -> None:
    nodes: dict[str, NodeShort] = {"a": ("number_source@0.1.0", {"value": 1e200}), "m": "multiply@0.1.0"}
    assert terminated(cluster("r", nodes, ["a.value -> m.a", "a.value -> m.b"])) == Failed(ErrKind.SEMANTIC_ERROR)


def test_c20_59_invalid_graph() -> None:
    assert terminated(cluster("r", {"n": "negate@0.1.0"})) == Failed(ErrKind.VALIDATION_FAILED)


def test_c20_59_parameter_conversion() -> None:
    root = cluster("r", {"k": ("const_number@0.1.0", {"value": 2**53 + 1})})
    assert terminated(root) == Failed(ErrKind.RUNTIME_ERROR)


def test_c20_59_primitive_that_breaks() -> None:
    def broken(params: object, context: object) -> dict[str, float]:
        raise ZeroDivisionError

    manifest = SourceManifest("custom", "0.1.0", (OutputSpec("value", ValueType.NUMBER),))
    inventory = build_inventory([Primitive(manifest, broken)])
    assert terminated(cluster("r", {"c": "custom@0.1.0"}), inventory=inventory) == Failed(ErrKind.RUNTIME_ERROR)


def needy() -> GraphProgram:
    """A program with a source that requires the context key ``price``."""
    needs = (ContextNeed("price", ValueType.NUMBER, required=True),)
    manifest = SourceManifest("custom", "0.1.0", (OutputSpec("value", ValueType.NUMBER),), requires=needs)
    inventory = build_inventory([Primitive(manifest, lambda params, context: {"value": 1.0})])
    return GraphProgram.load(assets(cluster("r", {"c": "custom@0.1.0"})), inventory)


PRICED = ExternalEvent.with_payload("e1", EventKind.COMMAND, 0, b'{"price":1.0}')


@pytest.mark.parametrize(
    ("provides", "rule"),
    [
        (Provides(), "COMP-1"),
        (Provides(context={"price": ProvidedKey("String")}, capture_format_version="1"), "COMP-2"),
        (Provides(context={"price": ProvidedKey("Number")}, capture_format_version="999"), "COMP-3"),
    ],
)
def test_c10_42_adapter_that_does_not_fit(provides: Provides, rule: str) -> None:
    invoker = GraphInvoker(needy(), provides)
    assert invoker.run("r", "e1", PRICED.context, None) == Failed(ErrKind.VALIDATION_FAILED)
    assert invoker.last_error is not None
    assert invoker.last_error.rule == rule


def test_c10_42_adapter_that_fits() -> None:
    provides = Provides(context={"price": ProvidedKey("Number")}, capture_format_version="1")
    assert needy().required_context_nodes == ("n0",)
    assert GraphInvoker(needy(), provides).run("r", "e1", PRICED.context, None) is Outcome.COMPLETED
    assert GraphInvoker(needy(), provides).run("r", "e1", EVENT.context, None) == Failed(ErrKind.SEMANTIC_ERROR)


HELLO = cluster(
    "hello",
    {
        "left": ("number_source@0.1.0", {"value": 3.0}),
        "right": ("number_source@0.1.0", {"value": 1.0}),
        "bigger": "gt@0.1.0",
        "fire": "emit_if_true@0.1.0",
        "done": "ack_action@0.1.0",
    },
    ["left.value -> bigger.a", "right.value -> bigger.b", "bigger.result -> fire.input", "fire.event -> done.event"],
)


@pytest.mark.parametrize(("deadline", "termination"), [(None, Outcome.COMPLETED), (0, Outcome.ABORTED)])
def test_c10_52_hello_through_the_supervisor(deadline: int | None, termination: Outcome) -> None:
    log, invoker = RecordingLog(), GraphInvoker(GraphProgram.load(assets(HELLO), standard_inventory()))
    Supervisor("hello", Constraints(deadline=deadline), log, invoker).on_event(EVENT)
    (entry,) = log.entries
    assert (entry.decision, entry.termination, entry.retry_count) == (Decision.INVOKE, termination, 0)
    assert invoker.run_calls == 1


def test_c10_45_deadline_zero_executes_nothing() -> None:
    calls: list[object] = []

    def count(params: object, context: object) -> dict[str, float]:
        calls.append(params)
        return {"value": 1.0}

    manifest = SourceManifest("custom", "0.1.0", (OutputSpec("value", ValueType.NUMBER),))
    inventory = build_inventory([Primitive(manifest, count)])
    invoker = GraphInvoker(GraphProgram.load(assets(cluster("r", {"c": "custom@0.1.0"})), inventory))
    assert invoker.run("r", "e1", EVENT.context, 0) is Outcome.ABORTED
    assert calls == []
    assert invoker.run("r", "e1", EVENT.context, 1) is Outcome.COMPLETED
    assert len(calls) == 1
