"""Runs of plans in a store: captured, continued, listed, shown, resumed, forked; and stores that cannot be used."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import mortal_plan
import pytest
from kept_runs import begin_run
from kill_plans import EVENT, PROJECT
from msgspec import UNSET
from refusals import shell
from test_runs_bad_stores import check_refused, without_privileges

from ergo_cli.host.timing import LiveClock
from ergo_cli.programs.plan.errors import PlanError
from ergo_cli.programs.plan.ids import child_run, run_of_event
from ergo_cli.programs.plan.kept_runs import PlanRuns
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.programs.runs import Resumption
from ergo_cli.stores.artifacts import FileArtifacts
from ergo_cli.stores.backends import RunStore, open_store
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal
from tests.conftest import Ergo

RUN = run_of_event("settle@1", "e1")
KID = child_run(RUN, "kid")
BRANCH = "00000000-0000-4000-8000-000000000001"
STORE = ("--store", "sqlite:runs.db")
CAPTURE = ("capture", "-o", "b.json", *STORE)
END_OF_KID = 13
"""The call of the plan's functions in which the child's second handler begins."""


@pytest.fixture
def ergo(ergo: Ergo) -> Ergo:
    """Commands that say the codes of their errors."""
    return partial(_with_codes, ergo)


def _with_codes(ergo: Ergo, *arguments: str | Path, **surroundings: Any) -> Any:
    return ergo(*arguments, "-v", **surroundings)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the mortal plan with the event e1."""
    shutil.copy(mortal_plan.__file__, tmp_path)
    (tmp_path / "ergo.toml").write_text(PROJECT)
    (tmp_path / "events.jsonl").write_text(EVENT.format("e1"))
    return tmp_path


@pytest.fixture
def done(ergo: Ergo, project: Path) -> Path:
    """The same, whose event was captured into the store runs.db."""
    captured = ergo(*CAPTURE)
    assert captured.exit_code == 0, captured.stderr
    return project


@pytest.fixture
def cut_off(ergo: Ergo, project: Path) -> Path:
    """The same, whose capture was killed when the child's second handler began."""
    (project / "cut").write_text(str(END_OF_KID))
    assert ergo(*CAPTURE).exit_code == -signal.SIGKILL
    assert not (project / "b.json").exists()
    return project


def stream(project: Path, run: str = RUN) -> list[Any]:
    with open_store(f"sqlite:{project}/runs.db", project, lambda: 0, PLAN_TABLES) as store:
        return [json.loads(text) for _, text in store.journal.scan(run)]


def test_the_events_are_in_a_table_of_their_own_and_the_artifacts_beside(done: Path) -> None:
    with closing(sqlite3.connect(done / "runs.db")) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(plan_events)")]
        stamps = connection.execute("SELECT DISTINCT created_at_ms FROM plan_events").fetchall()
    assert (columns, stamps) == (["run_id", "seq", "event_json", "created_at_ms"], [(0,)])
    manifest = stream(done)[0]["event"]["Kernel"]["RunStarted"]["manifest_id"]
    content = FileArtifacts(done / "artifacts").get(manifest)
    assert json.loads(content)["op_id"] == "settle"


def test_the_store_of_a_profile(ergo: Ergo, project: Path) -> None:
    with (project / "ergo.toml").open("a") as config:
        config.write('store = "sqlite:runs.db"\n')
    assert ergo("capture", "-o", "b.json").exit_code == 0
    assert len(ergo("runs", "list", "--format", "json").report["runs"]) == 2


def test_runs_are_listed_with_those_of_other_kinds(ergo: Ergo, cut_off: Path) -> None:
    begin_run(f"sqlite:{cut_off}/runs.db", cut_off, "asks")
    report = ergo("runs", "list", *STORE, "--format", "json").report
    rows = {row["run_id"]: (row["head"], row["derived_status"]) for row in report["runs"]}
    assert rows == {"asks": (2, "Blocked"), RUN: (14, "Active"), KID: (5, "Active")}
    assert ergo(*CAPTURE).exit_code == 0
    report = ergo("runs", "list", *STORE, "--status", "completed", "--format", "json").report
    assert [row["run_id"] for row in report["runs"]] == sorted([RUN, KID])
    assert ergo("runs", "show", "asks", *STORE).exit_code == 0


