"""Flows in a store, as ``ergo runs`` lists, shows, tells and ends them: those of captures, by real processes."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ergo_cli import Ergo as Handle
from ergo_cli import KeptRunError, Standing
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES, MANIFEST
from ergo_cli.stores.backends import open_store
from tests.cli.kept_runs import begin_run
from tests.cli.pipeline_projects import FLOW, Home, orders
from tests.cli.started import held
from tests.cli.test_runs_bad_stores import check_refused, without_privileges
from tests.conftest import Ergo, Ran

STORE = ("--store", "sqlite:runs.db")
CAPTURE = ("capture", "-o", "b.json", *STORE)
NEXT_FLOW = "flow_5D1E6WRTB0YQ9V1N4DC0ZS7EEM"
DIES = """
import os, signal

def die(event):
    if event.payload == {"n": 2}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
HOLDS = """
import pathlib, time
HERE = pathlib.Path(__file__).parent

def hold(event):
    if (HERE / "hold").exists():
        (HERE / "held").touch()
        while not (HERE / "release").exists():
            time.sleep(0.01)
"""
LIBRARY = """
import asyncio, os, secrets, signal, time
from ergo_cli.programs.pipeline import *
from ergo_cli import Ergo as Handle
from ergo_cli import KeptRunError, Standing
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal

def wall_ms():
    return time.time_ns() // 1_000_000

def die(event):
    os.kill(os.getpid(), signal.SIGKILL)

program = PipelineProgram("mine", (source("src"), sink("snk", die)), (("src", "snk"),))

async def main():
    store, ids = SqliteJournal(SqliteDatabase("runs.db", wall_ms, FLOW_TABLES)), TimedIds(wall_ms, secrets.token_bytes)
    handle = await launch(program, {"src": [1]}, ids=ids, wall_ms=wall_ms, store=store)
    await handle.run()

asyncio.run(main())
"""


@pytest.fixture
def ergo(ergo: Ergo) -> Ergo:
    """Commands that say the codes of their errors."""
    return partial(_with_codes, ergo)


def _with_codes(ergo: Ergo, *arguments: str | Path, **surroundings: Any) -> Any:
    return ergo(*arguments, "-v", **surroundings)


@pytest.fixture
def example(ergo: Ergo, tmp_path: Path) -> Path:
    """The project of orders, whose events are captured into the store runs.db."""
    project = orders(tmp_path)
    assert ergo(*CAPTURE, cwd=project).exit_code == 0
    return project


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A project with a source and a sink."""
    return Home(tmp_path / "own").program('source("src")', 'sink("snk", lambda event: None)')


@pytest.fixture
def killed(ergo: Ergo, home: Home) -> Home:
    """The same, whose capture was killed when the sink took the second event."""
    home.program('source("src")', 'sink("snk", die)', handlers=DIES)
    assert ergo(*CAPTURE, cwd=home.root).exit_code == -signal.SIGKILL
    return home


def runs(ergo: Ergo, folder: Path, *command: str, code: int = 0) -> Ran:
    """A command of ``ergo runs`` on the store of a project."""
    ran = ergo("runs", *command, *STORE, cwd=folder)
    assert ran.exit_code == code, ran
    return ran


def report(ergo: Ergo, folder: Path, *command: str, code: int = 0) -> Any:
    return runs(ergo, folder, *command, "--format", "json", code=code).report


def shown(ergo: Ergo, folder: Path, flow: str = FLOW) -> Any:
    """The kind's own summary of a flow."""
    return report(ergo, folder, "show", flow)["run_summary"]["status"]


def recorded(folder: Path) -> list[Any]:
    """The records of the bundle, each with its journal, without frames."""
    entries = json.loads((folder / "b.json").read_text())["journals"]
    return [record for entry in entries for record in entry["records"] if "journal" in record]


def journal(folder: Path, run: str) -> list[Any]:
    """The records of one journal of the store."""
    with open_store(f"sqlite:{folder}/runs.db", folder, lambda: 0, FLOW_TABLES) as store:
        return [json.loads(text) for _, text in store.journal.scan(run)]


