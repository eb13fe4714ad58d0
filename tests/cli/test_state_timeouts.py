"""Time limits of states: a handler that takes too long is abandoned, and its attempt fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.plan_projects import BUNDLE, Home, events_of, failure
from tests.conftest import Ergo

STUCK = """
import threading
NEVER = threading.Event()

def one(ctx, io, rec):
    is_again = io.get_recorded_fact("fact") is not None
    rec.emit("begun", {"again": is_again})
    io.record_value("fact", 1)
    ctx.write("again", is_again)
    if IS_ALWAYS_STUCK or not is_again:
        NEVER.wait()
"""
LIMIT = "StateMeta(timeout=Delay(1_000_000_000))"
ONE = f'State("own.main.one", one, {LIMIT}),'


def program(home: Home, handlers: str = STUCK, *, is_always_stuck: bool = False) -> None:
    home.program(f"IS_ALWAYS_STUCK = {is_always_stuck}\n{handlers}", ONE, "run_config=run_config(max_attempts=2)")


def names(bundle: Any) -> list[str]:
    return [next(iter(event)) if "name" not in event else event["name"] for event in events_of(bundle["journals"][0])]


def test_an_attempt_that_takes_too_long_fails_and_is_tried_again(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path)
    program(home)
    bundle = home.capture(ergo)
    first = ["StateEntered", "begun", "fact_recorded", "StateFailed"]
    assert names(bundle) == ["RunStarted", *first, "StateEntered", "begun", "StateCompleted", "RunCompleted"]
    info = failure(bundle)
    assert (info["code"], info["retryable"], info["category"]) == ("state_timeout", True, "Unknown")
    assert info["message"] == "the handler did not end within 1 s"
    assert bundle["decisions"][0]["termination"] == "Completed"
    assert ergo("replay", "--strict", cwd=tmp_path).exit_code == 0


def test_the_policy_says_how_often_it_is_tried(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path)
    program(home, is_always_stuck=True)
    bundle = home.capture(ergo)
    assert names(bundle).count("StateFailed") == 2
    assert bundle["decisions"][0]["termination"] == {"Failed": "SemanticError"}
    assert ergo("replay", "--strict", cwd=tmp_path).exit_code == 0


def test_an_abandoned_handler_records_nothing_more(ergo: Ergo, tmp_path: Path) -> None:
    """It goes on while the next attempt is at work, and is stopped at the next thing that it wants to record."""
    late = """
import threading
SECOND, OVER = threading.Event(), threading.Event()
TRIED = []

def one(ctx, io, rec):
    TRIED.append(1)
    if len(TRIED) == 1:
        SECOND.wait()
        try:
            io.record_value("late", 1)
        finally:
            OVER.set()
        return
    SECOND.set()
    OVER.wait()
    rec.emit("bound", {"late": io.get_recorded_fact("late")})
"""
    home = Home(tmp_path)
    program(home, late)
    bundle = home.capture(ergo)
    assert names(bundle) == [
        *("RunStarted", "StateEntered", "StateFailed"),
        *("StateEntered", "bound", "StateCompleted", "RunCompleted"),
    ]
    assert events_of(bundle["journals"][0])[4]["payload"] == {"late": None}


@pytest.mark.parametrize("kind", ["async", "transport", "child"])
def test_whatever_the_handler_waits_for_counts(ergo: Ergo, tmp_path: Path, kind: str) -> None:
    bodies = {
        "async": "async def one(ctx, io, rec):\n    import asyncio\n    await asyncio.sleep(3600)\n",
        "transport": "def one(ctx, io, rec):\n    io.call('world.ask', 1, 'fact')\n",
        "child": (
            "def kid(ctx, io, rec):\n    import time\n    time.sleep(3600)\n\n"
            "def one(ctx, io, rec):\n"
            "    spawn_child(io, rec, 'kid', op_id='kid', op_version='1', run_config=run_config())\n"
        ),
    }
    home = Home(tmp_path)
    more = 'transports={"world": "own.world:ask"}'
    if kind == "child":
        more += ', children=(PlanProgram("kid", "1", (State("kid.main.one", kid),)),)'
    home.world("import time\n    time.sleep(3600)")
    home.program(bodies[kind], ONE, more)
    bundle = home.capture(ergo)
    assert failure(bundle)["code"] == "state_timeout"
    assert names(bundle)[-2:] == ["StateFailed", "RunCompleted"]
    assert ergo("replay", "--strict", cwd=tmp_path).exit_code == 0


def test_a_run_that_is_resumed_keeps_the_limits(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path)
    store = ("--store", f"sqlite:{tmp_path}/runs.db")
    program(home, "def one(ctx, io, rec):\n    import os; os.kill(os.getpid(), 9)\n")
    assert ergo("capture", "-o", "b.json", *store, cwd=tmp_path).exit_code == -9
    [run] = ergo("runs", "list", *store, "--format", "json").report["runs"]
    program(home, is_always_stuck=True)
    resumed = ergo("runs", "resume", run["run_id"], *store, "--format", "json", cwd=tmp_path)
    assert json.dumps(resumed.report["run_resumed"]["status"]).startswith('{"status": "Failed"'), resumed


@pytest.mark.parametrize("limit", ["1", "Delay(0)", "'1s'"])
def test_a_limit_that_is_none_is_refused(ergo: Ergo, tmp_path: Path, limit: str) -> None:
    home = Home(tmp_path).one("pass", meta=f"StateMeta(timeout={limit})")
    ran = ergo("capture", "--format", "json", cwd=home.root)
    error = ran.report["error"]
    assert (ran.exit_code, error["code"]) == (3, "plan.program_invalid")
    assert "states[0].meta.timeout" in error["message"]
    assert not (tmp_path / BUNDLE).exists()
