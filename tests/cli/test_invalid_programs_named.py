"""A program that cannot run any more: the refusal names the edit with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Ergo

EDGES = '    edges=(("sales", "check"), ("check", "count"), ("count", "orders")),'
QUOTED = '    edges=(("parcels.main.quote", '


@pytest.mark.parametrize(
    ("kind", "file", "old", "new", "error", "changed"),
    [
        (
            "pipeline",
            "stock.py",
            EDGES,
            '    edges=(("sales", "count"), ("count", "orders")),',
            "error: no edge leads to or from 'check'\n",
            "changed    stock.py:81  program\n",
        ),
        (
            "plan",
            "parcels.py",
            QUOTED,
            QUOTED.replace("quote", "quot"),
            "an edge names the state 'parcels.main.quot', which it does not have\n",
            "changed    parcels.py:46  program  'parcels.main.quote' -> 'parcels.main.quot'\n",
        ),
    ],
)
def test_the_edge_that_breaks_a_program_is_named(
    ergo: Ergo, tmp_path: Path, kind: str, file: str, old: str, new: str, error: str, changed: str
) -> None:
    home = tmp_path / kind
    assert ergo("init", str(home), "--kind", kind, cwd=tmp_path).exit_code == 0
    text = (home / file).read_text()
    assert text.count(old) == 1
    (home / file).write_text(text.replace(old, new))
    ran = ergo("replay", cwd=home)
    assert ran.exit_code == 3
    assert error in ran.stderr
    assert ran.stdout == f"refused  captures/historical.capture.json\n\n{changed}"
    report = ergo("replay", "--format", "json", cwd=home).report
    [change] = report["bundles"][0]["changes"]
    assert f"{change['file']}:{change['line']}" in changed


def test_yaml_that_cannot_be_read_is_told_in_whole_words(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "graph"
    assert ergo("init", str(home), cwd=tmp_path).exit_code == 0
    graph = home / "graphs" / "strategy.yaml"
    graph.write_text(graph.read_text().replace("  gate: {impl", "  gate: {{impl"))
    ran = ergo("replay", cwd=home)
    assert ran.exit_code == 3
    first = ran.stderr.splitlines()[0]
    assert first == "error: graphs/strategy.yaml:6:10  the bundle cannot be replayed: a key must be a scalar"
