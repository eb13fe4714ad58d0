"""Spec 30 §23.5–23.6, the command line of the tools for event streams: C-103 … C-105, C-111 … C-114."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Ergo

STREAM = (
    '{"kind":"episode_start","id":"E1"}\n'
    '{"kind":"event","event":{"type":"Command","semantic_kind":"tick","payload":{"x":1}}}\n'
    '{"kind":"event","event":{"type":"Pump"}}\n'
)
SAMPLE = (
    "Timestamp,Open,High,Low,Close,Volume,Symbol\n"
    "2026-01-01T09:30:00Z,100.0,101.5,99.9,101.2,10000,AAPL\n"
    '"2026-01-01T09:31:00Z", 101.2 ,,101.0,101.9,1e4,\n'
)


def test_c30_103_fixture_alone_and_a_graph_without_a_file(ergo: Ergo) -> None:
    alone = ergo("fixture")
    assert (alone.exit_code, alone.stderr) == (0, "")
    assert alone.stdout.startswith("Usage: ergo fixture")
    assert all(command in alone.stdout for command in ("inspect", "validate", "from-csv"))
    graph = ergo("graph", "-v")
    assert (graph.exit_code, graph.stdout) == (2, "")
    assert "code: cli.missing_required_argument" in graph.stderr


def test_c30_104_an_unknown_subcommand_and_option_are_named(ergo: Ergo) -> None:
    ran = ergo("fixture", "inspekt", "e.jsonl", "--format", "json")
    error = ran.report["error"]
    assert (ran.exit_code, error["code"], error["where"]) == (2, "cli.unknown_command", "arg 'inspekt'")
    assert error["fix"] == "did you mean 'inspect'?"
    option = ergo("fixture", "inspect", "e.jsonl", "--pretty", "-v")
    assert option.exit_code == 2
    assert "code: cli.invalid_option" in option.stderr
    assert "'--pretty'" in option.stderr


def test_c30_105_fixture_run_is_no_command(ergo: Ergo) -> None:
    ran = ergo("fixture", "run", "e.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.unknown_command")
    assert ran.report["error"]["message"] == "unknown command 'fixture run'"


def test_c30_111_inspect_as_text(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(STREAM)
    assert ergo("fixture", "inspect", "events.jsonl").stdout == (
        "fixture inspect\n"
        "path: events.jsonl\n"
        "total_items: 3\n"
        "episode_count: 1\n"
        "event_count: 2\n"
        "events_with_payload: 1\n"
        "events_with_semantic_kind: 1\n"
        "event_kind_counts:\n"
        "  - Command: 1\n"
        "  - Pump: 1\n"
        "episodes:\n"
        "  - E1: 2\n"
    )


def test_c30_111_inspect_of_an_empty_file(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("")
    ran = ergo("fixture", "inspect", "events.jsonl")
    assert ran.exit_code == 0
    assert ran.stdout.count("  - (none)\n") == 2


def test_c30_111_inspect_of_a_bad_file_is_a_parse_failure(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(STREAM + "{not json\n")
    ran = ergo("fixture", "inspect", "events.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "fixture.parse_failed")
    assert ran.report["error"]["where"].startswith("events.jsonl:4:")
    assert ergo("fixture", "inspect", "gone.jsonl").exit_code == 3


def test_c30_112_validate_of_a_lone_episode_and_of_garbage(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "start.jsonl").write_text('{"kind":"episode_start","id":"day"}\n')
    ran = ergo("fixture", "validate", "start.jsonl")
    assert ran.exit_code == 3
    assert ran.stdout == (
        "fixture invalid\n"
        "path: start.jsonl\n"
        "episode_count: 1\n"
        "event_count: 0\n"
        "issues:\n"
        "  - [fixture.no_events] fixture contained no events\n"
        "  - [fixture.episode_without_events] episode 'day' has no events\n"
    )
    (tmp_path / "garbage.jsonl").write_text("garbage\n")
    report = json.loads(ergo("fixture", "validate", "garbage.jsonl", "--format", "json").stdout)
    assert (report["valid"], report["stats"]) == (False, None)
    [issue] = report["issues"]
    assert issue["code"] == "fixture.parse_error"
    assert "garbage.jsonl" not in issue["message"]


def test_c30_112_a_valid_fixture(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(STREAM)
    ran = ergo("fixture", "validate", "events.jsonl")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == "fixture valid\npath: events.jsonl\nepisode_count: 1\nevent_count: 2\nissues: (none)\n"


def test_c30_112_an_id_used_again_is_an_issue(ergo: Ergo, tmp_path: Path) -> None:
    event = '{"kind":"event","event":{"type":"Command","id":"fixture_evt_2"}}\n'
    (tmp_path / "events.jsonl").write_text(event + '{"kind":"event","event":{"type":"Command"}}\n' + event)
    report = json.loads(ergo("fixture", "validate", "events.jsonl", "--format", "json").stdout)
    assert report["stats"]["event_count"] == 3
    [issue] = report["issues"]
    assert issue["code"] == "fixture.duplicate_event_id"
    assert "fixture_evt_2" in issue["message"]


def test_c30_113_the_sample_gives_three_lines(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(SAMPLE)
    assert ergo("fixture", "from-csv", "prices.csv", "events.jsonl").exit_code == 0
    assert (tmp_path / "events.jsonl").read_text() == (
        '{"kind":"episode_start","id":"E1"}\n'
        '{"kind":"event","event":{"type":"DataAvailable","id":"csv_evt_1","semantic_kind":"price_bar","payload":'
        '{"close":101.2,"high":101.5,"low":99.9,"open":100.0,"symbol":"AAPL","timestamp":"2026-01-01T09:30:00Z",'
        '"volume":10000.0,"x":101.2}}}\n'
        '{"kind":"event","event":{"type":"DataAvailable","id":"csv_evt_2","semantic_kind":"price_bar","payload":'
        '{"close":101.9,"low":101.0,"open":101.2,"timestamp":"2026-01-01T09:31:00Z","volume":10000.0,"x":101.9}}}\n'
    )


def test_c30_113_aliases_and_options(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("\ufefftime,c\nnoon,7\n", encoding="utf-8")
    options = ["--semantic-kind", "bar", "--episode-id", "day", "--event-kind", "PUMP"]
    ran = ergo("fixture", "from-csv", "prices.csv", "events.jsonl", *options, "--format", "json")
    assert ran.report["fixture"] == {"path": "events.jsonl", "events": 1}
    assert (tmp_path / "events.jsonl").read_text() == (
        '{"kind":"episode_start","id":"day"}\n'
        '{"kind":"event","event":{"type":"Pump","id":"csv_evt_1","semantic_kind":"bar",'
        '"payload":{"close":7.0,"timestamp":"noon","x":7.0}}}\n'
    )
    assert ergo("fixture", "validate", "events.jsonl").exit_code == 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        pytest.param("timestamp,open\nt,1\n", ("'close'",), id="no close"),
        pytest.param("open\n1\n", ("'timestamp'",), id="timestamp is looked for first"),
        pytest.param("timestamp,close\n ,1\n", ("row 2", "timestamp"), id="empty timestamp"),
        pytest.param("timestamp,close\nt,1\nt,\n", ("row 3", "close"), id="empty close"),
        pytest.param("timestamp,close,open\nt,1,high\n", ("row 2", "open", "'high'"), id="no number"),
        pytest.param("timestamp,close\nt,1\nt,1,2\n", ("row 3", "3 cells"), id="ragged row"),
        pytest.param("timestamp,close\n", ("no data rows",), id="header only"),
        pytest.param("", ("empty",), id="nothing"),
        pytest.param("timestamp,close\nt,NaN\n", ("row 2", "close", "'NaN'"), id="not a number"),
        pytest.param("timestamp,close\nt,1e999\n", ("row 2", "close", "'1e999'"), id="beyond the range"),
        pytest.param('timestamp,close\nt,1\nt,"1\n', ("line 3", "not closed"), id="open quote"),
    ],
)
def test_c30_113_a_table_that_cannot_be_used_leaves_nothing(
    ergo: Ergo, tmp_path: Path, table: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "prices.csv").write_text(table)
    ran = ergo("fixture", "from-csv", "prices.csv", "out/events.jsonl", "--format", "json")
    error = ran.report["error"]
    assert (ran.exit_code, error["code"]) == (3, "fixture.csv_invalid")
    assert all(word in f"{error['message']} {error['where']}" for word in words)
    assert error["fix"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "prices.csv"]


def test_c30_113_a_table_that_cannot_be_read(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("fixture", "from-csv", "prices.csv", "events.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "fixture.csv_invalid")
    assert "prices.csv" in ran.report["error"]["message"]
    (tmp_path / "prices.csv").write_text("timestamp,close\n" + "x" * (16 * 1024 * 1024 + 1))
    ran = ergo("fixture", "from-csv", "prices.csv", "events.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["where"]) == (3, "prices.csv:2:1")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_c30_113_the_fixture_is_compressed_by_its_suffix(ergo: Ergo, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "prices.csv").write_text(SAMPLE)
    fixture = f"events.jsonl{suffix}"
    assert ergo("fixture", "from-csv", "prices.csv", fixture).exit_code == 0
    assert "event_count: 2" in ergo("fixture", "validate", fixture).stdout


@pytest.mark.parametrize("spelling", ["data_available", "Data-Available", "COMMAND", "pump"])
def test_c30_114_event_kinds_in_any_spelling(ergo: Ergo, tmp_path: Path, spelling: str) -> None:
    (tmp_path / "prices.csv").write_text(SAMPLE)
    assert ergo("fixture", "from-csv", "prices.csv", "e.jsonl", "--event-kind", spelling).exit_code == 0


@pytest.mark.parametrize(
    ("option", "value"), [("--event-kind", "Tick"), ("--semantic-kind", " "), ("--episode-id", "\t")]
)
def test_c30_114_what_the_options_refuse(ergo: Ergo, tmp_path: Path, option: str, value: str) -> None:
    (tmp_path / "prices.csv").write_text(SAMPLE)
    ran = ergo("fixture", "from-csv", "prices.csv", "e.jsonl", option, value, "-v")
    assert ran.exit_code == 2
    assert "code: cli.invalid_option_value" in ran.stderr
    assert option in ran.stderr
    assert not (tmp_path / "e.jsonl").exists()
