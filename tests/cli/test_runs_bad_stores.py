"""Stores that are damaged, busy, full, too new or none at all: each has its code and exit code, and the run is intact.

What a store by itself answers is in ``tests/stores``; here it is what commands and their library say of runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kept_runs import PAYLOAD, begin_run, log_of, make_project
from msgspec import UNSET
from refusals import shell
from started import started, wait_until

from ergo_cli.errors import StoreError, UsageError, exit_code
from ergo_cli.host.timing import LiveClock
from ergo_cli.programs.kernel import KernelError
from ergo_cli.programs.kernel.kept_runs import KernelRuns
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.programs.runs import ForkedRun, ResumedRun, Resumption, Standing
from ergo_cli.stores.backends import RunStore, open_store
from ergo_cli.stores.memory import MemoryArtifacts
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal, SqliteSnapshots
from tests.cli import waiting_agent
from tests.conftest import Ergo, Ran

Damage = Callable[[str], None]
READING = [("show", "run"), ("timeline", "run")]
RESUME = ("resume", "run", "--value", '"yes"')
FORK = ("fork", "run", "--at", "2", "--as", "branch")
RUNS = KernelRuns()


def resumed(store: RunStore, run: str, asked: Resumption) -> ResumedRun:
    return RUNS.resume(store, waiting_agent.program, run, asked, LiveClock())


def branched(store: RunStore) -> ForkedRun:
    return RUNS.fork(store, "run", 2, "branch", UNSET)


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with the run ``run``, which asks at its second event, and the project around it."""
    where = f"{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    named = f"{request.param}:{where}"
    make_project(tmp_path, named)
    begin_run(named, tmp_path)
    return named


