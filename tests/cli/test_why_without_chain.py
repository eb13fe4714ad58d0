"""``ergo why`` of an event of which something differs that no chain leads to: it shows that, and does not deny it."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Ergo


def test_a_flow_that_fails_is_shown_with_its_line_and_its_termination(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "stock"
    assert ergo("init", str(home), "--kind", "pipeline", cwd=tmp_path).exit_code == 0
    program = home / "stock.py"
    program.write_text(program.read_text().replace('stock["left"].get', 'stock["lef"].get'))
    ran = ergo("why", "captures/historical.capture.json", cwd=home)
    assert ran.exit_code == 5
    assert ran.stderr.splitlines() == ["  1  KeyError: 'lef'", "     stock.py:44 in count", "     event e1"]
    assert ran.stdout.splitlines() == [
        "empty: no chain leads to what differs of event 'e1'",
        "",
        "changed    stock.py:44  in count  'left' -> 'lef'",
        "",
        "decision 0  event e1",
        '  ~ termination  "Completed" -> {"Failed": "SemanticError"}',
        "  because   in count  'left' -> 'lef'",
        "",
        "closer     ergo explain captures/historical.capture.json --event e1",
    ]
