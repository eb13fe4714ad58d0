"""The stream's readings against their definitions: any spelling of a record, any number, any damaged line."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.json import JsonError, canonical, decode
from ergo_cli.core.numbers import Numbers, exact_float, original_number
from ergo_cli.core.time import MAX_SECS, NANOS
from ergo_cli.events.exact_reader import RecordFault, read_record_exactly
from ergo_cli.events.external import EventKind, HostedEvent, encode_hosted
from ergo_cli.events.records import read_hosted, read_record
from ergo_cli.events.stream import EventStream, SemanticKinds, split_lines

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**63), 2**64 - 1)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(texts | st.sampled_from(["kind", "event", "id", "event_id", "payload"]), values, max_size=5)
blanks = st.text(" \t\r", max_size=2)
instants = st.tuples(st.integers(0, MAX_SECS), st.integers(0, NANOS - 1)).map(lambda pair: pair[0] * NANOS + pair[1])
events = st.builds(
    HostedEvent,
    event_id=texts,
    kind=st.sampled_from(EventKind),
    at=instants,
    semantic_kind=st.none() | texts,
    payload=st.none() | payloads,
)


def spell(draw: Callable[[st.SearchStrategy[Any]], Any], value: Any) -> str:
    """A JSON text of the value with any member order and any blanks; strings escaped or not."""
    blank = draw(blanks)
    match value:
        case dict():
            names = draw(st.permutations(list(value)))
            members = [f"{spell(draw, name)}{blank}:{spell(draw, value[name])}" for name in names]
            text = "{" + ",".join(members) + blank + "}"
        case list():
            text = "[" + ",".join(spell(draw, item) for item in value) + "]"
        case float():
            text = repr(value)
        case _:
            text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return blank + text + draw(blanks)


def without(members: dict[str, Any], draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Any]:
    """The members, some of those that are null left out."""
    return {name: value for name, value in members.items() if value is not None or draw(st.booleans())}


@st.composite
def lines(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[HostedEvent, str]:
    """An event and one of the lines that say it."""
    event: HostedEvent = draw(events)
    secs, nanos = divmod(event.at, NANOS)
    at: Any = {"secs": secs, "nanos": nanos}
    optional = {"semantic_kind": event.semantic_kind, "payload": event.payload}
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["Pump", "Tick"])) if event.kind is EventKind.PUMP else event.kind.value
        at = draw(st.sampled_from([at, None])) if event.at == 0 else at
        body = without({"type": kind, "id": event.event_id, "at": at, **optional}, draw)
        return event, spell(draw, {"kind": "event", "event": body})
    at = draw(st.sampled_from([at, [secs, nanos]]))
    members = without({"event_id": event.event_id, "kind": event.kind.value, "at": at, **optional}, draw)
    return event, spell(draw, members)


@given(st.lists(lines(), min_size=1, max_size=5, unique_by=lambda pair: pair[0].event_id), st.integers(1, 40))
def test_any_spelling_of_records_is_the_same_stream(told: list[tuple[HostedEvent, str]], size: int):
    text = "\n".join(line for _, line in told).encode()
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    stream = EventStream(chunks, "day.jsonl", semantic_kinds=SemanticKinds.IGNORED)
    assert list(map(told_apart, stream)) == [told_apart(event) for event, _ in told]


@given(events)
def test_a_hosted_event_survives_the_wire(event: HostedEvent):
    assert repr(read_hosted(encode_hosted(event))) == repr(event)


USUAL = [
    b'{"kind":"event","event":{"type":"Command","id":"a","at":{"secs":1,"nanos":2},"payload":{"x":-1.5,"y":[1]}}}',
    b'{"kind":"event","event":{"type":"Pump","at":"5s","semantic_kind":"k","payload":{"a":{"b":null}}}}',
    b'{"kind":"episode_start","id":"warm"}',
    b'{"event_id":"e","kind":"Command","at":{"secs":1,"nanos":2},"semantic_kind":null,"payload":{"x":10}}',
]
PIECES = [b'"', b"{", b"}", b"[", b"]", b":", b",", b"-0", b"0", b"1e999", b"\\ud800", b"\xff", b"\t", b"null", b" "]
PIECES += [b'"id":"b",', b'"at":null,', b'"payload":{},', b'"more":1,', b'"event_id":"x",', b"18446744073709551616"]


def outcome(read: Callable[[bytes, int, Numbers], object], line: bytes, profile: Numbers) -> str:
    try:
        return repr(read(line, 7, profile))
    except RecordFault as fault:
        return f"{fault} at {fault.offset}"


@given(
    st.sampled_from(USUAL), st.sampled_from(PIECES), st.integers(0, 120), st.integers(0, 12), st.sampled_from(Numbers)
)
@example(USUAL[0], b"", 0, 0, Numbers.EXACT)
def test_the_fast_reading_is_the_exact_reading(line: bytes, piece: bytes, at: int, gone: int, profile: Numbers):
    damaged = line[:at] + piece + line[at + gone :]
    assert outcome(read_record, damaged, profile) == outcome(read_record_exactly, damaged, profile)


@given(st.lists(st.binary(max_size=8), max_size=8), st.sampled_from([b"\n", b"\r\n"]))
def test_lines_do_not_depend_on_where_chunks_are_cut(chunks: list[bytes], end: bytes):
    whole = b"".join(chunks).replace(b"a", end)
    pieces = [chunk.replace(b"a", end) for chunk in chunks]
    expected = [line.removesuffix(b"\r") for line in whole.removesuffix(b"\n").split(b"\n")] if whole else []
    assert [line for _, line in split_lines(pieces)] == expected


number_texts = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
exponents = st.integers(-(10**12), 10**12).map(lambda exponent: f"1.5e{exponent}")
doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)


@given(number_texts | exponents | doubles | integers.map(str))
@example("18446744073709551616.5")
@example("-0")
@example("0.00000000000000000000000000001e29")
@example("1.7976931348623159e308")
@example("123456789012345678901234567890e-400")
def test_the_original_numbers_are_those_of_the_reference(text: str):
    assert bits_of(original_number, text) == bits_of(reference, text)
    assert bits_of(lambda each: decode(each.encode(), Numbers.ORIGINAL), text) == bits_of(reference, text)


@given(number_texts | doubles)
def test_exact_numbers_are_the_nearest_binary64(text: str):
    assert bits_of(lambda each: float(decode(each.encode())), text) == bits_of(exact_float, text)


@given(payloads)
def test_canonical_text_reads_back_and_is_its_own_canonical_text(payload: dict[str, Any]):
    text = canonical(payload)
    assert repr(sorted_deeply(decode(text))) == repr(sorted_deeply(payload))
    assert canonical(decode(text)) == text


@given(st.binary(max_size=40))
def test_no_bytes_break_the_reader(text: bytes):
    offset = 0
    try:
        value = decode(text)
    except JsonError as error:
        offset = error.offset
    else:
        assert decode(canonical(value)) == value
    assert 0 <= offset <= len(text)


@given(st.lists(texts, max_size=300))
def test_a_digest_set_is_a_set(told: list[str]):
    seen, digests = set[str](), DigestSet()
    for text in told:
        assert digests.add(text) == (text not in seen)
        seen.add(text)
    assert len(digests) == len(seen)


def told_apart(event: HostedEvent) -> tuple[object, ...]:
    """The event without its members' order, 1 and 1.0 and True being three things."""
    return event.event_id, event.kind, event.at, event.semantic_kind, repr(sorted_deeply(event.payload))


