"""Encode bundle records, byte for byte (spec 11 §2–5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
from msgspec import Raw

from ergo_cli.bundle.record_forms import EventV3, EventV4, RenderedDecision, RenderedEffect, optional_duration
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Version
from ergo_cli.core.json import template_pieces
from ergo_cli.core.time import Duration
from ergo_cli.events.external import ExternalEvent
from ergo_cli.supervisor.seam import DecidedEffects, Decision, Outcome

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode

_V3 = Version.V3
_COMPLETED = Outcome.COMPLETED
_ZERO = Duration(0, 0)


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
