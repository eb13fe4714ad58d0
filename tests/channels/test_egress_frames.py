from __future__ import annotations

import json
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.channels.frames import EGRESS_END, Ack, FrameError, Ready, decode_egress_frame, encode_intent
from ergo_cli.core.values import Intent, IntentField, Value
from tests.channels.egress_channels import intent


def test_what_is_not_finite_is_written_as_null() -> None:
    line = encode_intent(intent("k", "id", a=nan, b=inf, c=[1.0, -inf]))
    assert line == b'{"type":"intent","intent_id":"id","kind":"k","fields":{"a":null,"b":null,"c":[1.0,null]}}'


def test_the_last_frame_has_nothing_but_its_type() -> None:
    assert EGRESS_END == b'{"type":"end"}'


def test_the_last_of_a_repeated_field_counts() -> None:
    fields = [IntentField("b", Value.of(1.0)), IntentField("a", Value.of("x")), IntentField("b", Value.of(2.0))]
    assert encode_intent(Intent("k", "id", fields)).endswith(b'"fields":{"a":"x","b":2.0}}')


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text()))
def test_every_number_is_written_as_a_fraction_or_with_an_exponent(fields: dict[str, float | bool | str]) -> None:
    line = encode_intent(Intent("k", "id", [IntentField(name, Value.of(value)) for name, value in fields.items()]))
    assert b"\n" not in line
    read = json.loads(line)["fields"]
    assert read == fields
    assert list(read) == sorted(fields)
    assert {type(read[name]) for name in fields} == {type(value) for value in fields.values()}


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ('{"type":"ready","protocol":"p","handled_kinds":["a"],"pid":7}', Ready("p", ["a"])),
        (' {"handled_kinds":[],"protocol":"p","type":"ready"}\r', Ready("p", [])),
        ('{"type":"intent_ack","intent_id":"i","status":"s","acceptance":"a"}', Ack("i", "s", "a")),
        ('{"type":"intent_ack","intent_id":"i","status":"s","acceptance":"a","egress_ref":null}', Ack("i", "s", "a")),
        ('{"type":"intent_ack","intent_id":"i","status":"s","acceptance":"a","egress_ref":""}', Ack("i", "s", "a", "")),
        ('{"x":1,"x":2,"type":"intent_ack","intent_id":"é","status":"s","acceptance":"a"}', Ack("é", "s", "a")),
    ],
)
def test_frames_are_read_leniently(line: str, frame: Ready | Ack) -> None:
    assert decode_egress_frame(line.encode()) == frame


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "unexpected end"),
        ("{oops", "key must be a string"),
        ("[]", "expected an object"),
        ("null", "expected an object"),
        ("{}", "`type`"),
        ('{"type":"ping"}', "ping"),
        ('{"type":5}', "$.type"),
        ('{"type":"ready","protocol":"p"}', "handled_kinds"),
        ('{"type":"ready","handled_kinds":[]}', "protocol"),
        ('{"type":"ready","protocol":"p","handled_kinds":"a"}', "handled_kinds"),
        ('{"type":"intent_ack","intent_id":"i","status":"s"}', "acceptance"),
        ('{"type":"intent_ack","intent_id":7,"status":"s","acceptance":"a"}', "intent_id"),
        ('{"type":"intent_ack","intent_id":"i","status":"s","acceptance":"a","egress_ref":1}', "egress_ref"),
        ('{"type":"intent_ack","intent_id":"i","intent_id":"j","status":"s","acceptance":"a"}', "duplicate"),
        ('{"type":"ready","protocol":"p","handled_kinds":[]} {}', "trailing"),
        ("[" * 500, "nesting"),
    ],
)
def test_other_lines_are_no_frames(line: str, words: str) -> None:
    with pytest.raises(FrameError, match=words.replace("$", r"\$")):
        decode_egress_frame(line.encode())


def test_bytes_that_are_no_text_are_told_apart() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_egress_frame(b'{"type":"\xff"}')