def test_show_says_of_each_state_why_it_ran(ergo: Ergo, cut_off: Path) -> None:
    report = ergo("runs", "show", RUN, *STORE, "--format", "json").report["run_summary"]
    assert (report["status"]["status"], report["derived_status"], report["head"]) == ("Running", "Active", 14)
    assert report["status"]["states"][2] == {
        "state": "settle.main.parent",
        "why": "attempt 0 open since seq 14",
    }
    assert ergo(*CAPTURE).exit_code == 0
    shown = ergo("runs", "show", RUN, *STORE)
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert lines[:8] == [
        RUN,
        "status Completed",
        "events 24",
        "",
        "state why",
        "settle.main.fetch attempt 0 completed at seq 7",
        "settle.main.flaky attempt 0 failed with try_again at seq 10; attempt 1 completed at seq 13 without a change;"
        " fact 'tried' reused from seq 9",
        "settle.main.parent attempt 0 cut off after seq 14, resumed; attempt 1 completed at seq 20",
    ]
    states = ergo("runs", "show", RUN, *STORE, "--format", "json").report["run_summary"]["status"]["states"]
    explained = ergo("explain", "b.json", "--event", "e1", "--format", "json").report["episode"]["states"]
    assert [{"run_id": RUN, **state} for state in states] == [each for each in explained if each["run_id"] == RUN]


def test_a_timeline_places_facts_in_their_attempts(ergo: Ergo, done: Path) -> None:
    timeline = ergo("runs", "timeline", RUN, *STORE, "--format", "json").report["run_timeline"]
    assert timeline["events"][:3] == [
        {"seq": 1, "kind": "RunStarted"},
        {"seq": 2, "kind": "StateEntered", "step_id": "settle.main.fetch#0"},
        {"seq": 3, "kind": "fact_recorded", "step_id": "settle.main.fetch#0", "action_id": "quote"},
    ]
    assert timeline["derived_status"] == "Completed"


def test_a_second_capture_is_refused_unless_it_continues(ergo: Ergo, done: Path) -> None:
    before, asked = stream(done), (done / "asked").read_text()
    check_refused(ergo(*CAPTURE, "-o", "c.json"), 3, "plan.already_completed", RUN, "'e1'", "--continue")
    assert not (done / "c.json").exists()
    assert ergo("run", *STORE).exit_code == 0
    assert ergo("capture", "-o", "c.json", *STORE, "--continue").exit_code == 0
    assert (stream(done), (done / "asked").read_text()) == (before, asked)
    bundle = json.loads((done / "c.json").read_text())
    [entry] = bundle["journals"]
    begin, end = entry["records"]
    assert begin["begin"]["head"] == len(before)
    assert bundle["artifacts"][begin["begin"]["prior"]] == {"json": before}
    assert (end["end"]["termination"], end["end"]["status"]) == ("Completed", "Completed")
    texts = [json.dumps(each) for each in before if "child_run_" not in json.dumps(each)]
    named = {name for text in texts for name in re.findall('_id": "([0-9a-f]{64})"', text)}
    assert len(named) > len(mortal_plan.STATES)
    assert named <= bundle["artifacts"].keys()
    assert ergo("replay", "c.json", "--strict").exit_code == 0


