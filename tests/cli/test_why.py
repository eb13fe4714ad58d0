"""``ergo why``: the chain behind a value, recorded beside today's."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
BUNDLE = "captures/monday.json"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy, captured here, so that the program store has its texts."""
    home = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", home)
    assert ergo("capture", cwd=home).exit_code == 0
    return home


@pytest.fixture
def lowered(desk: Path) -> Path:
    """With the level to enter at lowered since."""
    edit(desk / "graphs" / "order_threshold.yaml", "value: 105.0", "value: 104.0")
    return desk


def test_the_first_divergence_is_followed_to_the_change(ergo: Ergo, lowered: Path) -> None:
    ran = ergo("why", BUNDLE, cwd=lowered)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        "bought_at = 104.25  only today",
        "  by  bought_at  not emitted: event -> acts  graphs/order_threshold.yaml:45",
        "    event  enter  not emitted -> emitted  emit_if_true(input), :30",
        "      input  may_enter  false -> true  and(a, b), :28",
        "        a  above  false -> true  gt(a, b), :25",
        "          a  price  104.25  price of the payload, :8",
        "          b  enter_level  105.0 -> 104.0  :20  <- the change",
        "        b  not_holding  true  not(value), :27",
        "    value  price  104.25  price of the payload, :8",
    ]


def test_a_value_that_an_earlier_event_wrote_names_that_event(ergo: Ergo, desk: Path) -> None:
    edit(desk / "graphs" / "order_threshold.yaml", "value: 98.0", "value: 97.5")
    lines = ergo("why", BUNDLE, "q-0950", cwd=desk).stdout.splitlines()
    assert lines[0] == "holding = false  only recorded"
    assert "          b  leave_level  98.0 -> 97.5  :23  <- the change" in lines
    assert "        b  holding  true  holding written by event q-0920, :11" in lines


def test_a_primitive_that_changed_is_marked(ergo: Ergo, desk: Path) -> None:
    edit(desk / "graphs" / "order_threshold.yaml", "above: { impl: gt@0.1.0 }", "above: { impl: lt@0.1.0 }")
    marked = [line.strip() for line in ergo("why", BUNDLE, cwd=desk).stdout.splitlines() if line.endswith("the change")]
    assert marked == ["a  above  false -> true  lt(a, b), :25  <- the change"]


def test_an_input_that_is_fed_from_elsewhere_is_marked_at_its_wire(ergo: Ergo, desk: Path) -> None:
    edit(desk / "graphs" / "order_threshold.yaml", "enter_level.value -> above.b", "leave_level.value -> above.b")
    marked = [line.strip() for line in ergo("why", BUNDLE, cwd=desk).stdout.splitlines() if line.endswith("the change")]
    assert marked == ["b  leave_level  105.0 -> 98.0  was enter_level.value, :57  <- the change"]


@pytest.mark.parametrize(
    ("was_fed", "values", "note"),
    [(True, "101.28125 -> (none)", "not fed any more, :11"), (False, "(none) -> 104.0", "not fed before, :31")],
)
def test_an_input_that_one_side_alone_feeds_is_marked(
    ergo: Ergo, tmp_path: Path, was_fed: bool, values: str, note: str
) -> None:
    home = tmp_path / "trend"
    shutil.copytree(FIXTURES / "own_primitives", home)
    edit(home / "trend" / "primitives.py", "before: float, *, alpha", "before: float | None = None, *, alpha")
    graph, wire = home / "graphs" / "trend.yaml", "  - history.value -> smooth.before\n"
    fed, unfed = graph.read_text(), graph.read_text().replace(wire, "")
    graph.write_text(fed if was_fed else unfed)
    assert ergo("capture", cwd=home).exit_code == 0
    graph.write_text(unfed if was_fed else fed)
    lines = ergo("why", "captures/prices.json", "t4", "average", cwd=home).stdout.splitlines()
    marked = [each.strip() for each in lines if each.endswith("<- the change")]
    assert marked == [f"before  history  {values}  average written by event t3, {note}  <- the change"]


