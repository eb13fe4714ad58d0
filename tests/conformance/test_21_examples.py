"""Spec 21, C-29: every example of §11 gives exactly the stated ids, order, fingerprint, outputs and effects.

Also the rows of §12 that decode and fail later.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergo_cli.core.values import Effect, NativeValue, encode_effect
from ergo_cli.errors import RuleError
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.check.validation import validate
from ergo_cli.programs.graph.expand.boundary import infer_signature
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.files.cluster_file import decode_graph
from ergo_cli.programs.graph.files.discovery import InMemorySource, load_in_memory_graph_sources
from ergo_cli.programs.graph.model import BoundaryFamily, GraphAssets
from ergo_cli.programs.graph.primitives.primitive import ActionOutcome
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.run.interpreter import execute, trace
from ergo_cli.programs.graph.run.provenance import canonical_fingerprint_text, runtime_provenance
from ergo_cli.project.profiles import FixtureFile, IngressProcess, resolve_profile
from ergo_cli.project.project_file import load_project

DATA = Path(__file__).parent / "data" / "spec21"
CATALOG = standard_inventory().catalog

ATTEMPTED, SKIPPED, COMPLETED = ActionOutcome.ATTEMPTED, ActionOutcome.SKIPPED, ActionOutcome.COMPLETED


SOURCES = [
    InMemorySource(path.relative_to(DATA).as_posix(), path.relative_to(DATA).as_posix(), path.read_text("utf-8"))
    for path in sorted(DATA.rglob("*.*"))
    if path.suffix in (".yaml", ".json")
]


def load(root: str, *search_roots: str) -> GraphAssets:
    """The assets of an example, its clusters discovered below the search roots."""
    return load_in_memory_graph_sources(root, SOURCES, search_roots).assets


HELLO = load("graphs/hello.yaml")
ROLLING_MEAN = load("graphs/rolling_mean.yaml")
ONCE_DEMO = load("graphs/once_demo.yaml", "clusters")
PLANT = load("graphs/plant.yaml", "clusters")
TWO_VERSIONS = load("graphs/two_versions.yaml", "clusters", "lib")
HELLO_JSON = load("graphs/hello.json")
MINIMAL = load("graphs/m.yaml")


def paths(assets: GraphAssets) -> dict[str, str]:
    """Runtime ids by authored path."""
    return {node.path: runtime_id for runtime_id, node in expand(assets, CATALOG).nodes.items()}


def run(assets: GraphAssets, payload: str) -> tuple[dict[str, object], list[dict[str, NativeValue]]]:
    """Outputs, and per effect the keys that it writes."""
    program = GraphProgram.load(assets, standard_inventory())
    event = ExternalEvent.with_payload("e1", EventKind.COMMAND, 0, payload.encode())
    report = execute(program.validated, program.inventory, event.context.values, program.graph_id, "e1")
    return dict(report.outputs), [written(effect) for effect in report.effects]


def written(effect: Effect) -> dict[str, NativeValue]:
    assert effect.kind == "set_context"
    assert encode_effect(effect).startswith(b'{"kind":"set_context","writes":[{"key":')
    return {write.key: write.value.native for write in effect.writes}


@pytest.mark.parametrize(
    ("assets", "order", "fingerprint", "size"),
    [
        (
            HELLO,
            "n3 n4 n0 n2 n1",
            "f113e41dd2e044de00138bc309456fd85df8ee0a95fb6a7ffe6d6eda7607e8f5",
            2332,
        ),
        (
            ROLLING_MEAN,
            "n2 n10 n7 n8 n5 n6 n3 n0 n1 n4 n9",
            "30c7fc276fbd259f46f1a44c06c5e809492496a7164b85184bba9a8435eb0393",
            5944,
        ),
        (
            ONCE_DEMO,
            "n13 n2 n3 n5 n7 n8 n4 n0 n6 n9 n11 n10 n1 n12",
            "6380e6af0bf15f7debce36ef012ea30d3a0da8a09548ad198e8d469cdc50962d",
            None,
        ),
        (
            PLANT,
            "n1 n11 n12 n14 n15 n13 n16 n17 n19 n18 n10 n2 n0 n21 n20 n3 n4 n6 n5 n8 n7 n9",
            "2929cf4215bc117282b2399ba137f9c0c00508c391f613346628376209ca281c",
            9439,
        ),
        (
            TWO_VERSIONS,
            "n14 n3 n4 n5 n6 n7 n8 n9 n10 n1 n11 n12 n2 n0 n13",
            "c6ff3c1ceb888a2a29ead15965a1645894eb606da9cf2bb819e7f335c1b4847b",
            None,
        ),
        (HELLO_JSON, "n1 n2 n0", "eabd1f9361b33af3486c6b1c048d150cf8d5438269c77ca35e0fe4c37e67d33d", 1266),
        (MINIMAL, "n0", "4171c0b55885ce27ab61e135a796bdb7c32d45d6723e828ee0fc3b56d231edee", None),
    ],
    ids=lambda value: value.root.id if isinstance(value, GraphAssets) else "",
)
def test_c21_29_order_and_fingerprint(assets: GraphAssets, order: str, fingerprint: str, size: int | None) -> None:
    graph = expand(assets, CATALOG)
    assert runtime_provenance(graph.graph_id, graph, CATALOG) == f"rpv1:sha256:{fingerprint}"
    assert " ".join(validate(graph, CATALOG).order) == order
    if size is not None:
        assert len(canonical_fingerprint_text(graph.graph_id, graph, CATALOG)) == size


def test_c21_29_example_1() -> None:
    assert paths(HELLO) == {"bigger": "n0", "done": "n1", "fire": "n2", "left": "n3", "right": "n4"}
    assert run(HELLO, "") == ({"is_bigger": True, "outcome": COMPLETED}, [])
    signature = infer_signature(expand(HELLO, CATALOG), CATALOG)
    assert signature.kind is BoundaryFamily.SOURCE_LIKE
    assert signature.has_side_effects
    assert signature.is_origin


@pytest.mark.parametrize(
    ("payload", "mean", "window", "flagged", "effects"),
    [
        (
            '{"samples":[1,2],"price":5}',
            2.6666666666666665,
            [1.0, 2.0, 5.0],
            ATTEMPTED,
            [{"above_mean": True}, {"samples": [1.0, 2.0, 5.0]}],
        ),
        (
            '{"samples":[1,2,5],"price":5}',
            4.0,
            [2.0, 5.0, 5.0],
            ATTEMPTED,
            [{"above_mean": True}, {"samples": [2.0, 5.0, 5.0]}],
        ),
        ("{}", 0.0, [0.0], SKIPPED, [{"samples": [0.0]}]),
    ],
)
def test_c21_29_example_2(
    payload: str, mean: float, window: list[float], flagged: ActionOutcome, effects: list[dict[str, NativeValue]]
) -> None:
    outputs = {"mean": mean, "window": window, "saved": ATTEMPTED, "flagged": flagged}
    assert run(ROLLING_MEAN, payload) == (outputs, effects)


def test_c21_29_example_2_ids() -> None:
    assert paths(ROLLING_MEAN) == {
        "above": "n0",
        "alert": "n1",
        "always": "n2",
        "avg": "n3",
        "flag": "n4",
        "grow": "n5",
        "last3": "n6",
        "price": "n7",
        "samples": "n8",
        "save": "n9",
        "tick": "n10",
    }


FIRST_KEY = "__ergo/9:once_demo/5:first/9:has_fired"


def test_c21_29_example_3() -> None:
    assert len(paths(ONCE_DEMO)) == 14
    both = {"first_outcome": COMPLETED, "second_outcome": COMPLETED}
    assert run(ONCE_DEMO, "{}") == (both, [{FIRST_KEY: True}, {"shared_latch": True}])
    latched = {"first_outcome": COMPLETED, "second_outcome": SKIPPED}
    assert run(ONCE_DEMO, '{"shared_latch":true}') == (latched, [{FIRST_KEY: True}])


HOT_KEY = "__ergo/5:plant/3:hot/13:guarded_alarm/10:first_only/9:has_fired"
TIGHT_KEY = "__ergo/5:plant/5:tight/13:guarded_alarm/10:first_only/9:has_fired"


@pytest.mark.parametrize(
    ("context", "heat", "hot", "tight", "key"),
    [
        ({"temperature": 90, "pressure": 3}, 1.125, ATTEMPTED, SKIPPED, HOT_KEY),
        ({"temperature": 90, "pressure": 30, HOT_KEY: True}, 1.125, SKIPPED, ATTEMPTED, TIGHT_KEY),
        ({"temperature": 70, "pressure": 30}, 0.875, SKIPPED, ATTEMPTED, TIGHT_KEY),
    ],
)
def test_c21_29_example_4(
    context: dict[str, float | bool], heat: float, hot: ActionOutcome, tight: ActionOutcome, key: str
) -> None:
    outputs = {"hot_outcome": hot, "tight_outcome": tight, "heat": heat}
    assert run(PLANT, json.dumps(context)) == (outputs, [{key: True}])


PLANT_NODES = """
n0 emit_if_true hot/check/emit
n1 number_source hot/check/limit_value
n2 gt hot/check/over
n3 safe_divide hot/check/ratio
n4 context_bool_source hot/first_only/fired
n5 emit_if_event_and_true hot/first_only/gate
n6 not hot/first_only/not_fired
n7 context_set_bool hot/first_only/remember
n8 boolean_source hot/first_only/yes_value
n9 annotate_action note_hot
n10 annotate_action note_tight
n11 context_number_source pressure
n12 context_number_source temperature
n13 emit_if_true tight/check/emit
n14 number_source tight/check/limit_value
n15 gt tight/check/over
n16 safe_divide tight/check/ratio
n17 context_bool_source tight/first_only/fired
n18 emit_if_event_and_true tight/first_only/gate
n19 not tight/first_only/not_fired
n20 context_set_bool tight/first_only/remember
n21 boolean_source tight/first_only/yes_value
"""


def test_c21_29_example_4_nodes() -> None:
    nodes = expand(PLANT, CATALOG).nodes
    assert [f"{key} {node.impl_id} {node.path}" for key, node in nodes.items()] == PLANT_NODES.strip().splitlines()
    assert [nodes[key].parameters["value"].value for key in ("n1", "n14")] == [80.0, 10.0]
    assert [nodes[key].parameters["fallback"].value for key in ("n3", "n16")] == [0.0, 0.0]


def test_c21_29_example_4_traced() -> None:
    program = GraphProgram.load(PLANT, standard_inventory())
    context: dict[str, NativeValue] = {"temperature": 90.0, "pressure": 3.0}
    told = {node.path: node for node in trace(program.validated, program.inventory, context, "plant", "e1")}
    assert list(told)[:3] == ["hot/check/limit_value", "pressure", "temperature"]
    assert told["hot/check/over"].inputs == {"a": 90.0, "b": 80.0}
    assert told["hot/check/over"].outputs == {"result": True}
    assert told["note_hot"].ran
    assert (told["note_tight"].ran, told["note_tight"].why) == (False, "not emitted: event")
    assert [written(effect) for effect in told["hot/first_only/remember"].effects] == [{HOT_KEY: True}]


@pytest.mark.parametrize(
    ("x", "outputs", "effects"),
    [
        (2, {"capped": 15.0, "stored": ATTEMPTED}, [{"last_amount": 15.0}, {"last_customer": "Ada"}]),
        (1, {"capped": 10.5, "stored": SKIPPED}, []),
    ],
)
def test_c21_29_example_5(x: int, outputs: dict[str, object], effects: list[dict[str, NativeValue]]) -> None:
    assert run(TWO_VERSIONS, f'{{"x":{x},"customer":"Ada"}}') == (outputs, effects)


def test_c21_29_example_5_without_the_second_version() -> None:
    with pytest.raises(RuleError) as caught:
        expand(load("graphs/two_versions.yaml", "clusters"), CATALOG)
    assert caught.value.rule == "I.6"
    assert caught.value.where == "graphs/two_versions.yaml:9:3 nodes.new"
    for fact in ("'scale'", "'>=2.0, <3'", "1.0.0"):
        assert fact in caught.value.message


def test_c21_29_examples_6_and_7() -> None:
    assert run(HELLO_JSON, "") == ({"is_bigger": True}, [])
    assert run(MINIMAL, "") == ({"v": 1.0}, [])


BAD = [
    ("outputs: {o: nope.v}", "x: {impl: number_source@0.1.0}", "D.4", "expansion"),
    ("outputs: {o: x.nope}", "x: {impl: number_source@0.1.0}", "D.2", "validation"),
    (
        "inputs: [{name: i, type: number}, {name: i, type: number}]",
        "x: {impl: number_source@0.1.0}",
        "D.5",
        "expansion",
    ),
    (
        "parameters: [{name: p, type: number, default: 1.0}, {name: p, type: number, default: 1.0}]",
        "x: {impl: number_source@0.1.0}",
        "D.9",
        "expansion",
    ),
    ("", "x: {impl: number_source@0.1.0, params: {valeu: 3}}", "I.7", "expansion"),
    ("", "x: {impl: const_number@0.1.0}", "I.3", "expansion"),
    ("", "x: {impl: divide@0.1.0}", "I.6", "expansion"),
    ("", "x: {impl: nope@0.1.0}", "V.8", "validation"),
    ("", "x: {impl: nope@^0.1}", "I.6", "expansion"),
    ("", "x: {cluster: scale@2.1.0, params: {factor: 3}}", "I.4", "expansion"),
    (
        "edges: [x.value -> t.input]",
        "x: {impl: boolean_source@0.1.0}\n  t: {impl: emit_if_true@0.1.0}",
        "V.2",
        "validation",
    ),
    ("edges: [x.value -> n.value]", "x: {impl: number_source@0.1.0}\n  n: {impl: not@0.1.0}", "V.4", "validation"),
    ("", "x: {impl: ack_action@0.1.0}", "V.3", "validation"),
    (
        "edges: [x.result -> y.value, y.result -> x.value]",
        "x: {impl: negate@0.1.0}\n  y: {impl: negate@0.1.0}",
        "V.1",
        "validation",
    ),
    (
        "edges: [x.value -> y.value, x.value -> y.value]",
        "x: {impl: number_source@0.1.0}\n  y: {impl: negate@0.1.0}",
        "V.7",
        "validation",
    ),
]


@pytest.mark.parametrize(("members", "nodes", "rule", "stage"), BAD)
def test_c21_09_bad_graphs_that_decode(members: str, nodes: str, rule: str, stage: str) -> None:
    edges = "" if members.startswith("edges") else "edges: []\n"
    text = f"kind: cluster\nid: bad\nversion: 1.0.0\nnodes:\n  {nodes}\n{edges}{members}\n"
    scale = load("lib/scale.yaml")
    decoded = decode_graph(text, "bad.yaml")
    clusters = {decoded.definition.key: decoded.definition, **scale.clusters}
    assets = GraphAssets(decoded.definition, clusters, places={decoded.definition.key: decoded.places})
    if stage == "validation":
        expand(assets, CATALOG)
    with pytest.raises(RuleError) as caught:
        GraphProgram.load(assets, standard_inventory())
    assert caught.value.rule == rule
    assert caught.value.where is not None
    assert caught.value.where.startswith("bad.yaml:")


def test_c21_09_no_nodes() -> None:
    decoded = decode_graph("kind: cluster\nid: bad\nversion: 1.0.0\nnodes: {}\nedges: []\n")
    with pytest.raises(RuleError) as caught:
        expand(GraphAssets(decoded.definition, {}), CATALOG)
    assert caught.value.rule == "D.1"


def test_c21_29_example_8(tmp_path: Path) -> None:
    (tmp_path / "ergo.toml").write_text((DATA / "ergo.toml").read_text("utf-8"))
    project = load_project(tmp_path)
    historical, live = resolve_profile(project, "historical"), resolve_profile(project, "live")
    assert historical.graph == live.graph == tmp_path / "graphs/plant.yaml"
    assert historical.cluster_paths == (tmp_path / "clusters",)
    assert historical.ingress == FixtureFile(tmp_path / "fixtures/day1.jsonl")
    assert historical.capture == tmp_path / "captures/day1.capture.json"
    assert (historical.pretty, historical.max_duration, historical.max_events) == (True, 900 * 10**9, 500)
    assert live.ingress == IngressProcess(("python3", "channels/ingress/live.py"), tmp_path)
    assert (live.adapter, live.egress) == (tmp_path / "adapters/plant.yaml", tmp_path / "egress/live.toml")
    assert (live.pretty, live.max_duration, live.max_events) == (False, 1_500_000_000, None)
