"""Captures of pipelines from the command line: what a bundle holds, and that it is the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pipeline_projects import BUNDLE, FLOW, KEPT, ORDERS, Home, data, facts, frames, orders, records
from tests.conftest import Ergo

PASS = "def passed(event):\n    return [event]\n"
KEEP = "def kept(event):\n    pass\n"
LINE = ('source("in")', 'transform("mid", passed)', 'sink("out", kept)')
STOPPING = "import os, signal\ndef stop(given, call):\n    os.kill(os.getpid(), signal.SIGTERM)\n    return None\n"
ACT = 'def act(event, effects):\n    effects.perform("world.stop", event.payload)\n'

ACTING = 'effects={"world.act": "world:act"}'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own").program(*LINE, handlers=PASS + KEEP)


# --- the fixture


def test_two_captures_of_the_example_are_the_kept_bundle(ergo: Ergo, tmp_path: Path) -> None:
    project = orders(tmp_path)
    for again in ("one.json", "two.json"):
        ran = ergo("capture", "-o", again, "--format", "json", cwd=project)
        assert ran.exit_code == 0, ran.stderr
        assert (project / again).read_bytes() == (ORDERS / KEPT).read_bytes()
    run = ran.report["run"]
    assert (run["graph_id"], run["events"], run["invoked"], run["failed"]) == ("orders", 8, 8, 0)


def test_the_example_shows_a_join_a_stateful_stage_an_effect_and_error_rows() -> None:
    """120 and 450 cents: ten pens and an ink are 1650 cents; two pens 240, declined; ben leaves two inks."""
    bundle = json.loads((ORDERS / KEPT).read_text())
    assert [entry["run_id"] for entry in bundle["journals"]] == [FLOW] * 9
    assert [entry["episode_id"] for entry in bundle["journals"]] == [*range(8), None]
    assert data(bundle, "data:price")[-1][1]["cents"] == 900
    assert data(bundle, "data:baskets") == [
        ("basket", {"cents": 1650, "customer": "anna", "lines": 2}),
        ("basket", {"cents": 240, "customer": "carl", "lines": 1}),
        ("left_behind", {"cents": 900, "customer": "ben", "lines": 1}),
    ]
    [unreadable] = records(bundle["journals"][3], "error:check")
    assert unreadable["processing_info"]["status"]["Error"]["kind"] == "Deserialization"
    [_, marked, *_] = [event for event in records(bundle["journals"][6]) if event.get("content", {}).get("event_type")]
    assert marked["processing_info"]["status"]["Error"]["kind"] == "Validation"
    paid, declined = (payload["outcome"] for _, payload in data(bundle, "data:till"))
    assert paid == {"outcome": "succeeded", "output": {"cents": 1650, "charge": "ch-morning-anna"}}
    assert (declined["outcome"], declined["error_type"]) == ("failed", "card_declined")
    assert facts(bundle)[-2:] == ["completed", "drained"]


def test_effects_of_an_episode_are_what_was_performed_and_what_sinks_took() -> None:
    """00 §13.5: ``io`` at the call, ``sink_write`` for each event that a sink consumed."""
    bundle = json.loads((ORDERS / KEPT).read_text())
    io, written = (captured["effect"] for captured in bundle["decisions"][4]["effects"])
    [intent] = io["intents"]
    assert {field["name"]: field["value"]["String"] for field in intent["fields"]} == {
        "namespace": "bank.charge",
        "request": '{"cents":1650,"customer":"anna","lines":2}',
        "idempotency_key": "morning-anna",
    }
    [write] = written["writes"]
    assert (write["key"], json.loads(write["value"]["String"])["event_type"]) == ("till", "basket")
    assert all(not decision["effects"] for decision in bundle["decisions"][:4])


# --- frames


def test_the_first_frame_names_the_manifest_and_heads_count_all_journals(ergo: Ergo, home: Home) -> None:
    bundle = home.capture(ergo)
    first, *others = frames(bundle, "begin")
    [(name, artifact)] = bundle["artifacts"].items()
    assert (first["initial"], {each["initial"] for each in others}) == (name, {None})
    assert artifact["json"]["flow_id"] == FLOW
    assert {stage: found["inbound"] for stage, found in artifact["json"]["stages"].items()} == {
        "in": [],
        "mid": ["in"],
        "out": ["mid"],
    }
    counts = [len(records(entry)) for entry in bundle["journals"]]
    assert [each["head"] for each in (first, *others)] == [sum(counts[:number]) for number in range(len(counts))]
    assert {each["prior"] for each in (first, *others)} == {None}
    ends = frames(bundle, "end")
    assert [each["termination"] for each in ends] == ["Completed"] * 4
    assert [each["status"] for each in ends] == ["Running"] * 3 + ["Drained"]
    assert {each["state"] for each in ends} == {None}


def test_a_deadline_of_zero_admits_nothing(ergo: Ergo, home: Home) -> None:
    bundle = home.capture(ergo, "--deadline", "0s")
    assert [end["termination"] for end in frames(bundle, "end")][:3] == ["Aborted"] * 3
    assert data(bundle, "data:in") == []
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0, "a flow that never began has no end"


def test_an_event_without_a_source_fails_and_admits_nothing(ergo: Ergo, home: Home) -> None:
    home.program('source("a")', 'source("b")', 'sink("out", kept)', handlers=KEEP, edges="a>out b>out")
    bundle = home.events({"n": 1}, {"source": "b"}, {"source": "c"}).capture(ergo)
    assert [end["termination"] for end in frames(bundle, "end")] == [
        {"Failed": "ValidationFailed"},
        "Completed",
        {"Failed": "ValidationFailed"},
        "Completed",
    ]
    assert frames(bundle, "end")[0]["error"]["code"] == "pipeline.no_such_source"
    assert data(bundle, "data:a") == []
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_stage_that_crashes_ends_the_flow_and_every_later_call_is_aborted(ergo: Ergo, home: Home) -> None:
    crash = 'def passed(event):\n    return [event][: 2 // (event.payload["n"] - 2)]\n'
    home.program(*LINE, handlers=crash + KEEP)
    bundle = home.capture(ergo)
    assert [end["termination"] for end in frames(bundle, "end")] == [
        "Completed",
        {"Failed": "SemanticError"},
        "Aborted",
        "Aborted",
    ]
    assert records(bundle["journals"][2]) == records(bundle["journals"][3]) == []
    assert facts(bundle)[-2:] == ["failed", "drained"]
    assert ergo("replay", BUNDLE, cwd=home.root).exit_code == 0


def test_the_id_of_an_event_is_a_text_for_outputs_and_keys(ergo: Ergo, home: Home) -> None:
    handlers = (
        'def passed(event):\n    return [Event("x", event.id)]\n'
        'def act(event, effects):\n    effects.perform("world.act", event.payload, key=event.payload)\n'
    )
    home.program('source("in")', 'transform("mid", passed)', 'sink("out", act)', handlers=handlers, more=ACTING)
    home.world("def act(given, call):\n    return given == call.key\n")
    bundle = home.capture(ergo)
    assert [payload["outcome"]["output"] for _, payload in data(bundle, "data:out")] == [True] * 3


@pytest.mark.parametrize(("more", "named"), [("key=5", "the key"), ("label=5", "the label")])
def test_a_key_or_a_label_that_is_no_text_fails_the_stage(ergo: Ergo, home: Home, more: str, named: str) -> None:
    handlers = f'def act(event, effects):\n    effects.perform("world.act", 1, {more})\n'
    home.program('source("in")', 'sink("out", act)', handlers=handlers, more=ACTING)
    home.world("def act(given, call):\n    return 1\n")
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["run"]["failed"]) == (0, 3)
    assert ran.report["run"]["failures"][0]["message"] == f"{named} of an effect is a text, not int"


# --- interrupted


def test_an_interrupted_capture_stops_gracefully_and_replays_strictly(ergo: Ergo, home: Home) -> None:
    home.program('source("in")', 'sink("out", act)', handlers=ACT, more='effects={"world.stop": "world:stop"}')
    home.world(STOPPING)
    bundle = home.capture(ergo, code=130)
    assert len(bundle["events"]) == 1
    assert facts(bundle)[-3:] == ["all_stages_completed", "cancelled", "drained"]
    assert frames(bundle, "end")[-1]["termination"] == "Aborted"
    home.world("raise RuntimeError('no world')\n")
    ran = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert (ran.exit_code, ran.stderr) == (0, ""), ran.stdout


DYING = "import os\ndef stop(given, call):\n    os._exit(9) if given['n'] == 3 else None\n    return None\n"


def test_a_killed_capture_is_recovered_without_its_end(ergo: Ergo, home: Home) -> None:
    """00 §13.7: without a closing entry a strict replay has nothing to judge the end by."""
    home.program('source("in")', 'sink("out", act)', handlers=ACT, more='effects={"world.stop": "world:stop"}')
    home.world(DYING)
    assert ergo("capture", "--journal", "day.log", cwd=home.root).exit_code == 9
    assert ergo("recover", "day.log", "-o", "recovered.json", cwd=home.root).exit_code == 0
    recovered: Any = json.loads((home.root / "recovered.json").read_text())
    assert [entry["episode_id"] for entry in recovered["journals"]] == [0, 1]
    ran = ergo("replay", "recovered.json", cwd=home.root)
    assert ran.exit_code == 0
    assert "there is no closing entry: the capture was cut off" in ran.stderr
    strict = ergo("replay", "recovered.json", "--strict", "--format", "json", cwd=home.root)
    assert (strict.exit_code, strict.report["error"]["code"]) == (4, "pipeline.not_comparable")
