"""Topologies as the original checks and describes them; spec 60 §27 C-112 and C-113.

``INSTEAD`` lists what the product refuses on purpose, with the rule.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.programs.pipeline.errors import TopologyError
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.topology import Edge, EdgeKind, JoinInputs, Role, Stage, StageType, Topology
from ergo_cli.programs.pipeline.topology_rules import validate

CASES: list[Any] = json.loads((Path(__file__).parent / "data" / "spec60" / "topology.json").read_text())
TYPES = {
    "F": StageType.FINITE_SOURCE,
    "I": StageType.INFINITE_SOURCE,
    "T": StageType.TRANSFORM,
    "A": StageType.STATEFUL,
    "J": StageType.JOIN,
    "S": StageType.SINK,
}
KINDS = {"f": EdgeKind.FORWARD, "b": EdgeKind.BACKWARD}
CODES = {
    "DisconnectedStages": "disconnected",
    "DuplicateEdge": "edge_duplicate",
    "InvalidConnection": "edge_role",
    "InvalidEdge": "edge_unknown_stage",
    "NoSinks": "no_sink",
    "NoSources": "no_source",
    "SelfCycle": "self_cycle",
    "UnproductiveStages": "unproductive",
    "UnreachableStages": "unreachable",
}
STRUCTURAL = {"disconnected", "edge_duplicate", "edge_unknown_stage", "self_cycle"}
JOIN = ("join_arity", "§28, 3.2: a join needs exactly its reference and its stream")
CYCLE = ("cycles_unsupported", "§28, 3.2: cycles are refused")
NAME = ("duplicate_name", "§28, 3.2: duplicate names come first; the original's builder refuses them")
INSTEAD = {
    "src-J-sink": JOIN,
    "join one upstream": JOIN,
    "cycle forward only": CYCLE,
    "sink to transform backward": CYCLE,
    "stateful cycle": CYCLE,
    "nested cycles one scc": CYCLE,
    "three same names": NAME,
}


def stage_id(number: int) -> StageId:
    return StageId.of(number.to_bytes(16))


def number_of(stage: StageId) -> int:
    return next(number for number in range(100) if stage_id(number) == stage)


def topology(stages: Sequence[Sequence[Any]], edges: Sequence[Sequence[Any]]) -> Topology:
    """The topology of ``[number, type, name]`` and ``[from, to, kind]``; a join with two upstream stages takes them."""
    made: list[Stage] = []
    for number, kind, name in stages:
        feeding = [upstream for upstream, reader, *_ in edges if reader == number]
        inputs = JoinInputs(*map(stage_id, feeding)) if kind == "J" and len(feeding) == 2 else None
        made.append(Stage(stage_id(number), name, TYPES[kind], inputs))
    return Topology(
        tuple(made), tuple(Edge(stage_id(a), stage_id(b), KINDS[kind[0] if kind else "f"]) for a, b, *kind in edges)
    )


def codes(given_topology: Topology) -> list[str]:
    """The codes of all faults, the headline first."""
    try:
        validate(given_topology)
    except TopologyError as error:
        return [each.code.removeprefix("pipeline.") for each in (error, *error.causes)]
    return []


def numbers(stages: Sequence[StageId]) -> list[int]:
    return [number_of(stage) for stage in stages]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_c60_112_a_topology_is_judged_as_by_the_original(case: Any) -> None:
    found = codes(topology(case["stages"], case["edges"]))
    error = case["full"].get("error")
    if case["name"] in INSTEAD:
        assert error is None
        assert found[:1] == [INSTEAD[case["name"]][0]]
        return
    assert found[:1] == ([] if error is None else [CODES[error["kind"]]])
    structural = case["structural"]
    wanted = [] if structural == "ok" else [CODES[structural["kind"]]]
    assert [code for code in found[:1] if code in STRUCTURAL] == wanted


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES if "error" in case["full"]])
def test_an_error_names_the_stages_of_the_original(case: Any) -> None:
    with pytest.raises(TopologyError) as caught:
        validate(topology(case["stages"], case["edges"]))
    names = {number: name for number, _, name in case["stages"]}
    error = case["full"]["error"]
    named = [names.get(number, stage_id(number).display) for number in error["stages"]]
    named += [] if error["kind"] != "SelfCycle" else [error["detail"]["stage"]]
    assert [name for name in named if f"'{name}'" not in f"{caught.value.message} {caught.value.where}"] == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES if "ok" in case["full"]])
def test_what_follows_from_a_topology_is_that_of_the_original(case: Any) -> None:
    made, facts = topology(case["stages"], case["edges"]), case["full"]["ok"]
    assert len(made.stages) == facts["num_stages"]
    assert numbers(made.expected_sources) == facts["source_stages"]
    ends = [stage.id for stage in made.stages if not made.downstream_stages(stage.id)]
    assert numbers(ends) == facts["sink_stages"]
    for role, name in ((Role.PRODUCER, "semantic_sources"), (Role.CONSUMER, "semantic_sinks")):
        assert numbers([stage.id for stage in made.stages if stage.type.role is role]) == facts[name]
    assert [[number_of(each.id), numbers(made.upstream_stages(each.id))] for each in made.stages] == facts["upstream"]
    assert [[number_of(each.id), numbers(made.downstream_stages(each.id))] for each in made.stages] == (
        facts["downstream"]
    )
    components = [[number_of(stage), min(numbers(cycle))] for cycle in made.cycles for stage in cycle]
    assert sorted(components) == facts["scc_of"]
    assert sorted(number for number, _ in components) == facts["in_cycle"]


S, T, K = (1, "F", "s"), (2, "T", "t"), (3, "S", "k")
LINE = [(1, 2), (2, 3)]
BAD: dict[str, tuple[list[Any], list[Any]]] = {
    "duplicate_name": ([S, (2, "T", "s"), K], LINE),
    "edge_unknown_stage": ([S, T, K], [*LINE, (2, 9)]),
    "edge_duplicate": ([S, T, K], [*LINE, (1, 2)]),
    "self_cycle": ([S, T, K], [*LINE, (2, 2)]),
    "disconnected": ([S, T, K, (4, "F", "alone")], LINE),
    "edge_role": ([S, T, K, (4, "S", "after")], [*LINE, (3, 4)]),
    "no_source": ([T, K], [(2, 3)]),
    "no_sink": ([S, T], [(1, 2)]),
    "unreachable": ([S, T, K, (4, "T", "root")], [*LINE, (4, 3)]),
    "unproductive": ([S, T, K, (4, "T", "leaf")], [*LINE, (1, 4)]),
    "join_arity": ([S, (2, "J", "j"), K], LINE),
    "cycles_unsupported": ([S, T, (4, "T", "u"), K], [(1, 2), (2, 4), (4, 2, "b"), (4, 3)]),
}


@pytest.mark.parametrize("code", BAD)
def test_c60_112_a_minimal_bad_topology_has_its_code_alone(code: str) -> None:
    assert codes(topology(*BAD[code])) == [code]
    with pytest.raises(TopologyError) as caught:
        validate(topology(*BAD[code]))
    assert caught.value.fix
    assert bool(caught.value.where) == (code not in ("no_source", "no_sink"))


@pytest.mark.parametrize(
    ("stages", "edges"),
    [
        ([S, (3, "S", "k")], [(1, 3)]),
        ([(1, "I", "s"), (2, "A", "t"), K], LINE),
        ([S, (4, "F", "r"), (2, "J", "j"), K], [(4, 2), (1, 2), (2, 3)]),
        ([S, K, (4, "F", "s2"), (5, "S", "k2")], [(1, 3), (4, 5)]),
    ],
)
def test_c60_112_a_good_topology_passes(stages: list[Any], edges: list[Any]) -> None:
    assert codes(topology(stages, edges)) == []


@pytest.mark.parametrize("upstream", [[1], [1, 4, 5], [1, 1]])
def test_a_join_is_fed_by_two_stages(upstream: list[int]) -> None:
    stages = [S, (4, "F", "r"), (5, "F", "q"), (2, "J", "j"), K]
    edges = [*((each, 2) for each in upstream), *((each, 3) for each in (4, 5) if each not in upstream), (2, 3)]
    assert "join_arity" in codes(topology(stages, edges))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_h60_1_the_sources_of_a_pipeline_are_those_that_nothing_feeds(case: Any) -> None:
    made = topology(case["stages"], case["edges"])
    if not codes(made):
        assert set(made.expected_sources) == {stage.id for stage in made.stages if stage.type.role is Role.PRODUCER}
    fed_source = [stage for stage in made.stages if stage.type.role is Role.PRODUCER and made.upstream_stages(stage.id)]
    assert not fed_source or codes(made)


def test_every_fault_is_found() -> None:
    stages = [S, (2, "T", "s"), (3, "S", "k"), (4, "T", "leaf"), (5, "F", "alone")]
    edges = [(1, 2), (2, 3), (2, 9), (2, 2), (3, 4)]
    assert codes(topology(stages, edges)) == [
        "duplicate_name",
        "edge_unknown_stage",
        "self_cycle",
        "disconnected",
        "edge_role",
        "unproductive",
    ]


def test_c60_113_structural_contracts() -> None:
    made = topology([S, T, (4, "T", "u"), K], [(1, 2), (2, 4), (4, 3), (1, 3)])
    assert [made.contract_names(edge) for edge in made.edges] == [
        ("TransportContract", "SourceContract"),
        ("TransportContract",),
        ("TransportContract", "DeliveryContract"),
        ("TransportContract", "SourceContract", "DeliveryContract"),
    ]
    cyclic = topology(*BAD["cycles_unsupported"])
    assert [cyclic.contract_names(edge)[-1] for edge in cyclic.edges] == [
        "SourceContract",
        "DivergenceContract",
        "DivergenceContract",
        "DeliveryContract",
    ]


def test_contract_pairs_come_in_the_order_of_the_stages() -> None:
    made = topology([S, T, K], [(2, 3), (1, 3), (1, 2)])
    assert [tuple(numbers(pair)) for pair in made.expected_contract_pairs] == [(1, 2), (1, 3), (2, 3)]


@given(st.permutations([(1, 2), (1, 4), (2, 5), (4, 5), (5, 3)]))
def test_faults_and_facts_do_not_depend_on_the_order_of_edges(edges: list[tuple[int, int]]) -> None:
    made = topology([S, T, (4, "T", "u"), (5, "A", "acc"), K], edges)
    assert codes(made) == []
    assert [tuple(numbers(pair)) for pair in made.expected_contract_pairs] == [(1, 2), (1, 4), (2, 5), (4, 5), (5, 3)]