@pytest.fixture
def damage(named: str) -> Damage:
    """Changes what is in the store behind its back."""

    def change(statement: str) -> None:
        kind, _, place = named.partition(":")
        if kind == "sqlite":
            with closing(sqlite3.connect(place, isolation_level=None)) as connection:
                connection.execute(statement)
        else:
            import psycopg

            with psycopg.connect(place, autocommit=True) as connection:
                connection.execute(statement.encode())

    return change


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite store with the run ``run``, and the project around it."""
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    return tmp_path / "runs.db"


@pytest.fixture
def ergo(ergo: Ergo) -> Ergo:
    """Commands that say the codes of their errors."""
    return partial(_with_codes, ergo)


def _with_codes(ergo: Ergo, *arguments: str | Path, **surroundings: Any) -> Ran:
    return ergo(*arguments, "-v", **surroundings)


def check_refused(ran: Ran, exits: int, code: str, *words: str) -> None:
    assert ran.exit_code == exits, ran
    assert f"code: {code}\n" in ran.stderr
    assert "fix: " in ran.stderr
    assert "Traceback" not in ran.stderr
    for word in words:
        assert word in ran.stderr
    assert ran.stdout == ""


BROKEN_RECORDS = {
    "no JSON": ("UPDATE kernel_events SET event_json = '{\"a\":' WHERE seq = 1", "kernel.corrupt_log"),
    "no event": ("UPDATE kernel_events SET event_json = '[]' WHERE seq = 1", "kernel.corrupt_log"),
    "no member": ("UPDATE kernel_events SET event_json = '{\"Resumed\":{}}' WHERE seq = 1", "kernel.corrupt_log"),
    "a gap": ("DELETE FROM kernel_events WHERE seq = 1", "kernel.corrupt_log"),
    "another kind": (
        'UPDATE kernel_events SET event_json = \'{"Exploded":{"at":1}}\' WHERE seq = 1',
        "kernel.unknown_event",
    ),
}


@pytest.mark.parametrize("broken", BROKEN_RECORDS)
def test_a_broken_record_is_named_by_run_and_seq(
    ergo: Ergo, named: str, damage: Damage, tmp_path: Path, broken: str
) -> None:
    statement, code = BROKEN_RECORDS[broken]
    damage(statement)
    check_refused(ergo("runs", *RESUME), 3, code, "where: run 'run' seq 1")
    with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES) as store:
        asks = (lambda: RUNS.show(store, "run"), lambda: RUNS.timeline(store, "run"), lambda: branched(store))
        for ask in asks:
            with pytest.raises(KernelError) as raised:
                ask()
            assert (raised.value.code, raised.value.where) == (code, "run 'run' seq 1")
        assert store.journal.head("run") == 2
        assert store.journal.head("branch") == 0


def test_a_run_without_an_id_is_refused(ergo: Ergo, tmp_path: Path) -> None:
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'run_id TEXT NOT NULL', 'run_id TEXT')")
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        connection.execute("UPDATE kernel_events SET run_id = NULL WHERE seq = 1")
    check_refused(ergo("runs", "list", "-v", cwd=tmp_path), 3, "store.corrupt", "no text")


def test_a_run_whose_end_is_broken_does_not_hide_the_others(
    ergo: Ergo, named: str, damage: Damage, tmp_path: Path
) -> None:
    begin_run(named, tmp_path, "sound")
    damage("UPDATE kernel_events SET event_json = '{\"Exploded\":1}' WHERE seq = 2 AND run_id = 'run'")
    told = ergo("runs", "list")
    assert told.exit_code == 3
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["run", "status", "events", "snapshot"],
        ["run", "unreadable", "-", "-"],
        ["sound", "Blocked", "2", "2"],
    ]
    report = ergo("runs", "list", "--format", "json").report
    assert (report["outcome"], report["error"]["code"]) == ("refused", "kernel.unknown_event")
    assert [run["error"] and run["error"]["where"] for run in report["runs"]] == ["run 'run' seq 2", None]
    with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES) as store:
        broken, sound = RUNS.list(store)
        assert (broken.head, broken.standing) == (None, None)
        assert (sound.head, sound.standing) == (2, Standing.BLOCKED)


def test_a_run_can_be_forked_before_a_broken_record(ergo: Ergo, named: str, damage: Damage, tmp_path: Path) -> None:
    damage("UPDATE kernel_events SET event_json = '0' WHERE seq = 2")
    check_refused(ergo("runs", *FORK), 3, "kernel.corrupt_log", "run 'run' seq 2")
    assert ergo("runs", "fork", "run", "--at", "1", "--as", "branch").exit_code == 0
    assert ergo("runs", "resume", "branch").stdout.startswith("blocked: branch")
    assert len(log_of(named, tmp_path, "branch")) == 2


def versioned(named: str) -> str:
    """What makes the latest snapshot one of a state of version 7."""
    if named.startswith("sqlite:"):
        return "UPDATE kernel_snapshot_versions SET version = 7 WHERE run_id = 'run'"
    return "UPDATE kernel_snapshots SET state_version = 7 WHERE run_id = 'run'"


BAD_SNAPSHOTS: dict[str, tuple[Callable[[str], str], str]] = {
    "ahead": (lambda _: "UPDATE kernel_snapshots SET at_seq = 9 WHERE at_seq = 2", "kernel.snapshot_ahead"),
    "another version": (versioned, "kernel.schema_version"),
    "no state": (
        lambda _: "UPDATE kernel_snapshots SET state_json = '[5,' WHERE run_id = 'run'",
        "kernel.schema_version",
    ),
}


@pytest.mark.parametrize("bad", BAD_SNAPSHOTS)
def test_a_snapshot_that_does_not_fit_is_never_read_and_can_be_dropped(
    ergo: Ergo, named: str, damage: Damage, tmp_path: Path, bad: str
) -> None:
    statement, code = BAD_SNAPSHOTS[bad]
    before = log_of(named, tmp_path)
    damage(statement(named))
    check_refused(ergo("runs", *RESUME), 3, code)
    assert log_of(named, tmp_path) == before
    assert ergo("runs", *RESUME, "--rebuild").stdout.startswith("completed: run")
    assert log_of(named, tmp_path)[-1] == '"Completed"'


def test_an_initial_state_of_another_version(ergo: Ergo, named: str, damage: Damage, tmp_path: Path) -> None:
    damage(versioned(named).partition(" WHERE")[0])
    before = log_of(named, tmp_path)
    check_refused(ergo("runs", *RESUME, "--rebuild"), 3, "kernel.schema_version", "--payload")
    assert log_of(named, tmp_path) == before
    assert ergo("runs", *RESUME, "--rebuild", "--payload", '{"amount": 5}').exit_code == 0


def test_a_resumption_that_nobody_waits_for(ergo: Ergo, named: str, tmp_path: Path) -> None:
    with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES) as store:
        store.journal.append("active", ['{"StateUpdated":{"step_id":null,"payload":0}}'])
    assert ergo("runs", *RESUME).exit_code == 0
    done, active = log_of(named, tmp_path), log_of(named, tmp_path, "active")
    check_refused(ergo("runs", *RESUME), 3, "kernel.not_blocked", "run 'run'")
    check_refused(ergo("runs", "resume", "run"), 3, "kernel.already_completed", "run 'run'")
    payload = ("--payload", '{"amount": 1}')
    check_refused(ergo("runs", "resume", "active", "--value", "1", *payload), 3, "kernel.not_blocked", "run 'active'")
    assert (log_of(named, tmp_path), log_of(named, tmp_path, "active")) == (done, active)


def test_an_answer_that_the_reducer_cannot_take_leaves_the_run_waiting(ergo: Ergo, named: str, tmp_path: Path) -> None:
    before = log_of(named, tmp_path)
    check_refused(ergo("runs", "resume", "run", "--value", '"no"'), 3, "kernel.reducer", "only takes a yes", "seq 3")
    assert log_of(named, tmp_path) == before
    assert ergo("runs", *RESUME).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_resumption_which_can_be_taken_up_again(
    ergo: Ergo, file: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    folder, named = file.parent, f"sqlite:{file}"
    (folder / "hold").touch()
    child = started(folder, environment, "runs", *RESUME)
    wait_until((folder / "held").exists, child)
    child.send_signal(number)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout, stderr) == (130, b"", b"interrupted\n")
    assert len(log_of(named, folder)) == 4
    (folder / "hold").unlink()
    assert ergo("runs", "resume", "run").exit_code == 0
    assert len(log_of(named, folder)) == 6


def with_short_patience(file: Path) -> RunStore:
    database = SqliteDatabase(str(file), lambda: 0, KERNEL_TABLES, busy_seconds=0.01)
    attempts = SqliteJournal(database)
    return RunStore(SqliteJournal(database), SqliteSnapshots(database), attempts, MemoryArtifacts(), database.close)


def test_a_locked_file(file: Path) -> None:
    before = log_of(f"sqlite:{file}", file.parent)
    with closing(sqlite3.connect(file, isolation_level=None)) as other, with_short_patience(file) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(KernelError) as raised:
            resumed(store, "run", Resumption("yes"))
        assert (raised.value.code, exit_code(raised.value.code)) == ("store.locked", 6)
        with pytest.raises((StoreError, KernelError)) as raised:
            branched(store)
        assert raised.value.code == "store.locked"
        assert RUNS.show(store, "run").head == 2
        assert len(RUNS.timeline(store, "run").records) == 2
        other.execute("ROLLBACK")
    assert log_of(f"sqlite:{file}", file.parent) == before


def test_a_locked_database(ergo: Ergo, postgres: str, tmp_path: Path) -> None:
    import psycopg

    make_project(tmp_path)
    begin_run(f"postgres:{postgres}", tmp_path)
    impatient = f"postgres:{postgres}?options=-c%20lock_timeout%3D50ms"
    with psycopg.connect(postgres) as other:
        other.execute("LOCK TABLE kernel_events IN EXCLUSIVE MODE")
        check_refused(ergo("runs", *RESUME, "--store", impatient, "-p", "default"), 6, "store.locked")
        assert ergo("runs", "show", "run", "--store", impatient).exit_code == 0
    assert len(log_of(f"postgres:{postgres}", tmp_path)) == 2


def without_privileges() -> list[str]:
    """What makes modes of files count for whoever may do anything."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], check=False).returncode != 0:
        pytest.skip("needs to give up the privilege to write everywhere")
    return command


