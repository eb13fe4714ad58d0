"""The bounds of the formats of CI systems, and what they say of what is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ci_readers import github, gitlab, junit, sarif

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.levels import Level
from ergo_cli.errors import ErgoError
from ergo_cli.programs.changes import Change
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Outcome
from ergo_cli.report.comparisons import REPLAY, render_comparison
from ergo_cli.report.document import Report
from ergo_cli.report.formats.github import summary
from ergo_cli.report.formats.registry import Around, rendered
from ergo_cli.report.formats.rules import RULES
from ergo_cli.report.tool_results import render_validation
from ergo_cli.tools.validation import validate_files

HERE = Around()


def divergence(event: str, node: str, level: Level = Level.DECISION, value: str = "x") -> Divergence:
    return Divergence(
        seq=0,
        event_id=event,
        episode_id=0,
        kind=DivergenceKind.EFFECT_CHANGED,
        path="effects[0].writes[0].value.Text",
        expected="old",
        actual=value,
        node=node,
        level=level,
    )


def bundle(name: str, *found: Divergence, count: int | None = None) -> BundleResult:
    levels = LevelCounts(*(sum(each.level is level for each in found) for level in Level))
    return BundleResult(
        name,
        Outcome.DIVERGED if found else Outcome.MATCH,
        events=len(found),
        decisions=DecisionCounts(len(found), 0, 0),
        divergences=found,
        divergence_count=len(found) if count is None else count,
        levels=levels,
        program_file="graph.yaml",
    )


def report(*results: BundleResult) -> Report:
    return render_comparison("replay", results, REPLAY).report


def test_sarif_keeps_the_gravest_five_thousand() -> None:
    timing = [divergence(f"t{number}", f"slow{number}", Level.TIMING) for number in range(3000)]
    decisions = [divergence(f"d{number}", f"fast{number}") for number in range(3000)]
    run = sarif(rendered("sarif", report(bundle("a.json", *timing), bundle("b.json", *decisions)), HERE))
    levels = [result["properties"]["level"] for result in run["results"]]
    assert levels == ["decision"] * 3000 + ["timing"] * 2000
    [notification] = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "1,000 more results are left out: code scanning keeps 5,000"


def test_one_result_stands_for_all_divergences_of_one_node_and_path() -> None:
    found = [divergence(f"e{number}", "hot") for number in range(290)]
    [result] = sarif(rendered("sarif", report(bundle("a.json", *found)), HERE))["results"]
    assert result["occurrenceCount"] == 290
    assert result["message"]["text"].startswith("a.json, event e0 (first of 290, last e289): ~ ")


def test_github_annotates_ten_and_the_gravest_first() -> None:
    timing = [divergence("t", f"slow{number}", Level.TIMING) for number in range(8)]
    decisions = [divergence("d", f"fast{number}") for number in range(4)]
    refused = BundleResult("c.json", Outcome.REFUSED, ErgoError("bundle.read_failed", "cannot be read"))
    log = github(rendered("github", report(bundle("a.json", *timing, *decisions), refused), HERE))
    assert len(log.annotations) == 10
    assert [each.properties["title"] for each in log.annotations] == ["ergo: bundle.read_failed"] + [
        "ergo: effect_changed"
    ] * 9
    nodes = [re.search(r"by (\w+?)\d", each.data) for each in log.annotations[1:]]
    assert [found[1] for found in nodes if found] == ["fast"] * 4 + ["slow"] * 5
    assert "3 more findings without an annotation: a step shows 10" in log.lines


def test_one_annotation_for_one_cause_in_many_bundles() -> None:
    found = [bundle(f"{number}.json", divergence("e", "hot")) for number in range(60)]
    [annotation] = github(rendered("github", report(*found), HERE)).annotations
    assert "and 59 more findings here, of 60 bundles" in annotation.data.splitlines()


def test_junit_stays_below_thirty_megabytes() -> None:
    many = [divergence(f"e{number}", "hot", value="long " * 200) for number in range(1000)]
    results = [bundle(f"{number}.json", *many) for number in range(700)]
    data = rendered("junit", report(*results), HERE)
    assert 20_000_000 < len(data) < 30_000_000
    cases = junit(data)
    assert len(cases) == 700
    for case in cases:
        assert case.text.startswith(f"ergo replay {case.name}\n{case.message}\n")
        assert re.search(r"\n… [\d,]+ more lines are cut$", case.text)


@pytest.mark.parametrize("room", [100, 1000, 50_000])
def test_a_summary_fits_its_room(room: int) -> None:
    found = [bundle(f"{number}.json", divergence("e", "hot")) for number in range(400)]
    text = summary(report(*found), HERE, room)
    assert 0 < len(text) <= room
    parts = re.search(rb"\n(\d+) more parts left out: this summary is full.\n$", text)
    assert parts is not None
    shown = text.count(b"```text")
    assert int(parts[1]) + shown + text.count(b"### ") == 401
    assert text.count(b"```") == 2 * shown


def test_divergences_that_are_only_counted_are_a_finding_of_their_own() -> None:
    found = report(bundle("a.json", divergence("e", "hot"), count=5000))
    rules = [
        (result["ruleId"], result["occurrenceCount"]) for result in sarif(rendered("sarif", found, HERE))["results"]
    ]
    assert rules == [("effect_changed", 1), ("not_listed", 4999)]
    [case] = junit(rendered("junit", found, HERE))
    assert "and 4,999 more; --max-divergences lists them" in case.text.splitlines()


def test_equal_findings_have_fingerprints_of_their_own() -> None:
    same = bundle("a.json", divergence("e", "hot"))
    assert len(gitlab(rendered("gitlab", report(same, same, same), HERE))) == 3
    assert len(sarif(rendered("sarif", report(same, same, same), HERE))["results"]) == 3


def test_the_token_is_not_in_the_text() -> None:
    data = rendered("github", report(bundle("a.json", divergence("e", "hot"))), HERE).decode()
    [token] = re.findall(r"^::stop-commands::(\w+)$", data, re.MULTILINE)
    between = data.partition(f"::stop-commands::{token}\n")[2].partition(f"\n::{token}::\n")[0]
    assert "differs  a.json" in between
    assert token not in between
    other = rendered("github", report(bundle("b.json", divergence("e", "hot"))), HERE).decode()
    assert token not in other


def test_a_change_that_reaches_a_divergence_locates_it() -> None:
    changes = (
        Change(subject="a", file="graph.yaml", line=3, effectless=True),
        Change(subject="b", before="1", after="2", file="graph.yaml", line=7),
    )
    first = divergence("e", "hot")
    result = bundle(
        "a.json", Divergence(**{name: getattr(first, name) for name in first.__struct_fields__} | {"changes": (1,)})
    )
    located = BundleResult(**{name: getattr(result, name) for name in result.__struct_fields__} | {"changes": changes})
    [issue] = gitlab(rendered("gitlab", report(located), HERE))
    assert issue["location"] == {"path": "graph.yaml", "lines": {"begin": 7}}
    assert issue["description"].endswith("; because graph.yaml:7  b  1 -> 2")


def test_every_kind_of_divergence_has_a_rule() -> None:
    assert {kind.value for kind in DivergenceKind} <= RULES.keys()


def test_times_are_those_of_the_bundles() -> None:
    found = report(bundle("a.json"), bundle("b.json"))
    data = rendered("junit", found, Around(seconds=(0.25, 1.5))).decode()
    assert re.findall(r'<testcase [^>]*time="([\d.]+)"', data) == ["0.250", "1.500"]
    assert re.findall(r'<testsuite [^>]*time="([\d.]+)"', data) == ["1.750"]


def test_times_are_those_of_the_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    ticks = iter((1.0, 1.25, 7.0, 8.5))
    results = validate_files(paths, clock=lambda: next(ticks))
    assert [each.seconds for each in results] == [0.25, 1.5]
    rendering = render_validation(results)
    data = rendered("junit", rendering.report, Around(seconds=rendering.seconds)).decode()
    assert re.findall(r'<testcase [^>]*time="([\d.]+)"', data) == ["0.250", "1.500"]
    assert [each.seconds for each in validate_files(paths)] == [None, None]
    data = rendered("junit", render_validation(validate_files(paths)).report, HERE).decode()
    assert "time=" not in data
