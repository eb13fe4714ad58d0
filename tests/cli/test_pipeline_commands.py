"""Pipeline programs through the command line: captured, replayed without their world, compared, interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

PROGRAM = """
from ergo_cli.programs.pipeline import EffectType, Event, PipelineProgram, sink, source, stateful, transform

def price(event):
    return [Event("priced", {**event.payload, "total": event.payload["count"] * 3})]

def add(state, event):
    state["total"] += event.payload["total"]

def book(event, effects):
    effects.perform("book", event.payload, key=str(event.payload["count"]))

program = PipelineProgram(
    "orders",
    stages=(
        source("orders_in"),
        transform("price", price),
        stateful("sum", lambda: {"total": 0}, add, lambda state: [Event("sum", dict(state))]),
        sink("ledger", book),
        sink("report", lambda event: None),
    ),
    edges=(("orders_in", "price"), ("price", "ledger"), ("price", "sum"), ("sum", "report")),
    effects={"book": "own.world:book"},
)
"""
WORLD = """
def book(given, call):
    return {"booked": given["total"], "key": call.key}
"""
BROKEN_WORLD = 'raise RuntimeError("the world is not there")\n'


class Project:
    """A project of one pipeline over three orders."""

    def __init__(self, folder: Path, ergo: Ergo) -> None:
        self.folder = folder
        self._ergo = ergo
        (folder / "own").mkdir(parents=True)
        self.write("own/__init__.py", "")
        self.write("own/orders.py", PROGRAM)
        self.write("own/world.py", WORLD)
        lines = ['name = "orders"', 'version = "1.0.0"', "[profiles.default]", 'pipeline = "own.orders:program"']
        self.write("ergo.toml", "\n".join([*lines, 'fixture = "events.jsonl"', 'capture_output = "out.json"', ""]))
        events = [
            {"kind": "event", "event": {"type": "Command", "id": f"e{n}", "at": f"{n}h", "payload": {"count": n}}}
            for n in (1, 2, 3)
        ]
        rows = [{"kind": "episode_start", "id": "day"}, *events]
        self.write("events.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def change(self, old: str, new: str) -> None:
        assert old in PROGRAM
        self.write("own/orders.py", PROGRAM.replace(old, new))

    def run(self, *arguments: str, code: int = 0) -> Any:
        ran = self._ergo(*arguments, "--format", "json", cwd=self.folder)
        assert ran.exit_code == code, f"{ran.stdout}\n{ran.stderr}"
        return ran.report

    @property
    def bundle(self) -> Any:
        return json.loads((self.folder / "out.json").read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path: Path, ergo: Ergo) -> Project:
    return Project(tmp_path / "project", ergo)


def test_two_captures_are_the_same_bytes(project: Project) -> None:
    project.run("capture")
    project.run("capture", "-o", "two.json")
    assert (project.folder / "out.json").read_bytes() == (project.folder / "two.json").read_bytes()


def test_a_bundle_holds_an_entry_for_each_event_and_one_for_the_end(project: Project) -> None:
    project.run("capture")
    bundle = project.bundle
    assert [entry["episode_id"] for entry in bundle["journals"]] == [0, 1, 2, None]
    assert bundle["program"] == {"kind": "pipeline", "ref": "own.orders:program"}
    assert bundle["runtime_provenance"].startswith("fpv1:sha256:")
    (manifest,) = [artifact["json"] for artifact in bundle["artifacts"].values()]
    assert manifest["effects"] == {"book": {"safety": "idempotent", "schema_version": 1}}
    effects = [captured["effect"] for captured in bundle["decisions"][1]["effects"]]
    assert [effect["kind"] for effect in effects] == ["io", "sink_write"]
    assert effects[1]["writes"][0]["key"] == "ledger"
    last = bundle["journals"][-1]["records"]
    assert last[-1]["end"] == {"termination": "Completed", "status": "Drained", "state": None, "error": None}
    facts = [record["record"]["event"].get("pipeline_event") for record in last[1:-1]]
    assert [fact for fact in facts if fact][-3:] == ["all_stages_completed", "completed", "drained"]


def test_a_strict_replay_never_reaches_the_world(project: Project) -> None:
    project.run("capture")
    project.write("own/world.py", BROKEN_WORLD)
    project.run("replay", "out.json", "--strict")


@pytest.mark.parametrize(
    ("old", "new", "stage", "cause"),
    [
        ('["count"] * 3', '["count"] * 4', "price", "payload"),
        ('Event("priced"', 'Event("costed"', "price", "kind"),
        ('    state["total"] +=', '    state["total"] -=', "sum", "payload"),
        ('[Event("priced", {**event.payload, "total": event.payload["count"] * 3})]', "[]", "price", "missing_row"),
    ],
    ids=["another value", "another type", "another state", "nothing"],
)
def test_a_change_is_named_with_stage_and_record(project: Project, old: str, new: str, stage: str, cause: str) -> None:
    project.run("capture")
    project.change(old, new)
    report = project.run("replay", "out.json", code=1)
    (bundle,) = report["bundles"]
    found = [each for each in bundle["divergences"] if each["kind"] == "journal" and each.get("node") == stage]
    assert found
    assert found[0]["cause"] == cause
    assert found[0]["path"].startswith("journals[")


def test_an_effect_that_asks_for_something_else_differs(project: Project) -> None:
    project.run("capture")
    project.change("key=str(event.payload", "label=str(event.payload")
    project.run("replay", "out.json", code=1)


def test_another_program_is_not_comparable_strictly(project: Project) -> None:
    project.run("capture")
    project.change('source("orders_in")', 'source("orders_in", logic_version="2")')
    project.run("replay", "out.json", "--strict", code=4)


def test_a_crash_of_a_handler_is_told_with_its_place(project: Project) -> None:
    project.change('event.payload["count"] * 3', 'event.payload["cost"] * 3')
    report = project.run("capture")
    failures = report["run"]["failures"]
    assert failures[0]["termination"] == "Failed(SemanticError)"
    assert failures[0]["place"]["file"].endswith("own/orders.py")
    project.run("replay", "out.json")
    project.run("replay", "out.json", "--strict", code=4)


def test_an_episode_that_takes_too_long_ends_the_flow(project: Project) -> None:
    """The call is cut off where its executor does not answer; what it left is replayed as far as it came."""
    project.write("own/world.py", "import time\n\ndef book(given, call):\n    time.sleep(60)\n")
    project.run("capture", "--deadline", "100ms")
    bundle = project.bundle
    assert [decision["termination"] for decision in bundle["decisions"]] == ["TimedOut", "Aborted", "Aborted"]
    lengths = [len(entry["records"]) for entry in bundle["journals"]]
    assert lengths[1:] == [2, 2, 2]
    project.write("own/world.py", BROKEN_WORLD)
    project.run("replay", "out.json")


def test_an_interrupted_run_is_drained_and_replays(project: Project, ergo: Ergo) -> None:
    """The stream stops after the first event: the pipeline is stopped gracefully, and the bundle replays strictly."""
    project.write(
        "own/world.py",
        "import os, signal\n\ndef book(given, call):\n    os.kill(os.getpid(), signal.SIGINT)\n    return given\n",
    )
    project.run("capture", code=130)
    bundle = project.bundle
    assert [entry["episode_id"] for entry in bundle["journals"]] == [0, None]
    end = bundle["journals"][-1]["records"][-1]["end"]
    assert (end["termination"], end["status"]) == ("Aborted", "Drained")
    events = [record["record"]["event"] for record in bundle["journals"][-1]["records"][1:-1]]
    facts = [event["pipeline_event"] for event in events if "pipeline_event" in event]
    assert (facts[0], facts[-2:]) == ("stop_requested", ["cancelled", "drained"])
    project.write("own/world.py", BROKEN_WORLD)
    project.run("replay", "out.json", "--strict")


def test_two_bundles_are_compared_without_running(project: Project) -> None:
    project.run("capture")
    project.change('["count"] * 3', '["count"] * 4')
    project.run("capture", "-o", "two.json")
    project.write("own/orders.py", "raise RuntimeError('run by a comparison')\n")
    report = project.run("diff", "out.json", "two.json", code=1)
    (diff,) = report["bundles"]
    assert {each["node"] for each in diff["divergences"] if each["kind"] == "journal"} >= {"price", "ledger", "sum"}


def test_an_edited_record_is_refused(project: Project) -> None:
    project.run("capture")
    text = (project.folder / "out.json").read_text(encoding="utf-8")
    project.write("out.json", text.replace('"event_type":"priced"', '"event_type":"prices"', 1))
    project.run("replay", "out.json", code=3)
