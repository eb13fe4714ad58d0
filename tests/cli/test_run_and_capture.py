from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Ergo

GRAPH = """
kind: cluster
id: tick
version: 0.1.0
nodes:
  one: {impl: const_number@0.1.0, params: {value: 1.0}}
  two: {impl: const_number@0.1.0, params: {value: 2.0}}
  less: {impl: lt@0.1.0}
edges: [one.value -> less.a, two.value -> less.b]
outputs: {less: less.result}
"""


def _minimal(conformance: Path) -> tuple[Path, Path]:
    case = conformance / "01-minimal"
    return case / "events.jsonl", case / "graph.yaml"


def test_run_tells_what_it_came_to(ergo: Ergo, conformance: Path) -> None:
    events, graph = _minimal(conformance)
    ran = ergo("run", events, "-g", graph)
    assert ran == (
        0,
        "done  3 events, 3 invoked\n",
        "",
    )


def test_run_as_json(ergo: Ergo, conformance: Path) -> None:
    events, graph = _minimal(conformance)
    report = ergo("run", events, "-g", graph, "--format", "json").report
    assert list(report) == ["schema", "command", "outcome", "exit_code", "error", "bundles", "warnings", "run"]
    assert (report["command"], report["outcome"], report["exit_code"]) == ("run", "completed", 0)
    assert report["run"] == {
        "graph_id": "minimal",
        "events": 3,
        "episodes": 1,
        "invoked": 3,
        "deferred": 0,
        "skipped": 0,
        "failed": 0,
        "interruption": None,
        "bundle": None,
        "failures": [],
        "other_failures": 0,
        "waiting": [],
        "waiting_runs": 0,
    }