def test_a_run_that_was_cut_off_in_its_child_is_continued_by_the_next_capture(ergo: Ergo, cut_off: Path) -> None:
    """What the child had recorded is in an entry of its own, so that the replay judges what was added."""
    before = stream(cut_off, KID)
    assert ergo(*CAPTURE).exit_code == 0
    entries = json.loads((cut_off / "b.json").read_text())["journals"]
    assert [(entry["run_id"], len(entry["records"])) for entry in entries[1:]] == [(KID, 5), (KID, 3)]
    assert entries[1]["records"] == before
    assert stream(cut_off, KID) == [*before, *entries[2]["records"]]
    assert (cut_off / "asked").read_text().split() == ["quote", "second", "rate"]
    assert ergo("replay", "b.json", "--strict").exit_code == 0
    module = cut_off / "mortal_plan.py"
    module.write_text(module.read_text().replace('ctx.read("a") + ', '2 * ctx.read("a") + '))
    replayed = ergo("replay", "b.json", "--format", "json")
    assert replayed.exit_code == 1
    assert "kid.main.end#1" in replayed.stdout
    assert "snapshot_mismatch" in replayed.stdout


def test_a_run_of_a_program_with_intents_is_resumed_by_its_event_alone(ergo: Ergo, cut_off: Path) -> None:
    before = stream(cut_off)
    resume = ("runs", "resume", RUN, *STORE, "-p", "default")
    check_refused(ergo(*resume), 3, "plan.intents_unsent", RUN, "--force")
    assert stream(cut_off) == before
    forced = ergo(*resume, "--force", "--format", "json").report["run_resumed"]
    assert (forced["status"]["status"], forced["head_before"], forced["head"]) == ("Completed", 14, 24)
    check_refused(ergo(*resume, "--force"), 3, "plan.already_completed", RUN, "fix: look at how it ended")


def test_a_child_is_resumed_with_the_program_of_its_parent(ergo: Ergo, cut_off: Path) -> None:
    module = cut_off / "mortal_plan.py"
    module.write_text(module.read_text().replace('effectful=("bank.pay",)', "effectful=()"))
    resumed = ergo("runs", "resume", KID, *STORE, "-p", "default")
    assert resumed.stdout.splitlines() == [f"completed: {KID}", "  events  8, 3 of them new"]


@pytest.mark.parametrize("option", [("--value", "1"), ("--payload", "1"), ("--rebuild",)])
def test_a_plan_is_resumed_with_nothing(ergo: Ergo, cut_off: Path, option: tuple[str, ...]) -> None:
    refused = ergo("runs", "resume", RUN, *STORE, "-p", "default", "--force", *option)
    check_refused(refused, 2, "cli.conflicting_options", option[0])


def test_a_fork_shares_the_facts_and_goes_another_way(ergo: Ergo, done: Path) -> None:
    event = {"Domain": {"name": "note", "payload": {"by": "me"}, "payload_ref": None}}
    fork = ("runs", "fork", KID, "--at", "4", "--as", BRANCH, *STORE)
    forked = ergo(*fork, "--event", json.dumps(event), "--format", "json").report["run_fork"]
    assert (forked["head"], forked["alternate_event"]) == (5, event)
    assert [each["run_id"] for each in stream(done, BRANCH)] == [BRANCH] * 5
    check_refused(ergo(*fork), 3, "plan.run_already_exists", BRANCH)
    assert ergo("runs", "resume", BRANCH, *STORE, "-p", "default", "--force").exit_code == 0
    assert stream(done, BRANCH)[-1]["event"] == stream(done, KID)[-1]["event"]
    assert (done / "asked").read_text().split() == ["quote", "second", "rate"]


NONE = "0" * 64
COMPLETED = {"Kernel": {"StateCompleted": {"state_id": "a.b.c", "context_snapshot_id": NONE}}}
LOST = {"Domain": {"name": "x", "payload": 1, "payload_ref": NONE}}
BAD_FORKS = [
    (("--at", "99", "--as", BRANCH), "no event 99"),
    (("--at", "0", "--as", BRANCH), "no event 0"),
    (("--at", "2", "--as", "branch"), "UUID"),
    (("--at", "2", "--as", BRANCH, "--event", "1"), "--event"),
    (("--at", "2", "--as", BRANCH, "--event", '{"Kernel":{"StateFailed":{}}}'), "--event"),
    (("--at", "1", "--as", BRANCH, "--event", json.dumps(COMPLETED)), "TerminalWithoutEntered"),
    (("--at", "1", "--as", BRANCH, "--event", json.dumps(LOST)), "artifact"),
]


