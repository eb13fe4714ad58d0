"""Spec 30, own primitives: C-132."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.bundle.schema import Header
from ergo_cli.events.external import EventKind, HostedEvent
from ergo_cli.host.effects import ApplyEffects
from ergo_cli.host.step import HostedRunner
from ergo_cli.primitives import source
from ergo_cli.programs.graph.check.catalog import build_inventory
from ergo_cli.programs.graph.program import GraphInvoker
from ergo_cli.project.loading import load_program_from_files
from ergo_cli.supervisor.seam import Constraints
from tests.conftest import Ergo

MODULE = """\
from ergo_cli.primitives import source


@source("doubled", "1.0.0")
def doubled(price: float) -> float:
    return 2.0 * price
"""
GRAPH = """\
kind: cluster
id: doubling
version: "1.0.0"
nodes:
  price: { impl: doubled@1.0.0 }
  yes: { impl: const_bool@0.1.0, params: { value: true } }
  gate: { impl: emit_if_true@0.1.0 }
  keep: { impl: context_set_number@0.1.0, params: { key: last } }
edges:
  - yes.value -> gate.input
  - gate.event -> keep.event
  - price.value -> keep.value
outputs: { price: price.value }
"""
ADAPTER = """\
kind: adapter
id: desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: price, type: Number, required: true, writable: false }
  - { name: last, type: Number, required: false, writable: true }
event_kinds:
  - name: tick
    payload_schema:
      type: object
      properties: { price: { type: number }, last: { type: number } }
      required: [price]
      additionalProperties: false
accepts:
  effects:
    - { name: set_context, payload_schema: { type: object, additionalProperties: false } }
capture: { format_version: "1", fields: [event.tick] }
"""
EVENT = '{"kind":"event","event":{"type":"Command","id":"e1","semantic_kind":"tick","payload":{"price":1.25}}}\n'


@source("doubled", "1.0.0")
def doubled(price: float) -> float:
    return 2.0 * price


@pytest.fixture
def project(tmp_path: Path) -> Path:
    profile = 'graph = "g.yaml"\nadapter = "a.yaml"\nfixture = "e.jsonl"\n'
    texts = {
        "ergo.toml": f'name = "n"\nversion = "1"\nprimitives = "own"\n[profiles.default]\n{profile}',
        "own.py": MODULE,
        "g.yaml": GRAPH,
        "a.yaml": ADAPTER,
        "e.jsonl": EVENT,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_c30_132_a_custom_source_is_used_by_run_replay_and_manual_stepping(project: Path, ergo: Ergo) -> None:
    assert ergo("capture", "-o", "b.json", cwd=project).exit_code == 0
    assert ergo("replay", "b.json", "--strict", cwd=project).exit_code == 0
    loaded = load_program_from_files(project / "g.yaml", (), project / "a.yaml", build_inventory([doubled]))
    program, adapter = loaded.program, loaded.adapter
    assert adapter is not None
    bundle = InMemoryBundle(Header(program.graph_id, Constraints(), program.provenance, adapter.fingerprint))
    runner = HostedRunner(
        program.graph_id, Constraints(), GraphInvoker(program.value), adapter, ApplyEffects(adapter), bundle
    )
    event = HostedEvent("e1", EventKind.COMMAND, 0, "tick", {"price": 1.25})
    outcome = runner.step(event)
    assert [(write.key, write.value.native) for write in outcome.applied_writes] == [("last", 2.5)]
    assert bundle.commit().encode() == (project / "b.json").read_bytes()
