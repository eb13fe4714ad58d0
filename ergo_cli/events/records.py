"""Lines of a stream, read fast (spec 10 §5, 30 §2–3).

Typed decoders read what is usual at once. They let repeated members pass, so a text counts as read only if it has no
more colons than members: one too many, in a text or in a repeated member, and the next, slower reading takes its turn.
First come many lines together, fixture events with flat payloads; then any one line, its payload apart; at last
``diagnosis``, which knows exactly what is right and what is wrong.
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
from ergo_cli.events.diagnosis import read_hosted_exactly, read_record_exactly
from ergo_cli.events.external import EventKind
from ergo_cli.events.hosted import EpisodeStart, HostedEvent, automatic_id

_FIXTURE_START = b'{"kind":"e'  # which spares a search
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
    """The events of whole lines, one a line, the first being the ``ordinal``-th; None if any line is not usual.

    Usual is a fixture event whose payload holds no objects, and no number that the decoder misreads.
    """
    try:
        bodies = [record.event for record in _decode_usual_lines(lines)]
        ids, instants = [body.id for body in bodies], [body.at for body in bodies]
        kinds, payloads = [body.semantic_kind for body in bodies], [body.payload for body in bodies]
        at = [0 if instant is None else instant.ns for instant in instants]
    except ValueError:
        return None
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
    """Whether each line is one whole record: the decoder lets pass several on a line, and one over several lines."""
    ends = lines.count(b"}\n{") or lines.count(b"}\r\n{")
    return lines.count(b"\n") == ends == records - 1


def _is_careful(payloads: list[dict[str, Any]]) -> bool:
    """Whether there are numbers that the decoder may have misread, or arrays."""
    kinds = set(map(type, chain.from_iterable([payload.values() for payload in payloads])))
    if list in kinds:
        return True
    return int in kinds and any(
        member.__class__ is int and not 0 < member < _I64_LIMIT for payload in payloads for member in payload.values()
    )


def _nests(payloads: list[dict[str, Any]]) -> bool:
    """Whether an array holds another: how deep they go is looked at line by line."""
    lists = [member for payload in payloads for member in payload.values() if member.__class__ is list]
    return list in set(map(type, chain.from_iterable(lists)))


def read_record(line: bytes, ordinal: int, numbers: Numbers = Numbers.EXACT) -> EpisodeStart | HostedEvent | None:
    """The record of one line, None for a blank one; an event without id is called by its ``ordinal``.

    Payload numbers are read under the profile ``numbers``; a payload is an object or None. Raises RecordFault.
    """
    hosted = not line.startswith(_FIXTURE_START) and line.find(b'"event_id"') >= 0
    try:
        record = _hosted(line, numbers) if hosted else _fixture(line, ordinal, numbers)
    except ValueError:
        record = None  # bad, or good in an unusual way: the exact reading tells which
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
    colons = 2 + (record.semantic_kind is not UNSET) + at_colons + payload_colons
    if line.count(b":") != colons:
        return None
    return HostedEvent(record.event_id, record.kind, at, _given(record.semantic_kind), payload)


def _given(text: str | UnsetType | None) -> str | None:
    return None if isinstance(text, UnsetType) else text


def _payload(raw: Raw | UnsetType, numbers: Numbers) -> tuple[JsonValue, int]:
    """The payload, and how many colons of the line are its own and its name's. Raises ValueError if it is no object."""
    if isinstance(raw, UnsetType):
        return None, 0
    text = bytes(raw)
    payload: JsonValue = decode(text, numbers)
    if payload is not None and not isinstance(payload, dict):
        raise ValueError("a payload that is no object")
    return payload, text.count(b":") + 1


def _instant(at: Duration | str | UnsetType | None, line: bytes) -> tuple[int, int]:
    """The instant in ns, and the colons of ``at``. Raises ValueError where it is no instant, or could be none."""
    if isinstance(at, UnsetType):
        return 0, 0
    if isinstance(at, Duration):
        if line.find(b"-0") >= 0 and _NEGATIVE_ZERO.search(line):
            raise ValueError("the typed decoder reads -0 as 0, and it is no whole number of at least 0")
        return at.ns, 3
    return (0 if at is None else parse_duration(at)), 1
