"""Kernel programs through the command line: captured, refused, interrupted, kept in a store, recovered."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

AGENT = Path(__file__).parents[2] / "fixtures" / "agent"
PROJECT = 'name = "n"\nversion = "1"\n[profiles.default]\nkernel = "own.program:program"\nfixture = "events.jsonl"\n'
PROGRAM = """
from ergo_cli.programs.kernel import *

def step(state):
    {step}

program = KernelProgram("own", lambda payload: 0, step, "own.world:execute"{more})
"""
DONE = "return Complete()"
TOOL = 'return Do(CallTool("t", None))'


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    return shutil.copytree(AGENT, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


class Home:
    """A project with a program of one step function."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "own").mkdir(parents=True)
        (root / "ergo.toml").write_text(PROJECT)
        self.events("e1")
        self.world("return 1")

    def events(self, *ids: str) -> None:
        lines = ['{"kind":"episode_start","id":"d"}']
        lines += (json.dumps({"kind": "event", "event": {"type": "Command", "id": id_, "payload": {}}}) for id_ in ids)
        (self.root / "events.jsonl").write_text("\n".join(lines) + "\n")

    def program(self, step: str, more: str = "") -> Home:
        (self.root / "own" / "program.py").write_text(PROGRAM.format(step=step, more=more))
        return self

    def world(self, body: str, head: str = "") -> None:
        (self.root / "own" / "world.py").write_text(f"{head}\ndef execute(action, call):\n    {body}\n")

    def kept(self, name: str = "captures/default.capture.json") -> Any:
        return json.loads((self.root / name).read_text())


def calls(bundle: Any) -> list[Any]:
    """The ``end`` frames of a bundle."""
    return [record["end"] for entry in bundle["journals"] for record in entry["records"] if "end" in record]


# --- the fixture


def test_the_agent_captures_the_bundle_that_is_kept(ergo: Ergo, agent: Path):
    for again in ("one.json", "two.json"):
        ran = ergo("capture", "-o", again, "--format", "json", cwd=agent)
        assert ran.exit_code == 0, ran.stderr
        assert (agent / again).read_bytes() == (AGENT / "captures" / "tuesday.json").read_bytes()
    run = ran.report["run"]
    assert [(each["count"], each["event_id"], each["error"]) for each in run.pop("failures")] == [
        (1, "t-0945", "kernel.executor"),
        (1, "t-1005", "kernel.already_completed"),
    ]
    assert run == {
        "graph_id": "refunds",
        "events": 8,
        "episodes": 1,
        "invoked": 8,
        "deferred": 0,
        "skipped": 0,
        "failed": 2,
        "interruption": None,
        "bundle": "two.json",
        "other_failures": 0,
        "waiting": [],
        "waiting_runs": 0,
    }


def test_the_kept_bundle_replays_strictly_though_the_desk_cannot_be_imported(ergo: Ergo, agent: Path):
    (agent / "refunds" / "desk.py").write_text("raise RuntimeError('nothing may be executed')\n")
    ran = ergo("replay", "captures/tuesday.json", "--strict", cwd=agent)
    assert ran.exit_code == 0, ran.stderr
    refused = ergo("capture", "-o", "b.json", "--format", "json", cwd=agent)
    assert refused.exit_code == 3
    error = refused.report["error"]
    assert (error["code"], error["message"]) == (
        "program.import_failed",
        "module 'refunds.desk' cannot be imported: RuntimeError: nothing may be executed",
    )
    assert error["where"].endswith("refunds/desk.py:1")
    assert not (agent / "b.json").exists()


def test_a_flag_names_the_program_without_a_profile(ergo: Ergo, agent: Path):
    arguments = ("events/tuesday.jsonl", "-P", "refunds.agent:program", "-v")
    ran = ergo("capture", *arguments, cwd=agent)
    assert ran.exit_code == 0, ran.stderr
    assert "note: program 'refunds' found by flag --program" in ran.stderr
    bundle = json.loads((agent / "target" / "refunds-capture.json").read_text())
    assert bundle["journals"][0]["run_id"] == "refunds/t-0900", "the rule for run ids is the profile's"
    assert calls(bundle)[3]["error"]["code"] == "kernel.driver"


