"""Intents of plans that go to real channel processes: when they leave, that none leaves twice, what is kept of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.channels.egress_channels import left_behind, outbox, scripted
from tests.cli import mortal_plan
from tests.cli.plan_projects import BUNDLE, KEPT, Home, settlement
from tests.conftest import Ergo, Ran

READY = "ready:io"
EGRESS = ("--egress-config", "egress.json")
PAY = 'io.call("bank.pay", {"n": ctx.read("n")}, "pay")'
IDEMPOTENT = 'StateMeta(idempotency="own-pay")'
EFFECTFUL = 'effectful=("bank.pay",)'
STORE = ("--store", "sqlite:runs.db")


def routed(folder: Path, command: list[str], timeout: str = "60s") -> Path:
    """Write an egress configuration that sends intents of plans to one channel."""
    config = {
        "default_ack_timeout": timeout,
        "channels": {"bank": {"type": "process", "command": command}},
        "routes": {"io": {"channel": "bank"}},
    }
    path = folder / "egress.json"
    path.write_text(json.dumps(config))
    return path


def with_outbox(folder: Path) -> None:
    routed(folder, outbox(folder / "outbox", "io"))


def sent(folder: Path) -> list[dict[str, Any]]:
    """The intents that the channel was given."""
    file = folder / "outbox"
    frames = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [frame for frame in frames if frame["type"] == "intent"]


def intents(bundle: Any) -> list[dict[str, Any]]:
    effects = [captured["effect"] for decision in bundle["decisions"] for captured in decision["effects"]]
    return [intent for effect in effects if effect["kind"] == "io" for intent in effect["intents"]]


def acks(bundle: Any) -> list[dict[str, Any]]:
    return [ack for decision in bundle["decisions"] for ack in decision.get("intent_acks", [])]


def check_interrupted(ran: Ran, code: str) -> None:
    assert (ran.exit_code, ran.report["outcome"]) == (7, "interrupted"), ran.stderr
    assert ran.report["run"]["interruption"]["code"] == code


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A plan of one state that pays, and two events."""
    home = Home(tmp_path / "own").one(PAY, meta=IDEMPOTENT, more=EFFECTFUL)
    home.events({"n": 1}, {"n": 2})
    with_outbox(home.root)
    return home


def test_the_intents_of_completed_runs_are_sent_and_a_replay_sends_none(ergo: Ergo, tmp_path: Path) -> None:
    """Of the four invoices one fails, and one supplier is on the list: neither is paid."""
    project = settlement(tmp_path)
    with_outbox(project)
    captured = ergo("capture", "-o", "b.json", *EGRESS, "--format", "json", cwd=project)
    assert captured.exit_code == 0, captured.stderr
    bundle, kept = (json.loads((project / name).read_text()) for name in ("b.json", KEPT))
    assert intents(bundle) == intents(kept)
    assert len(intents(bundle)) == 2
    assert [(frame["intent_id"], frame["kind"]) for frame in sent(project)] == [
        (intent["intent_id"], "io") for intent in intents(bundle)
    ]
    assert sent(project)[1]["fields"] == {
        "idempotency_key": "settlement-transfer",
        "namespace": "bank.transfer",
        "request": '{"euros":"682.90","invoice":"i-2","to":"ben"}',
    }
    assert acks(bundle) == [
        {
            "intent_id": frame["intent_id"],
            "channel": "bank",
            "status": "accepted",
            "acceptance": "durable",
            "egress_ref": f"outbox-{number}",
        }
        for number, frame in enumerate(sent(project), 1)
    ]
    assert bundle["egress_provenance"].startswith("epv1:sha256:")
    (project / "outbox").unlink()
    assert ergo("replay", "b.json", "--strict", cwd=project).exit_code == 0
    assert ergo("validate", "b.json", "--strict", cwd=project).exit_code == 0
    assert sent(project) == []
    assert left_behind(tmp_path) == []


def test_run_sends_intents_too(ergo: Ergo, home: Home) -> None:
    assert ergo("run", *EGRESS, cwd=home.root).exit_code == 0
    assert [frame["fields"]["request"] for frame in sent(home.root)] == ['{"n":1}', '{"n":2}']


