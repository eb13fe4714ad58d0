"""Runs and captures that redact, as processes: no secret is left in any byte, and replays agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.secret_texts import contents, found, said
from tests.conftest import Ergo, Ran

EMAIL, NAME, CARD, NOTE = "bob.dolan@example.com", 'Bob "Bär" Dolan', 4929123456781234, "meets Alice Zorn\non Friday"
SECRETS = (EMAIL, NAME, str(CARD), NOTE)
KEY = "a key that is secret too, 0123456789"
REDACT = ("payload.customer.*", "payload.card", "payload.notes[*].text")
PAYLOADS = [
    {"amount": 5, "card": CARD, "customer": {"email": EMAIL, "name": NAME}, "notes": [{"text": NOTE, "by": "desk"}]},
    {"amount": 70, "card": CARD, "customer": {"email": EMAIL, "name": NAME}, "notes": []},
]
DESK = """
from ergo_cli.programs.kernel import ActionSucceeded, CallTool, Complete, Do, Emit, KernelProgram, StateUpdated

def step(state):
    if "looked" not in state:
        return Do(CallTool("look", {"of": state}))
    if "noted" not in state:
        return Emit([StateUpdated("note", state)])
    return Complete()

def reduce(state, event):
    match event.event:
        case ActionSucceeded():
            return {**state, "looked": True}
        case StateUpdated():
            return {**state, "noted": True}
    return state

program = KernelProgram("desk", lambda payload: payload, step, "desk.world:execute", reduce)
"""
MORTAL = """
import os

def execute(action, call):
    if action.input["of"]["amount"] == 70:
        os._exit(9)
    return {"seen": action.input}
