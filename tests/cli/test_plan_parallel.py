"""Parallel states through real processes: captured at once, replayed in turn, refused, kept in stores."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.plan_projects import BUNDLE, Home, divergences, edit, events_of, failure
from tests.conftest import Ergo

HANDLERS = """
def left(ctx, io, rec):
    ctx.write("left", io.call("a.left", {}, "left").response)

async def right(ctx, io, rec):
    ctx.write("right", io.call("a.right", {}, "right").response)
    rec.emit("seen", {"at": io.now_millis(), "chance": io.random_bytes(4).hex()})

tried = []

def flaky(ctx, io, rec):
    if io.get_recorded_fact("tried") is None:
        io.record_value("tried", 1)
        raise StateError.of("not_yet", "later", retryable=True)
    spawned = spawn_child(io, rec, "kid", op_id="kid", op_version="1", run_config=run_config())
    ctx.write("kid", await_child(io, rec, "kid_end", spawned).response["final_snapshot"])

def grow(ctx, io, rec):
    ctx.write("grown", True)

def join(ctx, io, rec):
    ctx.write("all", sorted(ctx.dump()))
    io.call("bank.pay", {"amount": ctx.read("left")}, "pay")

kid = PlanProgram("kid", "1", (State("kid.main.grow", grow),))
"""
STATES = """
State("own.main.left", left), State("own.main.right", right), State("own.main.flaky", flaky),
State("own.main.join", join, StateMeta(idempotency="pay")),
"""
PARALLEL = "parallel=True, run_config=run_config(max_attempts=2, execution_mode=FanOutJoin(3))"
MORE = f"""
edges=tuple((f"own.main.{{name}}", "own.main.join") for name in ("left", "right", "flaky")),
transports={{"a": "own.world:ask"}}, effectful=("bank.pay",), children=(kid,), {PARALLEL}
"""
MEETING = "from threading import Barrier\nmeeting = Barrier(2)"
MEET = "meeting.wait(60); return {'of': call.namespace}"
"""Answers once both branches ask: states that run one after the other would wait in vain."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "own").program(HANDLERS, STATES, MORE)
    home.world(MEET, MEETING)
    return home


def test_ready_states_are_captured_at_once_in_one_order(ergo: Ergo, home: Home) -> None:
    bundle = home.capture(ergo)
    parent, child = bundle["journals"]
    entered = [each["StateEntered"] for each in events_of(parent) if "StateEntered" in each]
    places = [(each["state_id"].rpartition(".")[2], each["attempt"]) for each in entered]
    assert places == [("left", 0), ("right", 0), ("flaky", 0), ("flaky", 1), ("join", 0)]
    assert [name for event in events_of(child) for name in event] == [
        "RunStarted",
        "StateEntered",
        "StateCompleted",
        "RunCompleted",
    ]
    *writes, paid = bundle["decisions"][0]["effects"]
    assert [[write["key"] for write in each["effect"]["writes"]] for each in writes] == [
        ["left"],
        ["right"],
        ["kid"],
        ["all"],
    ]
    assert writes[-1]["effect"]["writes"][0]["value"] == {"String": '["kid","left","right"]'}
    assert paid["effect"]["kind"] == "io"


def test_captures_of_the_same_answers_are_equal_byte_for_byte(ergo: Ergo, home: Home) -> None:
    edit(
        home.root / "own" / "program.py",
        'rec.emit("seen", {"at": io.now_millis(), "chance": io.random_bytes(4).hex()})',
        "pass",
    )
    home.capture(ergo)
    first = (home.root / BUNDLE).read_bytes()
    for _ in range(4):
        home.capture(ergo)
        assert (home.root / BUNDLE).read_bytes() == first


def test_what_ran_at_once_replays_without_the_world_and_says_where_it_differs(ergo: Ergo, home: Home) -> None:
    home.capture(ergo)
    home.world("raise AssertionError", "raise AssertionError('imported')")
    replayed = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert replayed.exit_code == 0, replayed.stdout + replayed.stderr
    explained = ergo("explain", BUNDLE, "--event", "e1", cwd=home.root)
    assert explained.exit_code == 0, explained.stderr
    assert explained.stdout.index("own.main.right#0") < explained.stdout.index("own.main.flaky#1")
    edit(home.root / "own" / "program.py", 'ctx.write("right", ', 'ctx.write("wrong", ')
    changed = ergo("replay", BUNDLE, "--format", "json", cwd=home.root)
    assert changed.exit_code == 1
    [first, *_] = divergences(changed)
    assert (first["node"], first["cause"]) == ("own.main.right#0", "snapshot_mismatch")
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 4


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        ('ctx.write("x", 1)', "overlapping_writes"),
        ('io.record_value("x", 1)', "overlapping_facts"),
    ],
)
def test_states_that_take_the_same_are_refused_alike_at_capture_and_replay(
    ergo: Ergo, home: Home, handler: str, code: str
) -> None:
    states = "".join(f'State("own.main.{name}", take),' for name in "abc")
    home.program(f"def take(ctx, io, rec):\n    {handler}", states, PARALLEL)
    bundle = home.capture(ergo)
    info = failure(bundle)
    assert (info["code"], info["retryable"]) == (code, False)
    for name in ("'own.main.b'", "'own.main.a'", "'x'"):
        assert name in info["message"]
    replayed = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert replayed.exit_code == 0, replayed.stdout + replayed.stderr
    edit(home.root / "own" / "program.py", "parallel=True", 'edges=(("own.main.a", "own.main.b"),), parallel=True')
    mended = ergo("replay", BUNDLE, "--format", "json", cwd=home.root)
    assert mended.exit_code == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("run_config=run_config(execution_mode=FanOutJoin(2))", "is not parallel"),
        ("parallel=True", "does not say how many"),
        (
            f"children=(PlanProgram('kid', '1', (State('kid.a.b', one),), {PARALLEL}),)",
            "a child runs one state at a time",
        ),
    ],
)
def test_mode_and_program_must_fit(ergo: Ergo, home: Home, more: str, message: str) -> None:
    home.one("pass", more=more)
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "plan.unsupported_execution_mode")
    assert message in ran.report["error"]["message"]
    assert ran.report["error"]["fix"]


