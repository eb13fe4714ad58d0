"""What a record's text alone tells is what reading the record tells, and never more."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pipeline_flows import Driven, pipeline

from ergo_cli.core.json import JsonError, NotCanonicalError
from ergo_cli.core.wire import WireError
from ergo_cli.programs.pipeline import Event, HandlerError, sink, source, stateful, transform
from ergo_cli.programs.pipeline.effects import EffectType
from ergo_cli.programs.pipeline.record_forms import RecordHead, head_of
from ergo_cli.programs.pipeline.recorded import JournalRecord


def doubled(event: Event) -> list[Event]:
    if event.payload["n"] == 3:
        raise HandlerError("three", "Validation")
    return [Event("doubled", {"n": event.payload["n"] * 2, "é": [1.5, -0.25, 'a"b\\'], "none": None})]


def paid(event: Event, effects: Any) -> None:
    if event.payload["n"] == 4:
        raise HandlerError("four", "Timeout")
    effects.perform("pay", event.payload["n"])


def recorded() -> list[bytes]:
    """The records of a flow in which an event fails, another one is refused, and effects are performed."""
    program = pipeline(
        source("s"),
        transform("t", doubled),
        stateful("f", lambda: None, lambda _state, _event: None, lambda _state: [Event("sum", {"n": 1})]),
        sink("k", paid),
        edges="s>t t>f t>k f>k",
        effects={"pay": EffectType(lambda given, _call: given)},
    )
    return Driven(program).all(*({"n": number} for number in range(1, 5))).records


RECORDS = recorded()
TOKENS = [
    b" ",
    b"null",
    b"0",
    b"-0",
    b"1e2",
    b"1.0",
    b"18446744073709551616",
    b'"',
    b"{}",
    b",",
    b"a",
    b"Z",
    b"\\u0041",
]


def read(text: bytes) -> RecordHead | None:
    """The head of a record that is read as an event, None where its text is not what is written."""
    try:
        record = JournalRecord.of(text)
        return record.head if record.text == text else None
    except (JsonError, WireError, NotCanonicalError):
        return None


def test_data_receipts_progress_and_healthy_contracts_are_known_by_their_text() -> None:
    for text in RECORDS:
        head, event = head_of(text), JournalRecord.of(text).envelope.event
        assert head is None or head == read(text)
        name = event.type_name
        if name in ("data", "sink.delivery", "control.consumption_progress", "system.contract.result"):
            is_effect = b"obzenflow.effect" in text
            has_seen_eof = b'"eof_seen":true' in text
            assert (head is None) is (is_effect or has_seen_eof), text


@given(st.sampled_from(RECORDS), st.data())
def test_a_text_that_was_changed_is_told_only_if_it_is_read_so(text: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 30))
    changed = text[:place] + data.draw(st.sampled_from([b"", *TOKENS])) + text[place + length :]
    head = head_of(changed)
    assert head is None or head == read(changed)


@given(st.sampled_from(RECORDS), st.data())
def test_members_that_change_places_or_values_are_told_only_if_they_are_read_so(
    text: bytes, data: st.DataObject
) -> None:
    record = json.loads(text)
    holder = record
    while True:
        inner = [value for value in holder.values() if isinstance(value, dict) and value]
        if not inner or data.draw(st.booleans()):
            break
        holder = data.draw(st.sampled_from(inner))
    name = data.draw(st.sampled_from(sorted(holder)))
    value = holder.pop(name)
    if data.draw(st.booleans()):
        holder[name] = data.draw(st.sampled_from([value, None, "x", -1, 0, {}, [], {"n": 1}, "data:t", "Stage"]))
    changed = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    head = head_of(changed)
    assert head is None or head == read(changed)
