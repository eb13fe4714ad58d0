"""``ergo why`` and ``ergo explain`` where a node of one side fails: what it raised stands there, with the line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
BUNDLE = "captures/prices.json"
BROKE = "primitive 'rises_above' of 'breakout' broke: ZeroDivisionError: float division by zero"
PLACE = "trend/primitives.py:33 in rises_above"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def trend(tmp_path: Path) -> Path:
    """A project with own primitives, of which one fails at a level of 102."""
    home = tmp_path / "trend"
    shutil.copytree(FIXTURES / "own_primitives", home)
    edit(home / "trend" / "primitives.py", "return before < level <= now", "return 1 / (level - 102.0) > 3")
    return home


@pytest.fixture
def mended(ergo: Ergo, trend: Path) -> Path:
    """Captured as it failed; the level has been changed since."""
    assert ergo("capture", cwd=trend).exit_code == 0
    edit(trend / "graphs" / "trend.yaml", "level: 102.0", "level: 101.0")
    return trend


@pytest.fixture
def broken(ergo: Ergo, trend: Path) -> Path:
    """Captured as it ran; the level has been changed since, so that it fails."""
    edit(trend / "graphs" / "trend.yaml", "level: 102.0", "level: 101.0")
    assert ergo("capture", cwd=trend).exit_code == 0
    edit(trend / "graphs" / "trend.yaml", "level: 101.0", "level: 102.0")
    return trend


def test_what_today_raises_stands_in_the_chain_with_the_line(ergo: Ergo, broken: Path) -> None:
    ran = ergo("why", BUNDLE, "t4", cwd=broken)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        "average = 102.5234375  only recorded",
        "  by  remember  acts -> not reached: 'breakout' failed  graphs/trend.yaml:19",
        "    ended by  breakout  not emitted -> fails  rises_above(before, now), :22",
        f"      today: {BROKE} ({PLACE})",
        "      breakout.level  101.0 -> 102.0  :24  <- the change",
        "      before  smooth  101.28125  ema(price, before), :11",
        "      now  smooth  102.5234375  ema(price, before), :11",
    ]
    assert "Traceback" not in ran.stderr


def test_what_the_program_of_the_capture_raises_stands_in_the_chain(ergo: Ergo, mended: Path) -> None:
    lines = ergo("why", BUNDLE, cwd=mended).stdout.splitlines()
    assert lines[0] == "average = 100.0  only today"
    assert "    ended by  breakout  fails -> not emitted  rises_above(before, now), :22" in lines
    assert f"      recorded: {BROKE} ({PLACE})" in lines
    assert "      breakout.level  102.0 -> 101.0  :24  <- the change" in lines


def test_a_node_that_waits_for_the_one_that_fails_is_followed_to_it(ergo: Ergo, broken: Path) -> None:
    why = ergo("why", BUNDLE, "t4", "buy", "--format", "json", cwd=broken).report["why"]
    [event, _] = why["chain"]["sources"]
    assert (event["role"], event["part"], event["today"]) == ("event", "breakout", "fails")
    assert event["recorded_failure"] is None
    place = {"file": "trend/primitives.py", "line": 33, "function": "rises_above"}
    assert event["today_failure"] == {"message": BROKE, "place": place}
    assert [source["part"] for source in event["sources"] if source["is_change"]] == ["breakout.level"]


def test_code_that_fails_now_under_the_same_program_is_named(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "own"
    shutil.copytree(FIXTURES / "own_primitives", home)
    edit(home / "trend" / "primitives.py", "before = before or price", "before = befor or price")
    lines = ergo("why", BUNDLE, cwd=home).stdout.splitlines()
    assert lines[1].startswith("  by  smooth  fails  ema(price, before), graphs/trend.yaml:")
    broke = "primitive 'ema' of 'smooth' broke: NameError: name 'befor' is not defined"
    assert lines[2] == f"    {broke} (trend/primitives.py:26 in ema)"


def test_explain_has_the_line_of_either_side(ergo: Ergo, mended: Path) -> None:
    ran = ergo("explain", BUNDLE, "--event", "t4", cwd=mended)
    [line] = [line for line in ran.stdout.splitlines() if "breakout" in line.split()[:3]]
    assert line.endswith(f"yes: {BROKE} ({PLACE}) -> yes")
    nodes = ergo("explain", BUNDLE, "--event", "t4", "--format", "json", cwd=mended).report["episode"]["nodes"]
    [breakout] = [node for node in nodes if node["path"] == "breakout"]
    assert breakout["recorded"]["place"] == {"file": "trend/primitives.py", "line": 33, "function": "rises_above"}
    assert "place" not in breakout


def test_nodes_behind_one_that_fails_are_not_gone(ergo: Ergo, broken: Path) -> None:
    episode = ergo("explain", BUNDLE, "--event", "t4", "--format", "json", cwd=broken).report["episode"]
    assert "gone" not in episode
    [remember] = [node for node in episode["nodes"] if node["path"] == "remember"]
    assert (remember["ran"], remember["why"]) == (False, "not reached: 'breakout' failed")
    assert remember["recorded"]["outputs"] != {}
