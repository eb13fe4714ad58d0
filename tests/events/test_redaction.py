"""What a redaction replaces, with what, and which paths it refuses."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ergo_cli.errors import EventError
from ergo_cli.events.external import EventKind, HostedEvent
from ergo_cli.events.redaction import Redaction, RedactionPath, RedactionPathFault, is_redacted, replaced_values
from ergo_cli.events.stream import EventStream, SemanticKinds

KEY = b"0123456789abcdef"
PAYLOAD = {
    "amount": 5,
    "customer": {"email": "bob@example.com", "name": "Bob", "address": {"city": "Bern"}},
    "lines": [{"sku": "a", "note": "for Bob"}, {"sku": "b", "note": None}, "free"],
    "token": "t-1",
}


def redaction(*paths: str, key: bytes = KEY) -> Redaction:
    return Redaction([RedactionPath(path) for path in paths], key)


def digest(value: Any, key: bytes = KEY) -> str:
    """The text that documentation promises, worked out from the standard library alone."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "redacted:" + hmac.new(key, text.encode(), "sha256").hexdigest()[:32]


def places(before: Any, after: Any, at: str = "payload") -> Iterator[str]:
    """Where two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        assert before.keys() == after.keys()
        for name in before:
            yield from places(before[name], after[name], f"{at}.{name}")
    elif isinstance(before, list) and isinstance(after, list):
        assert len(before) == len(after)
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from places(one, other, f"{at}[{index}]")
    elif before != after:
        yield at


@pytest.mark.parametrize(
    ("path", "replaced"),
    [
        ("payload.token", ["payload.token"]),
        ('payload."token"', ["payload.token"]),
        ("payload.customer", ["payload.customer"]),
        ("payload.customer.*", ["payload.customer.email", "payload.customer.name", "payload.customer.address"]),
        ("payload.customer.**", ["payload.customer"]),
        ("payload.**.city", ["payload.customer.address.city"]),
        ("payload.lines[*].note", ["payload.lines[0].note", "payload.lines[1].note"]),
        ("payload.lines[2]", ["payload.lines[2]"]),
        ("payload.lines[sku=b].note", ["payload.lines[1].note"]),
        ("payload.*", ["payload.amount", "payload.customer", "payload.lines", "payload.token"]),
        ("payload.**", ["payload.amount", "payload.customer", "payload.lines", "payload.token"]),
        ("payload.elsewhere", []),
        ("payload[0]", []),
    ],
)
def test_values_at_a_path_are_replaced_and_nothing_else(path: str, replaced: list[str]) -> None:
    made = redaction(path)
    after = made.payload(PAYLOAD)
    assert list(places(PAYLOAD, after)) == replaced
    assert made.paths[0].matches == len(replaced)
    assert made.unmatched == (() if replaced else (path,))


def test_a_payload_that_no_path_matches_is_the_same_object() -> None:
    event = HostedEvent("e1", EventKind.COMMAND, 0, None, PAYLOAD)
    assert redaction("payload.elsewhere").event(event) is event


@pytest.mark.parametrize(
    "value", ["bob@example.com", "", 'ä\n"', 5, 5.0, -1.5, True, None, [1, "x"], {"b": 1, "a": [None]}]
)
def test_a_value_becomes_the_keyed_digest_of_its_canonical_text(value: Any) -> None:
    assert redaction("payload.it").payload({"it": value}) == {"it": digest(value)}


def test_equal_values_are_equal_wherever_they_stand_and_another_key_gives_others() -> None:
    payload = {"a": {"x": 1, "y": "s"}, "b": [{"y": "s", "x": 1}], "c": "s"}
    after = redaction("payload.a", "payload.b[*]", "payload.c").payload(payload)
    assert after["a"] == after["b"][0] != after["c"]
    other = redaction("payload.a", "payload.b[*]", "payload.c", key=b"another key of 16").payload(payload)
    assert not {after["a"], after["c"]} & {other["a"], other["c"]}


def test_what_is_redacted_already_stays_as_it_is() -> None:
    paths = ("payload.customer.*", "payload.token")
    once = redaction(*paths).payload(PAYLOAD)
    again = redaction(*paths)
    assert again.payload(once) == once
    assert again.unmatched == ()


@pytest.mark.parametrize("text", ["redacted:", "redacted:abc", "redacted:" + "g" * 32, "redacted:" + "0" * 33])
def test_a_text_that_only_begins_like_a_redacted_value_is_replaced(text: str) -> None:
    assert redaction("payload.it").payload({"it": text}) == {"it": digest(text)}


def test_a_path_that_ends_inside_what_another_replaces_has_matched() -> None:
    made = redaction("payload.customer", "payload.customer.email")
    assert is_redacted(made.payload(PAYLOAD)["customer"])
    assert made.unmatched == ()


def test_what_was_replaced_is_found_with_its_place() -> None:
    after = redaction("payload.customer.*", "payload.lines[0].note").payload(PAYLOAD)
    found = {
        tuple(getattr(step, "name", getattr(step, "index", None)) for step in at): was
        for at, was in replaced_values(PAYLOAD, after)
    }
    assert found == {
        ("customer", "email"): "bob@example.com",
        ("customer", "name"): "Bob",
        ("customer", "address"): {"city": "Bern"},
        ("lines", 0, "note"): "for Bob",
    }


@pytest.mark.parametrize(
    "text",
    ["", "?", "payload", "payload?", "customer.email", "*", "**", "**.email", "payload.", "payload[", "event_id"],
)
def test_a_text_that_leads_to_no_value_of_a_payload_is_refused(text: str) -> None:
    with pytest.raises(RedactionPathFault):
        RedactionPath(text)


def stream(*lines: str, paths: tuple[str, ...]) -> list[HostedEvent]:
    kinds = SemanticKinds.REFUSED
    return list(
        EventStream([line.encode() + b"\n" for line in lines], "s", semantic_kinds=kinds, redaction=redaction(*paths))
    )


USUAL = '{"kind":"event","event":{"type":"Command","payload":{"token":"t-1","n":1}}}'
NESTED = '{"kind":"event","event":{"type":"Command","payload":{"in":{"token":"t-1"}}}}'
HOSTED = '{"event_id":"h","kind":"Command","at":[1,2],"payload":{"token":"t-1"}}'


def test_every_form_of_record_is_redacted() -> None:
    events = stream(USUAL, NESTED, HOSTED, paths=("payload.**.token",))
    token = digest("t-1")
    assert [event.payload for event in events] == [{"token": token, "n": 1}, {"in": {"token": token}}, {"token": token}]


def test_a_path_that_matched_nothing_is_refused_at_the_end_with_all_others() -> None:
    with pytest.raises(EventError) as caught:
        stream(USUAL, NESTED, paths=("payload.tokens", "payload.token", "payload.absent?", "payload.in.it"))
    error = caught.value
    assert (error.code, error.where) == ("redact.path_unmatched", "s")
    assert "'payload.tokens'" in error.message
    assert "payload.tokens?" in (error.fix or "")
    assert [cause.message for cause in error.causes] == ["the path 'payload.in.it' to redact matched nothing"]


SECRET = "bob@example.com"
BAD = [
    f'{{"kind":"{SECRET}"}}',
    f'{{"kind":"event","event":{{"type":"{SECRET}"}}}}',
    f'{{"kind":"event","event":{{"type":"Command","at":"{SECRET}"}}}}',
    f'{{"kind":"event","event":{{"type":"Command","{SECRET}":1}}}}',
    f'{{"kind":"event","event":{{"type":"Command","payload":"{SECRET}"}}}}',
    f'{{"kind":"event","event":{{"type":"Command","payload":{{"token":"{SECRET}',
    f'{{"kind":"event","event":{{"type":"Command","payload":{{"token":"{SECRET}\\ud800"}}}}}}',
    f'{{"{SECRET}":1,"{SECRET}":2}}',
    f'{{"event_id":"e","kind":"Command","at":"{SECRET}"}}',
    SECRET,
]


@pytest.mark.parametrize("line", BAD)
def test_the_error_of_a_bad_line_shows_its_place_and_nothing_of_it(line: str) -> None:
    with pytest.raises(EventError) as caught:
        stream(USUAL, line, paths=("payload.token",))
    error = caught.value
    assert error.code == "driver.input_invalid"
    assert (error.where or "").startswith("s:2:")
    assert SECRET not in f"{error.message}{error.where}{error.fix}{error.details}"
