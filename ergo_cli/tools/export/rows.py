"""What is exported, as trees of JSON values: one for each event, decision, effect or divergence.

A tree has the members of ``COLUMNS`` in this order; values of the program stand below ``payload`` and ``effect``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import zip_longest
from typing import Any

import msgspec

from ergo_cli.bundle.checking import check_pair
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import (
    CapturedEffect,
    DecisionRecord,
    EventRecord,
    rehydrate_for_replay,
    termination_name,
)
from ergo_cli.core.json import JsonValue, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import Intent
from ergo_cli.replay.preflight import check_version
from ergo_cli.replay.results import BundleResult

Tree = dict[str, JsonValue]


class Records(Enum):
    """What a row is made of."""

    EVENTS = "events"
    DECISIONS = "decisions"
    EFFECTS = "effects"
    DIVERGENCES = "divergences"


class Holds(Enum):
    """What a column holds besides nulls; ``ANY``: values of every kind."""

    INTEGER = "integer"
    TEXT = "text"
    ANY = "any"


_EVENT = {"seq": Holds.INTEGER, "event_id": Holds.TEXT, "event_kind": Holds.TEXT, "at_ns": Holds.INTEGER}
_DECISION = {
    **_EVENT,
    "decision": Holds.TEXT,
    "schedule_at_ns": Holds.INTEGER,
    "episode_id": Holds.INTEGER,
    "deadline_ns": Holds.INTEGER,
    "termination": Holds.TEXT,
    "retry_count": Holds.INTEGER,
    "interruption": Holds.TEXT,
}
COLUMNS: Mapping[Records, Mapping[str, Holds]] = {
    Records.EVENTS: {**_EVENT, "payload_hash": Holds.TEXT},
    Records.DECISIONS: {**_DECISION, "effects": Holds.ANY, "intent_acks": Holds.ANY},
    Records.EFFECTS: {
        **_DECISION,
        "effect.index": Holds.INTEGER,
        "effect.kind": Holds.TEXT,
        "effect.hash": Holds.TEXT,
        "effect.intent_id": Holds.TEXT,
    },
    Records.DIVERGENCES: {
        "bundle": Holds.TEXT,
        "seq": Holds.INTEGER,
        "event_id": Holds.TEXT,
        "occurrence": Holds.INTEGER,
        "episode_id": Holds.INTEGER,
        "kind": Holds.TEXT,
        "level": Holds.TEXT,
        "code": Holds.TEXT,
        "path": Holds.TEXT,
        "expected": Holds.ANY,
        "actual": Holds.ANY,
        "node": Holds.TEXT,
        "origin": Holds.TEXT,
        "cause": Holds.TEXT,
    },
}
"""The columns that every row has."""

WHOLE = frozenset({"expected", "actual"})
"""The members whose values stay whole, objects too: they are of every kind."""


def recorded_rows(reader: BundleReader, records: Records) -> Iterator[Tree]:
    """The rows of a bundle, with one record in memory at a time.

    Raises BundleError, also ``bundle.inconsistent`` where events and decisions do not belong together; ReplayError for
    a payload that has another hash than the recorded one, or is not JSON.
    """
    check_version(reader.capture_version)
    if records is Records.EVENTS:
        for seq, event in enumerate(reader.events()):
            yield {**_event(seq, event), "payload_hash": event.payload_hash, **_payload(event)}
        return
    for seq, event, decision in _pairs(reader):
        if records is Records.DECISIONS:
            effects: list[JsonValue] = list(_effects(decision))
            acks = [msgspec.to_builtins(ack) for ack in decision.intent_acks]
            yield {**_decision(seq, event, decision), "effects": effects, "intent_acks": acks, **_payload(event)}
        else:
            for effect in _effects(decision):
                yield {**_decision(seq, event, decision), "effect": effect, **_payload(event)}


def divergence_rows(result: BundleResult) -> Iterator[Tree]:
    """The listed divergences of a replay."""
    for found in result.divergences:
        yield {
            "bundle": result.path,
            "seq": found.seq,
            "event_id": found.event_id,
            "occurrence": found.occurrence,
            "episode_id": found.episode_id,
            "kind": found.kind.value,
            "level": found.level.value,
            "code": found.code,
            "path": found.path,
            "expected": found.expected,
            "actual": found.actual,
            "node": found.node,
            "origin": found.origin,
            "cause": found.cause,
        }


def _pairs(reader: BundleReader) -> Iterator[tuple[int, EventRecord, DecisionRecord]]:
    for seq, (event, decision) in enumerate(zip_longest(reader.events(), reader.decisions())):
        for fault in check_pair(event, decision, seq):
            fault.where = f"{reader.path} {fault.where}"
            raise fault
        assert event is not None, "a decision without event is a fault"
        assert decision is not None, "an event without decision is a fault"
        yield seq, event, decision


def _event(seq: int, event: EventRecord) -> Tree:
    return {"seq": seq, "event_id": event.event_id, "event_kind": event.kind.value, "at_ns": event.event_time}


def _decision(seq: int, event: EventRecord, decision: DecisionRecord) -> Tree:
    return {
        **_event(seq, event),
        "decision": decision.decision.value,
        "schedule_at_ns": decision.schedule_at,
        "episode_id": decision.episode_id,
        "deadline_ns": decision.deadline,
        "termination": None if decision.termination is None else termination_name(decision.termination),
        "retry_count": decision.retry_count,
        "interruption": decision.interruption,
    }


def _payload(event: EventRecord) -> Tree:
    """The payload below its name; an event without payload has none."""
    rehydrate_for_replay(event, Numbers.EXACT)
    return {"payload": decode(event.payload)} if event.payload else {}


def _effects(decision: DecisionRecord) -> Iterator[Tree]:
    """Each effect of a decision once, one that holds several intents once for each of them."""
    for index, captured in enumerate(decision.effects):
        for intent in captured.effect.intents or (None,):
            yield _effect(index, captured, intent)


def _effect(index: int, captured: CapturedEffect, intent: Intent | None) -> Tree:
    effect: dict[str, Any] = {
        "index": index,
        "kind": captured.effect.kind,
        "hash": captured.effect_hash,
        "intent_id": None if intent is None else intent.intent_id,
    }
    if captured.effect.writes:
        effect["writes"] = {write.key: write.value.native for write in captured.effect.writes}
    if intent is not None:
        effect["fields"] = {field.name: field.value.native for field in intent.fields}
    return effect