def test_the_egress_of_a_profile(ergo: Ergo, home: Home) -> None:
    with (home.root / "ergo.toml").open("a") as file:
        file.write('egress = "egress.json"\n')
    assert len(acks(home.capture(ergo))) == 2
    assert len(sent(home.root)) == 2


def test_without_egress_intents_are_recorded_alone(ergo: Ergo, home: Home) -> None:
    bundle = home.capture(ergo)
    assert (len(intents(bundle)), acks(bundle), sent(home.root)) == (2, [], [])


def test_a_route_that_no_intent_can_take_is_a_warning(ergo: Ergo, home: Home) -> None:
    home.one("pass")
    ran = ergo("capture", *EGRESS, cwd=home.root)
    assert ran.exit_code == 0
    assert "warning: egress route declared for non-emittable kind 'io'\n" in ran.stderr


def test_a_retried_state_sends_its_intent_once_and_a_failed_run_none(ergo: Ergo, home: Home) -> None:
    retry = "if io.get_recorded_fact('tried') is None and not io.record_value('tried', 1) is None:"
    again = f"{retry}\n        raise StateError.of('again', 'once more', retryable=True)"
    more = f"{EFFECTFUL}, run_config=run_config(max_attempts=2)"
    home.one(PAY, again, 'if ctx.read("n") == 2: raise StateError.of("never", "no")', meta=IDEMPOTENT, more=more)
    bundle = home.capture(ergo, *EGRESS)
    assert [frame["fields"]["request"] for frame in sent(home.root)] == ['{"n":1}']
    assert len(acks(bundle)) == len(intents(bundle)) == 1


# --- stores


def test_runs_that_a_store_has_as_done_send_nothing_again(ergo: Ergo, home: Home) -> None:
    home.capture(ergo, *EGRESS, *STORE)
    once, evidence = sent(home.root), acks(home.kept())
    assert len(once) == len(evidence) == 2
    again = ergo("capture", *EGRESS, *STORE, "--format", "json", cwd=home.root)
    assert (again.exit_code, again.report["error"]["code"]) == (3, "plan.already_completed")
    assert acks(home.capture(ergo, *EGRESS, *STORE, "--continue")) == evidence
    assert ergo("run", *EGRESS, *STORE, cwd=home.root).exit_code == 0
    assert sent(home.root) == once
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_what_was_not_sent_when_a_run_completed_is_sent_later_once(ergo: Ergo, home: Home) -> None:
    """As after a crash between the end of the run and the channel: here there was none at all."""
    recorded = intents(home.capture(ergo, *STORE))
    assert (len(recorded), sent(home.root)) == (2, [])
    for command in ("run", "run", "capture"):
        more = ("--continue",) if command == "capture" else ()
        assert ergo(command, *EGRESS, *STORE, *more, cwd=home.root).exit_code == 0
        assert [frame["intent_id"] for frame in sent(home.root)] == [intent["intent_id"] for intent in recorded]
    assert intents(home.kept()) == recorded
    assert len(acks(home.kept())) == 2
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    assert len(ergo("runs", "list", *STORE, "--format", "json", cwd=home.root).report["runs"]) == 2