def test_a_file_that_may_only_be_read(ergo: Ergo, file: Path) -> None:
    through = without_privileges()
    file.chmod(0o444)
    for command in (RESUME, FORK):
        check_refused(ergo("runs", *command, through=through), 6, "store.read_only", file.name)
    assert ergo("runs", "list", through=through).exit_code == 0
    file.chmod(0o644)
    assert len(log_of(f"sqlite:{file}", file.parent)) == 2


def test_a_database_that_may_only_be_read(ergo: Ergo, postgres: str, tmp_path: Path) -> None:
    make_project(tmp_path)
    begin_run(f"postgres:{postgres}", tmp_path)
    reading = f"postgres:{postgres}?options=-c%20default_transaction_read_only%3Don"
    for command in ((*RESUME, "-p", "default"), FORK):
        check_refused(ergo("runs", *command, "--store", reading), 6, "store.read_only")
    for command in READING:
        assert ergo("runs", *command, "--store", reading).exit_code == 0
    assert len(log_of(f"postgres:{postgres}", tmp_path)) == 2


def test_a_file_that_may_grow_no_more_in_the_middle_of_a_run(ergo: Ergo, file: Path) -> None:
    """What was requested stays in the log, and is completed once there is room."""
    (file.parent / "size").write_text("2000000")
    check_refused(ergo("runs", *RESUME, through=shell("ulimit -f 600; exec")), 6, "store.unreachable", file.name)
    assert [text[:18] for text in log_of(f"sqlite:{file}", file.parent)[2:]] == [
        '{"Resumed":{"value',
        '{"ActionRequested"',
    ]
    assert ergo("runs", "resume", "run").exit_code == 0
    assert log_of(f"sqlite:{file}", file.parent)[-1] == '"Completed"'