def test_the_files_are_embedded_on_request(ergo: Ergo, agent: Path):
    assert ergo("capture", "-o", "b.json", "--embed", cwd=agent).exit_code == 0
    program = json.loads((agent / "b.json").read_text())["program"]
    assert (program["kind"], program["ref"]) == ("kernel", "refunds.agent:program")
    assert [source["path"] for source in program["sources"]] == ["refunds/agent.py", "refunds/case.py"]
    assert program["sources"][1]["text"] == (agent / "refunds" / "case.py").read_text()


# --- what a program does wrong


@pytest.mark.parametrize(
    ("step", "more", "world", "termination", "code"),
    [
        ("return 1 / 0", "", "return 1", {"Failed": "RuntimeError"}, "kernel.driver"),
        ("return Emit([])", "", "return 1", {"Failed": "RuntimeError"}, "kernel.step_limit"),
        (TOOL, ", limits=Limits(max_steps=9)", "return 1", {"Failed": "RuntimeError"}, "kernel.step_limit"),
        (TOOL, ", lambda state, event: state.x", "return 1", {"Failed": "RuntimeError"}, "kernel.reducer"),
        (
            "return Emit([StateUpdated(None, float('nan'))])",
            "",
            "return 1",
            {"Failed": "RuntimeError"},
            "kernel.not_canonical",
        ),
        (TOOL, ", policy=AllowList()", "return 1", {"Failed": "ValidationFailed"}, "kernel.policy"),
        (TOOL, "", "return float('inf')", {"Failed": "RuntimeError"}, "kernel.not_canonical"),
        (TOOL, "", "raise ActionError.transient('x')", {"Failed": "NetworkTimeout"}, None),
        (TOOL, "", "raise KeyError('x')", {"Failed": "SemanticError"}, None),
        (TOOL, "", "return 1 if state else 2", {"Failed": "SemanticError"}, None),
    ],
)
def test_a_program_that_breaks_fails_its_episode_and_nothing_else(
    ergo: Ergo, home: Home, step: str, more: str, world: str, termination: Any, code: str | None
):
    home.program(step, more)
    home.world(world, "from ergo_cli.programs.kernel import *")
    ran = ergo("capture", "--fail-on-error", cwd=home.root)
    assert ran.exit_code == 1, ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    [end] = calls(home.kept())
    assert end["termination"] == termination
    assert (end["error"] and end["error"]["code"]) == code


def test_an_executor_that_hangs_is_left_behind_at_the_deadline(ergo: Ergo, home: Home):
    home.program(TOOL).world("time.sleep(600)", "import time")
    home.events("e1", "e2")
    ran = ergo("capture", "--deadline", "500ms", cwd=home.root)
    assert ran.exit_code == 0, ran.stderr
    bundle = home.kept()
    for end in calls(bundle):
        assert (end["termination"], end["error"]["code"]) == ("TimedOut", "kernel.deadline")
    failed = bundle["journals"][1]["records"][2]["event"]["ActionFailed"]
    assert failed == {"action_id": "own/e2-1", "error": "Driver error: deadline exceeded"}


def test_a_deadline_of_zero_does_nothing(ergo: Ergo, home: Home):
    home.program("raise SystemExit('asked')")
    assert ergo("capture", "--deadline", "0s", cwd=home.root).exit_code == 0
    [end] = calls(home.kept())
    assert end["termination"] == "Aborted"


def test_a_second_run_of_the_supervisor_is_a_new_request(ergo: Ergo, home: Home):
    home.program(TOOL).world("raise ActionError.transient('busy')", "from ergo_cli.programs.kernel import *")
    assert ergo("capture", "--max-retries", "2", cwd=home.root).exit_code == 0
    bundle = home.kept()
    assert bundle["decisions"][0]["retry_count"] == 2
    [entry] = bundle["journals"]
    requests = [record for record in entry["records"] if "ActionRequested" in record.get("event", {})]
    assert [request["event"]["ActionRequested"]["action_id"] for request in requests] == [
        "own/e1-1",
        "own/e1-3",
        "own/e1-5",
    ]


# --- what is refused before anything runs


def refused(ergo: Ergo, home: Home, *arguments: str) -> Any:
    ran = ergo("capture", "-o", "b.json", "--format", "json", *arguments, cwd=home.root)
    assert not (home.root / "b.json").exists()
    assert "Traceback" not in ran.stderr
    return ran.exit_code, ran.report["error"]