KILLER = """
import json, os, signal, sys
print(json.dumps({"type": "ready", "protocol": "ergo-egress.v1", "handled_kinds": ["io"]}), flush=True)
with open("outbox", "a") as file:
    file.write(sys.stdin.readline())
os.kill(os.getppid(), signal.SIGKILL)
sys.stdin.readline()
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_intent_that_was_under_way_when_ergo_was_killed_is_not_sent_again(
    ergo: Ergo, home: Home, kind: str, request: pytest.FixtureRequest
) -> None:
    store = ("--store", "sqlite:runs.db" if kind == "sqlite" else f"postgres:{request.getfixturevalue('postgres')}")
    home.one(PAY, 'io.call("bank.pay", {"second": 1}, "more")', meta=IDEMPOTENT, more=EFFECTFUL)
    (home.root / "killer.py").write_text(KILLER)
    routed(home.root, [sys.executable, "killer.py"])
    assert ergo("capture", *EGRESS, *store, cwd=home.root).exit_code == -signal.SIGKILL
    assert left_behind(home.root) == []
    [under_way] = sent(home.root)
    with_outbox(home.root)
    ran = ergo("capture", *EGRESS, *store, "--continue", "--format", "json", cwd=home.root)
    assert ran.exit_code == 0, ran.stderr
    [warning] = ran.report["warnings"]
    assert under_way["intent_id"] in warning
    assert "unknown" in warning
    requests = [frame["fields"]["request"] for frame in sent(home.root)]
    assert requests == ['{"n":1}', '{"second":1}', '{"n":2}', '{"second":1}']
    assert [ack["intent_id"] for ack in acks(home.kept())] == [frame["intent_id"] for frame in sent(home.root)[1:]]
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_after_a_channel_that_failed_the_next_run_sends_the_rest(ergo: Ergo, home: Home) -> None:
    home.events({"n": 1}, {"n": 2}, {"n": 3})
    routed(home.root, scripted(home.root / "outbox", READY, "read", "ack", "read", "exit:3"))
    check_interrupted(ergo("capture", *EGRESS, *STORE, "--format", "json", cwd=home.root), "egress_io")
    with_outbox(home.root)
    ran = ergo("run", *EGRESS, *STORE, cwd=home.root)
    assert ran.exit_code == 0
    assert sent(home.root)[1]["intent_id"][:20] in ran.stderr
    assert [frame["fields"]["request"] for frame in sent(home.root)] == ['{"n":1}', '{"n":2}', '{"n":3}']


def test_captures_at_the_same_time_send_each_intent_once(ergo: Ergo, home: Home, environment: dict[str, str]) -> None:
    home.capture(ergo, *STORE)
    command = [str(Path(sys.executable).with_name("ergo")), "run", *EGRESS, *STORE]
    for child in [subprocess.Popen(command, cwd=home.root, env=environment) for _ in range(4)]:
        child.wait()
    requests = [frame["fields"]["request"] for frame in sent(home.root)]
    assert sorted(requests) == ['{"n":1}', '{"n":2}']


@pytest.fixture
def mortal(ergo: Ergo, tmp_path: Path) -> Path:
    """The mortal plan in the current folder, whose only event pays once."""
    shutil.copy(Path(mortal_plan.__file__), tmp_path / "mortal_plan.py")
    (tmp_path / "ergo.toml").write_text(
        'name = "n"\nversion = "1"\n[profiles.default]\nplan = "mortal_plan:program"\nfixture = "e.jsonl"\n'
    )
    event = {"kind": "event", "event": {"type": "Command", "id": "e1", "payload": {"symbol": "x"}}}
    (tmp_path / "e.jsonl").write_text(json.dumps(event) + "\n")
    with_outbox(tmp_path)
    return tmp_path


@pytest.mark.parametrize("cut", [1, 7, 12, 16, 17])
def test_a_run_that_was_killed_sends_its_intent_when_it_completes(ergo: Ergo, mortal: Path, cut: int) -> None:
    """The last two cuts are before and after the call that is queued."""
    capture = ("capture", "-o", "b.json", *EGRESS, *STORE)
    (mortal / "cut").write_text(str(cut))
    assert ergo(*capture).exit_code == -signal.SIGKILL
    assert sent(mortal) == []
    assert ergo(*capture).exit_code == 0
    [frame] = sent(mortal)
    assert frame["fields"] == {"idempotency_key": "pay-1", "namespace": "bank.pay", "request": '{"amount":5}'}
    assert ergo("replay", "b.json", "--strict").exit_code == 0


# --- channels that fail


@pytest.mark.parametrize(
    ("step", "timeout", "code"),
    [
        ("sleep", "300ms", "egress_ack_timeout"),
        ("ack:zzz", "60s", "egress_protocol_violation"),
        ("answer:rejected,durable", "60s", "egress_protocol_violation"),
        ("exit:3", "60s", "egress_io"),
    ],
)
def test_a_channel_that_fails_interrupts_the_run(ergo: Ergo, home: Home, step: str, timeout: str, code: str) -> None:
    home.events({"n": 1}, {"n": 2}, {"n": 3})
    routed(home.root, scripted(home.root / "outbox", READY, "read", "ack", "read", step), timeout)
    ran = ergo("capture", *EGRESS, "--format", "json", cwd=home.root)
    check_interrupted(ran, code)
    bundle = home.kept()
    assert [len(decision["effects"]) for decision in bundle["decisions"]] == [1, 1]
    assert len(acks(bundle)) == 1
    assert bundle["decisions"][1]["interruption"] == ran.report["error"]["message"]
    assert len(sent(home.root)) == 2
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    assert left_behind(home.root) == []


def test_a_channel_that_does_not_start_leaves_every_run_unbegun(ergo: Ergo, home: Home) -> None:
    routed(home.root, ["false"])
    ran = ergo("capture", *EGRESS, *STORE, "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "egress.start_failed")
    assert not (home.root / BUNDLE).exists()
    assert ergo("runs", "list", *STORE, "--format", "json", cwd=home.root).report["runs"] == []


# --- the crash journal


def test_an_intent_is_in_the_crash_journal_before_it_is_sent(
    ergo: Ergo, home: Home, environment: dict[str, str]
) -> None:
    """Ergo is killed while the channel has the second intent and has not answered."""
    os.mkfifo(home.root / "up")
    waiting = "import pathlib; pathlib.Path('up').write_text('up')"
    channel = scripted(home.root / "outbox", READY, "read", "ack", "read")
    routed(home.root, ["sh", "-c", f'"$@"; {sys.executable} -c "{waiting}"; exec sleep 600', "sh", *channel])
    command = [str(Path(sys.executable).with_name("ergo")), "capture", *EGRESS, "--journal", "run.journal"]
    with subprocess.Popen(command, cwd=home.root, env=environment, stderr=subprocess.DEVNULL) as child:
        (home.root / "up").read_text()
        child.kill()
    assert left_behind(home.root) == []
    first, second = sent(home.root)
    recovered = ergo("recover", "run.journal", "-o", "r.json", "--format", "json", cwd=home.root)
    assert recovered.exit_code == 0, recovered.stderr
    assert [each["intent_id"] for each in recovered.report["recovery"]["unconfirmed"]] == [second["intent_id"]]
    bundle = json.loads((home.root / "r.json").read_text())
    assert [ack["intent_id"] for ack in acks(bundle)] == [first["intent_id"]]
    assert ergo("replay", "r.json", "--strict", cwd=home.root).exit_code == 0


# --- children

FAMILY = """
def kid(ctx, io, rec):
    io.call("bank.pay", {"n": ctx.read("n")}, "pay")
    KID