def test_a_store_of_a_newer_ergo(ergo: Ergo, named: str, damage: Damage) -> None:
    is_file = named.startswith("sqlite:")
    damage("PRAGMA user_version=2" if is_file else "INSERT INTO ergo_schema VALUES (2)")
    for command in (("list",), RESUME):
        check_refused(ergo("runs", *command), 3, "store.schema_newer", "form 2")


def test_what_is_no_store(ergo: Ergo, file: Path) -> None:
    notes = file.with_name("notes.txt")
    notes.write_text("long enough to be taken for a database\n" * 100)
    before = notes.read_bytes()
    for command in (("list",), (*RESUME, "-p", "default")):
        check_refused(ergo("runs", *command, "--store", f"sqlite:{notes}"), 3, "store.corrupt", notes.name)
        check_refused(ergo("runs", *command, "--store", "sqlite:absent.db"), 3, "store.not_found", "absent.db")
        check_refused(ergo("runs", *command, "--store", "mysql:x"), 2, "cli.invalid_option_value", "'mysql:x'")
        check_refused(ergo("runs", *command, "--store", f"sqlite:{file.parent}"), 6, "store.unreachable")
    assert notes.read_bytes() == before
    assert not file.with_name("absent.db").exists()


def test_a_server_that_does_not_answer(ergo: Ergo) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra 'postgres')")
    dsn = "postgres:host=127.0.0.1 port=1 user=me password=secret"
    refused = ergo("runs", "list", "--store", dsn)
    check_refused(refused, 6, "store.unreachable", "127.0.0.1:1")
    assert "secret" not in refused.stderr


def test_a_run_that_is_not_there(ergo: Ergo, named: str, tmp_path: Path) -> None:
    for command in (("show", "rum"), ("timeline", "rum"), ("resume", "rum"), ("fork", "rum", "--at", "1", "--as", "b")):
        check_refused(ergo("runs", *command), 3, "store.not_found", "run 'rum'", "'run'")
    with open_store(named, tmp_path, lambda: 0, KERNEL_TABLES) as store:
        assert store.journal.runs() == ["run"]


@pytest.mark.parametrize("run", ["a\nb", "\x1b[31m", "\x7f", "\x85"])
def test_names_that_no_run_has(ergo: Ergo, file: Path, run: str) -> None:
    for command in (("resume", run), ("fork", "run", "--at", "1", "--as", run)):
        check_refused(ergo("runs", *command), 2, "cli.invalid_option_value", "control characters")
    assert log_of(f"sqlite:{file}", file.parent, run) == []


def test_a_name_that_is_no_text(ergo: Ergo, file: Path) -> None:
    name = os.fsdecode(b"\xff")
    for command in (("show", name), ("fork", "run", "--at", "1", "--as", name)):
        check_refused(ergo("runs", *command), 2, "cli.invalid_option_value")


