"""Two decisions, leaf by leaf: what differs and where (spec 11 §13, 00 §12.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.core.json import JsonValue, canonical
from ergo_cli.core.time import Duration
from ergo_cli.replay.divergence import DivergenceKind
from ergo_cli.replay.paths import Ignored, Item, Location, Member, Pattern

_FIELDS = ("event_id", "decision", "schedule_at", "episode_id", "deadline", "termination", "retry_count")

_decode = msgspec.json.Decoder(dict[str, Any]).decode

Tree = Mapping[str, JsonValue]
"""A decision as paths see it: the fields of a decision record, each effect with its ``effect_hash`` inside."""


class Difference(Struct, frozen=True):
    """One leaf that differs; ``effect`` is the index of the effect it lies in, on the side that has it."""

    kind: DivergenceKind
    location: Location
    expected: JsonValue
    actual: JsonValue
    effect: int | None = None


def decision_tree(record: DecisionRecord, ignore: Sequence[Pattern]) -> Tree:
    """The compared part of a decision record, without what ``ignore`` leaves out."""
    effects: list[JsonValue] = [{**_decode(item.text), "effect_hash": item.effect_hash} for item in record.effects]
    tree: JsonValue = {
        "event_id": record.event_id,
        "decision": record.decision.value,
        "schedule_at": duration_tree(record.schedule_at),
        "episode_id": record.episode_id,
        "deadline": duration_tree(record.deadline),
        "termination": msgspec.to_builtins(record.termination),
        "retry_count": record.retry_count,
        "effects": effects,
    }
    for pattern in ignore:
        tree = pattern.prune(tree)
    pruned = cast(dict[str, JsonValue], tree)
    if "effects" in pruned:
        pairs = zip(effects, cast(list[JsonValue], pruned["effects"]), strict=True)
        pruned["effects"] = [after if after is before else _body(after) for before, after in pairs]
    return pruned


def duration_tree(ns: int | None) -> JsonValue:
    """A time as it stands in a bundle."""
    return None if ns is None else msgspec.to_builtins(Duration.of(ns))


def compare_decisions(expected: Tree, actual: Tree) -> Iterator[Difference]:
    """Every difference of a pair, fields before effects; an ignored field is in neither tree."""
    for name in _FIELDS:
        here, there = expected.get(name), actual.get(name)
        if name in expected and name in actual and here != there:
            kind = DivergenceKind.TERMINATION if name == "termination" else DivergenceKind.DECISION
            yield Difference(kind, (Member(name),), here, there)
    yield from compare_effects(_effects(expected), _effects(actual))


def compare_effects(expected: Sequence[JsonValue], actual: Sequence[JsonValue]) -> Iterator[Difference]:
    """The differences of two effect lists: one for a mere reordering, else by position between the equal ends."""
    here, there = [_key(item) for item in expected], [_key(item) for item in actual]
    if here == there:
        return
    if Counter(here) == Counter(there):
        hashes = [_hashes(expected), _hashes(actual)]
        yield Difference(DivergenceKind.EFFECT_ORDER, (Member("effects"),), hashes[0], hashes[1], 0)
        return
    start = _common_prefix(here, there)
    end = _common_prefix(here[start:][::-1], there[start:][::-1])
    paired = min(len(here), len(there)) - end
    for index in range(start, paired):
        yield from _compare_effect(index, expected[index], actual[index])
    for index in range(paired, len(here) - end):
        if expected[index] is not Ignored.ITEM:
            yield Difference(DivergenceKind.EFFECT_MISSING, _effect_at(index), expected[index], None, index)
    for index in range(paired, len(there) - end):
        if actual[index] is not Ignored.ITEM:
            yield Difference(DivergenceKind.EFFECT_EXTRA, _effect_at(index), None, actual[index], index)


def leaves(expected: JsonValue, actual: JsonValue, at: Location) -> Iterator[tuple[Location, JsonValue, JsonValue]]:
    """Each leaf that differs, with its location; a value of another type and a series of another length are one."""
    if expected is Ignored.ITEM or actual is Ignored.ITEM or _same(expected, actual):
        return
    if isinstance(expected, dict) and isinstance(actual, dict) and _alike(expected, actual):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            yield from leaves(expected.get(name), actual.get(name), (*at, Member(name)))
    elif isinstance(expected, list) and isinstance(actual, list) and not _is_series(expected, actual):
        for index in range(max(len(expected), len(actual))):
            yield from leaves(_item(expected, index), _item(actual, index), (*at, Item(index)))
    else:
        yield at, expected, actual


def _compare_effect(index: int, expected: JsonValue, actual: JsonValue) -> Iterator[Difference]:
    if not isinstance(expected, dict) or not isinstance(actual, dict):
        return  # one of them is ignored
    found = False
    for location, here, there in leaves(_body(expected), _body(actual), _effect_at(index)):
        found = True
        yield Difference(DivergenceKind.EFFECT_CHANGED, location, here, there, index)
    here, there = expected.get("effect_hash"), actual.get("effect_hash")
    if not found and here is not None and there is not None and here != there:
        yield Difference(DivergenceKind.EFFECT_CHANGED, (*_effect_at(index), Member("effect_hash")), here, there, index)


def _effects(tree: Tree) -> list[JsonValue]:
    effects = tree.get("effects", [])
    assert isinstance(effects, list)
    return effects


def _body(effect: JsonValue) -> JsonValue:
    """An effect without its hash, which says nothing once something was left out."""
    if not isinstance(effect, dict):
        return effect
    return {name: member for name, member in effect.items() if name != "effect_hash"}


def _alike(expected: Mapping[str, JsonValue], actual: Mapping[str, JsonValue]) -> bool:
    """Whether two objects are to be compared member by member: a tagged value of another tag is one leaf."""
    return len(expected) != 1 or len(actual) != 1 or expected.keys() == actual.keys()


def _is_series(expected: list[JsonValue], actual: list[JsonValue]) -> bool:
    if len(expected) == len(actual):
        return False
    return all(isinstance(item, int | float) for item in (*expected, *actual))


def _item(items: list[JsonValue], index: int) -> JsonValue:
    return items[index] if index < len(items) else None


def _same(expected: JsonValue, actual: JsonValue) -> bool:
    """Equal when rendered: 0.0 and -0.0 differ."""
    return _key(expected) == _key(actual)


def _key(value: JsonValue) -> bytes:
    return canonical(value)


def _hashes(effects: Sequence[JsonValue]) -> JsonValue:
    return [effect.get("effect_hash") for effect in effects if isinstance(effect, dict)]


def _effect_at(index: int) -> Location:
    return Member("effects"), Item(index)


def _common_prefix(here: Sequence[bytes], there: Sequence[bytes]) -> int:
    length = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        length += 1
    return length
