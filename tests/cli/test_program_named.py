"""A program is named by one word, with its kind, whatever its kind is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(("fixture", "kind"), [("order_threshold", "graph"), ("agent", "kernel")])
def test_inspect_and_explain_name_the_program_with_its_kind(
    fixture: str, kind: str, ergo: Ergo, tmp_path: Path
) -> None:
    home = tmp_path / fixture
    shutil.copytree(FIXTURES / fixture, home)
    captured = ergo("capture", "-o", "b.json", "-v", cwd=home)
    assert captured.exit_code == 0, captured.stderr
    report = ergo("inspect", "b.json", "--format", "json", cwd=home).report
    event = re.search(r'"event_id":\s*"(.*?)"', (home / "b.json").read_text())
    assert event is not None
    named = f"{kind} {report['inspect']['graph_id']}"
    assert f"note: program '{report['inspect']['graph_id']}' found by" in captured.stderr
    for shown in (
        ergo("inspect", "b.json", cwd=home).stdout,
        ergo("explain", "b.json", "--event", event[1], cwd=home).stdout,
    ):
        assert re.findall(r"^  (?:graph|program) +(.*)$", shown, re.MULTILINE) == [named]


def test_another_program_is_refused_by_the_same_word(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", home)
    graph = home / "graphs" / "order_threshold.yaml"
    other = home / "graphs" / "other.yaml"
    other.write_text(graph.read_text().replace("id: order_threshold", "id: other", 1))
    ran = ergo("replay", "captures/monday.json", "-g", other, "-a", "adapters/order_desk.yaml", "--strict", cwd=home)
    assert ran.exit_code == 4
    message = "the bundle was captured from the program 'order_threshold', but this is the program 'other'"
    assert message in " ".join((ran.stdout + ran.stderr).split())
