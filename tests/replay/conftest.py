from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.schema import Header
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.values import effect_hash
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.loop import run_stream
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from ergo_cli.supervisor.seam import Constraints
from tests.support.events import event_line

BOILER = Path(__file__).parents[2] / "fixtures" / "boiler_alarm"

Boiler = Callable[..., LoadedProgram]
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def boiler(tmp_path: Path) -> Boiler:
    """The boiler's program with texts of its root graph replaced."""

    def load(*replaced: tuple[str, str]) -> LoadedProgram:
        text = (BOILER / "graphs" / "boiler.yaml").read_text()
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        graph = tmp_path / "boiler.yaml"
        graph.write_text(text)
        return load_program_from_files(graph, (BOILER / "clusters",), BOILER / "adapters" / "sensors.yaml")

    return load


def reading(event_id: str, temperature: float, pressure: float = 1.0, kind: str = "Command") -> dict[str, Any]:
    payload = {"temperature": temperature, "pressure": pressure}
    return {"type": kind, "id": event_id, "semantic_kind": "reading", "payload": payload}


def capture(path: Path, loaded: LoadedProgram, events: Iterable[dict[str, Any]]) -> Path:
    """Run events and keep the bundle."""
    program, adapter = loaded.program, loaded.adapter
    assert adapter is not None
    lines = [event_line(event) for event in events]
    header = Header(program.graph_id, Constraints(), program.provenance, adapter.fingerprint)
    with BundleWriter(str(path), header) as writer:
        stream = EventStream(lines, "events", semantic_kinds=SemanticKinds.REQUIRED)
        run_stream(PreparedRun(program, adapter), stream, writer)
        writer.commit()
    return path


def edited(path: Path, edit: Edit) -> Path:
    """A copy of a bundle, changed; hashes of effects are made anew."""
    bundle = json.loads(path.read_text())
    edit(bundle)
    for decision in bundle["decisions"]:
        for captured in decision.get("effects", ()):
            text = json.dumps(captured["effect"], separators=(",", ":"), ensure_ascii=False)
            captured["effect_hash"] = effect_hash(text.encode())
    copy = path.with_name("edited.json")
    copy.write_text(json.dumps(bundle))
    return copy


def written(path: Path, bundle: CaptureBundle) -> str:
    """The path of a file with this bundle in it."""
    path.write_bytes(bundle.encode())
    return str(path)