@pytest.mark.parametrize("kept", ["sqlite", "postgres"])
def test_a_store_shows_the_run_and_not_its_lanes(
    ergo: Ergo, home: Home, request: pytest.FixtureRequest, kept: str
) -> None:
    store = f"sqlite:{home.root}/runs.db" if kept == "sqlite" else f"postgres:{request.getfixturevalue('postgres')}"
    home.capture(ergo, "--store", store)
    listed: Any = ergo("runs", "list", "--store", store, "--format", "json", cwd=home.root).report
    assert len(listed["runs"]) == 2  # the run and its child
    own = next(entry["run_id"] for entry in home.kept()["journals"] if len(entry["records"]) > 8)
    shown = ergo("runs", "show", own, "--store", store, "--format", "json", cwd=home.root).report["run_summary"]
    states = shown["status"]["states"]
    assert [each["state"] for each in states] == [f"own.main.{name}" for name in ("left", "right", "flaky", "join")]
    assert not any("not in the stream" in each["why"] for each in states)


def test_what_a_failed_run_left_out_is_shown(ergo: Ergo, home: Home) -> None:
    handlers = "\n".join(
        (
            "from threading import Event",
            "beside = Event()",
            "def broken(ctx, io, rec):",
            "    beside.wait(60)",
            "    raise ValueError('broken')",
            "def behind(ctx, io, rec):",
            "    beside.set()",
        )
    )
    home.program(handlers, 'State("own.main.a", broken), State("own.main.b", behind),', PARALLEL)
    store = f"sqlite:{home.root}/runs.db"
    bundle = home.capture(ergo, "--store", store)
    assert failure(bundle)["code"] == "handler_exception"
    [entry] = bundle["journals"]
    shown = ergo("runs", "show", entry["run_id"], "--store", store, "--format", "json", cwd=home.root).report[
        "run_summary"
    ]
    whys = {each["state"]: each["why"] for each in shown["status"]["states"]}
    assert whys["own.main.a"].startswith("attempt 0 failed with handler_exception")
    assert whys["own.main.b"].startswith("not in the stream: attempt 0 completed")


def test_why_a_state_failed_is_told_of_the_one_that_ended_the_run(ergo: Ergo, home: Home) -> None:
    handlers = "\n".join(
        (
            "from threading import Event",
            "beside = Event()",
            "def broken(ctx, io, rec):",
            "    beside.wait(60)",
            "    raise ValueError('the one in front')",
            "def behind(ctx, io, rec):",
            "    beside.set()",
            "    raise ValueError('the one behind')",
        )
    )
    home.program(handlers, 'State("own.main.a", broken), State("own.main.b", behind),', PARALLEL)
    ran = ergo("capture", "--format", "json", cwd=home.root)
    [failed] = ran.report["run"]["failures"]
    assert "the one in front" in str(failed)
    assert "the one behind" not in str(failed)


STEPS = """
def first(ctx, io, rec):
    io.call("a.first", {}, "first")

def second(ctx, io, rec):
    ctx.write("answer", io.call("a.second", {}, "k").response)
    io.call("a.second", {}, "go")
"""
DYING = """
import os, signal
from pathlib import Path
from threading import Event

beside = Event()

def ask(call):
    if call.namespace == "a.first" and Path("cut").exists():
        assert beside.wait(60)
        Path("cut").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    with Path("asked").open("a") as asked:
        asked.write(f"{call.fact_key} ")
    if call.fact_key == "go":
        beside.set()
    return {"n": 1}
"""
"""Where there is a ``cut``: dies in the first state's call once the second one has its first answer."""


def test_a_lane_outlives_its_process_and_the_sweep_of_artifacts(ergo: Ergo, home: Home) -> None:
    home.program(
        STEPS,
        'State("own.main.first", first), State("own.main.second", second),',
        f'transports={{"a": "own.world:ask"}}, {PARALLEL}',
    )
    (home.root / "own" / "world.py").write_text(DYING)
    (home.root / "cut").touch()
    store = f"sqlite:{home.root}/runs.db"
    assert ergo("capture", "--store", store, cwd=home.root).exit_code == -signal.SIGKILL
    [run] = ergo("runs", "list", "--store", store, "--format", "json", cwd=home.root).report["runs"]
    shown = ergo("runs", "show", run["run_id"], "--store", store, "--format", "json", cwd=home.root)
    whys = {each["state"]: each["why"] for each in shown.report["run_summary"]["status"]["states"]}
    assert whys["own.main.first"].startswith("not in the stream: attempt 0 open")
    swept = ergo("runs", "gc", "--store", store, "--grace", "0s", cwd=home.root)
    assert swept.exit_code == 0, swept.stderr
    home.capture(ergo, "--store", store, "--continue")
    assert (home.root / "asked").read_text().split().count("k") == 1
    replayed = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert replayed.exit_code == 0, replayed.stdout + replayed.stderr
