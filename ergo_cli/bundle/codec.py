"""Encode and decode bundle records, byte for byte (spec 11 §2–5).

Typed decoders read a whole list of records at once. Where they refuse the text, or it may hold ``-0``, each record is
decoded by itself: only that path skips the unknown members that v3 allows, enforces the nesting limit and locates the
fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from enum import Enum
from functools import cache
from hashlib import sha256
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta, Raw, Struct

from ergo_cli.bundle.scanning import split_texts
from ergo_cli.bundle.schema import (
    CapturedEffect,
    DecisionRecord,
    EventRecord,
    IntentAck,
    RecordFault,
    Version,
    describe,
)
from ergo_cli.core.json import NESTING_LIMIT, JsonError, check_nesting, decode, template_pieces
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.core.time import Duration
from ergo_cli.core.values import Effect, Intent, IntentField, Write
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.supervisor.seam import Constraints, DecidedEffects, Decision, Outcome, RunTermination

Count = Annotated[int, Meta(ge=0)]
"""An unsigned integer; ``checked_count`` checks that it fits 64 bits."""


class EventV3(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event record of v3: the payload as a list of byte values."""

    event_id: str
    event_time: Duration
    kind: EventKind
    payload: list[int]
    payload_hash: str


class EventV4(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event record of v4: the payload as its text."""

    event_id: str
    event_time: Duration
    kind: EventKind
    payload: str
    payload_hash: str


EVENT_FORMS: dict[Version, type[Struct]] = {Version.V3: EventV3, Version.V4: EventV4}
"""The wire form of events, by version."""

_EVENT_MEMBERS = len(EventV3.__struct_fields__) + len(Duration.__struct_fields__)


class WireEffect(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The wire form of a captured effect, for decoding."""

    effect: Effect
    effect_hash: str


class WireDecision(Struct, frozen=True, forbid_unknown_fields=True):
    """The wire form of a decision record, for decoding: nullable members may be missing."""

    event_id: str
    decision: Decision
    episode_id: Count
    retry_count: Count
    effects: list[WireEffect]
    schedule_at: Duration | None = None
    deadline: Duration | None = None
    termination: RunTermination | None = None
    intent_acks: list[IntentAck] = []
    interruption: str | None = None


class RenderedEffect(Struct, frozen=True, gc=False):
    """The wire form of a captured effect, for encoding: the effect is already rendered."""

    effect: Raw
    effect_hash: str


class RenderedDecision(Struct, frozen=True, omit_defaults=True):
    """The wire form of a decision record, for encoding: nulls are written, empty acks and None are not."""

    event_id: str
    decision: Decision
    schedule_at: Duration | None
    episode_id: int
    deadline: Duration | None
    termination: RunTermination | None
    retry_count: int
    effects: list[RenderedEffect]
    intent_acks: tuple[IntentAck, ...] = ()
    interruption: str | None = None


class WireConstraints(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The constraints of a run: nulls are written; only ``max_retries`` is required when decoding (spec 10 §18)."""

    max_in_flight: Count | None = None
    max_per_window: Count | None = None
    rate_window: Duration | None = None
    deadline: Duration | None = None
    max_retries: Count

    @classmethod
    def of(cls, constraints: Constraints) -> WireConstraints:
        """The wire form of constraints."""
        return cls(
            max_in_flight=constraints.max_in_flight,
            max_per_window=constraints.max_per_window,
            rate_window=optional_duration(constraints.rate_window),
            deadline=optional_duration(constraints.deadline),
            max_retries=constraints.max_retries,
        )

    @property
    def constraints(self) -> Constraints:
        """The constraints as a value. Raises ValueError for a number beyond 64 bits."""
        return Constraints(
            optional_count(self.max_in_flight),
            optional_count(self.max_per_window),
            optional_ns(self.rate_window),
            optional_ns(self.deadline),
            checked_count(self.max_retries),
        )


def optional_duration(ns: int | None) -> Duration | None:
    """The wire form of an optional duration in ns."""
    return None if ns is None else Duration.of(ns)


def optional_ns(duration: Duration | None) -> int | None:
    """Nanoseconds of an optional duration. Raises ValueError outside its range."""
    return None if duration is None else duration.ns


def optional_count(number: int | None) -> int | None:
    """``checked_count`` of an optional number."""
    return None if number is None else checked_count(number)


def checked_count(number: int) -> int:
    """Return ``number`` unchanged. Raises ValueError beyond 64 bits."""
    if number > U64_MAX:
        raise ValueError(f"integer {number} is greater than {U64_MAX}")
    return number


R = TypeVar("R")
W = TypeVar("W", bound=Struct)

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_decode_v3 = msgspec.json.Decoder(list[EventV3]).decode
_decode_v4 = msgspec.json.Decoder(list[EventV4]).decode
_decode_decisions = msgspec.json.Decoder(list[WireDecision]).decode

_V3 = Version.V3
_COMPLETED = Outcome.COMPLETED
_ZERO = Duration(0, 0)

_NEGATIVE_ZERO = re.compile(rb"-0(?=[\s,\]}])")
_NESTED: dict[type[Struct], dict[str, type[Struct]]] = {
    WireDecision: {"effects": WireEffect, "intent_acks": IntentAck},
    WireEffect: {"effect": Effect},
    Effect: {"writes": Write, "intents": Intent},
    Intent: {"fields": IntentField},
}
_SPELLINGS = {
    "kind": "`Pump`, `Tick`, `DataAvailable`, `Command`",
    "decision": "`Invoke`, `Skip`, `Defer`",
    "termination": "`Completed`, `TimedOut`, `Aborted`, `Failed` with its kind",
}


def encode_event(record: EventRecord, version: Version = Version.V3) -> bytes:
    """The compact JSON of an event record. Raises ValueError for text that is no valid Unicode."""
    at = Duration.of(record.event_time) if record.event_time else _ZERO
    if version is _V3:
        return _encode(EventV3(record.event_id, at, record.kind, list(record.payload), record.payload_hash))
    return _encode(EventV4(record.event_id, at, record.kind, record.payload.decode(), record.payload_hash))


def encode_decision(record: DecisionRecord) -> bytes:
    """The compact JSON of a decision record, the same in both versions. Raises ValueError for invalid Unicode."""
    return _encode(
        RenderedDecision(
            record.event_id,
            record.decision,
            optional_duration(record.schedule_at),
            record.episode_id,
            optional_duration(record.deadline),
            record.termination,
            record.retry_count,
            [RenderedEffect(Raw(effect.text), effect.effect_hash) for effect in record.effects],
            record.intent_acks,
            record.interruption,
        )
    )


_SENTINEL_EFFECT = _encode(RenderedEffect(Raw(b"<effect>"), "<effect hash>"))
_SENTINEL_DECISION = encode_decision(
    DecisionRecord(
        event_id="<event id>",
        decision=Decision.INVOKE,
        schedule_at=None,
        episode_id=987654321,
        deadline=None,
        termination=_COMPLETED,
        retry_count=0,
        effects=(CapturedEffect(b"<effect>", "<effect hash>"),),
    )
)
_BEGIN, _INVOKED, _DONE, _END = template_pieces(_SENTINEL_DECISION, b'"<event id>"', b"987654321", _SENTINEL_EFFECT)
"""What most decisions are; putting it together is cheaper than encoding the record."""
_EFFECT, _HASH, _HASHED = template_pieces(_SENTINEL_EFFECT, b"<effect>", b"<effect hash>")
_NEXT_EFFECT = b"," + _EFFECT


def event_block(events: Sequence[ExternalEvent], version: Version, separator: bytes) -> bytes:
    """The texts of several events, ``separator`` (a comma or a line feed) between them. Raises ValueError likewise."""
    payloads = [event.context.payload for event in events]
    hashes = [sha256(payload).hexdigest() for payload in payloads]
    ids, kinds = [event.event_id for event in events], [event.kind for event in events]
    times = [Duration.of(event.at) if event.at else _ZERO for event in events]
    if version is _V3:
        wires = list(map(EventV3, ids, times, kinds, map(list, payloads), hashes))
    else:
        wires = list(map(EventV4, ids, times, kinds, map(bytes.decode, payloads), hashes))
    return _encode(wires)[1:-1] if separator == b"," else _encoder.encode_lines(wires).removesuffix(b"\n")


def decision_block(decided: Iterable[DecidedEffects], separator: bytes) -> bytes:
    """The texts of the records of log entries with the effects of each. Raises ValueError as ``encode_decision``."""
    pieces: list[bytes] = []
    for entry, effects in decided:
        if entry.termination is not _COMPLETED or entry.deadline is not None or entry.retry_count:
            captured = tuple([CapturedEffect.rendered(effect.text) for effect in effects])
            pieces += (separator, encode_decision(DecisionRecord.of(entry, captured)))
            continue
        pieces += (separator, _BEGIN, _encode(entry.event.event_id), _INVOKED, _encode(entry.episode_id), _DONE)
        opening = _EFFECT
        for effect in effects:
            text = effect.text
            pieces += (opening, text, _HASH, sha256(text).hexdigest().encode(), _HASHED)
            opening = _NEXT_EFFECT
        pieces.append(_END)
    return b"".join(pieces[1:])


def decode_event(text: bytes, version: Version = Version.V3) -> EventRecord:
    """The event record of one JSON object. Raises BundleError (``bundle.parse_failed``) naming the member."""
    if version is Version.V4:
        return _value(_event_v4, _single(text, EventV4, version))
    wire = _single(text, EventV3, version)
    for index, byte in enumerate(wire.payload):
        if not 0 <= byte <= 255:
            raise RecordFault(f"expected a byte from 0 to 255, got {byte}", f"payload[{index}]")
    return _value(_event_v3, wire)


def decode_decision(text: bytes, version: Version = Version.V3) -> DecisionRecord:
    """The decision record of one JSON object. Raises BundleError (``bundle.parse_failed``) naming the member."""
    return _value(_decision, _single(text, WireDecision, version))


def decode_events(text: bytes, version: Version) -> list[EventRecord]:
    """The event records between the brackets of a list. Raises RecordFault with the index of the first bad one."""
    if version is Version.V4:
        return _decode_list(text, lambda array: [_event_v4(wire) for wire in _decode_v4(array)], decode_event, version)
    return _decode_list(text, lambda array: [_event_v3(wire) for wire in _decode_v3(array)], decode_event, version)


def decode_decisions(text: bytes, version: Version) -> list[DecisionRecord]:
    """The decision records between the brackets of a list. Raises RecordFault with the index of the first bad one."""
    return _decode_list(text, lambda array: [_decision(d) for d in _decode_decisions(array)], decode_decision, version)


_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


def _members_in(text: bytes) -> int | None:
    """How many members the objects in a JSON text have; None where only a parser can tell.

    A quote and a colon end the name of a member; inside strings a backslash stands before the quote. A string that
    begins with a colon counts as a member.
    """
    if b'\\\\":' in text or _SPACED_COLON.search(text):
        return None
    return text.count(b'":') - text.count(b'\\":')


def may_repeat(text: bytes) -> bool:
    """Whether an object in a JSON text may hold a member twice; a negative answer is certain."""
    written = _members_in(text)
    try:
        return written is None or written != _members_in(_encode(msgspec.json.decode(text)))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return True


def decode_plain_events(text: bytes, version: Version) -> list[EventRecord]:
    """As ``decode_events``. Raises ValueError unless the records surely have no member twice and no unknown one."""
    records = decode_events(text, version)
    members = len(records) * _EVENT_MEMBERS  # as many as the decoder has found at least
    if text.count(b":") != members and _members_in(text) != members and _members_counted(text) != members:
        raise ValueError("an event record that no run writes")
    return records


def _members_counted(text: bytes) -> int:
    """How many members the objects between the brackets of a list have, counted one by one. Raises ValueError."""
    counted = 0

    def count(pairs: list[tuple[str, Any]]) -> None:
        nonlocal counted
        counted += len(pairs)

    json.loads(b"[" + text + b"]", object_pairs_hook=count)
    return counted


def unknown_member(text: bytes, form: type[Struct]) -> str | None:
    """The path of the first member of a record that ``form`` does not know; None if there is none."""
    try:
        _decoder(form)(text)
    except msgspec.ValidationError as error:
        message, path = describe(error)
        if message.startswith("unknown field "):
            name = message.removeprefix("unknown field ").strip("`")
            return f"{path}.{name}" if path else name
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return None


def convert_constraints(value: Any, version: Version) -> WireConstraints:
    """The constraints of a decoded ``config``. Raises RecordFault."""
    return _convert(value, WireConstraints, version)


def _decode_list(
    text: bytes, at_once: Callable[[bytes], list[R]], alone: Callable[[bytes, Version], R], version: Version
) -> list[R]:
    if not _NEGATIVE_ZERO.search(text):
        with suppress(msgspec.MsgspecError, ValueError, RecursionError):
            return at_once(b"[" + text + b"]")
    records: list[R] = []
    for index, item in enumerate(split_texts(text)):
        try:
            records.append(alone(item, version))
        except RecordFault as fault:
            fault.index = index
            raise
    return records


def _single(text: bytes, form: type[W], version: Version) -> W:
    if not _NEGATIVE_ZERO.search(text):
        with suppress(msgspec.MsgspecError, ValueError, RecursionError):
            return _decoder(form)(text)
    try:
        if text.count(b"{") + text.count(b"[") > NESTING_LIMIT - 2:
            check_nesting(b"[[" + text)  # a record lies two levels deep: the top-level object and its list
        value = decode(text)
    except JsonError as error:
        raise RecordFault(str(error), offset=error.offset or 0) from error
    return _convert(value, form, version)


@cache
def _decoder(form: type[W]) -> Callable[[bytes], W]:
    return msgspec.json.Decoder(form).decode


def _convert(value: Any, form: type[W], version: Version) -> W:
    known = _known_members(value, form) if version is Version.V3 else value
    try:
        return msgspec.convert(known, form)
    except msgspec.ValidationError as error:
        message, path = describe(error)
        if message.startswith("unknown variant ") and path in _SPELLINGS:
            message += f", expected one of {_SPELLINGS[path]}"
        raise RecordFault(message, path) from error


def _known_members(value: Any, form: type[Struct]) -> Any:
    """Drop the unknown members that v3 allows; values and durations are closed in v3 too."""
    match value:
        case list():
            return [_known_members(item, form) for item in cast(list[Any], value)]
        case dict():
            nested = _NESTED.get(form, {})
            return {
                name: _known_members(member, nested[name]) if name in nested else member
                for name, member in cast(dict[str, Any], value).items()
                if name in form.__struct_encode_fields__
            }
        case _:
            return value


def _value(make: Callable[[W], R], wire: W) -> R:
    try:
        return make(wire)
    except ValueError as error:
        raise RecordFault(str(error)) from error


def _event_v3(wire: EventV3) -> EventRecord:
    at = wire.event_time
    return EventRecord(
        wire.event_id, at.ns if at.secs or at.nanos else 0, wire.kind, bytes(wire.payload), wire.payload_hash
    )


def _event_v4(wire: EventV4) -> EventRecord:
    return EventRecord(wire.event_id, wire.event_time.ns, wire.kind, wire.payload.encode(), wire.payload_hash)


def _decision(wire: WireDecision) -> DecisionRecord:
    return DecisionRecord(
        wire.event_id,
        wire.decision,
        optional_ns(wire.schedule_at),
        checked_count(wire.episode_id),
        optional_ns(wire.deadline),
        wire.termination,
        checked_count(wire.retry_count),
        tuple([CapturedEffect.recorded(captured.effect, captured.effect_hash) for captured in wire.effects]),
        tuple(wire.intent_acks),
        wire.interruption,
    )


_INDENT = 2


class Style(Enum):
    """The layout of a bundle's text; both layouts hold the same data and end in one line feed."""

    COMPACT = "compact"
    PRETTY = "pretty"

    @property
    def separator(self) -> bytes:
        """The separator between compact texts that are passed on as one block of items."""
        return b"\n" if self is Style.PRETTY else b","

    @property
    def colon(self) -> bytes:
        """The text between a member's name and its value."""
        return b": " if self is Style.PRETTY else b":"

    def line(self, depth: int) -> bytes:
        """The text before an item or a closing bracket at this depth."""
        return b"\n" + b" " * (_INDENT * depth) if self is Style.PRETTY else b""

    def lay(self, text: bytes, depth: int) -> bytes:
        """Lay out a compact JSON text for this depth."""
        if self is Style.COMPACT:
            return text
        # Line feeds inside strings are escaped, so every line feed found here ends a line.
        return msgspec.json.format(text, indent=_INDENT).replace(b"\n", self.line(depth))

    def lay_items(self, block: bytes, depth: int) -> bytes:
        """Lay out compact JSON texts, joined by ``separator``, as the items of a list at this depth."""
        if self is Style.COMPACT:
            return block
        return (b"," + self.line(depth)).join([self.lay(text, depth) for text in block.split(b"\n")])