"""
FAILING = "def execute(action, call):\n    raise ValueError(f'cannot: {action.input}')\n"
WORLD = "def execute(action, call):\n    return {'seen': action.input}\n"


def line(number: int, payload: object, **more: object) -> str:
    return json.dumps({"kind": "event", "event": {"type": "Command", "id": f"e{number}", "payload": payload, **more}})


def stream(*payloads: object) -> str:
    return "".join(line(number, payload) + "\n" for number, payload in enumerate(payloads, 1))


class Desk:
    """A project whose program remembers, emits and sends off all that it is given."""

    def __init__(self, root: Path, ergo: Ergo, environment: dict[str, str]) -> None:
        self.root = root
        self._ergo = ergo
        self._home = Path(environment["HOME"])
        self.events = root / "events.jsonl"
        self.ran: list[Ran] = []
        (root / "desk").mkdir(parents=True)
        (root / "desk" / "program.py").write_text(DESK)
        (root / "desk" / "world.py").write_text(WORLD)
        self.events.write_text(stream(*PAYLOADS))
        self.project()

    def project(self, *, redact: tuple[str, ...] = REDACT, more: str = "") -> None:
        text = 'name = "desk"\nversion = "1"\n[profiles.default]\nkernel = "desk.program:program"\n'
        (self.root / "ergo.toml").write_text(f'{text}fixture = "events.jsonl"\nredact = {json.dumps(redact)}\n{more}')

    def run(self, *arguments: str | Path, key: str | None = KEY, stdin: bytes | None = None) -> Ran:
        env = {} if key is None else {"ERGO_REDACT_KEY": key}
        self.ran.append(self._ergo(*arguments, cwd=self.root, stdin=stdin, **env))
        return self.ran[-1]

    def leaks(self) -> list[str]:
        """Where secrets stand, the key among them, but in the stream itself."""
        apart = (self.events, self.root / "key")
        return found((*SECRETS, KEY), [*contents((self.root, self._home), apart=apart), *said(*self.ran)])


@pytest.fixture
def desk(tmp_path: Path, ergo: Ergo, environment: dict[str, str]) -> Desk:
    return Desk(tmp_path / "desk", ergo, environment)


def test_secrets_are_found_where_nothing_is_redacted(desk: Desk) -> None:
    """What looks for secrets finds them."""
    desk.project(redact=())
    assert desk.run("capture", "-o", "b.json", "--journal", "j", "--store", "sqlite:runs.db").exit_code == 0
    leaks = "\n".join(desk.leaks())
    assert all(name in leaks for name in ("b.json", "runs.db"))
    assert all(secret in leaks for secret in (EMAIL, str(CARD), "Zorn"))


def test_no_byte_of_bundles_stores_and_reports_holds_a_secret_and_replays_agree(desk: Desk) -> None:
    for name, *options in (
        ("plain.json", "--store", "sqlite:runs.db"),
        ("pretty.json", "--pretty", "--embed"),
        ("packed.json.gz", "--verify"),
    ):
        assert desk.run("capture", "-v", "-o", name, *options).exit_code == 0
    assert desk.run("run", "--format", "json", "--capture", "run.json").exit_code == 0
    names = ("plain.json", "pretty.json", "packed.json.gz", "run.json")
    assert desk.run("replay", *names, "--strict", "-v", "--format", "json", key=None).report["outcome"] == "match"
    reports = ("--report", "junit=r.xml", "--report", "sarif=r.sarif")
    (desk.root / "desk" / "program.py").write_text(DESK.replace('"look"', '"gaze"'))
    assert desk.run("replay", *names, "-v", "--list", *reports, key=None).exit_code == 1
    assert desk.run("explain", "plain.json", "--event", "e1", key=None).exit_code == 0
    assert desk.run("why", "plain.json", "e1", key=None).exit_code == 0
    assert desk.run("runs", "timeline", "desk/e1", "--store", "sqlite:runs.db", key=None).exit_code == 0
    assert desk.leaks() == []


def test_a_journal_of_a_run_that_was_broken_off_and_what_is_recovered_of_it_hold_no_secret(desk: Desk) -> None:
    (desk.root / "desk" / "world.py").write_text(MORTAL)
    assert desk.run("capture", "-o", "b.json", "--journal", "j").exit_code == 9
    assert (desk.root / "j").stat().st_size > 0
    assert desk.run("recover", "j", "-o", "recovered.json", key=None).exit_code == 0
    assert desk.run("replay", "recovered.json", "--strict", key=None).exit_code == 0
    assert desk.leaks() == []


def test_standard_input_that_is_read_ahead_is_redacted(desk: Desk) -> None:
    text = desk.events.read_bytes()
    assert desk.run("capture", "-", "-o", "piped.json", stdin=text).exit_code == 0
    assert desk.run("capture", "-o", "b.json").exit_code == 0
    assert (desk.root / "piped.json").read_bytes() == (desk.root / "b.json").read_bytes()
    assert desk.leaks() == []


def test_a_redacted_capture_is_that_of_the_stream_redacted_by_hand(desk: Desk) -> None:
    assert desk.run("capture", "-o", "b.json").exit_code == 0
    events = json.loads((desk.root / "b.json").read_bytes())["events"]
    by_hand = [json.loads(event["payload"]) for event in events]
    assert by_hand[0]["card"] == by_hand[1]["card"] != by_hand[0]["customer"]["email"]
    assert by_hand[0]["customer"] == by_hand[1]["customer"]
    assert by_hand[0]["amount"] == 5
    assert by_hand[0]["notes"][0]["by"] == "desk"
    desk.project(redact=())
    (desk.root / "hand.jsonl").write_text(stream(*by_hand))
    assert desk.run("capture", "hand.jsonl", "-o", "hand.json", key=None).exit_code == 0
    assert (desk.root / "hand.json").read_bytes() == (desk.root / "b.json").read_bytes()


def test_options_add_to_the_profile_and_another_key_gives_another_bundle(desk: Desk) -> None:
    assert desk.run("capture", "-o", "b.json").exit_code == 0
    assert desk.run("capture", "-o", "other.json", key=KEY[::-1]).exit_code == 0
    assert (desk.root / "b.json").read_bytes() != (desk.root / "other.json").read_bytes()
    desk.project(redact=REDACT[:1])
    more = [word for path in REDACT[1:] for word in ("--redact", path)]
    assert desk.run("capture", "-o", "options.json", *more).exit_code == 0
    assert (desk.root / "b.json").read_bytes() == (desk.root / "options.json").read_bytes()
    assert desk.leaks() == []


def test_the_key_is_that_of_the_option_else_of_the_environment_else_of_the_project(desk: Desk) -> None:
    desk.project(more='redact_key_file = "key"\n')
    (desk.root / "key").write_text(f"{KEY}\n")
    (desk.root / "short").write_text("short\n")
    assert desk.run("capture", "-o", "of-project.json", key=None).exit_code == 0
    assert desk.run("capture", "-o", "of-environment.json").exit_code == 0
    assert desk.run("capture", "-o", "of-option.json", "--redact-key-file", "key", key="x" * 20).exit_code == 0
    assert desk.run("capture", "-o", "other.json", key="x" * 20).exit_code == 0
    made = [
        (desk.root / f"{name}.json").read_bytes() for name in ("of-project", "of-environment", "of-option", "other")
    ]
    assert made[0] == made[1] == made[2] != made[3]
    assert desk.leaks() == []


DRIVER = """
import sys
sys.stderr.write("about {email}\\n")
for line in {lines}:
    print(line, flush=True)
