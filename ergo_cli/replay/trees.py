"""Records as paths see them, without what is to be ignored (spec 00 §12.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.bundle.wire import WireConstraints
from ergo_cli.core.json import JsonError, JsonValue, decode
from ergo_cli.core.time import Duration
from ergo_cli.replay.paths import Pattern, prune

Tree = Mapping[str, JsonValue]
"""A record by member; what an ignored path took away is not there."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decision_tree(record: DecisionRecord, ignore: Sequence[Pattern]) -> Tree:
    """The fields of a decision record, each effect with its ``effect_hash`` inside.

    An effect of which something was left out has no hash: it would tell of what is gone.
    """
    effects: list[JsonValue] = [{**_decode(item.text), "effect_hash": item.effect_hash} for item in record.effects]
    tree: dict[str, JsonValue] = {
        "event_id": record.event_id,
        "decision": record.decision.value,
        "schedule_at": duration_tree(record.schedule_at),
        "episode_id": record.episode_id,
        "deadline": duration_tree(record.deadline),
        "termination": msgspec.to_builtins(record.termination),
        "retry_count": record.retry_count,
        "effects": effects,
        "intent_acks": [msgspec.to_builtins(ack) for ack in record.intent_acks],
        "interruption": record.interruption,
    }
    pruned = _object(prune(ignore, tree))
    if pruned is tree or "effects" not in pruned:
        return pruned
    pairs = zip(effects, cast(list[JsonValue], pruned["effects"]), strict=True)
    return {**pruned, "effects": [after if after is before else without_hash(after) for before, after in pairs]}


def event_tree(record: EventRecord, ignore: Sequence[Pattern]) -> Tree:
    """The fields of an event record; the payload decoded where it is JSON, else as text.

    A payload of which something was left out has no ``payload_hash`` beside it.
    """
    tree = event_fields(record)
    pruned = _below("event", tree, ignore)
    if pruned.get("payload") is not tree["payload"]:
        return {name: member for name, member in pruned.items() if name != "payload_hash"}
    return pruned


def event_fields(record: EventRecord) -> dict[str, JsonValue]:
    """An event record whole."""
    return {
        "event_id": record.event_id,
        "event_time": duration_tree(record.event_time),
        "kind": record.kind.value,
        "payload": _payload(record.payload),
        "payload_hash": record.payload_hash,
    }


def header_tree(reader: BundleReader, ignore: Sequence[Pattern]) -> Tree:
    """What a bundle says of its run: graph id, constraints, the three provenances."""
    tree: dict[str, JsonValue] = {
        "graph_id": reader.graph_id,
        "config": msgspec.to_builtins(WireConstraints.of(reader.header.constraints)),
        "adapter_provenance": reader.adapter_provenance,
        "runtime_provenance": reader.runtime_provenance,
        "egress_provenance": reader.egress_provenance,
    }
    return _below("header", tree, ignore)


def duration_tree(ns: int | None) -> JsonValue:
    """A time as it stands in a bundle."""
    return None if ns is None else msgspec.to_builtins(Duration.of(ns))


def without_hash(effect: JsonValue) -> JsonValue:
    """An effect without its ``effect_hash``."""
    if not isinstance(effect, dict):
        return effect
    return {name: member for name, member in effect.items() if name != "effect_hash"}


def _below(name: str, tree: dict[str, JsonValue], ignore: Sequence[Pattern]) -> dict[str, JsonValue]:
    return _object(_object(prune(ignore, {name: tree})).get(name, {}))


def _object(tree: JsonValue) -> dict[str, JsonValue]:
    return cast(dict[str, JsonValue], tree)


def _payload(payload: bytes) -> JsonValue:
    try:
        return decode(payload) if payload else None
    except JsonError:
        return payload.decode(errors="backslashreplace")
