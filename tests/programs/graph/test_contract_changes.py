"""What changed in the contracts of primitives: once for all nodes that use one, at the line of its manifest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from graph_shorthand import Bound, assets, cluster, value
from msgspec.structs import replace

from ergo_cli.core.values import ValueType
from ergo_cli.programs.changes import Change
from ergo_cli.programs.graph.changes import graph_changes
from ergo_cli.programs.graph.check.catalog import Metadata, build_inventory, standard_inventory
from ergo_cli.programs.graph.primitives.primitive import (
    ComputeManifest,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    Primitive,
)
from ergo_cli.programs.graph.program import GraphProgram

NUMBER, BOOL = ValueType.NUMBER, ValueType.BOOL
SHARE = ParameterSpec("share", ParameterType.NUMBER, value(0.5))
SMOOTH = ComputeManifest(
    "smooth", "1.0.0", (InputSpec("now", NUMBER),), (OutputSpec("result", NUMBER),), (SHARE,), may_error=False
)
STEPS = ParameterSpec("steps", ParameterType.NUMBER, value(3.0))
PLACE = "/home/me/trend.py:7"


def program(manifest: ComputeManifest, selector: str, bound: Mapping[str, Bound]) -> GraphProgram:
    """A graph of two nodes of this primitive, the first with values of its own, between others."""
    nodes = {
        "price": ("number_source@0.1.0", {"value": 1.0}),
        "left": (f"smooth@{selector}", dict(bound)),
        "right": f"smooth@{selector}",
    }
    wires = ["price.value -> left.now", "left.result -> right.now"]
    graph = cluster("g", nodes, wires, outputs={"out": "right.result"})
    inventory = build_inventory([Primitive(manifest, lambda inputs, parameters: {"result": 1.0}, PLACE)])
    return GraphProgram.load(assets(graph), inventory)


def lines(changes: list[Change]) -> list[str]:
    """Each change in one line: its place, subject, verb, values, nodes, and whether it can decide nothing."""
    return [
        " ".join(
            filter(
                None,
                [
                    f"{each.file}:{each.line}",
                    each.subject,
                    each.verb.value,
                    each.before,
                    each.after,
                    *each.nodes,
                    "idle" if each.idle else "",
                ],
            )
        )
        for each in changes
    ]


@pytest.mark.parametrize(
    ("today", "bound", "expected"),
    [
        ({}, {}, []),
        ({"version": "1.1.0"}, {}, ["primitive smooth changed 1.0.0 1.1.0 left right"]),
        (
            {"parameters": (replace(SHARE, default=value(0.25)),)},
            {},
            ["primitive smooth.share changed 0.5 0.25 left right"],
        ),
        (
            {"parameters": (replace(SHARE, default=value(0.25)),)},
            {"share": 0.75},
            ["primitive smooth.share changed 0.5 0.25 right"],
        ),
        (
            {"parameters": (SHARE, STEPS), "version": "1.2.0"},
            {},
            ["primitive smooth changed 1.0.0 1.2.0 left right", "primitive smooth.steps added Number = 3.0 left right"],
        ),
        ({"parameters": ()}, {}, ["primitive smooth.share removed Number = 0.5 left right"]),
        (
            {"inputs": (InputSpec("now", NUMBER), InputSpec("quick", BOOL, required=False))},
            {},
            ["primitive smooth input quick added Bool, optional left right"],
        ),
        (
            {"inputs": (InputSpec("now", NUMBER, required=False),)},
            {},
            ["primitive smooth input now changed Number Number, optional left right"],
        ),
        (
            {"outputs": (OutputSpec("result", NUMBER), OutputSpec("before", NUMBER))},
            {},
            ["primitive smooth output before added Number left right"],
        ),
    ],
)
def test_a_contract_that_changed(today: dict[str, object], bound: dict[str, Bound], expected: list[str]) -> None:
    recorded = program(SMOOTH, "^1.0", bound)
    changes = graph_changes(recorded, program(replace(SMOOTH, **today), "^1.0", bound))
    assert lines(changes) == [f"{PLACE} {each}" for each in expected]


def test_a_default_that_every_node_replaces_can_decide_nothing() -> None:
    graph = cluster("g", {"only": ("number_source@0.1.0", {"value": 1.0})})
    recorded, today = (
        GraphProgram.described(assets(graph), [_source(default)]) for default in (value(0.0), value(9.0))
    )
    assert lines(graph_changes(recorded, today)) == ["None:None primitive number_source.value changed 0.0 9.0 idle"]


def _source(default: ParameterValue) -> Metadata:
    [found] = [each for each in standard_inventory().catalog if each.id == "number_source"]
    return replace(found, parameters=(replace(found.parameters[0], default=default, required=False),))


def test_a_node_that_asks_for_another_version_is_a_change_of_its_own() -> None:
    recorded, today = program(SMOOTH, "1.0.0", {}), program(replace(SMOOTH, version="1.1.0"), "1.1.0", {})
    assert lines(graph_changes(recorded, today)) == [
        f"{PLACE} primitive smooth changed 1.0.0 1.1.0 left right",
        "None:None left changed smooth@1.0.0 smooth@1.1.0 left",
        "None:None right changed smooth@1.0.0 smooth@1.1.0 right",
    ]


def test_a_program_made_of_contracts_has_the_fingerprint_of_the_one_that_ran() -> None:
    ran = program(SMOOTH, "^1.0", {"share": 0.75})
    described = GraphProgram.described(ran.assets, ran.contracts())
    assert described.provenance == ran.provenance
    other = [replace(each, version="1.0.1") if each.id == "smooth" else each for each in ran.contracts()]
    assert GraphProgram.described(ran.assets, other).provenance != ran.provenance
