"""What is done for many events at once is what is done for each: reading, remembering, binding, rehydrating."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ergo_cli.bundle.encoding import decision_block, encode_decision, encode_event, event_block
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Version, rehydrate, rehydrate_together
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.json import JsonError, decode, decode_objects
from ergo_cli.core.values import ProducedEffect
from ergo_cli.errors import ErgoError, EventError, StepError
from ergo_cli.events.adapter import bind_together, load_adapter
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.supervisor.seam import Decision, ErrKind, Failed, LogEntry, Outcome
from ergo_cli.testing.bundles import set_context
from tests.support.events import event_line

ADAPTER = """
kind: adapter
id: pair
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: level, type: Number, required: false, writable: false, description: "a level" }
event_kinds:
  - name: reading
    payload_schema:
      type: object
      properties: { level: { type: number, minimum: 0 }, note: { type: string } }
      additionalProperties: false
  - name: mark
    payload_schema: { type: object, properties: { note: { type: string } }, additionalProperties: false }
capture:
  format_version: "1"
  fields: [event.reading]
"""
KINDS = load_adapter(ADAPTER, "adapter.yaml").kinds

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", max_size=2), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
payloads = st.dictionaries(st.sampled_from(["level", "note", "other", "a:b"]), values, max_size=3)
names = st.builds(lambda prefix, number: f"{prefix}{number}", st.sampled_from(["", "e", "e0"]), st.integers(0, 12))
ids = st.lists(names | st.integers(95, 105).map("q{:03d}".format) | st.text(max_size=3), max_size=30)


def counted(first: int, count: int) -> list[str]:
    return [f"e{number}" for number in range(first, first + count)]


@given(st.lists(ids, max_size=4))
@example([counted(8, 3), counted(11, 2), counted(9, 1)])
@example([counted(8, 3), ["x"], counted(11, 2), counted(10, 2)])
@example([counted(8, 3), [*counted(11, 2), "e8"]])
@example([counted(10**18 - 2, 2), counted(10**18, 1), counted(10**18, 1)])
@example([["1" + "9" * 18, "11" + "0" * 18, "11" + "0" * 18]])
def test_ids_are_new_once(batches: list[list[str]]):
    seen, known = DigestSet(), set[str]()
    for batch in batches:
        fresh = 0
        while fresh < len(batch) and batch[fresh] not in known:
            known.add(batch[fresh])
            fresh += 1
        assert seen.add_all(batch) == fresh
        assert len(seen) == len(known)
    assert all(text in seen for text in known)
    assert [text for text in ("e99", "y", "q1") if text in seen] == [
        text for text in ("e99", "y", "q1") if text in known
    ]


records = st.builds(
    lambda kind, name, semantic, at, payload: {
        "type": kind,
        **({} if name is None else {"id": name}),
        **({} if semantic is None else {"semantic_kind": semantic}),
        **({} if at is None else {"at": at}),
        "payload": payload,
    },
    st.sampled_from(["Pump", "Tick", "Command", "DataAvailable"]),
    st.none() | names,
    st.sampled_from([None, "reading", "reading", "mark"]),
    st.none() | st.builds(lambda secs, nanos: {"secs": secs, "nanos": nanos}, st.integers(0, 9), st.integers(0, 2**31)),
    payloads,
)


def stream(bodies: list[dict[str, Any]], *, apart: bool) -> EventStream:
    lines = [event_line(body) for body in bodies]
    return EventStream(lines if apart else [b"".join(lines)], "day", semantic_kinds=SemanticKinds.REQUIRED)


def told(events: EventStream) -> list[tuple[HostedEvent, str, int] | str]:
    """Every event with its place and number, then the error that ends the stream, if one does."""
    heard: list[tuple[HostedEvent, str, int] | str] = []
    try:
        for event in events:
            heard.append((event, events.place, events.events))
    except EventError as error:
        heard.append(f"{error.where} {error.message}")
    return heard


READING = {"type": "Command", "semantic_kind": "reading", "payload": {}}


@given(st.lists(records, min_size=1, max_size=8))
@example([READING, READING, {"type": "Command", "payload": {}}])
@example([READING, {**READING, "id": "e"}, {**READING, "id": "e"}, {"type": "Pump"}])
def test_lines_are_read_alike(bodies: list[dict[str, Any]]):
    assert told(stream(bodies, apart=False)) == told(stream(bodies, apart=True))
    together = stream(bodies, apart=False)
    heard: list[tuple[HostedEvent, str]] = []
    try:
        for batch in together.batches():
            heard += [(event, together.place_of(index)) for index, event in enumerate(batch)]
    except EventError:
        pass
    assert heard == [each[:2] for each in told(stream(bodies, apart=True)) if not isinstance(each, str)]


LINE = json.dumps({"kind": "event", "event": READING}).encode()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"\n" + LINE + b" " + LINE, "day:2:"),
        (LINE + b"\n\n" + LINE + b"\t" + LINE, "day:3:"),
        (LINE.replace(b", ", b",\n", 1) + b"\n" + LINE + b" " + LINE, "day:1:"),
    ],
)
def test_two_records_on_a_line_do_not_make_up_for_a_line_without(text: bytes, place: str):
    for chunks in ([text], text.splitlines(keepends=True)):
        heard = told(EventStream(chunks, "day", semantic_kinds=SemanticKinds.REQUIRED))
        assert isinstance(heard[-1], str)
        assert heard[-1].startswith(place)


hosted = st.builds(
    HostedEvent,
    event_id=names,
    kind=st.sampled_from(EventKind),
    at=st.integers(0, 10**12),
    semantic_kind=st.sampled_from(["reading", "reading", "mark", "unknown", None]),
    payload=st.fixed_dictionaries(
        {}, optional={"level": st.integers(-1, 9) | st.floats(0, 9), "note": st.text(max_size=2) | values}
    ),
)


def shown(events: list[ExternalEvent]) -> list[object]:
    return [(event.event_id, event.kind, event.at, event.payload, repr(event.context.values)) for event in events]


@given(st.lists(hosted, min_size=1, max_size=6))
def test_events_are_bound_alike(events: list[HostedEvent]):
    adapter = load_adapter(ADAPTER, "adapter.yaml")
    bound = bind_together(KINDS, events)
    try:
        alone = [adapter.build_event(event, {}) for event in events]
    except StepError:
        assert bound is None
    else:
        assert bound is not None
        assert shown(bound) == shown(alone)


texts = st.one_of(
    payloads.map(lambda payload: json.dumps(payload).encode()),
    st.sampled_from([b"", b"{}", b"[]", b"1", b"{}\n{}", b'{"a":\n1}', b'{"a":-0}', b'{"a":1', b'{"a":1e999}', b"{} "]),
    st.integers(120, 135).map(lambda deep: b'{"a":' * deep + b"1" + b"}" * deep),
    st.integers(10**18, 10**20).map(lambda number: b'{"a":%d}' % number),
)


@given(st.lists(texts, min_size=1, max_size=4))
@example([b"{}\n{}", b""])
@example([b"{} {}", b""])
@example([b"", b"{} {}"])
def test_objects_are_decoded_alike(several: list[bytes]):
    values = decode_objects(several)
    if values is not None:
        assert repr(values) == repr([decode(text) for text in several])
    elif all(map(plain, several)):
        raise AssertionError("nothing here needed a look of its own")


def plain(text: bytes) -> bool:
    """Whether a text is an object on one line, without blanks around it, numbers that need care, or a minus."""
    try:
        value = decode(text)
    except JsonError:
        return False
    return isinstance(value, dict) and text.endswith(b"}") and b"\n" not in text and b"-" not in text and len(text) < 19


@given(st.lists(texts, min_size=1, max_size=4), st.booleans())
@example([b"{}{}", b""], False)
@example([b'{"a":', b"1}{}"], False)
def test_events_are_rehydrated_alike(several: list[bytes], spoiled: bool):
    events = [EventRecord(str(n), n, EventKind.COMMAND, text, hash_of(text)) for n, text in enumerate(several)]
    if spoiled:
        events[-1] = EventRecord("x", 0, EventKind.PUMP, b"{}", "0" * 64)
    assert rehydrated(lambda: list(rehydrate_together(events))) == rehydrated(lambda: [rehydrate(e) for e in events])


def hash_of(text: bytes) -> str:
    from hashlib import sha256

    return sha256(text).hexdigest()


def rehydrated(work: Any) -> object:
    try:
        return shown(work())
    except (ErgoError, ValueError) as error:
        return f"{type(error).__name__} {error}"


effects = st.lists(
    st.builds(lambda key, on: ProducedEffect.of(set_context(key, on)), st.text("ab\"é", max_size=3), st.booleans()),
    max_size=3,
)  # fmt: skip
terminations = st.sampled_from([Outcome.COMPLETED, Outcome.TIMED_OUT, Failed(ErrKind.RUNTIME_ERROR)])


@given(
    st.lists(
        st.tuples(hosted, terminations, st.none() | st.integers(0, 2**40), st.integers(0, 2), effects), min_size=1,
        max_size=5,
    ),
    st.sampled_from([b",", b"\n"]),
    st.sampled_from(Version),
)  # fmt: skip
def test_records_are_encoded_alike(steps: list[Any], separator: bytes, version: Version):
    decided: list[tuple[LogEntry, list[ProducedEffect]]] = []
    for number, (event, termination, deadline, retries, produced) in enumerate(steps):
        external = ExternalEvent.of_members(event.event_id, event.kind, event.at, b'{"a":1}', {"a": 1})
        entry = LogEntry("g", external, Decision.INVOKE, None, number, deadline, termination, retries)
        decided.append((entry, produced))
    decided.append((LogEntry("g", decided[0][0].event, Decision.DEFER, 7, 9, None, None, 0), []))
    captured = [tuple(CapturedEffect.rendered(effect.text) for effect in produced) for _, produced in decided]
    decisions = [DecisionRecord.of(entry, each) for (entry, _), each in zip(decided, captured, strict=True)]
    assert decision_block(decided, separator) == separator.join(map(encode_decision, decisions))
    events = [entry.event for entry, _ in decided]
    alone = [encode_event(EventRecord.of(event), version) for event in events]
    assert event_block(events, version, separator) == separator.join(alone)
