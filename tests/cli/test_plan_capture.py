"""Plan programs through the command line: captured, refused before the first event, failing, stopped by a deadline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.plan_projects import BUNDLE, KEPT, SETTLEMENT, Home, events_of, failure, settlement
from tests.conftest import Ergo

TRANSPORT = 'transports={"a": "own.world:ask"}'
CALL = 'ctx.write("answer", io.call("a.b", {"q": 1}, "k").response)'
AGAIN = "run_config=run_config(max_attempts=9, backoff=Fixed(Delay(600_000_000_000)))"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


def ends(bundle: Any) -> list[Any]:
    """The ``end`` frames of a bundle."""
    return [record["end"] for entry in bundle["journals"] for record in entry["records"] if "end" in record]


# --- the fixture


def test_two_captures_of_the_example_are_the_kept_bundle(ergo: Ergo, tmp_path: Path) -> None:
    project = settlement(tmp_path)
    for again in ("one.json", "two.json"):
        ran = ergo("capture", "-o", again, "--format", "json", cwd=project)
        assert ran.exit_code == 0, ran.stderr
        assert (project / again).read_bytes() == (SETTLEMENT / KEPT).read_bytes()
    run = ran.report["run"]
    assert (run["graph_id"], run["events"], run["invoked"], run["failed"]) == ("settlement@1", 4, 4, 1)
    [failed] = run["failures"]
    assert (failed["event_id"], failed["termination"]) == ("f-0930", "Failed(SemanticError)")
    assert (failed["error"], failed["message"]) == ("plan.currency_unknown", "there is no rate of XAU")
    assert failed["place"]["file"].endswith("settlement/world.py")
    assert failed["where"] == "run 'ab23859c-ee34-5b1c-9d9c-c108ad35b04e' settlement.main.quote#0"


def test_the_example_shows_a_retry_two_branches_a_child_and_a_payment() -> None:
    bundle = json.loads((SETTLEMENT / KEPT).read_text())
    parent, child = (entry for entry in bundle["journals"] if entry["episode_id"] == 1)
    entered = [event["StateEntered"] for event in events_of(parent) if "StateEntered" in event]
    assert [(each["state_id"].rpartition(".")[2], each["attempt"]) for each in entered] == [
        ("quote", 0),
        ("quote", 1),
        ("convert", 0),
        ("fee", 0),
        ("screen", 0),
        ("pay", 0),
    ]
    assert [next(iter(event)) for event in events_of(child)] == [
        "RunStarted",
        "StateEntered",
        "name",
        "StateCompleted",
        "RunCompleted",
    ]
    effects = [captured["effect"] for captured in bundle["decisions"][1]["effects"]]
    assert [effect["writes"][0]["key"] for effect in effects[:-1]] == ["rate", "euros", "fee", "listed", "status"]
    # 740 dollars at 0.921 are 681.54 euros; 0.2 % of them are 1.36
    [intent] = effects[-1]["intents"]
    assert {field["name"]: field["value"]["String"] for field in intent["fields"]} == {
        "namespace": "bank.transfer",
        "request": '{"euros":"682.90","invoice":"i-2","to":"ben"}',
        "idempotency_key": "settlement-transfer",
    }
    held = [effect["effect"]["kind"] for effect in bundle["decisions"][2]["effects"]]
    assert held == ["state_write"] * 5, "a supplier on the list is not paid"


def test_a_bundle_holds_no_time_but_recorded_ones(ergo: Ergo, home: Home) -> None:
    bundle = home.one('ctx.write("at", io.now_millis())', 'ctx.write("n", io.random_bytes(3).hex())').capture(ergo)
    [entry] = bundle["journals"]
    assert {record["ts_millis"] for record in entry["records"] if "seq" in record} == {None}
    keys = [event["payload"]["key"] for event in events_of(entry) if event.get("name") == "fact_recorded"]
    place = f"run:{entry['run_id']}|state:own.main.one|attempt:0"
    assert keys == [f"mfm:now_millis|{place}|ord:0", f"mfm:random_bytes|{place}|ord:1"]
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


# --- contexts


def test_floats_of_a_payload_arrive_as_decimal_text(ergo: Ergo, home: Home) -> None:
    home.events({"a": 1.5, "b": [{"c": 2.0}], "n": 3, "big": 1e16})
    bundle = home.one('ctx.write("seen", [ctx.read(k) for k in ("a", "b", "n", "big")])').capture(ergo)
    [write] = bundle["decisions"][0]["effects"][0]["effect"]["writes"]
    assert json.loads(write["value"]["String"]) == ["1.5", [{"c": "2.0"}], 3, "1e16"]


@pytest.mark.parametrize(
    ("made", "termination", "code"),
    [
        ('payload["x"]', "RuntimeError", "plan.initial_context_failed"),
        ("5", "ValidationFailed", "plan.initial_context_invalid"),
        ('{"api_key": "hunter2"}', "RuntimeError", "plan.secrets_detected"),
    ],
)
def test_a_first_context_that_cannot_be_made_fails_the_event(
    ergo: Ergo, home: Home, made: str, termination: str, code: str
) -> None:
    home.one("pass", more=f"initial_context=lambda payload: {made}")
    [end] = ends(home.capture(ergo))
    assert (end["termination"], end["error"]["code"]) == ({"Failed": termination}, code)
    assert "hunter2" not in (home.root / BUNDLE).read_text()
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


# --- attempts that fail


@pytest.mark.parametrize(
    ("body", "termination", "code", "message"),
    [
        (
            'ctx.write("x", {"y": [1.5]})',
            "ValidationFailed",
            "context_snapshot_not_canonical",
            "the context is not kept: a number that is not an integer of 64 bits at '/x/y/0'",
        ),
        (
            'ctx.write("x", {"api_key": "hunter2"})',
            "ValidationFailed",
            "secrets_detected",
            "the context is not kept: it holds what looks like a secret at '/x/…'",
        ),
        ('raise KeyError("hunter2")', "SemanticError", "handler_exception", "KeyError"),
        ('raise StateError.of("closed", "the desk is closed")', "SemanticError", "closed", "the desk is closed"),
        (
            'raise StateError.of("closed", "no", category=ErrorCategory.PARSING_INPUT)',
            "ValidationFailed",
            "closed",
            "no",
        ),
        (
            "return 5",
            "SemanticError",
            "handler_result_invalid",
            "a handler returns None or StateOutcome, not int",
        ),
        (
            'io.call("a.b", {})',
            "ValidationFailed",
            "missing_fact_key",
            "the call to 'a.b' names no fact key",
        ),
        (
            'io.call("b", {}, "k")',
            "SemanticError",
            "io_unknown_namespace",
            "no transport is registered for the namespace 'b'",
        ),
        (
            'io.call("pay", {}, "k")',
            "ValidationFailed",
            "missing_idempotency_key",
            "the state 'own.main.one' calls 'pay' and has no idempotency key",
        ),
        ('io.call("a.b", {}, "password")', "SemanticError", "secrets_detected", "the fact key looks like a secret"),
        (
            'rec.emit("done", 1.5)',
            "ValidationFailed",
            "domain_event_invalid",
            "the event 'done' is not recorded: a number that is not an integer of 64 bits at '/'",
        ),
        (
            'rec.emit("fact_recorded", 1)',
            "ValidationFailed",
            "domain_event_invalid",
            "only the engine writes 'fact_recorded' events",
        ),
    ],
)
def test_a_handler_that_breaks_fails_its_run_and_replays_so(
    ergo: Ergo, home: Home, body: str, termination: str, code: str, message: str
) -> None:
    home.one(body, more=f'{TRANSPORT}, effectful=("pay",)')
    ran = ergo("capture", "--fail-on-error", cwd=home.root)
    assert ran.exit_code == 1, ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    bundle = home.kept()
    [end] = ends(bundle)
    assert (end["termination"], end["status"], end["error"]) == ({"Failed": termination}, "Failed", None)
    info = failure(bundle)
    assert (info["code"], info["message"], info["retryable"]) == (code, message, False)
    assert "hunter2" not in (home.root / BUNDLE).read_text()
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_user_sees_the_line_that_raised(ergo: Ergo, home: Home) -> None:
    home.one('raise KeyError("x")')
    [failed] = ergo("capture", "--format", "json", cwd=home.root).report["run"]["failures"]
    assert (failed["error"], failed["message"], failed["place"]["function"]) == ("KeyError", "'x'", "one")
    assert failed["place"]["file"].endswith("own/program.py")


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ('raise KeyError("hunter2")', "transport_exception", "the transport of 'a.b' raised KeyError"),
        ("return 1.5", "fact_payload_not_canonical", None),
        (
            'return {"api_key": "hunter2"}',
            "secrets_detected",
            "the answer is not recorded: it holds what looks like a secret at '/…'",
        ),
        ('raise transport_failed("down", "the line is dead")', "down", "the line is dead"),
        ('raise transport_failed("down", "password=hunter2")', "down", "error details redacted"),
    ],
)
def test_a_transport_that_breaks_fails_the_call_and_replays_so(
    ergo: Ergo, home: Home, answer: str, code: str, message: str | None
) -> None:
    home.one(CALL, more=TRANSPORT).world(answer)
    bundle = home.capture(ergo)
    [failed] = [event for event in events_of(bundle["journals"][0]) if event.get("name") == "call_failed"]
    [info] = failed["payload"]["error"].values()
    assert (failed["payload"]["key"], info) == ("k", failure(bundle))
    assert info["code"] == code
    assert info["message"] == message or message is None
    assert "hunter2" not in (home.root / BUNDLE).read_text()
    home.world("return 1", "raise RuntimeError('gone')")
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


# --- children

CHILD = """
def kid(ctx, io, rec):
    {kid}