sys.exit({status})
"""


def driver(desk: Desk, *lines: object, status: int = 0) -> tuple[str, ...]:
    frames = [json.dumps(frame) if isinstance(frame, dict) else str(frame) for frame in lines]
    desk.project(redact=("payload.**.card", "payload.email?"))
    (desk.root / "adapter.yaml").write_text(ADAPTER)
    # the secrets are encoded, so that they are searched for in the driver's file too
    code = DRIVER.format(email=EMAIL, lines=frames, status=status).encode().hex()
    (desk.root / "driver.py").write_text(f"exec(bytes.fromhex('{code}').decode())\n")
    return ("-a", "adapter.yaml", *options([sys.executable, "driver.py"]))


def options(command: list[str]) -> tuple[str, ...]:
    return "--driver-cmd", command[0], *(word for each in command[1:] for word in ("--driver-arg", each))


ADAPTER = """\
kind: adapter
id: desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: card, type: String, required: false, writable: false, description: "the card" }
  - { name: email, type: String, required: false, writable: false, description: "the address" }
  - { name: amount, type: Number, required: false, writable: false, description: "the amount" }
event_kinds:
  - name: order
    payload_schema:
      type: object
      properties:
        amount: { type: number }
        card: { type: string, maxLength: 60 }
        email: { type: string }
      additionalProperties: false
accepts:
  effects:
    - { name: set_context, payload_schema: { type: object, additionalProperties: false } }
capture:
  format_version: "1"
  fields: [event.order]