def test_capture_writes_what_the_original_wrote(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    events, graph = _minimal(conformance)
    report = ergo("capture", events, "-g", graph, "-o", "b.json", "--format", "json").report
    assert report["run"]["bundle"] == "b.json"
    assert (tmp_path / "b.json").read_bytes() == (events.parent / "capture.json").read_bytes()
    assert ergo("capture", events, "-g", graph, "-o", "p.json", "--pretty").exit_code == 0
    assert (tmp_path / "p.json").read_bytes() == (events.parent / "capture.pretty.json").read_bytes()


def test_run_keeps_a_bundle_on_request(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    events, graph = _minimal(conformance)
    assert ergo("run", events, "-g", graph, "--capture", "kept/b.json").exit_code == 0
    assert (tmp_path / "kept" / "b.json").read_bytes() == (events.parent / "capture.json").read_bytes()


def test_events_come_from_standard_input(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    events, graph = _minimal(conformance)
    ran = ergo("capture", "-", "-g", graph, "-o", "b.json", stdin=events.read_bytes())
    assert ran.exit_code == 0
    assert (tmp_path / "b.json").read_bytes() == (events.parent / "capture.json").read_bytes()


def test_embed_writes_v4(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    events, graph = _minimal(conformance)
    assert ergo("capture", events, "-g", graph, "-o", "b.json", "--embed").exit_code == 0
    bundle = json.loads((tmp_path / "b.json").read_text())
    assert bundle["capture_version"] == "v4"
    assert bundle["program"]["sources"][0]["text"] == graph.read_text()


def test_without_a_program_the_schedule_is_recorded(ergo: Ergo, tmp_path: Path) -> None:
    line = '{"kind":"event","event":{"type":"Command","at":"5s"}}\n'
    ran = ergo("capture", "-", "-o", "b.json", "--rate-window", "10s", "--max-per-window", "0", stdin=line.encode())
    assert ran.exit_code == 0
    assert ran.stderr.count("\n") == 1
    assert "ergo:schedule" in ran.stderr
    bundle = json.loads((tmp_path / "b.json").read_text())
    assert bundle["graph_id"] == "ergo:schedule"
    assert bundle["config"]["rate_window"] == {"secs": 10, "nanos": 0}
    assert bundle["config"]["max_per_window"] == 0


def test_verbose_says_which_rule_found_the_program(ergo: Ergo, conformance: Path) -> None:
    events, graph = _minimal(conformance)
    assert ergo("run", events, "-g", graph, "-v").stderr == "note: program 'minimal' found by flag --graph\n"


def test_quiet_leaves_notes_and_warnings_out_but_not_errors(ergo: Ergo) -> None:
    line = b'{"kind":"event","event":{"type":"Command"}}\n'
    assert ergo("run", "-", "-q", stdin=line).stderr == ""
    assert "code: driver.input_invalid" in ergo("run", "-", "-q", "-v", stdin=b"nonsense\n").stderr


def test_a_bad_line_refuses_the_run_and_leaves_nothing(ergo: Ergo, tmp_path: Path) -> None:
    lines = b'{"kind":"event","event":{"type":"Command"}}\n{"kind":"event","event":{"type":"Nope"}}\n'
    ran = ergo("capture", "-", "-o", "b.json", "--format", "json", stdin=lines)
    assert ran.exit_code == 3
    assert (ran.report["outcome"], ran.report["run"]) == ("refused", None)
    assert ran.report["error"]["code"] == "driver.input_invalid"
    assert ran.report["error"]["where"].startswith("<stdin>:2:")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_breaks_a_rule_is_refused_before_the_first_event(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "21-run-failures"
    report = ergo("run", case / "events.jsonl", "-g", case / "ACCEPTED_cycle.graph.yaml", "--format=json").report
    assert report["exit_code"] == 3
    assert (report["error"]["code"], report["error"]["rule"]) == ("graph.prepare_failed", "V.1")


def test_failed_episodes_are_counted_and_fail_on_request(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "06-series"
    arguments = ["run", case / "events.jsonl", "-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--format=json"]
    ran = ergo(*arguments)
    assert (ran.exit_code, ran.report["run"]["failed"]) == (0, 1)
    strict = ergo(*arguments, "--fail-on-error")
    assert (strict.exit_code, strict.report["outcome"]) == (1, "completed")


def test_a_destination_that_cannot_be_written(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    events, graph = _minimal(conformance)
    (tmp_path / "file").write_text("")
    ran = ergo("capture", events, "-g", graph, "-o", "file/b.json", "--format", "json")
    assert ran.exit_code == 6
    assert (ran.report["outcome"], ran.report["error"]["code"]) == ("failed", "capture.write_failed")
    assert ran.report["error"]["details"] == ["CreateOutputDirectory"]


def test_a_profile_says_everything(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "e.jsonl").write_text('{"kind":"event","event":{"type":"Command"}}\n')
    (tmp_path / "ergo.toml").write_text(
        'name = "p"\nversion = "1"\n[profiles.day]\ngraph = "graph.yaml"\nfixture = "e.jsonl"\npretty_capture = true\n'
        "max_retries = 2\n"
    )
    ran = ergo("capture", "-v")
    assert ran.exit_code == 0, ran.stderr
    assert "found by profile day of ergo.toml" in ran.stderr
    text = (tmp_path / "captures" / "day.capture.json").read_text()
    assert text.startswith('{\n  "capture_version": "v3"')
    assert json.loads(text)["config"]["max_retries"] == 2
    assert ergo("capture", "--compact", "--max-retries", "3").exit_code == 0
    text = (tmp_path / "captures" / "day.capture.json").read_text()
    assert text.startswith('{"capture_version":"v3"')
    assert json.loads(text)["config"]["max_retries"] == 3


def test_a_profile_without_events_names_the_remedy(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "ergo.toml").write_text('name = "p"\nversion = "1"\n[profiles.day]\ngraph = "graph.yaml"\n')
    ran = ergo("run", "-v")
    assert ran.exit_code == 3
    assert "code: PRJ-INVALID" in ran.stderr


def test_an_unknown_profile_is_a_usage_error(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "ergo.toml").write_text('name = "p"\nversion = "1"\n[profiles]\n')
    ran = ergo("run", "-v", "-p", "night")
    assert ran.exit_code == 2
    assert "code: PRJ-PROFILE" in ran.stderr


def test_numbers_can_be_read_as_the_original_misreads_them(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "17-float-drift"
    arguments = ["capture", case / "events.jsonl", "-g", case / "graph.yaml", "-a", case / "adapter.yaml"]
    assert ergo(*arguments, "-o", "o.json", "--numbers", "original").exit_code == 0
    assert (tmp_path / "o.json").read_bytes() == (case / "capture.json").read_bytes()
    assert ergo(*arguments, "-o", "e.json").exit_code == 0
    assert (tmp_path / "e.json").read_bytes() != (case / "capture.json").read_bytes()
