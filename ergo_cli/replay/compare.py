"""Turn records into trees and compare two trees leaf by leaf (spec 11 §13, 00 §12.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from typing import Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.record_forms import WireConstraints
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.core.json import Item, JsonError, JsonValue, Leaf, Location, Member, canonical, decode
from ergo_cli.core.levels import Level
from ergo_cli.core.time import Duration
from ergo_cli.core.values import ValueType, effect_hash
from ergo_cli.replay.paths import Ignored, Pattern, prune, without_ignored
from ergo_cli.replay.results import DivergenceKind

Tree = Mapping[str, JsonValue]
"""The members of a record, without those that an ignored path removed."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decision_tree(record: DecisionRecord, ignore: Sequence[Pattern]) -> Tree:
    """The fields of a decision record, each effect with its ``effect_hash`` inside.

    An effect with removed parts has no hash: the hash would still depend on them.
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

    An event whose payload has removed parts has no ``payload_hash``.
    """
    tree = event_fields(record)
    pruned = _below("event", tree, ignore)
    if pruned.get("payload") is not tree["payload"]:
        return {name: member for name, member in pruned.items() if name != "payload_hash"}
    return pruned


def event_fields(record: EventRecord) -> dict[str, JsonValue]:
    """The fields of an event record, nothing removed."""
    return {
        "event_id": record.event_id,
        "event_time": duration_tree(record.event_time),
        "kind": record.kind.value,
        "payload": _payload(record.payload),
        "payload_hash": record.payload_hash,
    }


def header_tree(reader: BundleReader, ignore: Sequence[Pattern]) -> Tree:
    """The header of a bundle: graph id, constraints, the three provenances."""
    tree: dict[str, JsonValue] = {
        "graph_id": reader.graph_id,
        "config": msgspec.to_builtins(WireConstraints.of(reader.header.constraints)),
        "adapter_provenance": reader.adapter_provenance,
        "runtime_provenance": reader.runtime_provenance,
        "egress_provenance": reader.egress_provenance,
    }
    return _below("header", tree, ignore)


def duration_tree(ns: int | None) -> JsonValue:
    """The wire form of a time in ns."""
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


_FIELDS = ("event_id", "decision", "schedule_at", "episode_id", "deadline", "termination", "retry_count")
_TAGS = frozenset(kind.value for kind in ValueType)
_NOTHING = (0, None)

Numbered = tuple[int, JsonValue]


class Difference(Struct, frozen=True):
    """One leaf that differs; ``effect`` is the index of its effect, on the actual side if present there.

    Of the order of effects it is the first that stands elsewhere.
    """

    kind: DivergenceKind
    location: Location
    expected: JsonValue
    actual: JsonValue
    effect: int | None = None
    within: JsonValue = None
    """The recorded effect that the leaf is in."""

    @property
    def level(self) -> Level:
        """How much it weighs; what follows from it in other fields or effects is a difference of its own."""
        match self.kind, self.location:
            case DivergenceKind.DECISION, (Member("schedule_at" | "deadline"),):
                return Level.TIMING
            case DivergenceKind.EVENT_CHANGED, (_, Member("event_time"), *_):
                return Level.TIMING
            case DivergenceKind.HEADER, (_, Member("config"), *_):
                return Level.TIMING
            case DivergenceKind.EFFECT_CHANGED, (_, _, Member("effect_hash")):
                return Level.EVIDENCE
            case DivergenceKind.EVENT_CHANGED | DivergenceKind.HEADER | DivergenceKind.EVIDENCE, _:
                return Level.EVIDENCE
            case _:
                return Level.DECISION


def compare_decisions(expected: Tree, actual: Tree) -> Iterator[Difference]:
    """Every difference of a pair, fields before effects; skips evidence. Ignored fields are in neither tree."""
    for name in _FIELDS:
        here, there = expected.get(name), actual.get(name)
        if name in expected and name in actual and here != there:
            kind = DivergenceKind.TERMINATION if name == "termination" else DivergenceKind.DECISION
            yield Difference(kind, (Member(name),), here, there)
    yield from compare_effects(effects_of(expected), effects_of(actual))


def compare_effects(expected: Sequence[JsonValue], actual: Sequence[JsonValue]) -> Iterator[Difference]:
    """The differences of two effect lists: one for a pure reordering, else by position between the equal ends."""
    here, there = kept(expected), kept(actual)
    keys = [canonical(effect) for _, effect in here], [canonical(effect) for _, effect in there]
    if keys[0] == keys[1]:
        return
    if Counter(keys[0]) == Counter(keys[1]):
        yield order_difference(here, there)
        return
    start = common_prefix(keys[0], keys[1])
    end = common_prefix(keys[0][start:][::-1], keys[1][start:][::-1])
    for one, other in zip_longest(here[start : len(here) - end], there[start : len(there) - end]):
        yield from _compare_pair(one, other)


