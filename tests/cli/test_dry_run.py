"""``--dry-run``: intents are recorded, no channel is started."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.channels.samples import FIRST_INTENT, KIND, sample_project
from tests.conftest import Ergo

ROOT = Path(__file__).parents[2]
NOTICE = "warning: dry run: no channel is started, intents are recorded and not dispatched\n"


@pytest.mark.parametrize("command", [("capture", "-o"), ("run", "--capture")])
def test_intents_are_recorded_and_no_channel_is_started(command: tuple[str, str], ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    name, output = command
    ran = ergo(name, "-p", "historical", output, "b.json", "--dry-run", cwd=project)
    assert (ran.exit_code, ran.stderr) == (0, NOTICE)
    assert not (project / "outbox.jsonl").exists()
    bundle = json.loads((project / "b.json").read_text())
    last = bundle["decisions"][-1]
    (intent,) = [each for captured in last["effects"] for each in captured["effect"].get("intents", ())]
    assert (intent["kind"], intent["intent_id"]) == (KIND, FIRST_INTENT)
    assert "intent_acks" not in last
    assert "egress_provenance" not in bundle
    assert ergo("replay", "b.json", "--strict", "-p", "historical", cwd=project).exit_code == 0


def test_the_decisions_are_those_of_a_run_with_channels(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    assert ergo("capture", "-p", "historical", "-o", "live.json", cwd=project).exit_code == 0
    assert ergo("capture", "-p", "historical", "-o", "dry.json", "--dry-run", cwd=project).exit_code == 0
    assert ergo("diff", "live.json", "dry.json", "--fail-on", "decision", cwd=project).exit_code == 0


def test_a_graph_without_routes_may_emit_what_its_adapter_accepts(ergo: Ergo, tmp_path: Path) -> None:
    project = tmp_path / "trend"
    shutil.copytree(ROOT / "fixtures" / "own_primitives", project)
    toml = project / "ergo.toml"
    toml.write_text(toml.read_text().replace('egress = "egress.toml"\n', ""))
    assert ergo("capture", "-o", "b.json", cwd=project).exit_code == 3
    assert ergo("capture", "-o", "b.json", "--dry-run", cwd=project).exit_code == 0
    assert ergo("replay", "b.json", "--strict", cwd=project).exit_code == 0


def test_a_route_that_the_adapter_does_not_accept_is_refused_all_the_same(ergo: Ergo, tmp_path: Path) -> None:
    project = tmp_path / "trend"
    shutil.copytree(ROOT / "fixtures" / "own_primitives", project)
    routes = project / "egress.toml"
    routes.write_text(routes.read_text().replace("[routes.place_order]", "[routes.other]"))
    ran = ergo("capture", "-o", "b.json", "--dry-run", cwd=project)
    assert ran.exit_code == 3
    assert "'other'" in ran.stderr


@pytest.mark.parametrize("example", ["agent", "settlement", "orders"])
def test_a_program_that_acts_by_itself_has_no_dry_run(example: str, ergo: Ergo, tmp_path: Path) -> None:
    project = tmp_path / example
    shutil.copytree(ROOT / "fixtures" / example, project)
    ran = ergo("capture", "-o", "b.json", "--dry-run", cwd=project)
    assert ran.exit_code == 2
    assert "which acts on the world by itself" in ran.stderr
    assert "option --dry-run" in ran.stderr
    assert not (project / "b.json").exists()
