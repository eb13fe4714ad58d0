"""Spec 10 §7, the tools for event streams: C-20 … C-24."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Ergo

START = '{"kind":"episode_start","id":"E1"}\n'
COMMAND = '{"kind":"event","event":{"type":"Command"}}\n'
TICK = '{"kind":"event","event":{"type":"Tick","semantic_kind":"tick","payload":{}}}\n'
PRICES = "timestamp,open,high,low,close,volume,symbol\nt1,100,101.5,99.9,101.2,10000,AAPL\nt2,101,102,100.5,101.9,,\n"


def test_c10_20_inspect_counts(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(START + COMMAND + TICK)
    ran = ergo("fixture", "inspect", "e.jsonl", "--format", "json")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == {
        "schema_version": "v1",
        "command": "fixture.inspect",
        "fixture_path": "e.jsonl",
        "stats": {
            "total_items": 3,
            "episode_count": 1,
            "event_count": 2,
            "events_with_payload": 1,
            "events_with_semantic_kind": 1,
            "event_kind_counts": {"Command": 1, "Pump": 1},
            "episodes": [{"label": "E1", "event_count": 2}],
        },
    }


def test_c10_21_validate_of_a_lone_episode_is_byte_for_byte_the_originals(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "day1.jsonl").write_text('{"kind":"episode_start"}\n')
    ran = ergo("fixture", "validate", "day1.jsonl", "--format", "json")
    assert ran.exit_code == 3
    assert ran.stdout == (
        "{\n"
        '  "schema_version": "v1",\n'
        '  "command": "fixture.validate",\n'
        '  "fixture_path": "day1.jsonl",\n'
        '  "valid": false,\n'
        '  "stats": {\n'
        '    "total_items": 1,\n'
        '    "episode_count": 1,\n'
        '    "event_count": 0,\n'
        '    "events_with_payload": 0,\n'
        '    "events_with_semantic_kind": 0,\n'
        '    "event_kind_counts": {},\n'
        '    "episodes": [\n'
        "      {\n"
        '        "label": "E1",\n'
        '        "event_count": 0\n'
        "      }\n"
        "    ]\n"
        "  },\n"
        '  "issues": [\n'
        "    {\n"
        '      "code": "fixture.no_events",\n'
        '      "message": "fixture contained no events"\n'
        "    },\n"
        "    {\n"
        '      "code": "fixture.episode_without_events",\n'
        '      "message": "episode \'E1\' has no events"\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )


def test_c10_22_validate_of_a_payload_that_is_no_object(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"kind":"event","event":{"type":"Command","payload":"text"}}\n')
    ran = ergo("fixture", "validate", "e.jsonl", "--format", "json")
    assert ran.exit_code == 3
    report = json.loads(ran.stdout)
    assert (report["valid"], report["stats"]) == (False, None)
    [issue] = report["issues"]
    assert issue == {
        "code": "fixture.parse_error",
        "message": "fixture parse error at line 1: payload must be a JSON object, got string",
    }


def test_c10_23_a_table_of_two_rows_makes_two_events(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(PRICES)
    ran = ergo("fixture", "from-csv", "prices.csv", "made/events.jsonl")
    assert (ran.exit_code, ran.stdout) == (0, "wrote 2 events to made/events.jsonl\n")
    start, *events = (json.loads(line) for line in (tmp_path / "made" / "events.jsonl").read_text().splitlines())
    assert start == {"kind": "episode_start", "id": "E1"}
    payloads = [event["event"]["payload"] for event in events]
    assert [(payload["close"], payload["x"]) for payload in payloads] == [(101.2, 101.2), (101.9, 101.9)]


def test_c10_24_a_table_without_close_or_rows_and_the_spelling_of_kinds(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "no_close.csv").write_text("timestamp,open\nt1,1\n")
    (tmp_path / "header.csv").write_text("timestamp,close\n")
    (tmp_path / "good.csv").write_text(PRICES)
    refused = ergo("fixture", "from-csv", "no_close.csv", "e.jsonl")
    assert refused.exit_code == 3
    assert "'close'" in refused.stderr
    assert ergo("fixture", "from-csv", "header.csv", "e.jsonl").exit_code == 3
    assert not (tmp_path / "e.jsonl").exists()
    assert ergo("fixture", "from-csv", "good.csv", "e.jsonl", "--event-kind", "data_available").exit_code == 0
    tick = ergo("fixture", "from-csv", "good.csv", "tick.jsonl", "--event-kind", "tick", "-v")
    assert tick.exit_code == 2
    assert "code: cli.invalid_option_value" in tick.stderr
