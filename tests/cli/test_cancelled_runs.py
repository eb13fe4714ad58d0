"""Runs that are cancelled: at once where nothing drives them, else by their driver before its next attempt."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.plan.ids import child_run, run_of_event
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.backends import open_store
from tests.cli.kept_runs import begin_run, log_of, make_project
from tests.cli.plan_projects import Home
from tests.cli.started import held, wait_until, working
from tests.conftest import Ergo

RUN = run_of_event("own@1", "e1")
KID = child_run(RUN, "kid")
HOLD = """
import pathlib, time
HERE = pathlib.Path(__file__).parents[1]

def hold():
    if (HERE / "hold").exists():
        (HERE / "held").touch()
        while not (HERE / "release").exists():
            time.sleep(0.01)

def first(ctx, io, rec):
    hold()
    ctx.write("first", 1)

def second(ctx, io, rec):
    ctx.write("second", 2)

def flaky(ctx, io, rec):
    (HERE / "held").touch()
    raise StateError.of("not_yet", "not yet", retryable=True)

def parent(ctx, io, rec):
    spawned = spawn_child(io, rec, "kid", op_id="kid", op_version="1", run_config=PATIENT)
    ctx.write("kid", await_child(io, rec, "kid_end", spawned).response["status"])

PATIENT = run_config(max_attempts=9, backoff=Fixed(Delay(3600 * 10**9)))
"""
TWO = 'State("own.main.one", first), State("own.main.two", second),'
FLAKY = 'State("own.main.one", flaky),'
PARENT = 'State("own.main.one", parent), State("own.main.two", second),'
KIDS = 'children=(PlanProgram("kid", "1", (State("kid.main.one", {}),)),)'


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    where = f"{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    return f"{request.param}:{where}"


@pytest.fixture
def capture(named: str, tmp_path: Path) -> tuple[str, ...]:
    with Home(tmp_path).root.joinpath("ergo.toml").open("a") as config:
        config.write(f'store = "{named}"\n')
    return ("capture", "--continue", "-o", "b.json")


def events(named: str, folder: Path, run: str = RUN) -> list[Any]:
    """What a run recorded: names of events, and the codes of failures."""
    with open_store(named, folder, lambda: 0, PLAN_TABLES) as store:
        kernel = [json.loads(text)["event"].get("Kernel") for _, text in store.journal.scan(run)]
    return [_told(event) for event in kernel if event]


def _told(event: Any) -> str:
    [(name, fields)] = event.items()
    if name == "StateFailed":
        return f"{name} {fields['error']['info']['code']}"
    return f"{name} {fields['status']}" if name == "RunCompleted" else name


def statuses(ergo: Ergo) -> dict[str, str]:
    runs = ergo("runs", "list", "--format", "json").report["runs"]
    assert [run for run in runs if "driver" in run] == []
    return {run["run_id"]: run["derived_status"] for run in runs}


def cancel(ergo: Ergo, *more: str, code: int = 0) -> dict[str, Any]:
    ran = ergo("runs", "cancel", RUN, "--format", "json", *more)
    assert ran.exit_code == code, ran
    return ran.report["run_cancelled"] if code == 0 else ran.report["error"]


def check_replay(ergo: Ergo, capture: tuple[str, ...]) -> None:
    """A bundle of what the store has of the run shows no difference."""
    assert ergo(*capture).exit_code == 0
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def test_a_run_that_nothing_drives_is_cancelled_at_once_with_its_child(
    ergo: Ergo, capture: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    """Its process was killed inside of the child."""
    killed = HOLD + "\ndef die(ctx, io, rec):\n    import os; os.kill(os.getpid(), 9)\n"
    write(tmp_path, killed, PARENT, KIDS.format("die"))
    assert ergo(*capture).exit_code == -signal.SIGKILL
    assert statuses(ergo) == {RUN: "Active", KID: "Active"}
    told = cancel(ergo)
    assert (told["run_id"], told["children"], told["was_driven"]) == (RUN, [KID], False)
    assert statuses(ergo) == {RUN: "Cancelled", KID: "Cancelled"}
    cut = ["RunStarted", "StateEntered", "StateFailed run_cancelled", "RunCompleted Cancelled"]
    assert events(named, tmp_path) == events(named, tmp_path, KID) == cut
    assert told["head"] == 4
    for command in ("show", "timeline"):
        assert ergo("runs", command, RUN, "--format", "json").exit_code == 0
    assert [row["derived_status"] for row in listed(ergo, "cancelled")] == ["Cancelled"] * 2
    assert listed(ergo, "failed") == []
    check_replay(ergo, capture)


def write(folder: Path, handlers: str, states: str, more: str = "") -> None:
    text = f"from ergo_cli.programs.plan import *\n{handlers}\nprogram = PlanProgram('own', '1', ({states}), {more})\n"
    (folder / "own" / "program.py").write_text(text)


def listed(ergo: Ergo, status: str) -> list[Any]:
    return ergo("runs", "list", "--status", status, "--format", "json").report["runs"]


def test_a_run_that_sleeps_between_two_attempts_is_ended_by_its_driver(
    ergo: Ergo, capture: tuple[str, ...], named: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    write(tmp_path, HOLD, FLAKY, "run_config=PATIENT")
    with working(tmp_path, environment, *capture) as child:
        wait_until(lambda: (tmp_path / "held").exists() and len(events(named, tmp_path)) == 3, child)
        assert cancel(ergo)["was_driven"] is True
        assert child.wait(60) == 0
    failed = ["RunStarted", "StateEntered", "StateFailed not_yet", "RunCompleted Cancelled"]
    assert events(named, tmp_path) == failed
    assert statuses(ergo) == {RUN: "Cancelled"}
    decision = json.loads((tmp_path / "b.json").read_text())["decisions"][0]
    assert decision["termination"] == "Aborted"
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def test_a_driver_ends_the_run_after_the_attempt_that_it_is_in(
    ergo: Ergo, capture: tuple[str, ...], named: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The command waits for that, but not for ever."""
    write(tmp_path, HOLD, TWO)
    with held(tmp_path, environment, *capture) as child:
        error = cancel(ergo, "--wait", "1ms", code=3)
        assert error["code"] == "plan.run_busy"
        assert f"{child.pid}@" in error["message"]
        assert "it was asked" in error["fix"]
        assert events(named, tmp_path) == ["RunStarted", "StateEntered"]
    assert child.returncode == 0
    done = ["RunStarted", "StateEntered", "StateCompleted", "RunCompleted Cancelled"]
    assert events(named, tmp_path) == done
    assert ergo("replay", "b.json", "--strict").exit_code == 0
    error = cancel(ergo, code=3)
    assert (error["code"], "Cancelled" in error["message"]) == ("plan.already_completed", True)