def test_a_bad_line_is_found_before_the_first_action(ergo: Ergo, home: Home):
    home.program(TOOL).world("open('touched', 'w')")
    with (home.root / "events.jsonl").open("a") as file:
        file.write("no event\n")
    exit_code, error = refused(ergo, home)
    assert (exit_code, error["code"]) == (3, "driver.input_invalid")
    assert error["where"].endswith("events.jsonl:3:5")
    assert not (home.root / "touched").exists()


def test_routes_are_refused(ergo: Ergo, home: Home):
    home.program(DONE)
    (home.root / "egress.toml").write_text(
        'default_ack_timeout = "1s"\n[channels.c]\ntype = "process"\ncommand = ["true"]\n[routes.t]\nchannel = "c"\n'
    )
    exit_code, error = refused(ergo, home, "--egress-config", "egress.toml")
    assert (exit_code, error["code"]) == (3, "egress.route_unsupported")


@pytest.mark.parametrize(
    ("text", "code", "exit_code"),
    [
        ("raise ImportError('no')", "program.import_failed", 3),
        ("program = 5", "program.wrong_kind", 3),
        ("other = 5", "program.import_failed", 3),
    ],
)
def test_a_program_that_cannot_be_had(ergo: Ergo, home: Home, text: str, code: str, exit_code: int):
    (home.root / "own" / "program.py").write_text(text + "\n")
    found, error = refused(ergo, home)
    assert (found, error["code"]) == (exit_code, code)
    assert error["fix"]