def sorted_deeply(value: Any) -> Any:
    match value:
        case dict():
            return {name: sorted_deeply(value[name]) for name in sorted(value)}
        case list():
            return [sorted_deeply(item) for item in value]
        case _:
            return value


def bits_of(read: Callable[[str], int | float], text: str) -> object:
    """The integer, or the bits of the float, or that it is out of range."""
    try:
        number = read(text)
    except (ValueError, OverflowError):
        return "out of range"
    return number if type(number) is int else struct.pack(">d", number)


POWERS = [float(f"1e{exponent}") for exponent in range(309)]
U64 = 2**64 - 1


def reference(text: str) -> int | float:
    """The function of spec 10 §4, statement by statement."""
    positive = text[0] != "-"
    i = 0 if positive else 1
    significand = exponent = 0
    over = False
    while i < len(text) and text[i].isdigit():
        digit = int(text[i])
        if over:
            exponent += 1
        elif significand * 10 + digit > U64:
            over = True
            exponent += 1
        else:
            significand = significand * 10 + digit
        i += 1
    is_integer = not over
    if i < len(text) and text[i] == ".":
        is_integer = False
        i += 1
        stop = False
        while i < len(text) and text[i].isdigit():
            digit = int(text[i])
            if not stop and significand * 10 + digit > U64:
                stop = True
            if not stop:
                significand = significand * 10 + digit
                exponent -= 1
            i += 1
    if i < len(text) and text[i] in "eE":
        i += 1
        upward = True
        if text[i] in "+-":
            upward = text[i] == "+"
            i += 1
        written = 0
        for digit in text[i:]:
            if written * 10 + int(digit) > 2**31 - 1:
                if significand and upward:
                    raise OverflowError
                return 0.0 if positive else -0.0
            written = written * 10 + int(digit)
        shifted = exponent + written if upward else exponent - written
        return scaled(positive, significand, max(-(2**31), min(2**31 - 1, shifted)))
    if is_integer:
        if positive:
            return significand
        return -float(significand) if significand == 0 or significand > 2**63 else -significand
    return scaled(positive, significand, exponent)


def scaled(positive: bool, significand: int, exponent: int) -> float:
    number = float(significand)
    while True:
        if abs(exponent) <= 308:
            number = number * POWERS[exponent] if exponent >= 0 else number / POWERS[-exponent]
            if math.isinf(number):
                raise OverflowError
            break
        if number == 0.0:
            break
        if exponent >= 0:
            raise OverflowError
        number /= 1e308
        exponent += 308
    return number if positive else -number
