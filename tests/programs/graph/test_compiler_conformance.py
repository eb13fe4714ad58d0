"""Every payload that the original recorded, through the compiled graph and through the interpreter."""

from __future__ import annotations

import json

import pytest
from passes import outcome

from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.run.compiler import compile_graph, interpret_graph
from ergo_cli.project.loading import load_graph_assets
from tests.conftest import CONFORMANCE

CASES = [
    "01-minimal",
    "02-demo1",
    "03-context-set",
    "06-series",
    "08-nested-clusters",
    "11-pump",
    "13-fixture-shapes",
    "17-float-drift",
    "24-constraints",
]


@pytest.mark.parametrize("name", CASES)
def test_recorded_payloads_through_both(name: str) -> None:
    case = CONFORMANCE / name
    found = load_graph_assets(case / "graph.yaml", [case / "lib"])
    program = GraphProgram.load(found.assets, standard_inventory())
    compiled = compile_graph(program.validated, program.inventory)
    interpreted = interpret_graph(program.validated, program.inventory)
    events = [event for path in sorted(case.glob("*.json")) for event in json.loads(path.read_text()).get("events", [])]
    assert events
    for recorded in events:
        payload = bytes(recorded["payload"])
        event = ExternalEvent.with_payload(recorded["event_id"], EventKind.COMMAND, 0, payload)
        told = outcome(compiled, event.context.values, event.event_id)
        assert told == outcome(interpreted, event.context.values, event.event_id)