def test_a_project_that_is_not_trusted_is_not_imported(ergo: Ergo, home: Home, tmp_path: Path):
    home.program("raise SystemExit('imported')")
    ran = ergo("capture", home.root / "events.jsonl", "-o", "b.json", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.import_refused")
    assert ergo("run", home.root / "events.jsonl", "-P", "own.program:program").exit_code == 3


def test_graphs_keep_no_runs(ergo: Ergo, home: Home, tmp_path: Path):
    ran = ergo("run", home.root / "events.jsonl", "--project", AGENT.parent / "rate_limited", "--store", "default")
    assert (ran.exit_code, "keeps no runs in a store" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("store", "code", "exit_code"),
    [
        ("csv:x", "cli.invalid_option_value", 2),
        ("sqlite:events.jsonl", "store.corrupt", 3),
        ("sqlite:events.jsonl/runs.db", "store.unreachable", 6),
        ("postgres:host=127.0.0.1 port=1 connect_timeout=1", "store.unreachable", 6),
    ],
)
def test_a_store_that_cannot_be_used(ergo: Ergo, home: Home, store: str, code: str, exit_code: int):
    home.program(TOOL).world("open('touched', 'w')")
    found, error = refused(ergo, home, "--store", store)
    assert (found, error["code"]) == (exit_code, code)
    assert not (home.root / "touched").exists()


# --- stores


def test_runs_go_on_in_a_store(ergo: Ergo, agent: Path):
    day = (agent / "events" / "tuesday.jsonl").read_text().splitlines(keepends=True)
    (agent / "morning.jsonl").write_text("".join(day[:4]))
    (agent / "noon.jsonl").write_text(day[0] + "".join(day[4:]))
    for part in ("morning", "noon"):
        ran = ergo("capture", f"{part}.jsonl", "-o", f"{part}.json", "--store", "sqlite:runs.db", cwd=agent)
        assert ran.exit_code == 0, ran.stderr
    whole = {
        entry["run_id"]: entry for entry in json.loads((AGENT / "captures" / "tuesday.json").read_text())["journals"]
    }
    noon = json.loads((agent / "noon.json").read_text())
    resumed = noon["journals"][0]
    assert resumed["records"][0]["begin"]["prior"] in noon["artifacts"]
    assert resumed["records"][0]["begin"]["initial"] in noon["artifacts"]
    assert resumed["run_id"] == "c-2"
    assert noon["journals"][-1]["records"][-1] == whole["c-2"]["records"][-1]
    with sqlite3.connect(agent / "runs.db") as database:
        times = database.execute("SELECT DISTINCT created_at_ms FROM kernel_events").fetchall()
        runs = database.execute("SELECT DISTINCT run_id FROM kernel_events ORDER BY run_id").fetchall()
    database.close()
    assert times == [(0,)], "time stands still in a capture"
    assert [run for (run,) in runs] == ["c-1", "c-2", "c-3", "c-4", "c-5"]
    ran = ergo("replay", "morning.json", "noon.json", "--strict", cwd=agent)
    assert ran.exit_code == 0, ran.stdout + ran.stderr


def test_the_profiles_store_lies_in_the_project(ergo: Ergo, agent: Path, tmp_path: Path):
    with (agent / "ergo.toml").open("a") as file:
        file.write('store = "sqlite:kept/runs.db"\n')
    assert ergo("run", "--project", agent, cwd=tmp_path).exit_code == 0
    assert (agent / "kept" / "runs.db").is_file()


def test_a_store_that_breaks_on_the_way_interrupts_the_run(ergo: Ergo, home: Home):
    """The executor itself takes the tables away once the first event is done."""
    home.program("return Do(CallTool('t', None)) if state == 0 else Complete()", ", lambda state, event: event.seq")
    home.world(
        "return call.run_id == 'own/e2' and sqlite3.connect('runs.db').executescript('DROP TABLE kernel_events') and 0",
        "import sqlite3",
    )
    home.events("e1", "e2", "e3")
    ran = ergo("capture", "--store", "sqlite:runs.db", "--format", "json", cwd=home.root)
    assert ran.exit_code == 7, ran.stdout + ran.stderr
    assert ran.report["run"]["interruption"] == {"code": "host_step_failed"}
    assert ran.report["run"]["events"] == 1
    error = ran.report["error"]
    assert (error["code"], [cause["code"] for cause in error["causes"]]) == ("host.step_failed", ["kernel.corrupt_log"])
    bundle = home.kept()
    assert [event["event_id"] for event in bundle["events"]] == ["e1"]
    assert len(bundle["journals"]) == len(bundle["decisions"]) == 1


# --- crash journals


def test_a_killed_run_is_recovered_with_its_records(ergo: Ergo, agent: Path):
    desk = (agent / "refunds" / "desk.py").read_text()
    dying = desk.replace('    """Pay once', '    if customer == "dan":\n        os._exit(9)\n    """Pay once')
    (agent / "refunds" / "desk.py").write_text(dying.replace("from typing", "import os\nfrom typing"))
    assert ergo("capture", "-o", "b.json", "--journal", "day.log", cwd=agent).exit_code == 9
    assert not (agent / "b.json").exists()
    ran = ergo("recover", "day.log", "-o", "recovered.json", cwd=agent)
    assert ran.exit_code == 0, ran.stderr
    recovered = json.loads((agent / "recovered.json").read_text())
    whole = json.loads((AGENT / "captures" / "tuesday.json").read_text())
    assert recovered["journals"] == whole["journals"][:5]
    assert recovered["decisions"] == whole["decisions"][:5]
    assert recovered["program"] == whole["program"]
    begun = {record["begin"]["initial"] for entry in recovered["journals"] for record in entry["records"][:1]}
    assert set(recovered["artifacts"]) == begun - {None}
    proven = ergo("replay", "recovered.json", "--strict", cwd=agent)
    assert proven.exit_code == 0, proven.stdout + proven.stderr


def test_a_finished_run_leaves_no_journal_and_the_same_bundle(ergo: Ergo, agent: Path):
    assert ergo("capture", "-o", "b.json", "--journal", "day.log", cwd=agent).exit_code == 0
    assert not (agent / "day.log").exists()
    assert (agent / "b.json").read_bytes() == (AGENT / "captures" / "tuesday.json").read_bytes()


def test_a_damaged_entry_of_a_journal_is_told(ergo: Ergo, agent: Path):
    (agent / "refunds" / "desk.py").write_text("import os\ndef execute(action, call):\n    os._exit(9)\n")
    events = (agent / "events" / "tuesday.jsonl").read_text()
    (agent / "two.jsonl").write_text(events.replace('"case":"c-1"', '"case":""', 1))
    assert ergo("capture", "two.jsonl", "-o", "b.json", "--journal", "day.log", cwd=agent).exit_code == 9
    text = (agent / "day.log").read_text()
    assert '"entries":[{"episode_id":0,"run_id":"",' in text
    (agent / "day.log").write_text(text.replace('"attempt":0', '"attempt":1'))
    ran = ergo("recover", "day.log", "-o", "r.json", "--format", "json", cwd=agent)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "journal.corrupt")
    assert not (agent / "r.json").exists()


# --- graphs


def test_runs_of_graphs_import_nothing_of_kernels(home: Home, environment: dict[str, str]):
    script = (
        "import sys; sys.argv = ['ergo', 'run', '-q']\n"
        "from ergo_cli.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if 'kernel' in name], file=sys.__stdout__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=AGENT.parent / "rate_limited",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