def one(ctx, io, rec):
    spawned = spawn_child(io, rec, "kid", op_id="kid", op_version="{version}", run_config=run_config())
    ctx.write("ended", await_child(io, rec, "kid_ended", spawned).response["status"])
    {rest}

child = PlanProgram("kid", "1", (State("kid.main.one", kid),))
"""


def family(home: Home, kid: str, rest: str = "", version: str = "1") -> Home:
    """A program whose one state runs a child."""
    text = CHILD.format(kid=kid, rest=rest, version=version)
    return home.program(text, 'State("own.main.one", one),', f"children=(child,), {TRANSPORT}")


def test_a_child_that_fails_is_an_answer(ergo: Ergo, home: Home) -> None:
    bundle = family(home, 'raise KeyError("kid")').capture(ergo)
    assert ends(bundle)[0]["termination"] == "Completed"
    [write] = bundle["decisions"][0]["effects"][0]["effect"]["writes"]
    assert (write["key"], write["value"]["String"]) == ("ended", '"Failed"')
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_what_a_child_raised_is_not_why_its_parent_fails(ergo: Ergo, home: Home) -> None:
    family(home, 'raise KeyError("kid")', 'ctx.write("x", 1.5)')
    [failed] = ergo("capture", "--format", "json", cwd=home.root).report["run"]["failures"]
    assert (failed["error"], failed["place"]) == ("plan.context_snapshot_not_canonical", None)


def test_a_child_has_no_children(ergo: Ergo, home: Home) -> None:
    kid = 'spawn_child(io, rec, "more", op_id="kid", op_version="1", run_config=run_config())'
    info = failure(family(home, kid).capture(ergo))
    assert info["code"] == "io_unknown_namespace"
    assert info["message"].endswith("'machine.child_run.spawn': a child run has no children")
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_child_that_the_program_does_not_have_fails_the_call(ergo: Ergo, home: Home) -> None:
    info = failure(family(home, "pass", version="9").capture(ergo))
    assert (info["code"], info["message"]) == (
        "child_run_engine_failed",
        "the program has no child 'kid' of version '9'",
    )
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_deadline_inside_a_child_stops_both(ergo: Ergo, home: Home) -> None:
    family(home, CALL).world("time.sleep(600)", "import time")
    bundle = home.capture(ergo, "--deadline", "300ms")
    assert [end["termination"] for end in ends(bundle)] == ["TimedOut"]
    assert [next(iter(event)) for event in events_of(bundle["journals"][1])] == ["RunStarted", "StateEntered"]
    home.world("return 1", "raise RuntimeError('gone')")
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


# --- deadlines


@pytest.mark.parametrize(
    "body",
    [
        (CALL,),
        ("try:", f"    {CALL}", "except Exception:", '    ctx.write("given", "up")'),
        ('raise StateError.of("again", "not yet", retryable=True)',),
    ],
    ids=["transport", "handler that catches everything", "wait between attempts"],
)
def test_a_deadline_stops_the_run_and_the_replay_matches(ergo: Ergo, home: Home, body: tuple[str, ...]) -> None:
    home.one(*body, more=f"{TRANSPORT}, {AGAIN}").world("time.sleep(600)", "import time")
    bundle = home.capture(ergo, "--deadline", "300ms")
    [end] = ends(bundle)
    assert (end["termination"], end["status"], end["error"]) == ("TimedOut", None, None)
    assert "RunCompleted" not in str(bundle["journals"])
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_deadline_cancels_an_async_handler(ergo: Ergo, home: Home) -> None:
    handler = "import asyncio\nasync def one(ctx, io, rec):\n    await asyncio.sleep(600)\n"
    home.program(handler, 'State("own.main.one", one),')
    [end] = ends(home.capture(ergo, "--deadline", "300ms"))
    assert end["termination"] == "TimedOut"
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_retry_of_the_supervisor_continues_the_run(ergo: Ergo, home: Home) -> None:
    """The first call is too slow, the second one answers: the run goes on in its second attempt."""
    home.one(CALL, more=TRANSPORT)
    home.world(
        "tried.append(1)\n    if len(tried) == 1:\n        time.sleep(600)\n    return 5", "import time\ntried = []"
    )
    bundle = home.capture(ergo, "--deadline", "1s", "--max-retries", "1")
    assert [end["termination"] for end in ends(bundle)] == ["TimedOut", "Completed"]
    entered = [event["StateEntered"] for event in events_of(bundle["journals"][0]) if "StateEntered" in event]
    assert [each["attempt"] for each in entered] == [0, 1]
    home.world("return 1", "raise RuntimeError('gone')")
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_deadline_of_zero_does_nothing(ergo: Ergo, home: Home) -> None:
    [end] = ends(home.one("raise SystemExit('asked')").capture(ergo, "--deadline", "0s"))
    assert (end["termination"], end["state"]) == ("Aborted", None)


# --- killed


def test_a_killed_capture_is_recovered_with_its_runs(ergo: Ergo, tmp_path: Path) -> None:
    project = settlement(tmp_path)
    world = project / "settlement" / "world.py"
    world.write_text(world.read_text().replace("    assert isinstance(call.request, dict)\n    currency", DYING))
    assert ergo("capture", "-o", "b.json", "--journal", "day.log", cwd=project).exit_code == 9
    ran = ergo("recover", "day.log", "-o", "recovered.json", cwd=project)
    assert ran.exit_code == 0, ran.stderr
    recovered, whole = json.loads((project / "recovered.json").read_text()), json.loads((SETTLEMENT / KEPT).read_text())
    assert recovered["decisions"] == whole["decisions"][:2]
    assert recovered["journals"] == whole["journals"][:4]
    assert ergo("replay", "recovered.json", "--strict", cwd=project).exit_code == 0


DYING = (
    "    assert isinstance(call.request, dict)\n"
    '    if call.request["currency"] == "GBP":\n'
    '        __import__("os")._exit(9)\n'
    "    currency"
)
