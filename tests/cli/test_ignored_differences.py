"""Differences of which a part is left out by ``--ignore``: shown by what remains, never a crash (spec 00 §12.7)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def threshold(tmp_path: Path) -> Path:
    """The project ``order_threshold`` with a lower level: q-0910 buys today."""
    home = Path(shutil.copytree(FIXTURES / "order_threshold", tmp_path / "ot"))
    (graph,) = (home / "graphs").glob("*.yaml")
    graph.write_text(graph.read_text().replace("105.0", "104.0"))
    return home


@pytest.fixture
def venue(tmp_path: Path) -> Path:
    """The project ``own_primitives`` with its orders sent to another venue."""
    home = Path(shutil.copytree(FIXTURES / "own_primitives", tmp_path / "op"))
    graph = home / "graphs" / "trend.yaml"
    assert "venue: xetra" in graph.read_text()
    graph.write_text(graph.read_text().replace("venue: xetra", "venue: paris"))
    return home


BOUGHT = {"kind": "set_context", "writes": [{"key": "bought_at", "value": {"Number": 104.25}}]}


@pytest.mark.parametrize(
    ("pattern", "line", "actual"),
    [
        (
            "effects[*].writes[key=bought_at].value",
            "  + bought_at       set_context by bought_at",
            {**BOUGHT, "writes": [{"key": "bought_at"}]},
        ),
        ("effects[*].writes[key=bought_at]", "  + set_context     by bought_at", {**BOUGHT, "writes": []}),
        ("**.value", "  + bought_at  set_context by bought_at", {**BOUGHT, "writes": [{"key": "bought_at"}]}),
        (
            "effects[*].writes[*].key",
            "  + a write = 104.25  set_context by bought_at",
            {**BOUGHT, "writes": [{"value": {"Number": 104.25}}]},
        ),
        ("**.kind", "  + bought_at = 104.25  by bought_at", {"writes": BOUGHT["writes"]}),
        ("**.writes", "  + set_context  by bought_at", {"kind": "set_context"}),
    ],
)
def test_a_new_write_of_which_a_part_is_left_out(
    pattern: str, line: str, actual: dict[str, Any], ergo: Ergo, threshold: Path
) -> None:
    ran = ergo("replay", "captures/monday.json", "--ignore", pattern, cwd=threshold)
    assert ran.exit_code == 1
    assert line in ran.stdout.splitlines()
    ran = ergo("replay", "captures/monday.json", "--ignore", pattern, "--format", "json", cwd=threshold)
    assert (ran.exit_code, ran.report["bundles"][0]["divergences"][0]["actual"]) == (1, actual)


def test_a_pattern_of_the_project_leaves_out_as_the_option_does(ergo: Ergo, threshold: Path) -> None:
    project = threshold / "ergo.toml"
    project.write_text('ignore = ["effects[*].writes[key=bought_at].value"]\n' + project.read_text())
    ran = ergo("replay", "captures/monday.json", cwd=threshold)
    assert (ran.exit_code, "  + bought_at       set_context by bought_at" in ran.stdout.splitlines()) == (1, True)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("effects[*].intents[*].kind", '  ~ effects[1].intents[0].fields[2].value.String  "xetra" -> "paris"'),
        ("**.name", '  ~ effects[1].intents[0].fields[2].value.String  "xetra" -> "paris"'),
        ("**.fields[name=side]", '  ~ place_order.venue  "xetra" -> "paris"'),
    ],
)
def test_a_changed_intent_of_which_a_part_is_left_out(pattern: str, line: str, ergo: Ergo, venue: Path) -> None:
    assert ergo("capture", "-o", "paris.json", cwd=venue).exit_code == 0
    compared = (("replay", "captures/prices.json"), ("diff", "captures/prices.json", "paris.json"))
    for arguments in compared:
        ran = ergo(*arguments, "--ignore", pattern, "--ignore", "header", cwd=venue)
        assert ran.exit_code == 1, ran.stderr
        assert any(each.startswith(line) for each in ran.stdout.splitlines()), ran.stdout
        assert ergo(*arguments, "--ignore", pattern, "--format", "json", cwd=venue).exit_code == 1


def test_what_differs_only_in_what_is_left_out_is_a_match(ergo: Ergo, venue: Path) -> None:
    ran = ergo("replay", "captures/prices.json", "--ignore", "**.fields[name=venue]", cwd=venue)
    assert (ran.exit_code, ran.stdout.split()[0]) == (0, "match")