def test_where_a_parameter_is_the_reason_its_node_is_followed_no_further(ergo: Ergo, desk: Path) -> None:
    edit(desk / "graphs" / "order_threshold.yaml", "size: 3", "size: 1")
    assert ergo("why", BUNDLE, cwd=desk).stdout.splitlines()[2:] == [
        "  by  remember  acts  graphs/order_threshold.yaml:51",
        "    event  tick  emitted  emit_if_true(input), :40",
        "    value  recent  [101.5,104.25] -> [104.25]  window(series), :34",
        "      recent.size  3 -> 1  :36  <- the change",
        "      series  grown  [101.5,104.25]  append(series, value), :33",
    ]


@pytest.mark.parametrize("path", ["remember", "history"])
def test_a_path_names_a_node_or_the_key_of_an_effect(ergo: Ergo, lowered: Path, path: str) -> None:
    ran = ergo("why", BUNDLE, "q-0910", path, cwd=lowered)
    assert ran.exit_code == 0
    first, second, *rest = ran.stdout.splitlines()
    assert first == "history = [101.5, 104.25]"
    assert second.startswith("  by  remember  acts")
    assert any(line.endswith("history written by event q-0900, :14") for line in rest)


def test_depth_bounds_the_chain(ergo: Ergo, lowered: Path) -> None:
    assert len(ergo("why", BUNDLE, "--depth", "1", cwd=lowered).stdout.splitlines()) == 4
    chain = ergo("why", BUNDLE, "--depth", "0", "--format", "json", cwd=lowered).report["why"]["chain"]
    assert chain["sources"] == []


def leaves(step: dict[str, Any]) -> list[dict[str, Any]]:
    return [leaf for each in step["sources"] for leaf in leaves(each)] or [step]


def test_the_report_holds_the_chain_with_both_sides(ergo: Ergo, lowered: Path) -> None:
    report = ergo("why", BUNDLE, "--format", "json", cwd=lowered).report
    why = report["why"]
    assert (report["command"], report["outcome"], report["exit_code"]) == ("why", "ok", 0)
    assert (why["event_id"], why["seq"], why["node"], why["knows_capture"]) == ("q-0910", 1, "bought_at", True)
    assert why["recorded"] == []
    assert why["actual"] == [{"kind": "set_context", "writes": [{"key": "bought_at", "value": {"Number": 104.25}}]}]
    [change] = [leaf for leaf in leaves(why["chain"]) if leaf["is_change"]]
    assert (change["part"], change["recorded"], change["today"], change["line"]) == (
        "enter_level",
        "105.0",
        "104.0",
        20,
    )


def test_the_values_of_the_chain_are_those_that_explain_shows(ergo: Ergo, lowered: Path) -> None:
    why = ergo("why", BUNDLE, "--format", "json", cwd=lowered).report["why"]
    nodes = ergo("explain", BUNDLE, "--event", "q-0910", "--format", "json", cwd=lowered).report["episode"]["nodes"]
    outputs = {node["path"]: list(node["outputs"].values()) for node in nodes}
    for leaf in leaves(why["chain"]):
        [value] = [value for tagged in outputs[leaf["part"]] for value in tagged.values()]
        assert json.loads(leaf["today"]) == value


def test_without_the_texts_of_the_capture_todays_values_are_shown_alone(
    ergo: Ergo, lowered: Path, tmp_path: Path
) -> None:
    ran = ergo("why", BUNDLE, cwd=lowered, XDG_DATA_HOME=str(tmp_path / "elsewhere"))
    lines = ran.stdout.splitlines()
    assert lines[0] == "bought_at = 104.25  only today"
    assert "          b  enter_level  104.0  :18" in lines
    assert lines[-1].startswith("today's values alone")


