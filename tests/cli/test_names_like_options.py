"""Commands that a screen suggests take a file for a file, also one that is named like an option."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


def test_suggested_commands_name_a_file_that_begins_with_a_dash(ergo: Ergo, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", desk)
    (desk / "captures" / "monday.json").rename(desk / "-m.json")
    graph = desk / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    ran = ergo("replay", "--", "-m.json", cwd=desk)
    assert ran.exit_code == 1
    assert "closer     ergo why ./-m.json q-0910\n" in ran.stdout
    assert "intended?  ergo accept ./-m.json\n" in ran.stdout
    ran = ergo("accept", "--all", "./-m.json", cwd=desk)
    assert ran.exit_code == 0
    assert "prove      ergo replay ./-m.json --strict\n" in ran.stdout
