"""``ergo redact``: a bundle recorded anew is the capture that would have redacted, or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.secret_texts import contents, found, said
from tests.conftest import Ergo, Ran

EMAIL, NAME, CARD = "bob.dolan@example.com", 'Bob "Bär" Dolan', 4929123456781234
KEY = "a key that is secret too, 0123456789"
REDACT = ("--redact", "payload.customer.*", "--redact", "payload.card")
PAYLOADS = [
    {"amount": 5, "card": CARD, "customer": {"email": EMAIL, "name": NAME}},
    {"amount": 70, "customer": {"email": EMAIL, "name": "Al"}},
    {"amount": 6},
]
PROJECT = """
name = "desk"
version = "1"
[profiles.default]
kernel = "desk.program:program"
fixture = "events.jsonl"
"""
DESK = """
from ergo_cli.programs.kernel import ActionSucceeded, CallTool, Complete, Do, Emit, KernelProgram, StateUpdated

def step(state):
    if "looked" not in state:
        return Do(CallTool("look", {ASKED}))
    if "noted" not in state:
        return Emit([StateUpdated("{LABEL}", state)])
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


class Desk:
    """A project whose program notes all that it is given, and asks the world about ``asked`` of it."""

    def __init__(self, root: Path, ergo: Ergo) -> None:
        self.root = root
        self._ergo = ergo
        self.ran: list[Ran] = []
        (root / "desk").mkdir(parents=True)
        (root / "ergo.toml").write_text(PROJECT)
        self.events(*PAYLOADS)
        self.program("state['amount']")

    def program(self, asked: str, answer: str = "{'seen': action.input}", label: str = "note") -> None:
        program = DESK.replace("{ASKED}", asked).replace("{LABEL}", label)
        (self.root / "desk" / "program.py").write_text(program)
        (self.root / "desk" / "world.py").write_text(f"def execute(action, call):\n    return {answer}\n")

    def events(self, *payloads: object) -> None:
        events = [{"type": "Command", "id": f"e{at}", "payload": each} for at, each in enumerate(payloads, 1)]
        lines = [json.dumps({"kind": "event", "event": event}) + "\n" for event in events]
        (self.root / "events.jsonl").write_text("".join(lines))

    def run(self, *arguments: str, key: str = KEY) -> Ran:
        ran = self._ergo(*arguments, cwd=self.root, ERGO_REDACT_KEY=key)
        self.ran.append(ran)
        return ran

    def bytes_of(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def leaks(self) -> list[str]:
        """Where secrets stand, but in the stream and in the bundle that is to be redacted."""
        apart = [path for path in self.root.iterdir() if path.name.startswith(("raw", "events"))]
        return found((EMAIL, NAME, str(CARD), KEY), [*contents((self.root,), apart=apart), *said(*self.ran)])


@pytest.fixture
def desk(tmp_path: Path, ergo: Ergo) -> Desk:
    return Desk(tmp_path / "desk", ergo)


FORMS = {
    "a v3 bundle": ("raw.json", "red.json", ("-P", "ergo:schedule")),
    "a compact one with journals": ("raw.json", "red.json", ()),
    "an indented one with its program": ("raw.json", "red.json", ("--pretty", "--embed")),
    "a compressed one": ("raw.json.gz", "red.json.gz", ()),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_redacted_bundle_is_byte_for_byte_the_capture_that_redacts(desk: Desk, tmp_path: Path, form: str) -> None:
    raw, out, options = FORMS[form]
    words: tuple[str, ...] = ()
    if "-P" in options:
        (desk.root / "ergo.toml").unlink()
        options, words = (), ("events.jsonl",)
    assert desk.run("capture", *words, "-o", raw, *options).exit_code == 0
    assert desk.run("capture", *words, "-o", f"captured-{out}", *options, *REDACT).exit_code == 0
    ran = desk.run("redact", raw, "-o", out, *REDACT, "--format", "json")
    assert ran.exit_code == 0, ran.stderr
    assert desk.bytes_of(out) == desk.bytes_of(f"captured-{out}")
    redaction = ran.report["redaction"]
    assert (redaction["events"], redaction["changed_events"], redaction["values"]) == (3, 2, 5)
    assert redaction["paths"] == [
        {"path": "payload.customer.*", "matches": 4},
        {"path": "payload.card", "matches": 1},
    ]
    assert redaction["same_program"] is True
    assert desk.run("replay", out, "--strict", key="").exit_code == 0
    assert desk.leaks() == []


def test_what_is_recorded_otherwise_is_told_by_place_and_without_values(desk: Desk) -> None:
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    ran = desk.run("redact", "raw.json", "-o", "red.json", *REDACT, "--format", "json")
    places = ran.report["redaction"]["differences"]
    assert {place["event_id"] for place in places} == {"e1", "e2"}
    assert any(place["path"].startswith("effects[") for place in places)
    assert any(place["kind"] == "journal" for place in places)
    assert all(place.keys() == {"seq", "event_id", "kind", "path"} for place in places)
    text = desk.run("redact", "raw.json", "-o", "red.json", *REDACT, "-v").stdout
    assert "redacted   5 values in 2 of 3 events" in text
    assert "decides    otherwise" in text
    assert "event 'e1'  " in text
    assert desk.leaks() == []


def test_a_bundle_that_is_redacted_already_stays_as_it_is(desk: Desk) -> None:
    assert desk.run("capture", "-o", "b.json", *REDACT).exit_code == 0
    ran = desk.run("redact", "b.json", "-o", "again.json", *REDACT, key=KEY[::-1])
    assert "redacted   0 values in 0 of 3 events" in ran.stdout
    assert "decides    as it did" in ran.stdout
    assert desk.bytes_of("again.json") == desk.bytes_of("b.json")


def test_a_program_that_changed_is_named(desk: Desk) -> None:
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    desk.program("state['amount']", label="memo")
    ran = desk.run("redact", "raw.json", "-o", "red.json", *REDACT, "--format", "json")
    assert (ran.exit_code, ran.report["redaction"]["same_program"]) == (0, False)
    assert desk.run("replay", "red.json", "--strict").exit_code == 0
    assert desk.leaks() == []


def refused(desk: Desk, *arguments: str, key: str = KEY) -> tuple[int, str, str]:
    """Exit code, code and place of a refusal that writes nothing."""
    before = sorted(desk.root.iterdir())
    ran = desk.run("redact", *arguments, "-v", "--format", "json", key=key)
    assert sorted(desk.root.iterdir()) == before
    error = ran.report["error"]
    assert error["fix"]
    assert ran.report["redaction"] is None
    return ran.exit_code, error["code"], error["where"]


def test_a_value_that_stands_elsewhere_too_is_not_left_there(desk: Desk) -> None:
    desk.events(*PAYLOADS, {"amount": 8, "text": f"answer {EMAIL} today"})
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    where = "raw.json event 'e4' payload.text"
    assert refused(desk, "raw.json", "-o", "red.json", *REDACT) == (3, "redact.value_remains", where)
    assert desk.run("redact", "raw.json", "-o", "red.json", *REDACT, "--redact", "payload.text").exit_code == 0
    assert desk.leaks() == []


@pytest.mark.parametrize("secret", [EMAIL, NAME, CARD])
def test_an_answer_of_the_world_that_holds_a_value_is_refused_with_its_place(desk: Desk, secret: object) -> None:
    desk.program("state['amount']", f"{{'of': {secret!r}}}")
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    desk.program("state['amount']")
    exit_code, code, where = refused(desk, "raw.json", "-o", "red.json", *REDACT)
    assert (exit_code, code) == (3, "redact.value_remains")
    assert where.startswith("raw.json journals[")
    assert desk.leaks() == []


def test_a_request_that_held_a_value_has_no_answer(desk: Desk) -> None:
    desk.program("state.get('customer')")
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    exit_code, code, where = refused(desk, "raw.json", "-o", "red.json", *REDACT)
    assert (exit_code, code) == (3, "accept.answer_missing")
    assert "event 'e1'" in where
    assert desk.leaks() == []


REFUSED = {
    "no paths": ((), KEY, 2, "cli.missing_required_option"),
    "a path that matches nothing": (("--redact", "payload.custmer"), KEY, 3, "redact.path_unmatched"),
    "a text that is no path": (("--redact", "customer"), KEY, 2, "cli.invalid_option_value"),
    "no key": (REDACT, "", 2, "cli.missing_required_option"),
    "a short key": (REDACT, "short", 3, "redact.key_invalid"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_redacted_is_refused(desk: Desk, case: str) -> None:
    arguments, key, exit_code, code = REFUSED[case]
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    assert refused(desk, "raw.json", "-o", "red.json", *arguments, key=key)[:2] == (exit_code, code)
    assert desk.leaks() == []


def test_the_bundle_itself_is_not_written_over(desk: Desk) -> None:
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    assert refused(desk, "raw.json", "-o", "raw.json", *REDACT)[:2] == (2, "cli.conflicting_options")


def test_standard_input_and_what_is_no_bundle_are_refused(desk: Desk) -> None:
    assert refused(desk, "-", "-o", "red.json", *REDACT)[:2] == (2, "cli.invalid_option_value")
    assert refused(desk, "events.jsonl", "-o", "red.json", *REDACT)[:2] == (3, "bundle.parse_failed")
    assert refused(desk, "none.json", "-o", "red.json", *REDACT)[:2] == (3, "bundle.read_failed")


def test_a_bundle_whose_payload_was_changed_is_not_made_good(desk: Desk) -> None:
    (desk.root / "ergo.toml").unlink()
    assert desk.run("capture", "events.jsonl", "-o", "raw.json").exit_code == 0
    bundle = json.loads(desk.bytes_of("raw.json"))
    bundle["events"][0]["payload"][-2] ^= 1
    (desk.root / "raw.json").write_text(json.dumps(bundle))
    assert refused(desk, "raw.json", "-o", "red.json", *REDACT)[:2] == (3, "replay.hash_mismatch")


@pytest.mark.parametrize("answer", ["'look at\\n{} now'", "'(Ä) {}, Ä'", "json.dumps(['{}'])"])
def test_a_value_is_found_behind_an_escape_and_beside_any_letter(desk: Desk, answer: str) -> None:
    """A text of seven letters counts as a word, whatever stands before and behind it."""
    desk.events({"amount": 5, "customer": {"name": "Dolañsk"}})
    desk.program("state['amount']", answer.replace("json", "__import__('json')") + ".replace('{}', 'Dolañsk')")
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    desk.program("state['amount']")
    exit_code, code, where = refused(desk, "raw.json", "-o", "red.json", "--redact", "payload.customer.*")
    assert (exit_code, code) == (3, "redact.value_remains")
    assert where.startswith("raw.json journals[0] ")


@pytest.mark.parametrize("escapes", [1, 2])
def test_a_value_is_found_in_json_that_stands_among_other_words(desk: Desk, escapes: int) -> None:
    """As a log line holds it, and one JSON in another."""
    value = 'Jürgen "Q" <x>/y\\z'
    text = value
    for _ in range(escapes):
        text = json.dumps(text)[1:-1]
    desk.events({"amount": 5, "customer": {"name": value}, "note": f'say: {{"a":"{text}"}} and so on'})
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    place = "raw.json event 'e1' payload.note"
    assert refused(desk, "raw.json", "-o", "red.json", "--redact", "payload.customer.*") == (
        3,
        "redact.value_remains",
        place,
    )


def test_a_part_of_another_word_is_not_taken_for_a_short_value(desk: Desk) -> None:
    desk.events({"amount": 5, "customer": {"name": "Dola"}})
    desk.program("state['amount']", "'Mandolany Dolañ'")
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    assert desk.run("redact", "raw.json", "-o", "red.json", "--redact", "payload.customer.*").exit_code == 0


def test_the_place_of_a_value_does_not_hold_it(desk: Desk) -> None:
    """Neither as the id of an event, nor as the name of a member."""
    desk.events({"amount": 5, "card": CARD, "customer": {"email": EMAIL}, EMAIL: {"seen": EMAIL}})
    stream = (desk.root / "events.jsonl").read_text().replace('"id": "e1"', f'"id": "{EMAIL}"')
    (desk.root / "events.jsonl").write_text(stream)
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    desk.ran.clear()  # the capture tells its events
    exit_code, code, where = refused(desk, "raw.json", "-o", "red.json", *REDACT)
    assert (exit_code, code, where) == (3, "redact.value_remains", "raw.json events[0] id")
    assert desk.leaks() == []


def test_the_remedy_of_what_only_the_world_can_answer_redacts_too(desk: Desk) -> None:
    desk.program("state.get('customer')")
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    ran = desk.run("redact", "raw.json", "-o", "red.json", *REDACT, "--format", "json")
    command = "ergo capture -p default -o red.json --redact 'payload.customer.*' --redact payload.card"
    assert command in ran.report["error"]["fix"]


def test_what_had_been_redacted_before_is_told_apart(desk: Desk) -> None:
    assert desk.run("capture", "-o", "b.json", "--redact", "payload.card").exit_code == 0
    ran = desk.run("redact", "b.json", "-o", "again.json", *REDACT)
    assert "redacted   4 values in 2 of 3 events, 1 had been redacted before" in ran.stdout


def test_a_bundle_on_standard_output_is_alone_there(desk: Desk) -> None:
    assert desk.run("capture", "-o", "raw.json").exit_code == 0
    ran = desk.run("redact", "raw.json", "-o", "-", *REDACT)
    assert json.loads(ran.stdout)["events"]
    assert "./-" not in ran.stderr


ORDER_DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"


def test_an_adapter_that_refuses_a_redacted_number_refuses_it_in_a_bundle_too(ergo: Ergo, tmp_path: Path) -> None:
    shutil.copytree(ORDER_DESK, tmp_path, dirs_exist_ok=True)
    words = ("--redact", "payload.price", "--format", "json")
    captured = ergo("capture", "-o", "new.json", *words, ERGO_REDACT_KEY=KEY).report["error"]
    ran = ergo("redact", "captures/monday.json", "-o", "new.json", *words, ERGO_REDACT_KEY=KEY)
    assert (ran.exit_code, ran.report["error"]["details"]) == (3, captured["details"])
    assert "declare the member as a string" in ran.report["error"]["fix"]
    assert not (tmp_path / "new.json").exists()


def test_what_memory_brought_into_a_payload_is_what_the_redacted_capture_brings(ergo: Ergo, tmp_path: Path) -> None:
    """Byte for byte: the member that the program wrote is not redacted a second time, nor counted."""
    shutil.copytree(ORDER_DESK, tmp_path, dirs_exist_ok=True)
    adapter = tmp_path / "adapters" / "order_desk.yaml"
    text = adapter.read_text()
    price = "price: { type: number, exclusiveMinimum: 0 }"
    assert price in text
    adapter.write_text(text.replace(price, price + "\n        who: { type: string }"))
    stream = tmp_path / "events" / "monday.jsonl"
    stream.write_text(stream.read_text().replace('"payload":{', '"payload":{"who":"somebody",'))
    assert ergo("capture", "-o", "raw.json").exit_code == 0
    words = ("--redact", "payload.who", "--redact", "payload.holding?")
    environment = {"ERGO_REDACT_KEY": KEY}
    assert ergo("capture", "-o", "captured.json", *words, **environment).exit_code == 0
    ran = ergo("redact", "raw.json", "-o", "red.json", *words, "--format", "json", **environment)
    assert ran.exit_code == 0, ran
    assert (tmp_path / "red.json").read_bytes() == (tmp_path / "captured.json").read_bytes()
    assert [path["matches"] for path in ran.report["redaction"]["paths"]] == [8, 0]
