"""``ergo diff`` of two captures names the memory that differs, and since which event it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo
from tests.memory_desk import AVERAGED, COUNTED, COUNTER, EMA, Desk


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Desk:
    return Desk(ergo, tmp_path, COUNTER, COUNTED)


def differences(desk: Desk, *options: str) -> list[dict[str, Any]]:
    ran = desk.ergo("diff", "b.json", "today.json", *options, "--format", "json", cwd=desk.home)
    assert ran.exit_code == 1, ran.stderr
    return [each for each in ran.report["bundles"][0]["divergences"] if each["kind"] != "header"]


def caused(found: list[dict[str, Any]]) -> list[tuple[str, str, str | None, list[tuple[str, str]]]]:
    return [
        (
            each["event_id"],
            each["path"],
            each["cause"],
            [(key["key"], key["event_id"]) for key in each.get("memory", [])],
        )
        for each in found
    ]


WRITTEN, READ = "effects[0].writes[0].value.Number", "event.payload.count"


def test_one_event_that_counts_otherwise_is_apart_from_those_that_remember_it(desk: Desk) -> None:
    desk.capture({"price": price} for price in (150.0, 50.0, 102.0, 50.0, 150.0))
    desk.edit("value: 100.0", "value: 105.0")
    desk.capture_again("today.json")
    assert caused(differences(desk)) == [
        ("e3", WRITTEN, None, []),
        ("e4", READ, "memory", [("count", "e3")]),
        ("e4", WRITTEN, "memory", [("count", "e3")]),
        ("e5", READ, "memory", [("count", "e3")]),
        ("e5", WRITTEN, "memory", [("count", "e3")]),
    ]
    shown = desk.ergo("diff", "b.json", "today.json", cwd=desk.home).stdout.splitlines()
    assert [" ".join(line.split()) for line in shown[2:7]] == [
        "changed graph.yaml:7 limit.value 100.0 -> 105.0",
        "",
        "2 keep ~ count first e4, last e5, memory of count since e3",
        "1 keep ~ count 2.0 -> 1.0 e3",
        "2 evidence ~ event.payload.count 2.0 -> 1.0 first e4, last e5, memory of count since e3",
    ]


def test_what_an_event_brings_itself_is_not_memory_and_ends_it(desk: Desk) -> None:
    desk.capture(
        [{"price": 102.0}, {"price": 150.0}, {"price": 150.0, "count": 40.0}, {"price": 102.0}, {"price": 50.0}]
    )
    desk.edit("value: 100.0", "value: 105.0")
    desk.capture_again("today.json")
    assert caused(differences(desk)) == [
        ("e1", WRITTEN, None, []),
        ("e2", READ, "memory", [("count", "e1")]),
        ("e2", WRITTEN, "memory", [("count", "e1")]),
        ("e4", WRITTEN, None, []),
        ("e5", READ, "memory", [("count", "e4")]),
        ("e5", WRITTEN, "memory", [("count", "e4")]),
    ]


def test_an_event_that_one_side_alone_has_is_named(desk: Desk) -> None:
    desk.capture({"price": price} for price in (150.0, 150.0, 50.0))
    lines = (desk.home / "events.jsonl").read_text().splitlines(keepends=True)
    (desk.home / "events.jsonl").write_text("".join((*lines[:2], *lines[3:])))
    desk.capture_again("today.json")
    assert caused(differences(desk))[1:] == [
        ("e3", READ, "memory", [("count", "e2")]),
        ("e3", WRITTEN, "memory", [("count", "e2")]),
    ]


def test_ignored_memory_is_a_cause_all_the_same(desk: Desk) -> None:
    desk.capture({"price": price} for price in (102.0, 50.0))
    desk.edit("value: 100.0", "value: 105.0")
    desk.capture_again("today.json")
    found = caused(differences(desk, "--ignore", READ))
    assert ("e2", WRITTEN, "memory", [("count", "e1")]) in found


def test_the_first_decision_in_full_says_so(ergo: Ergo, tmp_path: Path) -> None:
    """Averages of 8, 4: 4.0, 4.0; where prices are capped at 6: 3.0, 3.5. Neither decision of e1 is looked at."""
    desk = Desk(ergo, tmp_path, EMA, AVERAGED)
    desk.capture([{"price": 8.0}, {"price": 4.0}])
    desk.edit("value: 100.0", "value: 6.0")
    desk.capture_again("today.json")
    ran = ergo("diff", "b.json", "today.json", "--ignore", "effects[0].writes[0]", cwd=tmp_path)
    assert "  because   memory of average since e1" in ran.stdout.splitlines()


def test_the_documentation_shows_such_groups(desk: Desk) -> None:
    desk.capture({"price": 102.0 if number == 3 else 150.0 if number % 2 else 50.0} for number in range(1, 501))
    desk.edit("value: 100.0", "value: 105.0")
    desk.capture_again("today.json")
    text = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
    [screen] = [block for block in text.split("```") if "memory of count since e3" in block]
    shown = desk.ergo("diff", "b.json", "today.json", cwd=desk.home).stdout.splitlines()
    assert screen.strip("\n").splitlines() == shown[2:7]