def order_difference(here: Sequence[Numbered], there: Sequence[Numbered]) -> Difference:
    """The difference of two lists of effects in their order, as lists of hashes."""
    hashes = [_hash(effect) for _, effect in here], [_hash(effect) for _, effect in there]
    first = common_prefix(*hashes)
    moved = there[first][0] if first < len(there) else None
    return Difference(DivergenceKind.EFFECT_ORDER, (Member("effects"),), hashes[0], hashes[1], moved)


def edited_effects(record: DecisionRecord, *, newer: bool) -> Set[int]:
    """The indices of the recorded effects whose hash is not their own: they were changed after their capture."""
    return {index for index, effect in enumerate(record.effects) if not effect.has_own_hash(newer=newer)}


def is_of_effects(difference: Difference, indices: Set[int]) -> bool:
    """Whether a difference is in one of these recorded effects, or in their order."""
    match difference.kind, difference.location:
        case DivergenceKind.EFFECT_ORDER, _:
            return bool(indices)
        case ((DivergenceKind.EFFECT_CHANGED | DivergenceKind.EFFECT_MISSING), (_, Item(index), *_)):
            return index in indices
        case _:
            return False


def leaves(expected: JsonValue, actual: JsonValue, at: Location) -> Iterator[Leaf]:
    """Yield each leaf that differs, with its location; a change of type or of a series' length is one leaf.

    Items are paired by position after removing ignored ones; indices are those of the expected side.
    """
    if _same(expected, actual):
        return
    if isinstance(expected, dict) and isinstance(actual, dict) and _alike(expected, actual):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            yield from leaves(expected.get(name), actual.get(name), (*at, Member(name)))
    elif isinstance(expected, list) and isinstance(actual, list) and not _is_series(expected, actual):
        for one, other in zip_longest(kept(expected), kept(actual)):
            index, _ = one or other or _NOTHING
            yield from leaves((one or _NOTHING)[1], (other or _NOTHING)[1], (*at, Item(index)))
    else:
        yield at, without_ignored(expected), without_ignored(actual)


def _compare_pair(one: Numbered | None, other: Numbered | None) -> Iterator[Difference]:
    if one is not None and other is not None:
        yield from _compare_effect(one, other)
    elif one is not None:
        yield Difference(DivergenceKind.EFFECT_MISSING, effect_at(one[0]), without_ignored(one[1]), None, one[0])
    elif other is not None:
        yield Difference(DivergenceKind.EFFECT_EXTRA, effect_at(other[0]), None, without_ignored(other[1]), other[0])


def _compare_effect(one: Numbered, other: Numbered) -> Iterator[Difference]:
    (index, expected), (made, actual) = one, other
    found = list(leaves(without_hash(expected), without_hash(actual), effect_at(index)))
    hashes = _recorded_hash(expected), _recorded_hash(actual)
    if not found and None not in hashes and hashes[0] != hashes[1]:
        found = [((*effect_at(index), Member("effect_hash")), hashes[0], hashes[1])]
    for location, here, there in found:
        yield Difference(DivergenceKind.EFFECT_CHANGED, location, here, there, made, expected)


def kept(items: Sequence[JsonValue]) -> list[Numbered]:
    """The items that are not ignored, each with its index."""
    return [(index, item) for index, item in enumerate(items) if item is not Ignored.ITEM]


def effects_of(tree: Tree) -> list[JsonValue]:
    """The effects of a decision; none where they are ignored."""
    effects = tree.get("effects", [])
    assert isinstance(effects, list)
    return effects


def _alike(expected: Mapping[str, JsonValue], actual: Mapping[str, JsonValue]) -> bool:
    """Whether to compare two objects member by member: a value of another type is one leaf."""
    return expected.keys() == actual.keys() or not (_is_tagged(expected) and _is_tagged(actual))


def _is_tagged(value: Mapping[str, JsonValue]) -> bool:
    return len(value) == 1 and value.keys() <= _TAGS


def _is_series(expected: list[JsonValue], actual: list[JsonValue]) -> bool:
    if len(expected) == len(actual):
        return False
    return all(isinstance(item, int | float) for item in (*expected, *actual))


def _same(expected: JsonValue, actual: JsonValue) -> bool:
    """Equal when rendered: 0.0 and -0.0 differ."""
    return canonical(expected) == canonical(actual)


def _recorded_hash(effect: JsonValue) -> JsonValue:
    return effect.get("effect_hash") if isinstance(effect, dict) else None


def _hash(effect: JsonValue) -> JsonValue:
    """The recorded hash, or the hash of the remaining parts if some of the effect are ignored."""
    return _recorded_hash(effect) or effect_hash(canonical(effect))


def effect_at(index: int) -> Location:
    """The location of an effect in its decision."""
    return Member("effects"), Item(index)


def common_prefix(here: Sequence[object], there: Sequence[object]) -> int:
    """The number of equal items at the beginning of both."""
    length = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        length += 1
    return length
