"""Read the usual lines of a stream fast (spec 10 §5, 30 §2–3).

Typed decoders are fast but silently accept repeated members. Every member has exactly one colon outside strings, so a
decoded text is accepted only if its number of colons equals its number of decoded members. Any surplus colon, from a
repeated member or inside a string, passes the text on to the next, slower reader: first many lines together (fixture
events with flat payloads), then each line with its payload decoded separately, at last ``exact_reader``, which decides
what is valid and locates faults.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ergo_cli.core.json import JsonValue, check_nesting, decode, has_careful_integer
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import Duration, parse_duration
from ergo_cli.events.exact_reader import read_hosted_exactly, read_record_exactly
from ergo_cli.events.external import EpisodeStart, EventKind, HostedEvent, automatic_id

_FIXTURE_START = b'{"kind":"e'  # a line that begins so needs no search for an event id
_I64_LIMIT = 2**63
_NEGATIVE_ZERO = re.compile(rb":[ \t\r\n]*-0")


class _Fixture(Struct, frozen=True, gc=False, tag_field="kind", forbid_unknown_fields=True):
    pass


class _Body(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    type: EventKind
    id: str | UnsetType | None = UNSET
    at: Duration | str | UnsetType | None = UNSET
    semantic_kind: str | UnsetType | None = UNSET
    payload: Raw | UnsetType = UNSET


class _Event(_Fixture, frozen=True, gc=False, tag="event"):
    event: _Body


class _Start(_Fixture, frozen=True, gc=False, tag="episode_start"):
    id: str | UnsetType | None = UNSET


class _UsualBody(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    type: EventKind
    payload: dict[str, Any]
    id: str | None = None
    at: Duration | None = None
    semantic_kind: str | None = None


class _Usual(_Fixture, frozen=True, gc=False, tag="event"):
    event: _UsualBody


class _Hosted(Struct, frozen=True, gc=False):
    event_id: str
    kind: EventKind
    at: Duration
    semantic_kind: str | UnsetType | None = UNSET
    payload: Raw | UnsetType = UNSET


_decode_usual_lines = msgspec.json.Decoder(_Usual).decode_lines
_decode_fixture = msgspec.json.Decoder(_Event | _Start).decode
_decode_hosted = msgspec.json.Decoder(_Hosted).decode


def read_usual_lines(lines: bytes, ordinal: int) -> list[HostedEvent] | None:
    """The events of whole lines, one per line, the first being the ``ordinal``-th; None if any line is not usual.

    Usual is a fixture event whose payload holds no objects, and no number that the decoder misreads.
    """
    try:
        bodies = [record.event for record in _decode_usual_lines(lines)]
        ids, instants = [body.id for body in bodies], [body.at for body in bodies]
        kinds, payloads = [body.semantic_kind for body in bodies], [body.payload for body in bodies]
        at = [0 if instant is None else instant.ns for instant in instants]
    except (ValueError, RecursionError):
        return None
    # At most 9 members outside the payload: kind, event, type, payload, id, semantic_kind, at, secs, nanos. An absent
    # id or semantic_kind is one less, an absent at three less; a written null counts as absent and so fails the test.
    colons = 9 * len(bodies) + sum(map(len, payloads)) - ids.count(None) - kinds.count(None) - 3 * instants.count(None)
    if lines.count(b":") != colons or not _is_one_a_line(lines, len(bodies)):
        return None
    if (len(instants) > instants.count(None) or _is_careful(payloads)) and (
        has_careful_integer(lines) or _nests(payloads)
    ):
        return None
    if None in ids:
        ids = [automatic_id(number) if name is None else name for number, name in enumerate(ids, ordinal)]
    return list(map(HostedEvent, cast(list[str], ids), [body.type for body in bodies], at, kinds, payloads))


def _is_one_a_line(lines: bytes, records: int) -> bool:
    """Whether each line is one whole record: the decoder also accepts several per line, and one over several lines."""
    ends = lines.count(b"}\n{") or lines.count(b"}\r\n{")
    return lines.count(b"\n") == ends == records - 1


def _is_careful(payloads: list[dict[str, Any]]) -> bool:
    """Whether there are numbers that the decoder may have misread, or arrays."""
    types = set(map(type, chain.from_iterable([payload.values() for payload in payloads])))
    if list in types:
        return True
    return int in types and any(
        member.__class__ is int and not 0 < member < _I64_LIMIT for payload in payloads for member in payload.values()
    )


def _nests(payloads: list[dict[str, Any]]) -> bool:
    """Whether an array holds another: their depth is checked line by line."""
    lists = [member for payload in payloads for member in payload.values() if member.__class__ is list]
    return list in set(map(type, chain.from_iterable(lists)))


def read_record(line: bytes, ordinal: int, numbers: Numbers = Numbers.EXACT) -> EpisodeStart | HostedEvent | None:
    """The record of one line, None for a blank one; an event without id is named after its ``ordinal``.

    Payload numbers are read under the profile ``numbers``; a payload is an object or None. Raises RecordFault.
    """
    if not line:
        return None
    hosted = not line.startswith(_FIXTURE_START) and line.find(b'"event_id"') >= 0
    try:
        record = _hosted(line, numbers) if hosted else _fixture(line, ordinal, numbers)
    except ValueError:
        record = None  # invalid or unusual: the exact reader decides
    return record or read_record_exactly(line, ordinal, numbers)


def read_hosted(text: bytes, numbers: Numbers = Numbers.EXACT) -> HostedEvent:
    """A hosted event from its JSON text; its payload may be any JSON value (spec 30 §2). Raises RecordFault."""
    try:
        event = _hosted(text, numbers)
    except ValueError:
        event = None
    return event or read_hosted_exactly(text, numbers)


def _fixture(line: bytes, ordinal: int, numbers: Numbers) -> EpisodeStart | HostedEvent | None:
    check_nesting(line)
    record = _decode_fixture(line)
    if isinstance(record, _Start):
        return _start(record, line)
    body = record.event
    payload, payload_colons = _payload(body.payload, numbers)
    at, at_colons = _instant(body.at, line)
    # 3: kind, event and type; optional members add theirs
    colons = 3 + (body.id is not UNSET) + (body.semantic_kind is not UNSET) + at_colons + payload_colons
    if line.count(b":") != colons:
        return None
    event_id = _given(body.id)
    if event_id is None:
        event_id = automatic_id(ordinal)
    return HostedEvent(event_id, body.type, at, _given(body.semantic_kind), payload)


def _start(record: _Start, line: bytes) -> EpisodeStart | None:
    if line.count(b":") != 1 + (record.id is not UNSET):
        return None
    return EpisodeStart(None if record.id is UNSET else record.id)


def _hosted(line: bytes, numbers: Numbers) -> HostedEvent | None:
    check_nesting(line)
    record = _decode_hosted(line)
    payload, payload_colons = _payload(record.payload, numbers)
    at, at_colons = _instant(record.at, line)
    # 2: event_id and kind; optional members add theirs
    colons = 2 + (record.semantic_kind is not UNSET) + at_colons + payload_colons
    if line.count(b":") != colons:
        return None
    return HostedEvent(record.event_id, record.kind, at, _given(record.semantic_kind), payload)


def _given(text: str | UnsetType | None) -> str | None:
    return None if isinstance(text, UnsetType) else text


def _payload(raw: Raw | UnsetType, numbers: Numbers) -> tuple[JsonValue, int]:
    """The payload, and the number of colons in it and after its name. Raises ValueError unless it is an object."""
    if isinstance(raw, UnsetType):
        return None, 0
    text = bytes(raw)
    payload: JsonValue = decode(text, numbers)
    if payload is not None and not isinstance(payload, dict):
        raise ValueError("the payload is not an object")
    return payload, text.count(b":") + 1


def _instant(at: Duration | str | UnsetType | None, line: bytes) -> tuple[int, int]:
    """The instant in ns, and the number of colons of ``at``. Raises ValueError where it may not be an instant."""
    if isinstance(at, UnsetType):
        return 0, 0
    if isinstance(at, Duration):
        if line.find(b"-0") >= 0 and _NEGATIVE_ZERO.search(line):
            raise ValueError("the typed decoder reads -0 as 0, which is not a whole number of at least 0")
        return at.ns, 3
    return (0 if at is None else parse_duration(at)), 1