def change(folder: Path, statement: str, *values: object) -> None:
    """Change rows behind the back of ergo."""
    with closing(sqlite3.connect(folder / "runs.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def tear(folder: Path, run: str, seq: int) -> None:
    """Cut a record in half."""
    half = "event_json = substr(event_json, 1, length(event_json) / 2)"
    change(folder, f"UPDATE pipeline_records SET {half} WHERE run_id = ? AND seq = ?", run, seq)


def test_a_flow_is_listed_with_its_program_and_the_number_of_its_records(ergo: Ergo, example: Path) -> None:
    [flow] = report(ergo, example, "list")["runs"]
    count = len(recorded(example))
    assert flow == {
        "run_id": FLOW,
        "head": count,
        "derived_status": "Completed",
        "snapshot": None,
        "error": None,
        "program": "orders",
    }
    assert runs(ergo, example, "list").stdout == (
        "run                              status     events  snapshot  program\n"
        f"{FLOW}  Completed  {count:6}         -  orders\n"
    )
    assert report(ergo, example, "list", "--status", "failed")["runs"] == []


def test_what_is_shown_of_a_flow_that_is_done(ergo: Ergo, example: Path) -> None:
    """Numbers of its stages are those of the README of the example: one order is refused, one marked, one declined."""
    text = runs(ergo, example, "show", FLOW).stdout
    assert text.partition("\n\nseq ")[0] == (
        f"{FLOW}\n"
        "  status   Completed\n"
        "  program  orders\n"
        f"  events   {len(recorded(example))}\n"
        "\n"
        "stage      type           in  out  errors  state    \n"
        "catalogue  finite_source   2    2       0  completed\n"
        "orders     finite_source   6    6       0  completed\n"
        "check      transform       6    5       2  completed\n"
        "price      join            7    5       0  completed\n"
        "baskets    stateful        4    3       0  completed\n"
        "till       sink            3    4       1  completed"
    ).replace("state    \n", "state\n")
    summary = report(ergo, example, "show", FLOW)["run_summary"]
    last_of = {record["journal"]: record for record in recorded(example)}
    assert summary["last_events"][0] == last_of.pop("system")
    assert summary["last_events"][1:] == [last_of[name] for name in sorted(last_of)]
    assert (summary["derived_status"], summary["head"]) == ("Completed", len(recorded(example)))
    assert "contracts" not in summary["status"]


def test_a_timeline_has_the_records_of_all_journals_in_causal_order(ergo: Ergo, example: Path) -> None:
    """By the sum of their clocks, then by id; copies of one event by the name of their journal (spec 60 §5.3)."""
    timeline = report(ergo, example, "timeline", FLOW)["run_timeline"]
    seqs: dict[str, int] = {}
    placed = []
    for record in recorded(example):
        name, event = record["journal"], record["record"]
        seqs[name] = seqs.get(name, 0) + 1
        placed.append((sum(event["vector_clock"]["clocks"].values()), event["event_id"], name, seqs[name]))
    assert [(line["journal"], line["seq"]) for line in timeline["events"]] == [each[2:] for each in sorted(placed)]
    lines = {(line["journal"], line["seq"]): line for line in timeline["events"]}
    assert lines["error:check", 1] == {"seq": 1, "kind": "order", "journal": "error:check", "stage": "check"}
    completed = [line for line in timeline["events"] if line["kind"] == "system.stage.completed"]
    assert {line["stage"] for line in completed} == {"catalogue", "orders", "check", "price", "baskets", "till"}
    [end] = [line for line in timeline["events"] if line["kind"] == "system.pipeline.completed"]
    assert end == {"seq": seqs["system"] - 1, "kind": "system.pipeline.completed", "journal": "system"}
    assert timeline["final_status"] == shown(ergo, example)
    text = runs(ergo, example, "timeline", FLOW).stdout.splitlines()
    assert (text[0], text[1].split(), text[-1]) == (FLOW, ["seq", "journal", "stage", "event"], "status: Completed")
    assert len(text) == len(placed) + 3


def test_a_flow_that_failed_says_why_and_where(ergo: Ergo, home: Home) -> None:
    home.program('source("src")', 'transform("t r/1", boom)', 'sink("snk", print)', handlers="def boom(event): 1 / 0")
    assert ergo(*CAPTURE, cwd=home.root).exit_code == 0
    summary = shown(ergo, home.root)
    assert (summary["flow_name"], summary["state"], summary["failed_stage"]) == ("orders", "failed", "t r/1")
    assert "division by zero" in summary["reason"]
    stages = {stage["stage"]: stage for stage in summary["stages"]}
    assert stages["t r/1"]["state"] == "failed"
    assert "division by zero" in stages["t r/1"]["reason"]
    assert {stages[name]["state"] for name in ("src", "snk")} == {"cancelled"}
    missing = [(each["from"], each["to"], each["state"]) for each in summary["contracts"]]
    assert missing == [("src", "t r/1", "missing"), ("t r/1", "snk", "missing")]
    text = runs(ergo, home.root, "show", FLOW).stdout
    assert "\n  status        Failed\n" in text
    assert "\n  failed stage  t r/1\n" in text
    assert "\nsrc > t r/1  missing  -\n" in text
    error = report(ergo, home.root, "cancel", FLOW, code=3)["error"]
    assert error["code"] == "pipeline.already_completed"
    assert f"'{FLOW}' has ended: Failed: " in error["message"]


def test_a_flow_that_nothing_drives_is_ended_at_once(ergo: Ergo, killed: Home) -> None:
    """The supervisor's facts follow what the system journal has, and nothing else is written."""
    before = journal(killed.root, f"{FLOW}/system")
    [flow] = report(ergo, killed.root, "list")["runs"]
    assert (flow["derived_status"], "driver" in flow) == ("Active", False)
    summary = shown(ergo, killed.root)
    assert (summary["state"], "reason" in summary, "contracts" in summary) == ("running", False, False)
    assert [stage["state"] for stage in summary["stages"]] == ["running", "running"]
    cancelled = report(ergo, killed.root, "cancel", FLOW)["run_cancelled"]
    assert cancelled == {"run_id": FLOW, "head": flow["head"] + 2, "children": [], "was_driven": False}
    after = journal(killed.root, f"{FLOW}/system")
    assert after[: len(before)] == before
    ended, drained = after[len(before) :]
    assert {name: ended["event"][name] for name in ("pipeline_event", "reason", "duration_ms", "failure_cause")} == {
        "pipeline_event": "cancelled",
        "reason": "user_stop",
        "duration_ms": 0,
        "failure_cause": {"violation_type": "other", "details": "user_stop"},
    }
    assert drained["event"]["pipeline_event"] == "drained"
    supervisor = [record for record in before if record["writer_id"]["type"] == "System"][-1]
    key = f"writer_system_{supervisor['writer_id']['id']}"
    counts = [record["vector_clock"]["clocks"][key] for record in (supervisor, ended, drained)]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    assert {record["journal_id"] for record in (supervisor, ended, drained)} == {supervisor["journal_id"]}
    assert len({record["event_id"] for record in after}) == len(after)
    summary = shown(ergo, killed.root)
    assert (summary["state"], summary["reason"]) == ("cancelled", "user_stop")
    assert [stage["state"] for stage in summary["stages"]] == ["cut off", "cut off"]
    error = report(ergo, killed.root, "cancel", FLOW, code=3)["error"]
    assert error["code"] == "pipeline.already_completed"
    assert "has ended: Cancelled: user_stop" in error["message"]
    assert journal(killed.root, f"{FLOW}/system") == after


def test_several_flows_of_one_program(ergo: Ergo, killed: Home) -> None:
    """One that was cancelled is not gone on with: the next capture begins another."""
    runs(ergo, killed.root, "cancel", FLOW)
    killed.program('source("src")', 'sink("snk", lambda event: None)')
    assert ergo(*CAPTURE, cwd=killed.root).exit_code == 0
    listed = report(ergo, killed.root, "list")["runs"]
    status = {flow["run_id"]: (flow["derived_status"], flow["program"]) for flow in listed}
    other = next(flow for flow in status if flow != FLOW)
    assert status == {FLOW: ("Cancelled", "orders"), other: ("Completed", "orders")}
    assert [shown(ergo, killed.root, flow)["state"] for flow in (FLOW, other)] == ["cancelled", "completed"]
    assert ergo("replay", "b.json", "--strict", cwd=killed.root).exit_code == 0


def test_the_process_that_drives_a_flow_is_asked_to_end_it(ergo: Ergo, home: Home, environment: dict[str, str]) -> None:
    home.program('source("src")', 'sink("snk", hold)', handlers=HOLDS)
    with held(home.root, environment, *CAPTURE) as child:
        [flow] = report(ergo, home.root, "list")["runs"]
        assert (flow["derived_status"], flow["driver"]["pid"]) == ("Active", child.pid)
        assert f"\n  driven by  {child.pid}@" in runs(ergo, home.root, "show", FLOW).stdout
        error = report(ergo, home.root, "cancel", FLOW, "--wait", "1ms", code=3)["error"]
        assert error["code"] == "pipeline.run_busy"
        assert f"{child.pid}@" in error["message"]
        assert "it was asked" in error["fix"]
        gc = report(ergo, home.root, "gc", code=3)["error"]
        assert (gc["code"], FLOW in gc["message"]) == ("store.run_busy", True)
    assert child.returncode == 0
    assert shown(ergo, home.root)["reason"] == "user_stop"
    [flow] = report(ergo, home.root, "list")["runs"]
    assert (flow["derived_status"], "driver" in flow) == ("Cancelled", False)


def test_a_flow_goes_on_by_being_run_again(ergo: Ergo, killed: Home) -> None:
    refused = runs(ergo, killed.root, "resume", FLOW, "-p", "default", code=3)
    check_refused(refused, 3, "pipeline.not_resumable", FLOW, "run ergo capture or ergo run again")
    check_refused(runs(ergo, killed.root, "fork", FLOW, "--at", "1", "--as", "x", code=3), 3, "pipeline.not_forkable")
    killed.program('source("src")', 'sink("snk", lambda event: None)')
    assert ergo(*CAPTURE, cwd=killed.root).exit_code == 0
    refused = runs(ergo, killed.root, "resume", FLOW, "-p", "default", code=3)
    check_refused(refused, 3, "pipeline.already_completed", "Completed")


def test_a_flow_of_a_program_that_ergo_does_not_run(ergo: Ergo, tmp_path: Path) -> None:
    """Each has an id of its own; one whose process was killed is ended, from Python too."""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", LIBRARY], cwd=tmp_path, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL
    listed = report(ergo, tmp_path, "list")["runs"]
    assert [(flow["program"], flow["derived_status"]) for flow in listed] == [("mine", "Active")] * 2
    assert [stage["stage"] for stage in shown(ergo, tmp_path, listed[0]["run_id"])["stages"]] == ["src", "snk"]
    runs(ergo, tmp_path, "cancel", listed[0]["run_id"])
    kept = Handle.builder().build().runs(store=f"sqlite:{tmp_path}/runs.db")
    assert kept.cancel(listed[1]["run_id"]).run_id == listed[1]["run_id"]
    assert [run.standing for run in kept.list()] == [Standing.CANCELLED] * 2
    assert b'"reason":"user_stop"' in kept.show(listed[1]["run_id"]).status
    with pytest.raises(KeptRunError) as refused:
        kept.fork(listed[1]["run_id"], 1, "x")
    assert (refused.value.category, refused.value.code) == ("run", "pipeline.not_forkable")


def test_flows_stand_beside_the_runs_of_other_kinds(ergo: Ergo, example: Path) -> None:
    begin_run(f"sqlite:{example}/runs.db", example, "asks")
    listed = report(ergo, example, "list")["runs"]
    assert [(run["run_id"], run["derived_status"]) for run in listed] == [("asks", "Blocked"), (FLOW, "Completed")]
    assert runs(ergo, example, "list").stdout.splitlines()[1].split() == ["asks", "Blocked", "2", "2", "-"]
    for run in ("asks", FLOW):
        assert runs(ergo, example, "show", run).stdout.splitlines()[0] == run
    assert report(ergo, example, "gc")["outcome"] == "ok"


def test_a_flow_that_is_not_there(ergo: Ergo, example: Path) -> None:
    for command in ("show", "timeline", "cancel"):
        error = report(ergo, example, command, f"{FLOW[:-1]}D", code=3)["error"]
        assert (error["code"], error["fix"]) == ("store.not_found", f"did you mean '{FLOW}'?")
    for run in (f"{FLOW}/system", FLOW.lower(), FLOW.removeprefix("flow_")):
        assert report(ergo, example, "show", run, code=3)["error"]["code"] == "store.not_found"


def test_a_store_without_flows(ergo: Ergo, tmp_path: Path) -> None:
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path, "asks")
    assert [run["run_id"] for run in report(ergo, tmp_path, "list")["runs"]] == ["asks"]
    assert report(ergo, tmp_path, "show", FLOW, code=3)["error"]["code"] == "store.not_found"
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert FLOW_TABLES.events not in names


def _torn(run: str, seq: int) -> Any:
    return lambda folder: tear(folder, run, seq)


def _without_manifest(folder: Path) -> None:
    change(folder, "DELETE FROM pipeline_records WHERE run_id = ?", f"{FLOW}/{MANIFEST}")


def _with_another_manifest(folder: Path) -> None:
    swap = "event_json = replace(event_json, ?, ?)"
    change(folder, f"UPDATE pipeline_records SET {swap} WHERE run_id = ?", FLOW, NEXT_FLOW, f"{FLOW}/{MANIFEST}")


@pytest.mark.parametrize(
    ("damage", "code", "run"),
    [
        (_torn(f"{FLOW}/{MANIFEST}", 1), "pipeline.journal_corrupt", MANIFEST),
        (_torn(f"{FLOW}/system", 80), "pipeline.journal_corrupt", "system"),
        (_without_manifest, "pipeline.journal_corrupt", MANIFEST),
        (_with_another_manifest, "pipeline.journal_foreign", MANIFEST),
    ],
    ids=["torn manifest", "torn end", "no manifest", "another manifest"],
)
def test_a_flow_that_cannot_be_read_is_listed_as_such(
    ergo: Ergo, example: Path, damage: Any, code: str, run: str
) -> None:
    damage(example)
    listed = report(ergo, example, "list", code=3)
    [flow] = listed["runs"]
    assert (flow["run_id"], flow["derived_status"], flow["error"]["code"]) == (FLOW, None, code)
    assert f"run '{FLOW}/{run}'" in flow["error"]["where"]
    for command in ("show", "timeline"):
        check_refused(runs(ergo, example, command, FLOW, code=3), 3, code, f"{FLOW}/{run}", "fix: ")


def test_a_flow_without_a_manifest_that_can_be_read_is_ended_all_the_same(ergo: Ergo, killed: Home) -> None:
    """Until then no capture gets past it."""
    tear(killed.root, f"{FLOW}/{MANIFEST}", 1)
    count = len(journal(killed.root, f"{FLOW}/system"))
    check_refused(ergo(*CAPTURE, cwd=killed.root), 3, "pipeline.journal_corrupt", f"{FLOW}/{MANIFEST}")
    runs(ergo, killed.root, "cancel", FLOW)
    assert len(journal(killed.root, f"{FLOW}/system")) == count + 2


def test_a_flow_whose_system_journal_is_torn_is_left_as_it_is(ergo: Ergo, killed: Home) -> None:
    run = f"{FLOW}/system"
    tear(killed.root, run, 3)
    check_refused(runs(ergo, killed.root, "cancel", FLOW, code=3), 3, "pipeline.journal_corrupt", f"run '{run}' seq 3")
    with closing(sqlite3.connect(killed.root / "runs.db")) as connection:
        [(count, last)] = connection.execute("SELECT count(*), max(seq) FROM pipeline_records WHERE run_id = ?", (run,))
    assert count == last
    [flow] = report(ergo, killed.root, "list", code=3)["runs"]
    assert (flow["head"], flow["error"]["where"]) == (None, f"run '{run}' seq 3")


def test_a_torn_record_in_the_middle_is_named(ergo: Ergo, example: Path) -> None:
    """What reads no more than ends goes on."""
    tear(example, f"{FLOW}/data:price", 7)
    assert report(ergo, example, "list")["runs"][0]["derived_status"] == "Completed"
    runs(ergo, example, "show", FLOW)
    refused = runs(ergo, example, "timeline", FLOW, code=3)
    check_refused(refused, 3, "pipeline.journal_corrupt", f"run '{FLOW}/data:price' seq 7")


def test_a_store_that_may_only_be_read(ergo: Ergo, killed: Home) -> None:
    folder, through = killed.root, without_privileges()
    for file in folder.glob("runs.db*"):
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        for command in (("list",), ("show", FLOW), ("timeline", FLOW)):
            ran = ergo("runs", *command, *STORE, cwd=folder, through=through)
            assert ran.exit_code in (0, 6), ran
        check_refused(
            ergo("runs", "cancel", FLOW, *STORE, cwd=folder, through=through), 6, "store.read_only", "runs.db"
        )
    finally:
        folder.chmod(0o755)


def test_flows_of_a_database(ergo: Ergo, home: Home, postgres: str) -> None:
    """PostgreSQL keeps them as SQLite does."""
    home.program('source("src")', 'sink("snk", die)', handlers=DIES)
    store = ("--store", f"postgres:{postgres}")
    assert ergo("capture", "-o", "b.json", *store, cwd=home.root).exit_code == -signal.SIGKILL

    def status() -> str:
        [flow] = ergo("runs", "list", *store, "--format", "json", cwd=home.root).report["runs"]
        return flow["derived_status"]

    assert status() == "Active"
    assert ergo("runs", "cancel", FLOW, *store, cwd=home.root).exit_code == 0
    assert status() == "Cancelled"
    shown = ergo("runs", "show", FLOW, *store, "--format", "json", cwd=home.root).report["run_summary"]["status"]
    assert shown["reason"] == "user_stop"
    timeline = ergo("runs", "timeline", FLOW, *store, "--format", "json", cwd=home.root).report["run_timeline"]
    assert timeline["final_status"] == shown
