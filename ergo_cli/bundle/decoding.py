"""Decode bundle records (spec 11 §2–5).

Typed decoders read a whole list of records at once. Where they refuse the text, or it may hold ``-0``, each record is
decoded by itself: only that path skips the unknown members that v3 allows, enforces the nesting limit and locates the
fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from ergo_cli.bundle.record_forms import (
    EventV3,
    EventV4,
    WireConstraints,
    WireDecision,
    WireEffect,
    checked_count,
    optional_ns,
)
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
from ergo_cli.core.json import NESTING_LIMIT, JsonError, check_nesting, decode
from ergo_cli.core.time import Duration
from ergo_cli.core.values import Effect, Intent, IntentField, Write

R = TypeVar("R")
W = TypeVar("W", bound=Struct)

_encode = msgspec.json.Encoder().encode
_decode_v3 = msgspec.json.Decoder(list[EventV3]).decode
_decode_v4 = msgspec.json.Decoder(list[EventV4]).decode
_decode_decisions = msgspec.json.Decoder(list[WireDecision]).decode

_EVENT_MEMBERS = len(EventV3.__struct_fields__) + len(Duration.__struct_fields__)
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