def one(ctx, io, rec):
    io.call("bank.pay", {"n": 0}, "before")
    for n in (1, 2):
        more = {"run_config": run_config(), "initial_context": {"n": n}}
        await_child(io, rec, f"ended_{n}", spawn_child(io, rec, f"kid_{n}", op_id="kid", op_version="1", **more))
    io.call("bank.pay", {"n": 3}, "after")
    OWN

child = PlanProgram("kid", "1", (State("kid.main.one", kid, StateMeta(idempotency="kid-pay")),))
"""


@pytest.mark.parametrize(
    ("kid", "own", "paid"),
    [
        ("pass", "pass", [0, 1, 2, 3]),
        ('ctx.read("n") == 1 or 1 / 0', "pass", [0, 1, 3]),
        ("pass", "1 / 0", []),
    ],
    ids=["all", "a child that failed", "the parent failed"],
)
def test_intents_of_children_are_sent_with_those_of_their_parent(
    ergo: Ergo, home: Home, kid: str, own: str, paid: list[int]
) -> None:
    text = FAMILY.replace("KID", kid).replace("OWN", own)
    home.program(text, f'State("own.main.one", one, {IDEMPOTENT}),', f"children=(child,), {EFFECTFUL}")
    home.events({})
    assert ergo("capture", "-o", "b.json", *EGRESS, *STORE, cwd=home.root).exit_code == 0
    asked = [
        (frame["fields"]["idempotency_key"], json.loads(frame["fields"]["request"])["n"]) for frame in sent(home.root)
    ]
    assert asked == [("own-pay" if n in (0, 3) else "kid-pay", n) for n in paid]
    assert len({frame["intent_id"] for frame in sent(home.root)}) == len(paid)
    assert ergo("replay", "b.json", "--strict", cwd=home.root).exit_code == 0
    again = ergo("capture", "-o", "c.json", *EGRESS, *STORE, "--continue", cwd=home.root)
    assert again.exit_code == 0, again.stderr
    assert len(sent(home.root)) == len(paid)
    assert ergo("replay", "c.json", "--strict", cwd=home.root).exit_code == 0