BAD_ARGUMENTS: list[tuple[tuple[str, ...], str, str]] = [
    (("resume", "run", "--value", "yes"), "cli.invalid_option_value", "--value is not JSON"),
    (("resume", "run", "--value", '"\\ud800"'), "cli.invalid_option_value", "--value is not JSON"),
    (("resume", "run", "--value", "1e999"), "cli.invalid_option_value", "--value is not JSON"),
    (("resume", "run", "--value", "[" * 200 + "]" * 200), "cli.invalid_option_value", "--value is not JSON"),
    (("resume", "run", "--payload", "{"), "cli.invalid_option_value", "--payload is not JSON"),
    (("fork", "run", "--at", "3", "--as", "b"), "cli.invalid_option_value", "its last one is 2"),
    (("fork", "run", "--at", "0", "--as", "b"), "cli.invalid_option_value", "without events"),
    (("fork", "run", "--at", "-1", "--as", "b"), "cli.invalid_option_value", "--at"),
    (("fork", "run", "--at", "1", "--as", "b", "--event", "{"), "cli.invalid_option_value", "--event is not JSON"),
    (("fork", "run", "--at", "1", "--as", "b", "--event", '{"Boom":1}'), "cli.invalid_option_value", "not an event"),
    (("fork", "run", "--as", "b"), "cli.missing_required_option", "--at"),
    (("fork", "run", "--at", "1"), "cli.missing_required_option", "--as"),
    (("show", ""), "cli.missing_required_argument", "arg ''"),
    (("show",), "cli.missing_required_argument", "RUN"),
    (("shew", "run"), "cli.unknown_command", "runs shew"),
]


@pytest.mark.parametrize(("command", "code", "word"), BAD_ARGUMENTS)
def test_arguments_that_do_not_fit(ergo: Ergo, file: Path, command: tuple[str, ...], code: str, word: str) -> None:
    check_refused(ergo("runs", *command), 2, code, word)
    with open_store(f"sqlite:{file}", file.parent, lambda: 0, KERNEL_TABLES) as store:
        assert [(run.run_id, run.head) for run in RUNS.list(store)] == [("run", 2)]


def test_a_branch_that_is_there_already(ergo: Ergo, named: str, tmp_path: Path) -> None:
    begin_run(named, tmp_path, "branch")
    before = log_of(named, tmp_path, "branch")
    check_refused(ergo("runs", *FORK), 3, "kernel.seq_conflict", "there is a run 'branch' already", "--as")
    assert log_of(named, tmp_path, "branch") == before


def test_a_resumption_without_a_program(ergo: Ergo, file: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    aside = tmp_path_factory.mktemp("aside")
    store = ("--store", f"sqlite:{file}")
    check_refused(ergo("runs", *RESUME, *store, cwd=aside), 2, "cli.missing_required_option", "--program")
    check_refused(ergo("runs", *RESUME, *store, "-P", "a:b", cwd=aside), 3, "program.import_refused")
    config = file.with_name("ergo.toml")
    config.write_text(config.read_text() + '[profiles.graph]\ngraph = "g.yaml"\n')
    check_refused(ergo("runs", *RESUME, *store, "-p", "graph"), 3, "program.wrong_kind", "profiles.graph")
    check_refused(ergo("runs", *RESUME, *store, "-P", "waiting_agent:step"), 3, "program.wrong_kind")
    assert len(log_of(f"sqlite:{file}", file.parent)) == 2


def test_the_report_of_a_refusal_has_the_member_of_its_command(ergo: Ergo, file: Path) -> None:
    members = {"list": ("runs", []), "show": ("run_summary", None), "timeline": ("run_timeline", None)}
    members |= {"resume": ("run_resumed", None), "fork": ("run_fork", None)}
    for command in (("list",), *READING, (*RESUME, "-p", "default"), FORK):
        report: dict[str, Any] = ergo("runs", *command, "--store", "sqlite:absent.db", "--format", "json").report
        assert (report["command"], report["error"]["code"]) == (f"runs.{command[0]}", "store.not_found")
        name, nothing = members[command[0]]
        assert report[name] == nothing


def test_the_library_refuses_the_same(file: Path) -> None:
    with open_store(f"sqlite:{file}", file.parent, lambda: 0, KERNEL_TABLES) as store:
        with pytest.raises(StoreError) as raised:
            RUNS.show(store, "rum")
        assert raised.value.code == "store.not_found"
        begin_run(f"sqlite:{file}", file.parent, "bare", is_begun_by_ergo=False)
        with pytest.raises(UsageError) as refused:
            resumed(store, "bare", Resumption(rebuild=True))
        assert refused.value.code == "cli.missing_required_option"
        done = resumed(store, "bare", Resumption(payload=PAYLOAD, rebuild=True))
        assert (done.head_before, done.head) == (2, 6)
