"""Spec 20, C-45, C-55 and C-58: every pass that the original recorded comes out again, to the byte."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from ergo_cli.core.values import encode_effect
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.files.cluster_file import decode_graph
from ergo_cli.programs.graph.model import GraphAssets
from ergo_cli.programs.graph.program import GraphInvoker, GraphProgram
from ergo_cli.supervisor.seam import Outcome
from tests.conftest import CONFORMANCE

CASES = [
    "01-minimal",
    "02-demo1",
    "03-context-set",
    "06-series",
    "08-nested-clusters",
    "13-fixture-shapes",
]


def load(case: Path) -> GraphProgram:
    """The case's graph, with every other graph text of its folder for a library."""
    root, *others = sorted(case.rglob("*.yaml"), key=lambda path: path.name != "graph.yaml")
    clusters = [path for path in others if path.read_text().startswith("kind: cluster")]
    definitions = [decode_graph(path.read_text(), path.name).definition for path in (root, *clusters)]
    assets = GraphAssets(definitions[0], {definition.key: definition for definition in definitions})
    return GraphProgram.load(assets, standard_inventory())


@pytest.mark.parametrize("name", CASES)
def test_c20_58_recorded_fingerprint_and_effects(name: str) -> None:
    case = CONFORMANCE / name
    bundle, program = json.loads((case / "capture.json").read_bytes()), load(case)
    assert program.provenance == bundle["runtime_provenance"]
    payloads = {event["event_id"]: bytes(event["payload"]) for event in bundle["events"]}
    invoker, invoked = GraphInvoker(program), 0
    for decision in bundle["decisions"]:
        if decision["decision"] == "Invoke":
            event = ExternalEvent.with_payload(
                decision["event_id"], EventKind.COMMAND, 0, payloads[decision["event_id"]]
            )
            termination = invoker.run(program.graph_id, event.event_id, event.context, None)
            recorded = decision["termination"]
            assert (termination is Outcome.COMPLETED) == (recorded == "Completed")
            assert isinstance(termination, Outcome) or {"Failed": termination.kind.value} == recorded
            hashes = [sha256(encode_effect(effect)).hexdigest() for effect in invoker.drain()]
            assert hashes == [effect["effect_hash"] for effect in decision["effects"]]
            invoked += 1
    assert invoked > 0