@pytest.mark.parametrize(("arguments", "word"), BAD_FORKS)
def test_forks_that_cannot_be(ergo: Ergo, done: Path, arguments: tuple[str, ...], word: str) -> None:
    check_refused(ergo("runs", "fork", RUN, *arguments, *STORE), 2, "cli.invalid_option_value", word)
    assert stream(done, BRANCH) == []


def test_a_run_that_is_not_there_is_looked_for_in_all_kinds(ergo: Ergo, done: Path) -> None:
    begin_run(f"sqlite:{done}/runs.db", done, "asks")
    check_refused(ergo("runs", "show", "ask", *STORE), 3, "store.not_found", "'asks'")
    check_refused(ergo("runs", "show", f"{RUN[:-1]}x", *STORE), 3, "store.not_found", RUN)


def damage(project: Path, statement: str) -> None:
    with closing(sqlite3.connect(project / "runs.db", isolation_level=None)) as connection:
        connection.execute(statement)


OTHER_STATE = "event_json = replace(event_json, 'flaky', 'flake') WHERE seq = 13"
OTHER_RUN = f"event_json = replace(event_json, '{RUN}', '{BRANCH}') WHERE seq = 13"
DAMAGED = {
    "another run": (f"UPDATE plan_events SET {OTHER_RUN}", "plan.invalid_attempt_envelopes"),
    "a record in another place": ("UPDATE plan_events SET seq = 15 WHERE seq = 14", "plan.event_stream_corrupt"),
    "no JSON": ("UPDATE plan_events SET event_json = '{' WHERE seq = 13", "plan.event_stream_corrupt"),
    "no event": ("UPDATE plan_events SET event_json = '[]' WHERE seq = 13", "plan.event_stream_corrupt"),
    "a gap": ("DELETE FROM plan_events WHERE seq = 12", "plan.event_stream_corrupt"),
    "no history": (f"UPDATE plan_events SET {OTHER_STATE}", "plan.invalid_attempt_envelopes"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_stream_is_refused_and_left_as_it_is(ergo: Ergo, cut_off: Path, name: str) -> None:
    statement, code = DAMAGED[name]
    whole = {file: file.read_bytes() for file in cut_off.glob("runs.db*")}
    damage(cut_off, f"{statement} AND run_id = '{RUN}'")
    for command in (("runs", "show", RUN), ("runs", "timeline", RUN), ("runs", "resume", RUN, "-p", "default")):
        check_refused(ergo(*command, *STORE), 3, code, RUN, "restore the run from a copy")
    captured = ergo(*CAPTURE)
    assert (captured.exit_code, (cut_off / "b.json").exists()) == (3, False), captured.stderr
    assert f"code: {code}\n" in captured.stderr
    for file in cut_off.glob("runs.db*"):
        file.unlink()
    for file, content in whole.items():
        file.write_bytes(content)
    assert ergo(*CAPTURE).exit_code == 0


def test_a_stream_whose_end_is_broken_does_not_hide_the_others(ergo: Ergo, done: Path) -> None:
    damage(done, f"UPDATE plan_events SET event_json = '[]' WHERE seq = 23 AND run_id = '{RUN}'")
    listed = ergo("runs", "list", *STORE, "--format", "json")
    assert listed.exit_code == 3
    assert {row["run_id"]: row["derived_status"] for row in listed.report["runs"]} == {RUN: None, KID: "Completed"}
    assert listed.report["error"]["code"] == "plan.event_stream_corrupt"


@pytest.mark.parametrize(
    ("seq", "member", "content", "code"),
    [
        (1, "manifest_id", None, "plan.artifact_not_found"),
        (14, "base_snapshot_id", b"{}", "plan.artifact_corruption"),
        (3, "payload_id", None, "plan.artifact_not_found"),
    ],
)
def test_an_artifact_that_is_lost_or_damaged_is_missed_until_it_is_restored(
    ergo: Ergo, cut_off: Path, seq: int, member: str, content: bytes | None, code: str
) -> None:
    before = stream(cut_off)
    [name] = re.findall(f'"{member}": "([0-9a-f]+)"', json.dumps(before[seq - 1]))
    file = cut_off / "artifacts" / name[:2] / name
    kept = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    captured = ergo(*CAPTURE, "--format", "json")
    assert (captured.exit_code, (cut_off / "b.json").exists()) == (3, False)
    error = captured.report["error"]
    [cause] = [each for each in (error, *error["causes"]) if each["code"] == code]
    assert f"events.jsonl:2:1 run '{RUN}', " in cause["where"]
    assert name in cause["where"]
    assert cause["fix"]
    assert stream(cut_off) == before
    file.write_bytes(kept)
    assert ergo(*CAPTURE).exit_code == 0
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def test_what_is_no_store(ergo: Ergo, project: Path) -> None:
    (project / "runs.db").write_text("long enough to be taken for a database\n" * 100)
    check_refused(ergo(*CAPTURE), 3, "store.corrupt", "runs.db")
    assert not (project / "b.json").exists()


def test_a_file_that_may_only_be_read(ergo: Ergo, cut_off: Path) -> None:
    through = without_privileges()
    before = stream(cut_off)
    (cut_off / "runs.db").chmod(0o444)
    refused = ergo(*CAPTURE, through=through)
    assert (refused.exit_code, (cut_off / "b.json").exists()) == (6, False), refused.stderr
    assert "code: store.read_only\n" in refused.stderr
    assert ergo("runs", "list", *STORE, through=through).exit_code == 0
    (cut_off / "runs.db").chmod(0o644)
    assert stream(cut_off) == before
    assert ergo(*CAPTURE).exit_code == 0


def test_a_store_of_kernels_that_may_only_be_read_is_listed(ergo: Ergo, project: Path) -> None:
    through = without_privileges()
    begin_run(f"sqlite:{project}/runs.db", project, "asks")
    (project / "runs.db").chmod(0o444)
    listed = ergo("runs", "list", *STORE, "--format", "json", through=through)
    assert [row["run_id"] for row in listed.report["runs"]] == ["asks"]


def test_a_file_that_may_grow_no_more_in_the_middle_of_a_run(ergo: Ergo, cut_off: Path) -> None:
    """What was recorded stays, and the run goes on once there is room."""
    before = stream(cut_off)
    full = ergo(*CAPTURE, through=shell("ulimit -f 20; exec"))
    assert (full.exit_code, (cut_off / "b.json").exists()) == (6, False), full.stderr
    assert stream(cut_off)[: len(before)] == before
    assert ergo(*CAPTURE).exit_code == 0
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def with_short_patience(project: Path) -> RunStore:
    database = SqliteDatabase(f"{project}/runs.db", lambda: 0, PLAN_TABLES, busy_seconds=0.01)
    artifacts = FileArtifacts(project / "artifacts")
    return RunStore(SqliteJournal(database), MemorySnapshots(), MemoryJournal(), artifacts, database.close)


def test_a_locked_file(cut_off: Path) -> None:
    before = stream(cut_off)
    with (
        closing(sqlite3.connect(cut_off / "runs.db", isolation_level=None)) as other,
        with_short_patience(cut_off) as store,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(PlanError) as raised:
            PlanRuns().resume(store, mortal_plan.program, RUN, Resumption(force=True), LiveClock())
        assert raised.value.code == "store.locked"
        with pytest.raises(PlanError) as raised:
            PlanRuns().fork(store, RUN, 2, BRANCH, UNSET)
        assert raised.value.code == "store.locked"
        assert PlanRuns().show(store, RUN).head == 14
        other.execute("ROLLBACK")
    assert stream(cut_off) == before


def test_a_plan_that_changed_under_an_unfinished_run_fails_its_episode_and_replays(ergo: Ergo, cut_off: Path) -> None:
    before = stream(cut_off)
    module = cut_off / "mortal_plan.py"
    module.write_text(module.read_text().replace("settle.main.flaky", "settle.main.steady"))
    check_refused(ergo(*CAPTURE), 3, "plan.plan_changed", "settle.main.flaky: removed")
    assert not (cut_off / "b.json").exists()
    assert ergo(*CAPTURE, "--accept-plan-change").exit_code == 0
    [entry] = json.loads((cut_off / "b.json").read_text())["journals"]
    begin, end = entry["records"]
    assert begin["begin"]["head"] == len(before)
    assert end["end"]["error"]["code"] == "plan.recovery_state_not_in_plan"
    assert stream(cut_off) == before
    assert ergo("replay", "b.json", "--strict").exit_code == 0


SLOW_ONCE = """\
    if call.request == "slow" and not (FOLDER / "slept").exists():
        (FOLDER / "slept").touch()
        import time

        time.sleep(30)
"""


def test_a_retry_that_awaits_the_child_of_the_call_before_replays(ergo: Ergo, project: Path) -> None:
    """The child has ended in the first call, which the deadline cut off; the second call only asks how it ended."""
    module = project / "mortal_plan.py"
    text = module.read_text().replace(
        "    ended = await", '    io.call("quotes.get", "slow", "slow")\n    ended = await'
    )
    text = text.replace("-> Any:\n", f"-> Any:\n{SLOW_ONCE}", 1)
    module.write_text(text)
    assert ergo(*CAPTURE, "--deadline", "2s", "--max-retries", "1").exit_code == 0
    bundle = json.loads((project / "b.json").read_text())
    assert bundle["decisions"][0]["retry_count"] == 1
    assert [entry["run_id"] for entry in bundle["journals"]] == [RUN, KID]
    replayed = ergo("replay", "b.json", "--strict")
    assert replayed.exit_code == 0, replayed.stdout + replayed.stderr


@pytest.fixture
def served(ergo: Ergo, project: Path, postgres: str) -> str:
    """A database with a run of the project that was cut off."""
    (project / "cut").write_text(str(END_OF_KID))
    assert ergo("capture", "-o", "b.json", "--store", f"postgres:{postgres}").exit_code == -signal.SIGKILL
    return postgres


def test_a_locked_database(ergo: Ergo, project: Path, served: str) -> None:
    import psycopg

    impatient = f"postgres:{served}?options=-c%20lock_timeout%3D50ms"
    with psycopg.connect(served) as other:
        other.execute("LOCK TABLE plan_events IN EXCLUSIVE MODE")
        refused = ergo("capture", "-o", "b.json", "--store", impatient)
        assert (refused.exit_code, (project / "b.json").exists()) == (6, False), refused.stderr
        assert "code: store.locked\n" in refused.stderr
        assert ergo("runs", "show", RUN, "--store", impatient).exit_code == 0
    assert ergo("capture", "-o", "b.json", "--store", f"postgres:{served}").exit_code == 0
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def test_a_database_that_may_only_be_read(ergo: Ergo, project: Path, served: str) -> None:
    reading = f"postgres:{served}?options=-c%20default_transaction_read_only%3Don"
    refused = ergo("capture", "-o", "b.json", "--store", reading)
    assert (refused.exit_code, (project / "b.json").exists()) == (6, False), refused.stderr
    assert "code: store.read_only\n" in refused.stderr
    for command in (("list",), ("show", RUN), ("timeline", KID)):
        assert ergo("runs", *command, "--store", reading).exit_code == 0