def test_a_request_outlives_the_driver_that_was_asked(
    ergo: Ergo, capture: tuple[str, ...], named: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    write(tmp_path, HOLD, TWO)
    with held(tmp_path, environment, *capture) as child:
        cancel(ergo, "--wait", "1ms", code=3)
        child.kill()
    resumed = ergo("runs", "resume", RUN)
    assert (resumed.exit_code, resumed.stdout.splitlines()[0]) == (0, f"cancelled: {RUN}")
    assert events(named, tmp_path)[2:] == ["StateFailed run_cancelled", "RunCompleted Cancelled"]
    check_replay(ergo, capture)


def test_a_child_is_cancelled_with_its_parent(
    ergo: Ergo, capture: tuple[str, ...], named: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """It sleeps while its parent is cancelled; the parent's attempt ends as its handler says."""
    write(tmp_path, HOLD, PARENT, KIDS.format("flaky"))
    with working(tmp_path, environment, *capture) as child:
        wait_until(lambda: len(events(named, tmp_path, KID)) == 3, child)
        assert cancel(ergo)["was_driven"] is True
        assert child.wait(60) == 0
    assert statuses(ergo) == {RUN: "Cancelled", KID: "Cancelled"}
    assert events(named, tmp_path)[-2:] == ["StateCompleted", "RunCompleted Cancelled"]
    assert ergo("replay", "b.json", "--strict").exit_code == 0


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_has_ended_says_how(
    ergo: Ergo, capture: tuple[str, ...], named: str, tmp_path: Path, fails: bool
) -> None:
    write(tmp_path, HOLD, FLAKY if fails else TWO)
    assert ergo(*capture).exit_code == 0
    before = events(named, tmp_path)
    error = cancel(ergo, code=3)
    assert error["code"] == "plan.already_completed"
    assert f"run '{RUN}' has ended: {'Failed' if fails else 'Completed'}" in error["message"]
    assert error["fix"]
    assert events(named, tmp_path) == before


def test_a_run_that_is_not_there(ergo: Ergo, capture: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path, HOLD, TWO)
    assert ergo(*capture).exit_code == 0
    ran = ergo("runs", "cancel", KID, "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "store.not_found")
    assert ran.report["run_cancelled"] is None


def test_runs_of_kernels_have_no_cancelled_end(ergo: Ergo, named: str, tmp_path: Path) -> None:
    make_project(tmp_path, named)
    begin_run(named, tmp_path)
    before = log_of(named, tmp_path)
    ran = ergo("runs", "cancel", "run", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "kernel.not_cancellable")
    assert ran.report["error"]["fix"]
    assert log_of(named, tmp_path) == before
    assert ergo("runs", "resume", "run").exit_code == 0
    ran = ergo("runs", "cancel", "run", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "kernel.already_completed")
    assert "Completed" in ran.report["error"]["message"]
