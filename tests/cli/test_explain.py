"""``ergo explain``: one episode node by node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The order desk with its bundle."""
    home = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", home)
    return home


@pytest.fixture
def burst(tmp_path: Path) -> Path:
    """A schedule under a rate limit, with its bundle."""
    home = tmp_path / "burst"
    shutil.copytree(FIXTURES / "rate_limited", home)
    return home


def test_an_episode_as_json(ergo: Ergo, desk: Path) -> None:
    ran = ergo("explain", "captures/monday.json", "--event", "q-0910", "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.stderr) == (0, "")
    report = ran.report
    assert (report["command"], report["outcome"], report["warnings"]) == ("explain", "ok", [])
    episode = report["episode"]
    assert list(episode) == ["seq", "event_id", "episode_id", "decision", "termination", "nodes", "effects"]
    recorded = json.loads((desk / "captures" / "monday.json").read_text())["decisions"][1]
    assert episode["effects"] == [effect["effect"] for effect in recorded["effects"]]
    assert (episode["seq"], episode["decision"], episode["termination"]) == (1, "Invoke", "Completed")


def test_the_nodes_of_an_episode(ergo: Ergo, desk: Path) -> None:
    report = ergo("explain", "captures/monday.json", "--event", "q-0910", "--format", "json", cwd=desk).report
    nodes = {node["path"]: node for node in report["episode"]["nodes"]}
    assert len(nodes) == 20
    assert nodes["above"] == {
        "id": "n0",
        "path": "above",
        "impl": "gt@0.1.0",
        "family": "Compute",
        "params": {},
        "inputs": {"a": {"Number": 104.25}, "b": {"Number": 105.0}},
        "outputs": {"result": {"Bool": False}},
        "ran": True,
        "why": None,
    }
    assert nodes["enter_level"]["params"] == {"value": {"Number": 105.0}}
    assert nodes["enter"]["outputs"] == {"event": {"Event": {"Trigger": "NotEmitted"}}}
    buy = nodes["buy"]
    assert (buy["ran"], buy["why"]) == (False, "not emitted: event")
    assert buy["outputs"] == {"outcome": {"Event": {"Action": "Skipped"}}}
    order = [node["path"] for node in report["episode"]["nodes"]]
    assert order.index("price") < order.index("above") < order.index("enter") < order.index("buy")


def test_an_episode_as_text(ergo: Ergo, desk: Path) -> None:
    lines = ergo("explain", "captures/monday.json", "--event", "q-0910", cwd=desk).stdout.splitlines()
    assert lines[0] == "event q-0910: Invoke, Completed"
    [buy] = [line.split() for line in lines if " buy " in line]
    assert buy[:3] == ["n4", "buy", "context_set_bool@0.1.0"]
    assert buy[-4:] == ["no:", "not", "emitted:", "event"]
    assert lines[-2:] == ["recorded effects", "  history = [101.5, 104.25]  set_context by remember"]


def test_deferred_work_names_who_served_it_and_the_other_way_round(ergo: Ergo, burst: Path) -> None:
    deferred = ergo("explain", "captures/burst.json", "--event", "order-3", "--format", "json", cwd=burst).report
    assert (deferred["episode"]["decision"], deferred["episode"]["nodes"]) == ("Defer", [])
    assert deferred["episode"]["termination"] is None
    [remark] = deferred["warnings"]
    assert "'tick-10' served it (decision 5)" in remark
    served = ergo("explain", "captures/burst.json", "--event", "tick-10", "--format", "json", cwd=burst).report
    assert "'order-3'" in served["warnings"][0]
    [size] = [node for node in served["episode"]["nodes"] if node["path"] == "size"]
    assert size["outputs"] == {"value": {"Number": 4000.0}}
    assert "no deferred work was due" in ergo("explain", "captures/burst.json", "--event", "tick-9", cwd=burst).stdout


def test_deferred_work_that_nobody_served(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"kind":"event","event":{"type":"Command","id":"a"}}\n')
    assert ergo("capture", "e.jsonl", "-o", "b.json", "--max-in-flight", "0").exit_code == 0
    ran = ergo("explain", "b.json", "--event", "a")
    assert "no later event of the bundle served it" in ran.stdout


def test_an_unknown_event_names_the_nearest(ergo: Ergo, burst: Path) -> None:
    ran = ergo("explain", "captures/burst.json", "--event", "ordr-3", "--format", "json", cwd=burst)
    error = ran.report["error"]
    assert (ran.exit_code, error["code"], ran.report["episode"]) == (2, "cli.invalid_option_value", None)
    assert error["fix"] == "did you mean 'order-3'?"
    assert error["details"] == ["nearest: order-3, order-5, order-4"]
    assert ergo("explain", "captures/burst.json", cwd=burst).exit_code == 2


def test_an_event_that_is_like_none_is_answered_with_the_first_ones(ergo: Ergo, desk: Path) -> None:
    ran = ergo("explain", "captures/monday.json", "--event", "E1", cwd=desk)
    assert ran.exit_code == 2
    assert ran.stderr.splitlines()[-1] == "  detail: its events: q-0900, q-0910, q-0920, …"


def test_the_effects_beside_todays_nodes_are_said_to_be_the_recorded_ones(ergo: Ergo, lowered: Path) -> None:
    ran = ergo("explain", "captures/monday.json", "--event", "q-0910", cwd=lowered)
    assert "\nrecorded effects\n  history = [101.5, 104.25]" in ran.stdout


def test_occurrences_count_earlier_events_of_one_id(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "01-minimal"
    arguments = ["explain", case / "capture.json", "-g", case / "graph.yaml", "--event"]
    event_id = json.loads((case / "capture.json").read_text())["events"][0]["event_id"]
    assert ergo(*arguments, event_id, "--occurrence", "0").exit_code == 0
    ran = ergo(*arguments, event_id, "--occurrence", "1", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.invalid_option_value")
    assert "there is no occurrence 1" in ran.report["error"]["message"]


def test_a_changed_program_is_announced(ergo: Ergo, desk: Path) -> None:
    graph = desk / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    ran = ergo("explain", "captures/monday.json", "--event", "q-0910", "--format", "json", cwd=desk)
    assert ran.exit_code == 0
    assert "the program changed" in ran.report["warnings"][0]
    assert ran.stderr.startswith("warning: the program changed")
    [buy] = [node for node in ran.report["episode"]["nodes"] if node["path"] == "buy"]
    assert (buy["ran"], buy["why"]) == (True, None)


def test_a_failed_episode_shows_the_node_that_failed(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(
        "kind: cluster\nid: ratio\nversion: 1.0.0\nnodes:\n"
        "  one: { impl: const_number@0.1.0, params: { value: 1.0 } }\n"
        "  zero: { impl: const_number@0.1.0, params: { value: 0.0 } }\n"
        "  ratio: { impl: divide@0.2.0 }\n"
        "edges:\n  - one.value -> ratio.a\n  - zero.value -> ratio.b\n"
    )
    (tmp_path / "e.jsonl").write_text('{"kind":"event","event":{"type":"Command","id":"a"}}\n')
    assert ergo("capture", "e.jsonl", "-g", "graph.yaml", "-o", "b.json").exit_code == 0
    episode = ergo("explain", "b.json", "--event", "a", "-g", "graph.yaml", "--format", "json").report["episode"]
    assert episode["termination"] == {"Failed": "SemanticError"}
    assert (episode["nodes"][-1]["path"], episode["nodes"][-1]["outputs"]) == ("ratio", {})
    assert "ivi" in episode["nodes"][-1]["why"]


def test_an_episode_that_was_aborted_ran_nothing(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "01-minimal"
    captured = ergo("capture", case / "events.jsonl", "-g", case / "graph.yaml", "-o", "b.json", "--deadline", "0ms")
    assert captured.exit_code == 0
    event_id = json.loads((tmp_path / "b.json").read_text())["events"][0]["event_id"]
    ran = ergo("explain", "b.json", "--event", event_id, "-g", case / "graph.yaml")
    assert "nothing ran: the deadline is zero" in ran.stdout


@pytest.fixture
def lowered(ergo: Ergo, desk: Path) -> Path:
    """Captured here, so that the program store has the texts; the level to enter at was lowered since."""
    assert ergo("capture", cwd=desk).exit_code == 0
    graph = desk / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    return desk


DIFFERING = ["enter_level", "above", "may_enter", "enter", "bought_at", "buy"]


def test_nodes_that_did_otherwise_are_shown_with_both_sides(ergo: Ergo, lowered: Path) -> None:
    explain = ("explain", "captures/monday.json", "--event", "q-0910")
    lines = ergo(*explain, cwd=lowered).stdout.splitlines()
    marked = [line.split()[2] for line in lines if line.startswith("~  ")]
    assert sorted(marked) == sorted(DIFFERING)
    [above] = [line for line in lines if line.split()[2:3] == ["above"]]
    assert "b=105.0 -> 104.0" in above
    assert "result=false -> true" in above
    [buy] = [line for line in lines if line.split()[2:3] == ["buy"]]
    assert buy.endswith("no: not emitted: event -> yes")
    assert len([line for line in lines if "@0.1.0" in line]) == 20
    alone = ergo(*explain, "--diff", cwd=lowered).stdout.splitlines()
    assert len([line for line in alone if "@0.1.0" in line]) == len(DIFFERING)


def test_the_report_holds_both_sides_of_nodes_that_did_otherwise(ergo: Ergo, lowered: Path) -> None:
    explain = ("explain", "captures/monday.json", "--event", "q-0910", "--format", "json")
    episode = ergo(*explain, cwd=lowered).report["episode"]
    recorded = {node["path"]: node["recorded"] for node in episode["nodes"] if "recorded" in node}
    assert sorted(recorded) == sorted(DIFFERING)
    assert recorded["above"] == {
        "impl": "gt@0.1.0",
        "params": {},
        "inputs": {"a": {"Number": 104.25}, "b": {"Number": 105.0}},
        "outputs": {"result": {"Bool": False}},
        "ran": True,
        "why": None,
    }
    assert "gone" not in episode


def test_nodes_of_one_side_alone_are_marked(ergo: Ergo, lowered: Path) -> None:
    graph = lowered / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("above", "over"))
    explain = ("explain", "captures/monday.json", "--event", "q-0910")
    lines = ergo(*explain, "--diff", cwd=lowered).stdout.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("+")] == ["over"]
    assert [line.split()[2] for line in lines if line.startswith("-")] == ["above"]
    episode = ergo(*explain, "--format", "json", cwd=lowered).report["episode"]
    assert episode["gone"] == ["above"]
    [over] = [node for node in episode["nodes"] if node["path"] == "over"]
    assert over["recorded"] is None


def test_diff_shows_nothing_where_both_programs_do_the_same(ergo: Ergo, lowered: Path) -> None:
    ran = ergo("explain", "captures/monday.json", "--event", "q-0900", "--diff", cwd=lowered)
    shown = [line.split()[2] for line in ran.stdout.splitlines() if "@0.1.0" in line]
    assert shown == ["enter_level", "above"]


def test_diff_without_another_program_says_that_all_is_shown(ergo: Ergo, lowered: Path, tmp_path: Path) -> None:
    explain = ("explain", "captures/monday.json", "--event", "q-0910")
    ran = ergo(*explain, "--diff", cwd=lowered, XDG_DATA_HOME=str(tmp_path / "empty"))
    assert ran.stdout == ergo(*explain, cwd=lowered, XDG_DATA_HOME=str(tmp_path / "empty")).stdout
    warning = "warning: --diff leaves nothing out: there is no other graph of the capture, or it is not known;"
    assert f"{warning} ergo why says what differs" in ran.stderr.splitlines()
    kept = ("explain", "captures/tuesday.json", "--event", "t-0900", "--diff")
    ran = ergo(*kept, cwd=Path(__file__).parents[2] / "fixtures" / "agent")
    assert "ergo why compares it with today's program" in ran.stderr