"""
FLAT = ({"amount": 5, "card": str(CARD), "email": EMAIL}, {"amount": 7, "card": str(CARD), "email": EMAIL})
HELLO, END = {"type": "hello", "protocol": "ergo-driver.v0"}, {"type": "end"}


def frame(number: int, payload: object, semantic_kind: str = "order") -> dict[str, object]:
    event = {"event_id": f"e{number}", "kind": "Command", "at": {"secs": number, "nanos": 0}, "payload": payload}
    return {"type": "event", "event": {**event, "semantic_kind": semantic_kind}}


def test_events_of_a_process_are_redacted(desk: Desk) -> None:
    frames = [frame(number, payload) for number, payload in enumerate(FLAT, 1)]
    ran = desk.run("capture", "-o", "b.json", *driver(desk, HELLO, *frames, END))
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert desk.run("replay", "b.json", "--strict", "-a", "adapter.yaml", key=None).exit_code == 0
    assert desk.leaks() == []


def test_a_path_that_matches_nothing_of_a_process_is_a_warning_since_its_events_are_gone(desk: Desk) -> None:
    command = driver(desk, HELLO, frame(1, FLAT[0]), END)
    ran = desk.run("capture", "-o", "b.json", "--redact", "payload.custmer.*", "--format", "json", *command)
    assert ran.exit_code == 0
    assert any("'payload.custmer.*'" in warning for warning in ran.report["warnings"])
    assert "'payload.custmer.*'" in ran.stderr


def test_errors_about_a_process_hold_nothing_that_it_wrote(desk: Desk) -> None:
    for bad in (
        f'{{"type":"{EMAIL}"}}',
        f'{{"type":"event","event":{{"event_id":"e2","kind":"{EMAIL}","at":[0,0]}}}}',
        f'{{"type":"event","event":"{EMAIL}"',
        EMAIL,
        frame(2, {"amount": {"card": EMAIL}}),
    ):
        command = driver(desk, HELLO, frame(1, FLAT[0]), bad)
        ran = desk.run("capture", "-v", "-o", "b.json", "--format", "json", *command)
        assert (ran.exit_code, ran.report["outcome"]) == (7, "interrupted"), ran.stderr
    ran = desk.run("capture", "-v", "-o", "b.json", *driver(desk, HELLO, status=3))
    assert (ran.exit_code, "its standard error is not shown" in ran.stderr) == (3, True)
    assert desk.leaks() == []


BAD_LINES = {
    "no JSON": f'{{"kind":"event","event":{{"type":"Command","payload":{{"card":"{EMAIL}',
    "unknown kind": f'{{"kind":"{EMAIL}"}}',
    "kind of event": f'{{"kind":"event","event":{{"type":"{EMAIL}"}}}}',
    "misplaced member": f'{{"kind":"event","event":{{"type":"Command","{EMAIL}":"{NOTE.split()[1]}"}}}}',
    "payload that is a text": f'{{"kind":"event","event":{{"type":"Command","payload":"{EMAIL}"}}}}',
    "time": f'{{"kind":"event","event":{{"type":"Command","at":"{EMAIL}"}}}}',
    "used id": line(1, PAYLOADS[0]),
    "semantic kind": line(9, PAYLOADS[0], semantic_kind="order"),
}


@pytest.mark.parametrize("bad", BAD_LINES)
@pytest.mark.parametrize("form", ["text", "json"])
def test_errors_about_a_stream_hold_nothing_that_stands_in_it(desk: Desk, bad: str, form: str) -> None:
    desk.events.write_text(f"{stream(PAYLOADS[0])}{BAD_LINES[bad]}\n")
    ran = desk.run("capture", "-v", "-o", "b.json", "--format", form)
    assert ran.exit_code == 3
    assert "events.jsonl:2:" in ran.stderr
    assert not (desk.root / "b.json").exists()
    assert desk.leaks() == []


def test_an_adapter_that_wants_a_number_where_a_value_is_redacted_says_so_without_the_value(desk: Desk) -> None:
    number = ADAPTER.replace("card, type: String", "card, type: Number")
    (desk.root / "adapter.yaml").write_text(number.replace("{ type: string, maxLength: 60 }", "{ type: integer }"))
    desk.project(redact=("payload.card", "payload.email"))
    desk.events.write_text(line(1, {**FLAT[0], "card": CARD}, semantic_kind="order") + "\n")
    ran = desk.run("capture", "-v", "-o", "b.json", "-a", "adapter.yaml", "--format", "json")
    assert ran.exit_code == 3
    assert "$.card" in ran.report["error"]["message"]
    assert "a redacted value is a text" in ran.report["error"]["fix"]
    assert desk.leaks() == []


def test_a_program_that_fails_on_what_it_is_given_knows_no_secret(desk: Desk) -> None:
    (desk.root / "desk" / "world.py").write_text(FAILING)
    ran = desk.run("capture", "-v", "-o", "b.json", "--fail-on-error", "--format", "json")
    assert ran.exit_code == 1
    assert "redacted:" in ran.stdout + ran.stderr
    assert desk.leaks() == []


REFUSED = {
    "no path": (("--redact", "customer.email"), KEY, 2, "cli.invalid_option_value", "option --redact"),
    "the payload itself": (("--redact", "payload"), KEY, 2, "cli.invalid_option_value", "option --redact"),
    "no key": ((), None, 2, "cli.missing_required_option", "environment variable ERGO_REDACT_KEY"),
    "an empty key": ((), "", 2, "cli.missing_required_option", "environment variable ERGO_REDACT_KEY"),
    "a short key": ((), "short", 3, "redact.key_invalid", "environment variable ERGO_REDACT_KEY"),
    "a key file that is not there": (("--redact-key-file", "none"), KEY, 3, "redact.key_invalid", "none"),
    "a folder as key file": (("--redact-key-file", "desk"), KEY, 3, "redact.key_invalid", "desk"),
    "a path without values": (("--redact", "payload.custmer.*"), KEY, 3, "redact.path_unmatched", "events.jsonl"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize(
    "command", [("run", "--capture", "b.json"), ("capture", "-o", "b.json")], ids=["run", "capture"]
)
def test_what_cannot_be_redacted_is_refused_before_anything_is_written(
    desk: Desk, case: str, command: tuple[str, ...]
) -> None:
    arguments, key, exit_code, code, where = REFUSED[case]
    ran = desk.run(*command, "--format", "json", *arguments, key=key)
    error = ran.report["error"]
    assert (ran.exit_code, error["code"]) == (exit_code, code)
    assert error["where"].endswith(where)
    assert error["fix"]
    assert sorted(path.name for path in desk.root.iterdir() if path.suffix != ".pyc") == [
        "desk",
        "ergo.toml",
        "events.jsonl",
    ]
    assert desk.leaks() == []


def test_an_optional_path_may_match_nothing(desk: Desk) -> None:
    ran = desk.run("capture", "-o", "b.json", "--redact", "payload.custmer.*?")
    assert (ran.exit_code, ran.stderr) == (0, "")


def test_a_key_without_anything_to_redact_is_refused(desk: Desk) -> None:
    desk.project(redact=())
    (desk.root / "key").write_text(KEY)
    ran = desk.run("capture", "-o", "b.json", "--redact-key-file", "key", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.missing_required_option")


def test_the_key_file_is_not_written_over(desk: Desk) -> None:
    (desk.root / "key").write_text(KEY)
    ran = desk.run("capture", "-o", "key", "--redact-key-file", "key", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.conflicting_options")
    assert (desk.root / "key").read_text() == KEY


def test_a_wrong_path_in_the_project_file_is_named_there(desk: Desk) -> None:
    desk.project(redact=("customer.email",))
    for command in ("capture", "-o", "b.json"), ("validate", "ergo.toml"):
        ran = desk.run(*command, "--format", "json")
        assert (ran.exit_code, ran.report["error"]["code"]) == (3, "PRJ-PARSE")
        assert "profiles.default.redact" in ran.stderr


def test_a_project_is_validated_as_it_would_be_captured_and_without_a_key(desk: Desk) -> None:
    assert desk.run("validate", "ergo.toml", key=None).exit_code == 0
    desk.project(redact=(*REDACT, "payload.custmer"))
    ran = desk.run("validate", "ergo.toml", "--format", "json", key=None)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "redact.path_unmatched")
    assert desk.leaks() == []


def test_a_strangers_project_makes_ergo_open_no_file_outside_of_it(desk: Desk, tmp_path: Path, ergo: Ergo) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "events.jsonl").write_text(stream({"card": "1"}))
    (tmp_path / "key").write_text(KEY)
    text = 'name = "s"\nversion = "1"\nredact = ["payload.card"]\nredact_key_file = "../key"\n[profiles]\n'
    (stranger / "ergo.toml").write_text(text)
    away = tmp_path / "away"
    away.mkdir()
    ran = ergo("capture", "../stranger/events.jsonl", "-o", "b.json", "--format", "json", cwd=away)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.import_refused")
    assert list(away.iterdir()) == []


def test_what_the_project_redacts_holds_without_a_profile_too(desk: Desk) -> None:
    text = f'name = "desk"\nversion = "1"\nredact = {json.dumps(REDACT)}\n[profiles]\n'
    (desk.root / "ergo.toml").write_text(text)
    assert desk.run("capture", "events.jsonl", "-o", "b.json").exit_code == 0
    assert desk.leaks() == []


def test_the_processes_of_a_run_do_not_get_the_key(desk: Desk) -> None:
    command = driver(desk, HELLO, frame(1, FLAT[0]), END)
    code = (desk.root / "driver.py").read_text()
    (desk.root / "driver.py").write_text(
        f"import os, pathlib\npathlib.Path('environment').write_text(repr(sorted(os.environ)))\n{code}"
    )
    assert desk.run("capture", "-o", "b.json", *command).exit_code == 0
    names = (desk.root / "environment").read_text()
    assert ("'PATH'" in names, "ERGO_REDACT_KEY" in names) == (True, False)


@pytest.mark.parametrize("key", [None, "short"])
def test_a_redaction_without_a_key_is_a_warning_of_a_validation(desk: Desk, key: str | None) -> None:
    ran = desk.run("validate", "ergo.toml", "--format", "json", key=key)
    [warning] = ran.report["files"][0]["warnings"]
    assert "profile 'default' cannot run or capture here" in warning
    assert desk.run("validate", "ergo.toml", "--strict", key=key).exit_code == 3
    assert desk.run("validate", "ergo.toml", "--strict").exit_code == 0


def test_the_exception_behind_the_error_of_a_line_holds_nothing_of_it(desk: Desk) -> None:
    (desk.root / "events.jsonl").write_text(f'{{"kind":"event","event":{{"id":"{EMAIL}" "payload":1}}}}\n')
    script = (
        "import traceback\n"
        "from ergo_cli import Ergo, ErgoError\n"
        "try:\n    Ergo.from_project('.').run_profile('default')\n"
        "except ErgoError as error:\n    print(error.code)\n    traceback.print_exc()\n"
    )
    environment = {**os.environ, "ERGO_REDACT_KEY": KEY}
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=desk.root, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "driver.input_invalid\n", ran
    assert ("Traceback" in ran.stderr, EMAIL in ran.stderr) == (True, False)