def test_where_nothing_differs_the_outcome_is_empty(ergo: Ergo, desk: Path) -> None:
    ran = ergo("why", BUNDLE, cwd=desk)
    assert (ran.exit_code, ran.stdout) == (5, f"empty: nothing of {BUNDLE} differs; name an event\n")
    ran = ergo("why", BUNDLE, "q-0910", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (
        5,
        "empty: nothing of event 'q-0910' differs; name a part of it\n",
    )


@pytest.mark.parametrize(
    ("arguments", "where", "fix"),
    [
        (("q-0910", "histry"), "argument PATH", "did you mean 'history'?"),
        (("q-091",), "argument EVENT", "did you mean 'q-0910'?"),
        (("nosuch",), "argument EVENT", "give the id of an event of the bundle"),
        (("q-0910", "history", "--occurrence", "1"), "option --occurrence", "leave --occurrence out"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(
    ergo: Ergo, lowered: Path, arguments: tuple[str, ...], where: str, fix: str
) -> None:
    ran = ergo("why", BUNDLE, *arguments, cwd=lowered)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[1:3] == [f"  where: {where}", f"  fix: {fix}"]


def test_where_an_option_names_the_event_the_option_is_named(ergo: Ergo, lowered: Path) -> None:
    for command in ("explain", "replay"):
        error = ergo(command, BUNDLE, "--event", "q-091", "--format", "json", cwd=lowered).report
        error = error["error"] or error["bundles"][0]["error"]
        assert (error["where"], error["fix"]) == ("option --event", "did you mean 'q-0910'?")


def test_a_chain_of_thousands_of_nodes_goes_back_a_hundred_steps(ergo: Ergo, tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(2000)]
    nodes = "".join(f"  {name}: {{ impl: not@0.1.0 }}\n" for name in names)
    edges = "".join(f"  - {one}.result -> {other}.value\n" for one, other in pairwise(names))
    first = "  first: { impl: const_bool@0.1.0, params: { value: true } }\n"
    head = 'kind: cluster\nid: row\nversion: "1.0.0"\nnodes:\n'
    (tmp_path / "row.yaml").write_text(f"{head}{first}{nodes}edges:\n  - first.value -> n0.value\n{edges}")
    event = '{"kind":"event","event":{"type":"Command","id":"e1"}}'
    (tmp_path / "events.jsonl").write_text('{"kind":"episode_start","id":"row"}\n' + event + "\n")
    captured = ergo("capture", "events.jsonl", "-g", "row.yaml", "-o", "b.json")
    assert captured.exit_code == 0, captured.stderr
    ran = ergo("why", "b.json", "e1", "n1999", "-g", "row.yaml")
    assert ran.exit_code == 0, ran.stderr
    assert "n1899" in ran.stdout
    assert "n1898" not in ran.stdout


def test_the_changed_code_of_a_primitive_is_marked_below_its_node(ergo: Ergo, tmp_path: Path) -> None:
    home = Path(shutil.copytree(FIXTURES / "own_primitives", tmp_path / "trend"))
    assert ergo("capture", cwd=home).exit_code == 0
    edit(home / "trend" / "primitives.py", "return before < level <= now", "return level <= now")
    shown = ergo("why", "captures/prices.json", cwd=home).stdout.splitlines()
    at = shown.index("    event  breakout  emitted  rises_above(before, now), :22")
    marked = "in rises_above  before < level <= now -> level <= now  trend/primitives.py:33  <- the change"
    assert shown[at + 1] == f"      {marked}"
    assert shown[-1] == "today's values alone: the program of the capture is kept as text, and not run"
    [change] = ergo("why", "captures/prices.json", "--format", "json", cwd=home).report["why"]["changes"]
    assert (change["file"], change["line"], change["subject"]) == ("trend/primitives.py", 33, "in rises_above")


def test_a_change_of_which_nothing_differs_is_named_as_one_without_effect(ergo: Ergo, desk: Path) -> None:
    edit(desk / "graphs" / "order_threshold.yaml", "value: 98.0", "value: 97.9")
    shown = ergo("why", BUNDLE, cwd=desk)
    assert shown.exit_code == 5
    assert shown.stdout.splitlines() == [
        f"empty: nothing of {BUNDLE} differs; name an event",
        "",
        "changed    graphs/order_threshold.yaml:23  leave_level.value  98.0 -> 97.9  without effect",
    ]


def test_a_value_that_does_not_differ_has_no_changes_before_it(ergo: Ergo, lowered: Path) -> None:
    assert "changed" not in ergo("why", BUNDLE, "q-0910", "history", cwd=lowered).stdout
