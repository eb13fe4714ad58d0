"""``ergo why --as``: the chain drawn, to standard output or to a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOLDEN = Path(__file__).parent / "golden"
BUNDLE = "captures/monday.json"
GRAPH = "graphs/order_threshold.yaml"
EVENTS = "events/monday.jsonl"


@pytest.fixture
def lowered(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy, captured here, with the level to enter at lowered since."""
    home = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", home)
    assert ergo("capture", cwd=home).exit_code == 0
    graph = home / GRAPH
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    return home


@pytest.mark.parametrize(("form", "golden"), [("mermaid", "why.mmd"), ("dot", "why.dot")])
def test_the_chain_is_drawn_with_the_way_to_the_change_in_colour(
    ergo: Ergo, lowered: Path, form: str, golden: str
) -> None:
    ran = ergo("why", BUNDLE, "--as", form, cwd=lowered)
    assert ran.exit_code == 0
    assert ran.stdout == (GOLDEN / golden).read_text()
    assert ergo("why", BUNDLE, "--as", form, cwd=lowered, PYTHONHASHSEED="7").stdout == ran.stdout


@pytest.mark.parametrize(("name", "golden"), [("chain.mmd", "why.mmd"), ("chain.gv", "why.dot")])
def test_the_suffix_of_the_file_names_the_form(ergo: Ergo, lowered: Path, name: str, golden: str) -> None:
    ran = ergo("why", BUNDLE, "-o", name, cwd=lowered)
    assert (ran.exit_code, ran.stdout) == (0, f"wrote {name}\n")
    assert (lowered / name).read_text() == (GOLDEN / golden).read_text()


def test_as_text_the_report_is_written(ergo: Ergo, lowered: Path) -> None:
    assert ergo("why", BUNDLE, "-o", "chain.txt", cwd=lowered).exit_code == 0
    text = (lowered / "chain.txt").read_text()
    assert text.splitlines()[0] == "bought_at = 104.25  only today"
    assert "b  enter_level  105.0 -> 104.0  :20  <- the change" in text


def test_the_report_has_the_chain_and_the_picture(ergo: Ergo, lowered: Path) -> None:
    report = ergo("why", BUNDLE, "--as", "mermaid", "--format", "json", cwd=lowered).report
    assert report["why"]["node"] == "bought_at"
    assert report["graph"]["as"] == "mermaid"
    assert report["graph"]["text"] == (GOLDEN / "why.mmd").read_text()


@pytest.mark.parametrize("file", [BUNDLE, GRAPH, "adapters/order_desk.yaml", "ergo.toml", EVENTS])
def test_what_was_read_and_what_the_profile_names_is_not_replaced(ergo: Ergo, lowered: Path, file: str) -> None:
    before = (lowered / file).read_bytes()
    ran = ergo("why", BUNDLE, "--as", "dot", "-o", file, "--format", "json", cwd=lowered)
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.conflicting_options")
    assert (lowered / file).read_bytes() == before


def test_without_graphviz_there_is_advice(ergo: Ergo, lowered: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    ran = ergo("why", BUNDLE, "-o", "chain.svg", "--format", "json", cwd=lowered, PATH=str(tmp_path / "bin"))
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "cli.graphviz_unavailable")
    assert not (lowered / "chain.svg").exists()


def test_an_svg_is_what_graphviz_draws(ergo: Ergo, lowered: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '<svg>'\nwhile read -r line; do :; done\necho '</svg>'\n")
    program.chmod(0o755)
    ran = ergo("why", BUNDLE, "--as", "svg", cwd=lowered, PATH=str(tmp_path / "bin"))
    assert (ran.exit_code, ran.stdout) == (0, "<svg>\n</svg>\n")


def test_where_nothing_differs_nothing_is_written(ergo: Ergo, lowered: Path) -> None:
    graph = lowered / GRAPH
    graph.write_text(graph.read_text().replace("value: 104.0", "value: 105.0"))
    assert ergo("why", BUNDLE, "-o", "chain.mmd", cwd=lowered).exit_code == 5
    assert not (lowered / "chain.mmd").exists()


def test_the_chain_of_a_program_that_acts_is_drawn_alike(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    shutil.copytree(FIXTURES / "agent", home, ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", cwd=home).exit_code == 0
    ran = ergo("why", "captures/tuesday.json", "t-0930", "receipt", "--as", "mermaid", cwd=home)
    assert ran.exit_code == 0
    lines = [line.strip() for line in ran.stdout.splitlines()]
    assert lines[:2] == ["flowchart TB", 'subgraph program ["event t-0930: receipt"]']
    assert 's1 -->|"written by"| s0' in lines
    assert 's2 -->|"request"| s1' in lines
