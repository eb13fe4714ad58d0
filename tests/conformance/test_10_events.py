"""Spec 10 §25, events and payloads: C-1 to C-6."""

from __future__ import annotations

import json
import struct

import pytest

from ergo_cli.core.json import decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import NANOS, Duration
from ergo_cli.events.exact_reader import RecordFault
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent, InvalidPayload, encode_hosted
from ergo_cli.events.records import read_hosted


def event_of(payload: bytes) -> ExternalEvent:
    return ExternalEvent.with_payload("e1", EventKind.COMMAND, 0, payload)


def bits(number: float) -> str:
    return struct.pack(">d", number).hex()


def test_c10_01_pump_is_written_as_pump():
    assert json.loads(encode_hosted(HostedEvent("e1", EventKind.PUMP, 0)))["kind"] == "Pump"


@pytest.mark.parametrize("spelling", ["Pump", "Tick"])
def test_c10_01_pump_and_tick_read_as_pump(spelling: str):
    assert EventKind.parse(spelling) is EventKind.PUMP


def test_c10_01_lower_case_tick_is_refused_with_the_accepted_spellings():
    with pytest.raises(ValueError, match=r"`tick`.*`Pump`, `Tick`, `DataAvailable`, `Command`"):
        EventKind.parse("tick")


def test_c10_02_an_array_is_no_payload():
    with pytest.raises(InvalidPayload) as refused:
        event_of(b"[1,2,3]")
    assert (refused.value.name, refused.value.got) == ("PayloadMustBeJsonObject", "array")


def test_c10_02_text_that_is_no_json_is_invalid_json():
    with pytest.raises(InvalidPayload, match="payload bytes are not valid JSON: ") as refused:
        event_of(b"not-json")
    assert refused.value.name == "InvalidJson"


@pytest.mark.parametrize(
    ("payload", "got"), [(b'"s"', "string"), (b"null", "null"), (b"7", "number"), (b"true", "boolean")]
)
def test_c10_02_other_json_types_are_named(payload: bytes, got: str):
    with pytest.raises(InvalidPayload, match=f"payload must be a JSON object, got {got}") as refused:
        event_of(payload)
    assert refused.value.got == got


@pytest.mark.parametrize("payload", [b"", b"{}"])
def test_c10_03_empty_payloads_have_an_empty_context(payload: bytes):
    event = event_of(payload)
    assert event.payload == payload
    assert dict(event.context.values) == {}


def test_c10_04_what_is_neither_scalar_nor_series_of_numbers_stays_out_of_the_context():
    event = event_of(b'{"x":2,"bad":[1,"z"],"n":null,"o":{},"h":[]}')
    assert dict(event.context.values) == {"x": 2.0, "h": []}
    assert type(event.context.values["x"]) is float


def test_c10_04_every_kind_of_value_of_section_3():
    event = event_of(b'{"x":2,"name":"a","on":true,"h":[1,2.5],"bad":[1,"z"],"n":null,"o":{},"bools":[true]}')
    assert dict(event.context.values) == {"x": 2.0, "name": "a", "on": True, "h": [1.0, 2.5]}


TABLE = [
    ("2.5", "4004000000000000", "4004000000000000"),
    ("0.1", "3fb999999999999a", "3fb999999999999a"),
    ("0.9385958677423489", "3fee08fa3383a6f3", "3fee08fa3383a6f4"),
    ("3.8120423768821246", "400e7f1012dd660f", "400e7f1012dd660e"),
    ("9007199254740991.0", "433ffffffffffffe", "433fffffffffffff"),
    ("9007199254740993", "4340000000000000", "4340000000000000"),
    ("18446744073709551616", "43f0000000000000", "43f0000000000000"),
    ("-9223372036854775809", "c3e0000000000000", "c3e0000000000000"),
    ("-0", "8000000000000000", "8000000000000000"),
    ("100000000000000000000.25", "4415af1d78b58c40", "4415af1d78b58c40"),
    ("5e-324", "0000000000000001", "0000000000000001"),
    ("1e-99999999999", "0000000000000000", "0000000000000000"),
    ("0e99999999999", "0000000000000000", "0000000000000000"),
]


@pytest.mark.parametrize(("text", "original", "exact"), TABLE)
def test_c10_05_the_decoding_table(text: str, original: str, exact: str):
    document = f'{{"x":{text}}}'.encode()
    assert bits(float(decode(document, Numbers.ORIGINAL)["x"])) == original
    assert bits(float(decode(document, Numbers.EXACT)["x"])) == exact


@pytest.mark.parametrize("numbers", Numbers)
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("9007199254740993", int),
        ("18446744073709551615", int),
        ("18446744073709551616", float),
        ("-9223372036854775808", int),
        ("-9223372036854775809", float),
        ("-0", float),
    ],
)
def test_c10_05_integers_of_64_bits_stay_integers(text: str, kind: type, numbers: Numbers):
    value = decode(text.encode(), numbers)
    assert type(value) is kind
    if kind is int:
        assert value == int(text)


@pytest.mark.parametrize("numbers", Numbers)
def test_c10_05_numbers_beyond_the_finite_range_are_errors(numbers: Numbers):
    with pytest.raises(ValueError, match="number out of range"):
        decode(b'{"x":1e400}', numbers)


def hosted_at(at: str) -> int:
    return read_hosted(b'{"event_id":"e","kind":"Command","at":%s}' % at.encode()).at


def test_c10_06_nanos_carry_into_seconds():
    assert Duration(1, 2_000_000_000).ns == 3 * NANOS
    assert hosted_at('{"secs":1,"nanos":2000000000}') == 3 * NANOS


@pytest.mark.parametrize(
    "at",
    [
        '{"secs":1}',
        '{"nanos":1}',
        '{"secs":1,"nanos":0,"more":0}',
        '{"secs":-1,"nanos":0}',
        '{"secs":1,"nanos":-1}',
        '{"secs":1.0,"nanos":0}',
        '{"secs":-0,"nanos":0}',
        '{"secs":1,"nanos":4294967296}',
        '{"secs":18446744073709551616,"nanos":0}',
        '{"secs":18446744073709551615,"nanos":1000000000}',
        '{"secs":1,"secs":1,"nanos":0}',
        '{"secs":true,"nanos":0}',
    ],
)
def test_c10_06_other_durations_are_refused(at: str):
    with pytest.raises(RecordFault, match=r"at|secs|more"):
        hosted_at(at)
