"""A plan that changed under an unfinished run: refused, named state by state, and accepted where that is asked for."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.plan.ids import child_run, run_of_event
from tests.cli.plan_projects import Home, edit
from tests.conftest import Ergo

RUN = run_of_event("own@1", "e1")
BRANCH = "00000000-0000-4000-8000-000000000001"
STORE = ("--store", "sqlite:runs.db")
CAPTURE = ("capture", "-o", "b.json", *STORE)
RESUME = ("runs", "resume", RUN, *STORE, "-p", "default")
ACCEPT = "--accept-plan-change"
HANDLERS = """
import os, signal
from pathlib import Path

def die_once():
    if Path("alive").exists():
        Path("alive").unlink()
        os.kill(os.getpid(), signal.SIGKILL)

def one(ctx, io, rec):
    ctx.write("n", ctx.read("n", 0) + 1)

def two(ctx, io, rec):
    die_once()
    ctx.write("n", ctx.read("n", 0) + 1)
"""
HANDLING = ("one", "two", "one", "one")
A, B, C, D = (f'State("own.main.{name}", {handler}),' for name, handler in zip("abcd", HANDLING, strict=True))
CONFIG = "run_config=run_config(max_attempts=2),"
CHAIN = 'edges=(("own.main.a", "own.main.b"), ("own.main.b", "own.main.c")),'
LONGER = CHAIN.replace(")),", '), ("own.main.c", "own.main.d")),')


@pytest.fixture
def home(tmp_path: Path, ergo: Ergo) -> Home:
    """A run of the states a, b and c that was killed in b."""
    home = Home(tmp_path / "own").program(HANDLERS, A + B + C, CHAIN + CONFIG)
    killed(ergo, home)
    return home


def killed(ergo: Ergo, home: Home) -> None:
    (home.root / "alive").touch()
    assert ergo(*CAPTURE, cwd=home.root).exit_code == -signal.SIGKILL


def rows(home: Home, run: str = RUN) -> list[str]:
    with closing(sqlite3.connect(home.root / "runs.db")) as connection:
        found = connection.execute("SELECT event_json FROM plan_events WHERE run_id = ? ORDER BY seq", (run,))
        return [text for (text,) in found]


def refused(ergo: Ergo, home: Home, *command: str) -> list[str]:
    """The differences that a refused command names; the run stays as it is."""
    before = rows(home), rows(home, f"{RUN}/plan")
    ran = ergo(*command, "--format", "json", cwd=home.root)
    assert ran.exit_code == 3, ran.stdout
    error = ran.report["error"]
    assert error["code"] == "plan.plan_changed"
    assert RUN in error["where"]
    assert ACCEPT in error["fix"]
    assert (rows(home), rows(home, f"{RUN}/plan")) == before
    assert not (home.root / "b.json").exists()
    for line in error["details"]:
        assert f"detail: {line}\n" in ran.stderr
    return error["details"]


CHANGES = {
    "added": (A + B + C + D, LONGER + CONFIG, ["own.main.d: added, after own.main.c (not yet run)"]),
    "added and renamed": (
        A + B + D,
        'edges=(("own.main.b", "own.main.d"),),' + CONFIG,
        [
            "own.main.b: after own.main.a -> (none) (cut off)",
            "own.main.d: added, after own.main.b (not yet run)",
            "own.main.c: removed (not yet run)",
        ],
    ),
    "meta": (
        A + B + C.replace("one", 'one, StateMeta(tags=("late",), idempotency="c-1")'),
        CHAIN + CONFIG,
        ['own.main.c: tags [] -> ["late"]; idempotency null -> "c-1" (not yet run)'],
    ),
    "configuration": (
        A + B + C,
        CHAIN + CONFIG.replace("2", "3"),
        ["manifest: run_config.retry_policy.max_attempts 2 -> 3, the run keeps the first"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_needs_to_be_accepted(ergo: Ergo, home: Home, name: str) -> None:
    states, more, differences = CHANGES[name]
    home.program(HANDLERS, states, more)
    for command in (CAPTURE, (*CAPTURE, "--continue"), ("run", *STORE), RESUME):
        assert refused(ergo, home, *command) == differences
    accepted = ergo(*CAPTURE, ACCEPT, cwd=home.root)
    assert accepted.exit_code == 0, accepted.stderr
    for line in differences:
        assert line in accepted.stderr
    [entry] = json.loads((home.root / "b.json").read_text())["journals"]
    assert entry["records"][-1]["end"]["termination"] == "Completed"
    assert ergo("replay", "b.json", "--strict", cwd=home.root).exit_code == 0


def test_a_run_is_resumed_with_another_plan_if_that_is_accepted(ergo: Ergo, home: Home) -> None:
    home.program(HANDLERS, A + B + C + D, LONGER + CONFIG)
    resumed = ergo(*RESUME, ACCEPT, "--format", "json", cwd=home.root)
    assert resumed.report["run_resumed"]["status"]["status"] == "Completed"
    [warning] = resumed.report["warnings"]
    assert "own.main.d: added" in warning
    assert len(rows(home, f"{RUN}/plan")) == 2


def test_what_was_accepted_is_the_plan_of_the_run_from_then_on(ergo: Ergo, home: Home) -> None:
    home.program(HANDLERS, A + B + C + D, LONGER + CONFIG)
    (home.root / "alive").touch()
    assert ergo(*CAPTURE, ACCEPT, cwd=home.root).exit_code == -signal.SIGKILL
    home.program(HANDLERS, A + B + C, CHAIN + CONFIG)
    assert refused(ergo, home, *CAPTURE) == ["own.main.d: removed (not yet run)"]
    home.program(HANDLERS, A + B + C + D, LONGER + CONFIG)
    continued = ergo(*CAPTURE, cwd=home.root)
    assert (continued.exit_code, continued.stderr) == (0, "")


def test_code_that_changed_is_a_warning(ergo: Ergo, home: Home) -> None:
    module = home.root / "own" / "program.py"
    edit(module, '    die_once()\n    ctx.write("n", ctx.read("n", 0) + 1)', '    ctx.write("n", "changed")')
    resumed = ergo(*RESUME, cwd=home.root)
    assert resumed.exit_code == 0
    assert f"warning: run '{RUN}' goes on: its plan is the same, the code of the program has changed" in resumed.stderr


def test_the_same_program_is_no_change(ergo: Ergo, home: Home) -> None:
    continued = ergo(*CAPTURE, cwd=home.root)
    assert (continued.exit_code, continued.stderr) == (0, "")
    assert len(rows(home, f"{RUN}/plan")) == 1
    listed = ergo("runs", "list", *STORE, "--format", "json", cwd=home.root).report["runs"]
    assert [run["run_id"] for run in listed] == [RUN]
    assert ergo("runs", "show", f"{RUN}/plan", *STORE, cwd=home.root).exit_code == 3
    again = ergo(*CAPTURE, "-o", "c.json", "--format", "json", cwd=home.root)
    assert again.report["error"]["code"] == "plan.already_completed"


IMPOSSIBLE = {
    "recovery_state_not_in_plan": (
        B + C,
        [
            "own.main.b: after own.main.a -> (none) (cut off)",
            "own.main.c: after own.main.b -> (none) (not yet run)",
            "own.main.a: removed (completed, and no run goes on without a state that it entered)",
        ],
    ),
    "recovery_plan_order_changed": (
        A + D + B + C,
        [
            "own.main.d: added, after own.main.a (not yet run)",
            "own.main.b: after own.main.a -> (none) (cut off)",
            "own.main.c: after own.main.b -> (none) (not yet run)",
        ],
    ),
}


@pytest.mark.parametrize("code", IMPOSSIBLE)
def test_what_no_run_can_do_is_not_done_though_it_is_accepted(ergo: Ergo, home: Home, code: str) -> None:
    states, differences = IMPOSSIBLE[code]
    home.program(HANDLERS, states, CONFIG)
    assert refused(ergo, home, *CAPTURE) == differences
    before = rows(home), rows(home, f"{RUN}/plan")
    ran = ergo(*RESUME, ACCEPT, "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, f"plan.{code}")
    assert (rows(home), rows(home, f"{RUN}/plan")) == before


def test_a_plan_that_a_run_cannot_go_on_with_is_not_said_to_be_gone_on_with(ergo: Ergo, home: Home) -> None:
    home.program(HANDLERS, A + D + B + C, CONFIG)
    captured = ergo(*CAPTURE, ACCEPT, "--format", "json", cwd=home.root)
    assert "plan.recovery_plan_order_changed" in str(captured.report["run"]["failures"])
    assert captured.report["warnings"] == []


def test_a_parallel_run_keeps_its_plan_where_it_cannot_go_on_with_another_one(ergo: Ergo, tmp_path: Path) -> None:
    more = CHAIN + "run_config=run_config(execution_mode=FanOutJoin(2)), parallel=True,"
    home = Home(tmp_path / "own").program(HANDLERS, A + B + C, more)
    killed(ergo, home)
    behind = 'edges=(("own.main.d", "own.main.a"), ("own.main.a", "own.main.b"), ("own.main.b", "own.main.c")),'
    home.program(HANDLERS, A + B + C + D, more.replace(CHAIN, behind))
    before = rows(home), rows(home, f"{RUN}/plan")
    ran = ergo(*RESUME, ACCEPT, "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "plan.recovery_plan_order_changed")
    assert (rows(home), rows(home, f"{RUN}/plan")) == before
    home.program(HANDLERS, A + B + C, more)
    assert ergo(*RESUME, cwd=home.root).exit_code == 0


def forget(home: Home) -> None:
    with closing(sqlite3.connect(home.root / "runs.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM plan_events WHERE run_id LIKE '%/plan'")


def test_of_a_run_without_a_record_the_states_that_it_entered_are_compared(ergo: Ergo, home: Home) -> None:
    forget(home)
    home.program(HANDLERS, D + A + B + C, CONFIG)
    assert refused(ergo, home, *CAPTURE) == ["own.main.d: added, first (not yet run)"]
    home.program(HANDLERS, A + B + C + D, CONFIG.replace("2", "3"))
    [manifest] = refused(ergo, home, *CAPTURE)
    assert manifest.startswith("manifest: run_config.retry_policy")
    home.program(HANDLERS, A + B + C + D, CONFIG)
    assert ergo(*CAPTURE, cwd=home.root).exit_code == 0


def test_a_fork_has_the_plan_of_its_source(ergo: Ergo, home: Home) -> None:
    fork = ("runs", "fork", RUN, "--at", "3", "--as", BRANCH, *STORE)
    assert ergo(*fork, cwd=home.root).exit_code == 0
    home.program(HANDLERS, A + B, CONFIG + 'edges=(("own.main.a", "own.main.b"),),')
    ran = ergo("runs", "resume", BRANCH, *STORE, "-p", "default", "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "plan.plan_changed")
    assert ran.report["error"]["details"] == ["own.main.c: removed (not yet run)"]


PARENT = """
def parent(ctx, io, rec):
    spawned = spawn_child(io, rec, "kid", op_id="kid", op_version="1", run_config=run_config())
    ctx.write("kid", await_child(io, rec, "end", spawned).response["status"])
"""
KID = 'children=(PlanProgram("kid", "1", ({states})),)'


def test_the_plan_of_a_child_that_changed_refuses_the_run_of_its_parent(ergo: Ergo, tmp_path: Path) -> None:
    def with_child(states: str) -> None:
        home.program(HANDLERS + PARENT, 'State("own.main.p", parent),', KID.format(states=states))

    home, kid = Home(tmp_path / "own"), child_run(RUN, "kid")
    begin, end = 'State("kid.main.begin", two),', 'State("kid.main.end", one),'
    with_child(begin + end)
    killed(ergo, home)
    before: Any = rows(home, kid)
    with_child(begin)
    ran = ergo(*CAPTURE, "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "plan.plan_changed")
    assert ran.report["error"]["details"] == ["kid.main.end: removed (not yet run)"]
    assert rows(home, kid) == before
    assert "StateFailed" not in "".join(rows(home))
    assert ergo(*CAPTURE, ACCEPT, cwd=home.root).exit_code == 0
    assert ergo("replay", "b.json", "--strict", cwd=home.root).exit_code == 0
